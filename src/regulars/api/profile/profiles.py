"""Profiles: create, read, update, search, merge, erase."""

from typing import Any
from uuid import UUID

import msgspec

from regulars.api.profile import examples, response_schemas
from regulars.api.profile.profile_includes import IncludeLoader, ProfileJson, parse_includes
from regulars.api.profile.profile_values import PROFILES_WITH_VALUES, listed_profiles
from regulars.auth import audit_rules, permits
from regulars.core import validation
from regulars.core.errors import NotFoundError, field_error
from regulars.core.timestamps import parse_timestamp
from regulars.model import erasure, identities, member_handles, merge
from regulars.model.profiles import lookup, profiles, sync
from regulars.model.profiles.profiles import ALL_PROFILES, PROFILES
from regulars.model.profiles.schema import ProfileIn, validate
from regulars.model.resource import fetch_page, parse_list_query
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Scope
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope, page_envelope


async def _list(context: RequestContext) -> dict[str, object]:
    includes = parse_includes(context)
    async with context.app.database.read_transaction(context.community_id) as scope:
        listed = await listed_profiles(scope, context.query_params)
        query = parse_list_query(listed.resource, context.query_params, listed.bound)
        rows, total = await fetch_page(listed.resource, scope, query)
        for include in includes:
            await include(context, scope, rows)
    return page_envelope(context, rows, total, query.page.number, query.page.size)


async def read_profile(context: RequestContext) -> dict[str, object]:
    """The profile in the path, or the member's own.

    With `identity[handle]=h`, the path has the identifier of the profile's identity with that handle.
    """
    includes, handle = parse_includes(context), context.query_params.get("identity[handle]", "")
    if not handle or context.principal.is_profile_bound:
        return await _fetch(context, context.path_uuid(), includes)
    async with context.app.database.read_transaction(context.community_id) as scope:
        profile_id = await find_profile_id(scope, handle, context.path_params["id"])
    return await _fetch(context, profile_id, includes)


