"""Members' own tokens: signed JWTs whose claim `pid` is the one profile that they are good for."""

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
    """One profile of one community."""

    community_id: int
    profile_id: UUID


async def signing_key(connection: Any, now: datetime) -> bytes:
    """The key that members' tokens are signed with, made on first use and shared by all processes."""
    return await signing_keys.get_or_create(connection, "members", now)


def issue(member: MemberIdentity, key: bytes, now: datetime) -> tuple[str, int]:
    """A member's token and the instant that it expires at, in seconds since 1970."""
    expires = int((now + TOKEN_LIFETIME).timestamp())
    claims = {
        "pid": str(member.profile_id),
        "community": member.community_id,
        "iat": int(now.timestamp()),
        "exp": expires,
    }
    return jwt.encode(claims, key, _ALGORITHM), expires


def verify(token: str, key: bytes, now: datetime) -> MemberIdentity | None:
    """Whose token it is; None when it is forged, malformed or expired at `now`."""
    try:
        # PyJWT reads the machine's clock; the expiry is compared with ours below.
        claims = jwt.decode(
            token, key, [_ALGORITHM], options={"verify_exp": False, "verify_iat": False, "require": ["exp", "pid"]}
        )
        if now.timestamp() >= int(claims["exp"]):
            return None
        return MemberIdentity(int(claims["community"]), UUID(claims["pid"]))
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        return None
