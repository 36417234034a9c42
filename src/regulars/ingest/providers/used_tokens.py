"""Tokens that are signed in place of what comes with them: each is good for one content."""

from datetime import datetime
from typing import Any

from regulars.facts.given import digest
from regulars.facts.refusals import refuse
from regulars.facts.writing import Writing
from regulars.ingest.providers.provider import AHEAD, OLDEST, Token

# A token that is in use by another request is waited for.
_USE = """
WITH forgotten AS (
    DELETE FROM provider_tokens WHERE community_id = $1 AND at < $5
)
INSERT INTO provider_tokens (community_id, provider, token, content, at)
VALUES ($1, $2, $3, $4, $6)
ON CONFLICT (community_id, provider, token) DO NOTHING
"""

_CONTENT = "SELECT content FROM provider_tokens WHERE community_id = $1 AND provider = $2 AND token = $3"


def _forgotten_before(now: datetime) -> datetime:
    """Until then a token may be signed and be taken still."""
    return now - OLDEST - 2 * AHEAD


async def use(writing: Writing, provider: str, token: Token) -> None:
    """Keeps that a token was used for a content. Raises Refused where it came before with another one."""
    key, content = digest(token.text), digest(token.content.decode())
    await writing.execute(
        _USE, writing.community_id, provider, key, content, _forgotten_before(writing.now), writing.now
    )
    found: Any = await writing.fetchval(_CONTENT, writing.community_id, provider, key)
    if found != content:
        raise refuse("signature.token", "came before with another event: this is a replay")
