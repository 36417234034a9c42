"""Members' own tokens, and what a member reaches with one: the own profile and its parts."""

import msgspec

from regulars.access import members, permits
from regulars.access.members import Member
from regulars.api import profile_parts, profiles
from regulars.api.endpoint import Call, Caller, Endpoint, data
from regulars.facts.profiles import PROFILES


class TokenIn(msgspec.Struct, frozen=True):
    """Whose token it is to be: a profile's id, or another handle and what it says."""

    id: str | int
    id_handle: str | None = None


async def _token(call: Call) -> dict[str, object]:
    handle = call.body.id_handle or "id"
    async with call.server.database.reading(call.community_id) as scope:
        profile_id = await profiles.found(scope, "id" if handle == "profile_id" else handle, call.body.id)
    token, expires = members.signed(
        Member(call.community_id, profile_id), await call.server.authenticator.member_key(), call.now
    )
    return data({"token": token, "exp": expires})


ME = "/id/api/v1/profiles/me"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/id/api/v1/auth/token",
        "Get a member's own token",
        reads=_token,
        finds=True,
        takes=TokenIn,
        permit=permits.MEMBER_TOKEN,
        tag="members",
    ),
    Endpoint(
        "GET",
        ME,
        "Read the own profile",
        reads=profiles.read,
        shows=PROFILES,
        caller=Caller.MEMBER,
        permit=permits.PROFILE_READ,
        tag="members",
    ),
    *profile_parts.parts(ME, Caller.MEMBER, tag="members"),
)