async def _fetch(context: RequestContext, profile_id: UUID, includes: list[IncludeLoader]) -> dict[str, object]:
    async with context.app.database.read_transaction(context.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        profile = await PROFILES.fetch_one(scope, profile_id)
        for include in includes:
            await include(context, scope, [profile])
    return data_envelope(profile)


async def _representation(uow: UnitOfWork, profile_id: UUID) -> dict[str, object]:
    # A request may have deleted it.
    return data_envelope(await ALL_PROFILES.fetch_one(uow, profile_id))


async def _create(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id = await profiles.create(uow, context.body)
    return await _representation(uow, profile_id)


async def _require_own_fields(context: RequestContext, uow: UnitOfWork, profile_id: UUID) -> None:
    """Raises ValidationError if a token that is bound to a profile writes a field that identifies the profile to other
    systems.
    """
    if not context.principal.is_profile_bound:
        return
    for name in ("external_id", "email", "mobile_phone"):
        if getattr(context.body, name) is not msgspec.UNSET:
            raise field_error(name, "identifies the profile, and a token that is bound to a profile may not write it")
    new = context.body.identities or ()
    ids = {each.id for each in new if isinstance(each.id, int)}
    stored = {each.id: each.handle for each in await identities.list_by_profile(uow, profile_id) if each.id in ids}
    for index, each in enumerate(new):
        for handle in (each.handle, stored.get(each.id)):
            if isinstance(handle, str) and (reason := member_handles.rejection_reason(uow.community, handle)):
                raise field_error(f"identities.{index}.handle", reason)


def require_type(context: RequestContext, profile_type: object) -> None:
    """Raises AccessDenied if the type deletes the profile and the caller may not delete profiles."""
    if profile_type == "deleted":
        context.require_permit(permits.PROFILE_ERASE)
        context.audit.rule = audit_rules.ERASE_PROFILE


async def update_profile(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    """Updates the profile in the path, or the member's own."""
    profile_id = context.path_uuid()
    require_type(context, context.body.profile_type)
    await _require_own_fields(context, uow, profile_id)
    await profiles.update(uow, profile_id, context.body)
    return await _representation(uow, profile_id)


async def _delete(context: RequestContext, uow: UnitOfWork) -> None:
    await profiles.delete(uow, context.path_uuid())


class ProfileTypeIn(msgspec.Struct, frozen=True):
    """The new type of a profile."""

    profile_type: str


async def update_type(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    """Sets the type of the profile in the path, or of the member's own."""
    profile_id = context.path_uuid()
    row = validate(ProfileIn(profile_type=context.body.profile_type))
    profile_type = row.columns["profile_type"]
    require_type(context, profile_type)
    await profiles.set_type(uow, profile_id, profile_type)
    return await _representation(uow, profile_id)


# Synchronisation ------------------------------------------------------------------------------------------


class ProfileSyncIn(msgspec.Struct, frozen=True):
    """Since when profiles have been updated, ISO 8601 or UTC; without it, all of them. `since` is another name of it."""

    updated_at: str | None = None
    since: str | None = None


async def _sync(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    text = context.body.updated_at or context.body.since
    try:
        since = None if text is None else parse_timestamp(text)
    except ValueError as error:
        raise field_error("updated_at", str(error)) from None
    await sync.record_updates(uow, since)
    return data_envelope({"message": "Profiles queued for sync."})


# Search --------------------------------------------------------------------------------------------------


class ProfileSearchIn(msgspec.Struct, frozen=True):
    """A profile by `profile_id`, or by the handle of an identity and its identifier."""

    type: str
    id: str | int


async def find_profile_id(scope: Scope, handle: str, value: str | int) -> UUID:
    """The id of the active profile with this value of a handle. Raises NotFoundError and ValidationError."""
    try:
        ref = validation.check_text(handle), validation.check_code(value) or ""
    except ValueError as error:
        raise field_error("id", str(error)) from None
    profile_id = (await lookup.resolve(scope, [ref])).get(ref)
    if profile_id is None:
        raise NotFoundError(f"There is no profile whose {handle} is {ref[1]}.")
    return profile_id


async def _search(context: RequestContext) -> dict[str, object]:
    includes = parse_includes(context)
    handle = "id" if context.body.type == "profile_id" else context.body.type
    async with context.app.database.read_transaction(context.community_id) as scope:
        profile_id = await find_profile_id(scope, handle, context.body.id)
    return await _fetch(context, profile_id, includes)


class AvailabilityIn(msgspec.Struct, frozen=True):
    """An e-mail address, a phone number, or both, to check before a profile is created."""

    email: validation.Text = msgspec.UNSET
    mobile_phone: validation.Code = msgspec.UNSET


async def _availability(context: RequestContext) -> dict[str, object]:
    row = validate(ProfileIn(email=context.body.email, mobile_phone=context.body.mobile_phone))
    refs = [(name, value) for name, value in row.columns.items() if value is not None]
    availability: dict[str, object] = {"email": None, "mobile_phone": None}
    async with context.app.database.read_transaction(context.community_id) as scope:
        holders = await lookup.find_holders(scope, refs)
        by_id = await PROFILES.fetch_many(scope, list(holders.values()))
    for name, value in refs:
        holder = by_id.get(holders.get((name, value)))
        availability[name] = {"available": holder is None, "profile": holder and _summary(holder)}
    return data_envelope(availability)


def _summary(profile: ProfileJson) -> dict[str, object]:
    full_name = " ".join(filter(None, (profile["first_name"], profile["last_name"])))
    return {"id": profile["id"], "full_name": full_name or None}


# Merge and erasure ----------------------------------------------------------------------------------------


class MergeIn(msgspec.Struct, frozen=True):
    """Two profiles of one member: the source is merged into the destination, which takes the fields that it lacks.

    The status of a channel is that of the address that stays. Who unsubscribed without an address stays unsubscribed.
    """

    source_profile_id: UUID
    destination_profile_id: UUID


async def _merge(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    await merge.merge(uow, context.body.source_profile_id, context.body.destination_profile_id)
    return await _representation(uow, context.body.destination_profile_id)


async def _purge(context: RequestContext, uow: UnitOfWork) -> None:
    await erasure.purge(uow, context.path_uuid())


async def _anonymize(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id = context.path_uuid()
    await erasure.anonymize(uow, profile_id)
    return await _representation(uow, profile_id)


_PATH = "/api/v3/profiles"
_INCLUDE = {
    "include": "`aggregations` adds the values of the profile, `segments` the names of the segments that it is in; several "
    "are separated by commas."
}
_IDENTITY = {"identity[handle]": "The handle of an identity, whose identifier the path has instead of the id."}


def _endpoint(method: str, path: str, summary: str, **options: Any) -> Endpoint:
    return Endpoint(method, f"{_PATH}{path}", summary, tag="profiles", **options)


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint(
        "GET",
        "",
        "List profiles",
        read_handler=_list,
        resource=PROFILES,
        listed_resource=PROFILES_WITH_VALUES,
        is_list=True,
        query_params=_INCLUDE,
        permit=permits.PROFILE_READ,
        audit=audit_rules.READ_PROFILES,
    ),
    _endpoint(
        "POST",
        "",
        "Create a profile, which joins the club",
        write_handler=_create,
        request_model=ProfileIn,
        request_example=examples.PROFILE,
        resource=PROFILES,
        status=201,
        permit=permits.PROFILE_WRITE,
        audit=audit_rules.CREATE_PROFILES,
    ),
    _endpoint(
        "POST",
        "/search-id",
        "Find a profile by an identity",
        read_handler=_search,
        request_model=ProfileSearchIn,
        request_example=examples.PROFILE_SEARCH,
        resource=PROFILES,
        permit=permits.PROFILE_READ,
        audit=audit_rules.READ_PROFILES,
        may_return_404=True,
    ),
    _endpoint(
        "POST",
        "/sync",
        "Send `profile.updated` of the profiles updated since an instant to webhooks again",
        write_handler=_sync,
        schema=response_schemas.MESSAGE,
        request_model=ProfileSyncIn,
        request_example=examples.PROFILE_SYNC,
        permit=permits.PROFILE_WRITE,
        audit=audit_rules.CREATE_PROFILES,
    ),
    _endpoint(
        "POST",
        "/availability",
        "Check whether an e-mail address or a phone number is available",
        read_handler=_availability,
        schema=response_schemas.AVAILABILITY,
        request_model=AvailabilityIn,
        request_example=examples.AVAILABILITY,
        permit=permits.PROFILE_READ,
        audit=audit_rules.READ_PROFILES,
    ),
    _endpoint(
        "POST",
        "/merge",
        "Merge two profiles",
        write_handler=_merge,
        request_model=MergeIn,
        request_example=examples.MERGE,
        resource=PROFILES,
        permit=permits.PROFILE_WRITE,
        audit=audit_rules.MERGE_PROFILES,
        may_return_404=True,
    ),
    _endpoint(
        "GET",
        "/{id}",
        "Get a profile",
        read_handler=read_profile,
        resource=PROFILES,
        query_params={**_INCLUDE, **_IDENTITY},
        permit=permits.PROFILE_READ,
        audit=audit_rules.READ_PROFILE,
        subject="id",
    ),
    _endpoint(
        "PUT",
        "/{id}",
        "Update a profile",
        write_handler=update_profile,
        request_model=ProfileIn,
        request_example=examples.PROFILE,
        resource=PROFILES,
        permit=permits.PROFILE_WRITE,
        audit=audit_rules.CHANGE_PROFILE,
        subject="id",
    ),
    _endpoint(
        "DELETE",
        "/{id}",
        "Delete a profile, which leaves the club",
        write_handler=_delete,
        status=204,
        permit=permits.PROFILE_ERASE,
        audit=audit_rules.ERASE_PROFILE,
        subject="id",
    ),
    _endpoint(
        "PUT",
        "/{id}/update-type",
        "Set the type of a profile; a deleted one that becomes active joins again",
        write_handler=update_type,
        request_model=ProfileTypeIn,
        request_example=examples.PROFILE_TYPE,
        resource=PROFILES,
        permit=permits.PROFILE_WRITE,
        audit=audit_rules.CHANGE_PROFILE,
        subject="id",
    ),
    _endpoint(
        "DELETE",
        "/{id}/purge",
        "Purge a profile: erase it and its transactions from all tables and counts",
        write_handler=_purge,
        status=204,
        permit=permits.PROFILE_ERASE,
        audit=audit_rules.ERASE_PROFILE,
        subject="id",
    ),
    _endpoint(
        "POST",
        "/{id}/depersonalise",
        "Depersonalise a profile: erase its personal data; it is still counted",
        write_handler=_anonymize,
        resource=PROFILES,
        permit=permits.PROFILE_ERASE,
        audit=audit_rules.ERASE_PROFILE,
        subject="id",
    ),
)
