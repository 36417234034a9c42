"""Members' own tokens, and what a member reaches with one: the own profile and its parts."""

import msgspec

from regulars.api.profile import profile_subresources, profiles
from regulars.auth import member_tokens, permits
from regulars.auth.authorization import Caller
from regulars.auth.member_tokens import MemberIdentity
from regulars.model.profiles.profiles import PROFILES
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope


class MemberTokenIn(msgspec.Struct, frozen=True):
    """Whose token it is to be: a profile's id, or another handle and what it says."""

    id: str | int
    id_handle: str | None = None


async def _token(call: RequestContext) -> dict[str, object]:
    handle = call.body.id_handle or "id"
    async with call.app.database.read_transaction(call.community_id) as scope:
        profile_id = await profiles.find_profile_id(scope, "id" if handle == "profile_id" else handle, call.body.id)
    token, expires = member_tokens.issue(
        MemberIdentity(call.community_id, profile_id), await call.app.authenticator.member_key(), call.now
    )
    return data_envelope({"token": token, "exp": expires})


MEMBER_PATH = "/id/api/v1/profiles/me"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/id/api/v1/auth/token",
        "Get a member's own token",
        read_handler=_token,
        may_return_404=True,
        request_model=MemberTokenIn,
        permit=permits.MEMBER_TOKEN,
        tag="members",
    ),
    Endpoint(
        "GET",
        MEMBER_PATH,
        "Read the own profile",
        read_handler=profiles.read_profile,
        resource=PROFILES,
        caller=Caller.MEMBER,
        permit=permits.PROFILE_READ,
        tag="members",
    ),
    *profile_subresources.subresource_endpoints(MEMBER_PATH, Caller.MEMBER, tag="members"),
)
