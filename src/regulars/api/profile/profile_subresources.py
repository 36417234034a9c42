"""What a profile consists of, over HTTP: addresses, identities, and how it may be reached."""

from typing import Any
from uuid import UUID

from msgspec import UNSET

from regulars.auth import permits
from regulars.auth.authorization import Caller
from regulars.core.errors import field_error
from regulars.model import addresses, consents, identities, member_handles
from regulars.model.addresses import ADDRESSES, AddressIn
from regulars.model.identities import IDENTITIES, IdentityIn
from regulars.model.profiles import lookup, profiles
from regulars.model.profiles.profiles import COMMS_SQL
from regulars.model.resource import Resource, fetch_page, parse_list_query, serialize
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Scope
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint, ReadHandler
from regulars.web.envelopes import data_envelope, page_envelope
from regulars.web.errors import ApiError


def _the_list(resource: Resource) -> ReadHandler:
    async def reads(call: RequestContext) -> dict[str, object]:
        profile_id = call.path_uuid()
        asked = parse_list_query(resource, call.query_params)
        async with call.app.database.read_transaction(call.community_id) as scope:
            await lookup.require_active(scope, profile_id)
            things, total = await fetch_page(resource, scope, asked, "r.profile_id = {0}", profile_id)
        return page_envelope(call, things, total, asked.page.number, asked.page.size)

    return reads


async def _part(scope: Scope, resource: Resource, profile_id: UUID, part_id: int) -> dict[str, object]:
    found = await scope.fetchrow(
        resource.select("r.profile_id = $2 AND r.id = $3"), scope.community_id, profile_id, part_id
    )
    return data_envelope(serialize(found))


# Addresses ----------------------------------------------------------------------------------------------


