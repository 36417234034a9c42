"""Profiles over HTTP: one by one, in batches, merged and forgotten."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import msgspec

from regulars.api.profile.batch_response import RowBatch, chunks
from regulars.auth import permits
from regulars.core import validation
from regulars.core.errors import NotFoundError, ValidationError, field_error
from regulars.model import erasure, identities, member_handles, merge
from regulars.model.import_batches import IMPORT_BATCHES
from regulars.model.profiles import lookup, profiles
from regulars.model.profiles.lookup import ProfileRef
from regulars.model.profiles.profiles import PROFILES
from regulars.model.profiles.schema import ProfileIn, ProfileRow, validate
from regulars.model.resource import fetch_page, parse_list_query
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Scope
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope, page_envelope

ProfileJson = dict[str, Any]
IncludeLoader = Callable[[RequestContext, Scope, list[ProfileJson]], Awaitable[None]]

INCLUDES: Mapping[str, IncludeLoader] = {}
"""What `include=` adds to profiles that are shown, by name."""


def _includes(call: RequestContext) -> list[IncludeLoader]:
    names = [name for part in call.query_params.get("include", "").split(",") if (name := part.strip())]
    for name in names:
        if name not in INCLUDES:
            raise field_error("include", f"knows no {name!r}; there is: {', '.join(INCLUDES) or 'nothing'}")
    return [INCLUDES[name] for name in names]


async def _list(call: RequestContext) -> dict[str, object]:
    asked = parse_list_query(PROFILES, call.query_params)
    includes = _includes(call)
    async with call.app.database.read_transaction(call.community_id) as scope:
        things, total = await fetch_page(PROFILES, scope, asked)
        for include in includes:
            await include(call, scope, things)
    return page_envelope(call, things, total, asked.page.number, asked.page.size)


async def read_profile(call: RequestContext) -> dict[str, object]:
    """One profile, that of the path or the member's own."""
    return await _one(call, call.path_uuid(), _includes(call))


