"""Keys that things are signed with which go out and come back: one for each purpose, the same in all processes."""

import secrets
from datetime import datetime
from typing import Any


async def get_or_create(connection: Any, purpose: str, now: datetime) -> bytes:
    """The key for a purpose, made on first use."""
    await connection.execute(
        """
        INSERT INTO signing_keys (purpose, secret, created_at)
        VALUES ($1, $2, $3)
        ON CONFLICT (purpose) DO NOTHING
        """,
        purpose,
        secrets.token_bytes(32),
        now,
    )
    found: bytes = await connection.fetchval("SELECT secret FROM signing_keys WHERE purpose = $1", purpose)
    return found
