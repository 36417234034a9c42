"""Members' own tokens: signed JWTs, each bound to the profile in its claim `pid`."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt

from regulars.auth import signing_keys

TOKEN_LIFETIME = timedelta(hours=1)
_ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class MemberIdentity:
    """The profile that a member's token is bound to."""

    community_id: int
    profile_id: UUID


async def signing_key(connection: Any, now: datetime) -> bytes:
    """Returns the key that signs members' tokens. It is created on first use and shared by all processes."""
    return await signing_keys.get_or_create(connection, "members", now)


def issue(member: MemberIdentity, key: bytes, now: datetime) -> tuple[str, int]:
    """Returns a member's token and its expiry as a Unix timestamp."""
    expires = int((now + TOKEN_LIFETIME).timestamp())
    claims = {
        "pid": str(member.profile_id),
        "community": member.community_id,
        "iat": int(now.timestamp()),
        "exp": expires,
    }
    return jwt.encode(claims, key, _ALGORITHM), expires


def verify(token: str, key: bytes, now: datetime) -> MemberIdentity | None:
    """Returns the profile of a token; None if the token is forged, malformed or expired at `now`."""
    try:
        # PyJWT uses the system clock. The expiry is compared with `now` below.
        claims = jwt.decode(
            token, key, [_ALGORITHM], options={"verify_exp": False, "verify_iat": False, "require": ["exp", "pid"]}
        )
        if now.timestamp() >= int(claims["exp"]):
            return None
        return MemberIdentity(int(claims["community"]), UUID(claims["pid"]))
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        return None