async def _one(call: RequestContext, profile_id: UUID, includes: list[IncludeLoader]) -> dict[str, object]:
    async with call.app.database.read_transaction(call.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        shown = await PROFILES.fetch_one(scope, profile_id)
        for include in includes:
            await include(call, scope, [shown])
    return data_envelope(shown)


async def _as_it_is(uow: UnitOfWork, profile_id: UUID) -> dict[str, object]:
    return data_envelope(await PROFILES.fetch_one(uow, profile_id))


async def _create(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id = await profiles.create(uow, call.body)
    if call.body.profile_type == "deleted":
        return data_envelope({"id": profile_id, "profile_type": "deleted"})
    return await _as_it_is(uow, profile_id)


async def _require_own(call: RequestContext, uow: UnitOfWork, profile_id: UUID) -> None:
    """Refuses what a caller who is bound to one profile may not write: the fields and identities by which other systems
    refer to the profile. Raises Refused.
    """
    if not call.principal.is_profile_bound:
        return
    for name in ("external_id", "email", "mobile_phone"):
        if getattr(call.body, name) is not msgspec.UNSET:
            raise field_error(name, "names the profile: a token that is bound to one profile can't write it")
    new = call.body.identities or ()
    ids = {each.id for each in new if isinstance(each.id, int)}
    stored = {each.id: each.handle for each in await identities.list_by_profile(uow, profile_id) if each.id in ids}
    for index, each in enumerate(new):
        for handle in (each.handle, stored.get(each.id)):
            if isinstance(handle, str) and (problem := member_handles.rejection_reason(uow.community, handle)):
                raise field_error(f"identities.{index}.handle", problem)


def _require_type(call: RequestContext, profile_type: object) -> None:
    """Raises Denied where the type means that the profile is deleted, and the caller may not delete profiles."""
    if profile_type == "deleted":
        call.require_permit(permits.PROFILE_ERASE)


async def _update(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id = call.path_uuid()
    _require_type(call, call.body.profile_type)
    await _require_own(call, uow, profile_id)
    await profiles.update(uow, profile_id, call.body)
    if call.body.profile_type == "deleted":
        return data_envelope({"id": profile_id, "profile_type": "deleted"})
    return await _as_it_is(uow, profile_id)


async def _delete(call: RequestContext, uow: UnitOfWork) -> None:
    await profiles.delete(uow, call.path_uuid())


class ProfileTypeIn(msgspec.Struct, frozen=True):
    """The type that a profile is to have."""

    profile_type: str


async def _update_type(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id = call.path_uuid()
    row = validate(ProfileIn(profile_type=call.body.profile_type))
    profile_type = row.columns["profile_type"]
    _require_type(call, profile_type)
    await profiles.set_type(uow, profile_id, profile_type)
    if profile_type == "deleted":
        return data_envelope({"id": profile_id, "profile_type": "deleted"})
    return await _as_it_is(uow, profile_id)


# Finding ------------------------------------------------------------------------------------------------


class ProfileSearchIn(msgspec.Struct, frozen=True):
    """A profile by `profile_id`, or by the handle of an identity and its identifier."""

    type: str
    id: str | int


async def find_profile_id(scope: Scope, handle: str, value: str | int) -> UUID:
    """The living profile that a handle and a value mean. Raises NotFoundError and Refused."""
    try:
        ref = validation.check_text(handle), validation.check_code(value) or ""
    except ValueError as error:
        raise field_error("id", str(error)) from None
    profile_id = (await lookup.resolve(scope, [ref])).get(ref)
    if profile_id is None:
        raise NotFoundError(f"There is no profile whose {handle} is {ref[1]}.")
    return profile_id


async def _search(call: RequestContext) -> dict[str, object]:
    includes = _includes(call)
    handle = "id" if call.body.type == "profile_id" else call.body.type
    async with call.app.database.read_transaction(call.community_id) as scope:
        profile_id = await find_profile_id(scope, handle, call.body.id)
    return await _one(call, profile_id, includes)


class AvailabilityIn(msgspec.Struct, frozen=True):
    """An e-mail, a phone number, or both, that a profile is to have."""

    email: validation.Text = msgspec.UNSET
    mobile_phone: validation.Code = msgspec.UNSET


async def _availability(call: RequestContext) -> dict[str, object]:
    row = validate(ProfileIn(email=call.body.email, mobile_phone=call.body.mobile_phone))
    asked = [(name, value) for name, value in row.columns.items() if value is not None]
    answer: dict[str, object] = {"email": None, "mobile_phone": None}
    async with call.app.database.read_transaction(call.community_id) as scope:
        holders = await lookup.resolve(scope, asked)
        shown = await PROFILES.fetch_many(scope, list(holders.values()))
    for name, value in asked:
        holder = shown.get(holders.get((name, value)))
        answer[name] = {"available": holder is None, "profile": holder and _named(holder)}
    return data_envelope(answer)


def _named(shown: ProfileJson) -> dict[str, object]:
    full_name = " ".join(filter(None, (shown["first_name"], shown["last_name"])))
    return {"id": shown["id"], "full_name": full_name or None}


# Merging and forgetting -----------------------------------------------------------------------------------


class MergeIn(msgspec.Struct, frozen=True):
    """Two profiles that are one member: the source becomes part of the destination."""

    source_profile_id: UUID
    destination_profile_id: UUID


async def _merge(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    await merge.merge(uow, call.body.source_profile_id, call.body.destination_profile_id)
    return await _as_it_is(uow, call.body.destination_profile_id)


async def _purge(call: RequestContext, uow: UnitOfWork) -> None:
    await erasure.purge(uow, call.path_uuid())


async def _depersonalise(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id = call.path_uuid()
    await erasure.anonymize(uow, profile_id)
    return await _as_it_is(uow, profile_id)


# Batches ------------------------------------------------------------------------------------------------


class ProfilesIn(msgspec.Struct, frozen=True):
    """Profiles, and by what those are known that there are: `email`, `mobile_phone`, `external_id`, or the
    handle of an identity.
    """

    profiles: list[msgspec.Raw]
    match_criteria: str = "email"


def _ref(criteria: str, row: ProfileRow) -> ProfileRef | None:
    if criteria in ("email", "mobile_phone", "external_id"):
        value = row.columns.get(criteria)
    else:
        value = next((each.identifier for each in row.identities if each.handle == criteria), None)
    return None if value is None else (criteria, value)


_CHUNK_ROWS = 2_000
"""Profiles that are written in one call, which takes less than a tenth of a second of Python's time."""


async def _loaded(call: RequestContext, uow: UnitOfWork) -> RowBatch:
    criteria = call.body.match_criteria
    try:
        validation.check_text(criteria)
    except ValueError as error:
        raise field_error("match_criteria", str(error)) from None
    batch = RowBatch("profiles", call.body.profiles)
    rows = await call.app.worker_threads.run(batch.validate, ProfileIn, validate)
    for row in rows.values():
        _require_type(call, row.columns.get("profile_type"))
    for chunk in chunks(rows, _CHUNK_ROWS):
        refs = [_ref(criteria, row) for row in chunk.values()]
        results = await profiles.upsert_matching(uow, list(chunk.values()), refs)
        for index, result in zip(chunk, results, strict=True):
            batch.outcomes[index] = result if isinstance(result, ValidationError) else result.outcome
    return batch


async def _batch(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    return await (await _loaded(call, uow)).store_result(uow)


async def _queue(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    kept = await (await _loaded(call, uow)).store_result(uow)
    batch_id = kept["data"]["batch_id"]  # type: ignore[index]
    return data_envelope({"message": "Profiles queued for batch import.", "batch_id": batch_id})


async def _read_batch(call: RequestContext) -> dict[str, object]:
    batch_id = call.path_uuid("batch_id")
    async with call.app.database.read_transaction(call.community_id) as scope:
        return data_envelope(await IMPORT_BATCHES.fetch_one(scope, batch_id))


_AT = "/api/v3/profiles"
_INCLUDE = {"include": "What to add, separated by commas."}


def _endpoint(method: str, path: str, summary: str, **more: Any) -> Endpoint:
    return Endpoint(method, f"{_AT}{path}", summary, tag="profiles", **more)


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint(
        "GET",
        "",
        "List profiles",
        read_handler=_list,
        resource=PROFILES,
        is_list=True,
        query_params=_INCLUDE,
        permit=permits.PROFILE_READ,
    ),
    _endpoint(
        "POST",
        "",
        "Make a profile: it joins",
        write_handler=_create,
        request_model=ProfileIn,
        resource=PROFILES,
        status=201,
        permit=permits.PROFILE_WRITE,
    ),
    _endpoint(
        "POST",
        "/search-id",
        "Find a profile by an identity",
        read_handler=_search,
        request_model=ProfileSearchIn,
        resource=PROFILES,
        permit=permits.PROFILE_READ,
        may_return_404=True,
    ),
    _endpoint(
        "POST",
        "/availability",
        "Tell whether an e-mail or a phone number is free",
        read_handler=_availability,
        request_model=AvailabilityIn,
        permit=permits.PROFILE_READ,
    ),
    _endpoint(
        "POST",
        "/merge",
        "Merge two profiles",
        write_handler=_merge,
        request_model=MergeIn,
        resource=PROFILES,
        permit=permits.PROFILE_WRITE,
        may_return_404=True,
    ),
    _endpoint(
        "POST",
        "/batch.json",
        "Make or change many profiles",
        write_handler=_batch,
        request_model=ProfilesIn,
        permit=permits.PROFILE_WRITE,
    ),
    _endpoint(
        "POST",
        "/batch",
        "Queue many profiles",
        write_handler=_queue,
        request_model=ProfilesIn,
        permit=permits.PROFILE_WRITE,
    ),
    _endpoint(
        "GET",
        "/batch/{batch_id}",
        "Read what a batch came to",
        read_handler=_read_batch,
        resource=IMPORT_BATCHES,
        permit=permits.PROFILE_READ,
    ),
    _endpoint(
        "GET",
        "/{id}",
        "Read a profile",
        read_handler=read_profile,
        resource=PROFILES,
        query_params=_INCLUDE,
        permit=permits.PROFILE_READ,
        subject="id",
    ),
    _endpoint(
        "PUT",
        "/{id}",
        "Change what is given of a profile",
        write_handler=_update,
        request_model=ProfileIn,
        resource=PROFILES,
        permit=permits.PROFILE_WRITE,
        subject="id",
    ),
    _endpoint(
        "DELETE",
        "/{id}",
        "Delete a profile: it leaves",
        write_handler=_delete,
        status=204,
        permit=permits.PROFILE_ERASE,
        subject="id",
    ),
    _endpoint(
        "PUT",
        "/{id}/update-type",
        "Give a profile a type; a deleted one that becomes active joins again",
        write_handler=_update_type,
        request_model=ProfileTypeIn,
        resource=PROFILES,
        permit=permits.PROFILE_WRITE,
        subject="id",
    ),
    _endpoint(
        "DELETE",
        "/{id}/purge",
        "Take a profile and its transactions out of every table and count",
        write_handler=_purge,
        status=204,
        permit=permits.PROFILE_ERASE,
        subject="id",
    ),
    _endpoint(
        "POST",
        "/{id}/depersonalise",
        "Blank what tells who a member is; it is still counted",
        write_handler=_depersonalise,
        resource=PROFILES,
        permit=permits.PROFILE_ERASE,
        subject="id",
    ),
)
