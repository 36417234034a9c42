"""Member tokens, and the endpoints that a member may call with one: the own profile and its subresources."""

import msgspec

from regulars.api.profile import examples, profile_subresources, profiles, response_schemas
from regulars.auth import member_tokens, permits
from regulars.auth.authorization import Caller
from regulars.auth.member_tokens import MemberIdentity
from regulars.model.profiles.profiles import PROFILES
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope


class MemberTokenIn(msgspec.Struct, frozen=True):
    """The profile of the token: by its id, or by another handle and its value."""

    id: str | int
    id_handle: str | None = None


async def _create_token(context: RequestContext) -> dict[str, object]:
    handle = context.body.id_handle or "id"
    async with context.app.database.read_transaction(context.community_id) as scope:
        profile_id = await profiles.find_profile_id(scope, "id" if handle == "profile_id" else handle, context.body.id)
    token, expires = member_tokens.issue(
        MemberIdentity(context.community_id, profile_id), await context.app.authenticator.member_key(), context.now
    )
    return data_envelope({"token": token, "exp": expires})


MEMBER_PATH = "/id/api/v1/profiles/me"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/id/api/v1/auth/token",
        "Create a member token",
        read_handler=_create_token,
        schema=response_schemas.MEMBER_TOKEN,
        may_return_404=True,
        request_model=MemberTokenIn,
        request_example=examples.MEMBER_TOKEN,
        permit=permits.MEMBER_TOKEN,
        tag="members",
    ),
    Endpoint(
        "GET",
        MEMBER_PATH,
        "Get the own profile",
        read_handler=profiles.read_profile,
        resource=PROFILES,
        caller=Caller.MEMBER,
        permit=permits.PROFILE_READ,
        tag="members",
    ),
    *profile_subresources.subresource_endpoints(MEMBER_PATH, Caller.MEMBER, tag="members"),
)