async def _read_address(call: RequestContext) -> dict[str, object]:
    profile_id, address_id = call.path_uuid(), call.path_integer("address_id")
    async with call.app.database.read_transaction(call.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        await addresses.require_exists(scope, profile_id, address_id)
        return await _part(scope, ADDRESSES, profile_id, address_id)


async def _create_address(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id = call.path_uuid()
    await lookup.fetch_one_for_update(uow, profile_id)
    return await _part(uow, ADDRESSES, profile_id, await addresses.create(uow, profile_id, call.body))


async def _update_address(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id, address_id = call.path_uuid(), call.path_integer("address_id")
    await lookup.fetch_one_for_update(uow, profile_id)
    await addresses.update(uow, profile_id, address_id, call.body)
    return await _part(uow, ADDRESSES, profile_id, address_id)


async def _delete_address(call: RequestContext, uow: UnitOfWork) -> None:
    profile_id, address_id = call.path_uuid(), call.path_integer("address_id")
    await lookup.fetch_one_for_update(uow, profile_id)
    await addresses.delete(uow, profile_id, address_id)


# Identities ---------------------------------------------------------------------------------------------


async def _require_handle(
    call: RequestContext, uow: UnitOfWork, profile_id: UUID, which: str | int | None = None
) -> None:
    """Checks that a member may write a handle: the new one, and the one of the identity that is changed.

    Raises Refused for the new one, ApiError 403 for an identity that only the community may change.
    """
    if not call.principal.is_profile_bound:
        return
    handle = getattr(call.body, "handle", UNSET)
    if isinstance(handle, str) and (problem := member_handles.rejection_reason(uow.community, handle)):
        raise field_error("handle", problem)
    if which is not None:
        for identity in await identities.get_matching(uow, profile_id, which):
            if problem := member_handles.rejection_reason(uow.community, identity.handle):
                raise ApiError(403, f"The handle {identity.handle} {problem}.")


def _which(call: RequestContext) -> str | int:
    return call.path_integer("identity_id") if "identity_id" in call.path_params else call.path_params["handle"]


async def _read_identity(call: RequestContext) -> dict[str, object]:
    profile_id, which = call.path_uuid(), _which(call)
    async with call.app.database.read_transaction(call.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        newest = (await identities.get_matching(scope, profile_id, which))[-1]
        return await _part(scope, IDENTITIES, profile_id, newest.id or 0)


async def _create_identity(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id = call.path_uuid()
    await lookup.fetch_one_for_update(uow, profile_id)
    await _require_handle(call, uow, profile_id)
    return await _part(uow, IDENTITIES, profile_id, await identities.create(uow, profile_id, call.body))


async def _update_identity(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id = call.path_uuid()
    await lookup.fetch_one_for_update(uow, profile_id)
    await _require_handle(call, uow, profile_id, _which(call))
    identity_id = await identities.update(uow, profile_id, _which(call), call.body)
    return await _part(uow, IDENTITIES, profile_id, identity_id)


async def _delete_identity(call: RequestContext, uow: UnitOfWork) -> None:
    profile_id = call.path_uuid()
    await lookup.fetch_one_for_update(uow, profile_id)
    await _require_handle(call, uow, profile_id, _which(call))
    await identities.delete(uow, profile_id, _which(call))


# Comms --------------------------------------------------------------------------------------------------


async def _comms(scope: Scope, profile_id: UUID) -> dict[str, object]:
    return data_envelope(
        await scope.fetchval(
            f"SELECT {COMMS_SQL} FROM profiles AS r WHERE r.community_id = $1 AND r.profile_id = $2",
            scope.community_id,
            profile_id,
        )
    )


async def _read_comms(call: RequestContext) -> dict[str, object]:
    profile_id = call.path_uuid()
    async with call.app.database.read_transaction(call.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        return await _comms(scope, profile_id)


async def _write_comms(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id = call.path_uuid()
    try:
        written = consents.validate_comms(call.body)
    except ValueError as error:
        raise field_error("", str(error)) from None
    await profiles.update_comms(uow, profile_id, written)
    return await _comms(uow, profile_id)


def subresource_endpoints(
    at: str, caller: Caller = Caller.COMMUNITY, subject: str = "", tag: str = "profiles"
) -> tuple[Endpoint, ...]:
    """The addresses and identities of the profile at a path."""

    def endpoint(method: str, path: str, summary: str, **more: Any) -> Endpoint:
        permit = permits.PROFILE_READ if method == "GET" else permits.PROFILE_WRITE
        return Endpoint(method, f"{at}{path}", summary, caller=caller, permit=permit, subject=subject, tag=tag, **more)

    address = {"request_model": AddressIn, "resource": ADDRESSES}
    identity = {"request_model": IdentityIn, "resource": IDENTITIES}
    one_address = "/addresses/{address_id}"
    made: list[Endpoint] = [
        endpoint(
            "GET", "/addresses", "List addresses", read_handler=_the_list(ADDRESSES), resource=ADDRESSES, is_list=True
        ),
        endpoint("POST", "/addresses", "Make an address", write_handler=_create_address, status=201, **address),
        endpoint("GET", one_address, "Read an address", read_handler=_read_address, resource=ADDRESSES),
        endpoint("PUT", one_address, "Change what is given of an address", write_handler=_update_address, **address),
        endpoint("DELETE", one_address, "Delete an address", write_handler=_delete_address, status=204),
        endpoint(
            "GET",
            "/identities",
            "List identities",
            read_handler=_the_list(IDENTITIES),
            resource=IDENTITIES,
            is_list=True,
        ),
        endpoint("POST", "/identities", "Make an identity", write_handler=_create_identity, status=201, **identity),
    ]
    for path, by in (
        ("/identities/{handle}", "by its handle"),
        ("/identities/id/{identity_id}", "by its id"),
    ):
        made += [
            endpoint("GET", path, f"Read an identity {by}", read_handler=_read_identity, resource=IDENTITIES),
            endpoint("PUT", path, f"Change an identity {by}", write_handler=_update_identity, **identity),
            endpoint("DELETE", path, f"Delete an identity {by}", write_handler=_delete_identity, status=204),
        ]
    return tuple(made)


_AT = "/api/v3/profiles/{id}"

ENDPOINTS: tuple[Endpoint, ...] = (
    *subresource_endpoints(_AT, subject="id"),
    Endpoint(
        "GET",
        f"{_AT}/attributes/comms",
        "Read how a profile is reached",
        read_handler=_read_comms,
        permit=permits.PROFILE_READ,
        subject="id",
        tag="profiles",
    ),
    *(
        Endpoint(
            "PUT",
            f"{_AT}{path}",
            "Change how a profile is reached, and with it consents and statuses",
            write_handler=_write_comms,
            request_model=dict[str, Any],
            permit=permits.PROFILE_WRITE,
            subject="id",
            tag="profiles",
        )
        for path in ("/attributes/comms", "/comms")
    ),
)
