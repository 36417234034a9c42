"""Tokens that are signed in place of what comes with them: each is good for one content of one community."""

from datetime import datetime
from typing import Any

from regulars.core.errors import field_error
from regulars.core.validation import hash_key
from regulars.ingest.providers.provider import MAX_CLOCK_SKEW, MAX_SIGNATURE_AGE, ReplayToken
from regulars.model.unit_of_work import UnitOfWork

MAX_EXPIRED_DELETED = 1_000
"""Most expired tokens that one use deletes."""

# A token that another request is using is waited for. An expired one that another request deletes is left to it.
_USE = """
WITH expired AS (
    DELETE FROM provider_tokens
    WHERE (provider, key, token) IN (
        SELECT provider, key, token FROM provider_tokens WHERE at < $5 ORDER BY at LIMIT $7 FOR UPDATE SKIP LOCKED
    )
)
INSERT INTO provider_tokens (provider, key, token, content, at)
SELECT $1, key, $3, $4, $6 FROM unnest($2::uuid[]) AS key ORDER BY key
ON CONFLICT (provider, key, token) DO NOTHING
"""

_CONTENTS = "SELECT content FROM provider_tokens WHERE provider = $1 AND key = ANY ($2) AND token = $3"


def _expired_before(now: datetime) -> datetime:
    """Tokens before this instant are not accepted any more."""
    return now - MAX_SIGNATURE_AGE - 2 * MAX_CLOCK_SKEW


async def consume(uow: UnitOfWork, provider: str, token: ReplayToken) -> None:
    """Records that a token was used for a content of this community.

    Raises Refused where any community that shares the key has used it for another content, or another community at all.
    """
    keys = sorted({hash_key(key) for key in token.signing_keys})
    key, content = hash_key(token.value), hash_key(f"{uow.community_id} {token.content.decode()}")
    before, now = _expired_before(uow.now), uow.now
    await uow.execute(_USE, provider, keys, key, content, before, now, MAX_EXPIRED_DELETED)
    found: list[Any] = await uow.fetch(_CONTENTS, provider, keys, key)
    if any(row["content"] != content for row in found):
        raise field_error("signature.token", "came before with another event: this is a replay")
