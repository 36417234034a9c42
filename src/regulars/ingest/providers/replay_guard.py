"""Prevents replays of webhooks that sign a token, not the body: a token is valid for one body of one community."""

from datetime import datetime
from typing import Any

from regulars.core.errors import field_error
from regulars.core.validation import hash_key
from regulars.ingest.providers.provider import MAX_CLOCK_SKEW, MAX_SIGNATURE_AGE, ReplayToken
from regulars.model.unit_of_work import UnitOfWork

MAX_EXPIRED_DELETED = 1_000
"""Most expired tokens that recording one token deletes."""

# The insert waits for another request that records the same token. Expired tokens that another request is deleting are
# skipped.
_RECORD = """
WITH expired AS (
    DELETE FROM webhook_replay_guard
    WHERE (provider, key_hash, token_hash) IN (
        SELECT provider, key_hash, token_hash
        FROM webhook_replay_guard
        WHERE seen_at < $5
        ORDER BY seen_at
        LIMIT $7
        FOR UPDATE SKIP LOCKED
    )
)
INSERT INTO webhook_replay_guard (provider, key_hash, token_hash, body_hash, seen_at)
SELECT $1, key_hash, $3, $4, $6 FROM unnest($2::uuid[]) AS key_hash ORDER BY key_hash
ON CONFLICT (provider, key_hash, token_hash) DO NOTHING
"""

_BODIES = """
SELECT body_hash FROM webhook_replay_guard WHERE provider = $1 AND key_hash = ANY ($2) AND token_hash = $3
"""


def _expired_before(now: datetime) -> datetime:
    """Tokens that were seen before this time are rejected by the age of their signature."""
    return now - MAX_SIGNATURE_AGE - 2 * MAX_CLOCK_SKEW


async def consume(uow: UnitOfWork, provider: str, token: ReplayToken) -> None:
    """Records that a token came with a body of this community.

    Raises ValidationError if the token came with another body, or to another community that shares the signing key.
    """
    keys = sorted({hash_key(key) for key in token.signing_keys})
    token_hash, body_hash = hash_key(token.value), hash_key(f"{uow.community_id} {token.content.decode()}")
    expired_before = _expired_before(uow.now)
    await uow.execute(_RECORD, provider, keys, token_hash, body_hash, expired_before, uow.now, MAX_EXPIRED_DELETED)
    rows: list[Any] = await uow.fetch(_BODIES, provider, keys, token_hash)
    if any(row["body_hash"] != body_hash for row in rows):
        raise field_error("signature.token", "was used with another event: this request is a replay")
