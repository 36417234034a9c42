"""Signing keys of members' tokens and cursors: one per purpose, shared by all processes."""

import secrets
from datetime import datetime
from typing import Any


async def get_or_create(connection: Any, purpose: str, now: datetime) -> bytes:
    """Returns the key of a purpose, created on first use."""
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
    key: bytes = await connection.fetchval("SELECT secret FROM signing_keys WHERE purpose = $1", purpose)
    return key
