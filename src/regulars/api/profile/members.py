"""Member tokens, and the endpoints that a member may call with one: the own profile, its subresources, and locations."""

import msgspec

from regulars.api.profile import claims, examples, profile_subresources, profiles, response_schemas
from regulars.api.profile.crud import get_handler, list_handler
from regulars.api.profile.profiles import ProfileTypeIn
from regulars.auth import audit_rules, member_tokens, permits
from regulars.auth.authorization import Caller
from regulars.auth.member_tokens import MemberIdentity
from regulars.model.locations import LOCATIONS
from regulars.model.profiles.profiles import PROFILES
from regulars.model.profiles.schema import ProfileIn
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
        audit=audit_rules.CREATE_MEMBER_TOKEN,
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
    Endpoint(
        "PUT",
        MEMBER_PATH,
        "Update the own profile",
        write_handler=profiles.update_profile,
        request_model=ProfileIn,
        request_example=examples.OWN_PROFILE,
        resource=PROFILES,
        caller=Caller.MEMBER,
        permit=permits.PROFILE_WRITE,
        tag="members",
    ),
    Endpoint(
        "PUT",
        f"{MEMBER_PATH}/update-type",
        "Set the type of the own profile",
        write_handler=profiles.update_type,
        request_model=ProfileTypeIn,
        request_example=examples.PROFILE_TYPE,
        resource=PROFILES,
        caller=Caller.MEMBER,
        permit=permits.PROFILE_WRITE,
        tag="members",
    ),
    *profile_subresources.subresource_endpoints(MEMBER_PATH, Caller.MEMBER, tag="members"),
    *claims.claim_endpoints(MEMBER_PATH, Caller.MEMBER, tag="members"),
    Endpoint(
        "GET",
        "/id/api/v1/locations",
        "List locations",
        read_handler=list_handler(LOCATIONS),
        resource=LOCATIONS,
        is_list=True,
        caller=Caller.MEMBER,
        permit=permits.LOCATION_READ,
        tag="members",
    ),
    Endpoint(
        "GET",
        "/id/api/v1/locations/{id}",
        "Get a location",
        read_handler=get_handler(LOCATIONS),
        resource=LOCATIONS,
        caller=Caller.MEMBER,
        permit=permits.LOCATION_READ,
        tag="members",
    ),
)
