"""Subresources of a profile: addresses, identities, and attributes such as communication preferences."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from regulars.api.profile import examples, response_schemas
from regulars.auth import audit_rules, permits
from regulars.auth.authorization import Caller
from regulars.core.errors import field_error
from regulars.model import addresses, consents, identities, member_handles
from regulars.model.addresses import ADDRESSES, AddressIn
from regulars.model.identities import IDENTITIES, IdentityIn
from regulars.model.profiles import lookup, profiles
from regulars.model.profiles.profiles import COMMS_SQL, PROFILES
from regulars.model.profiles.schema import ProfileIn
from regulars.model.resource import Resource, fetch_page, parse_list_query, serialize
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Scope
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint, ReadHandler
from regulars.web.envelopes import data_envelope, page_envelope
from regulars.web.errors import ApiError


def _list_handler(resource: Resource) -> ReadHandler:
    async def handle(context: RequestContext) -> dict[str, object]:
        profile_id = context.path_uuid()
        query = parse_list_query(resource, context.query_params)
        async with context.app.database.read_transaction(context.community_id) as scope:
            await lookup.require_active(scope, profile_id)
            rows, total = await fetch_page(resource, scope, query, "r.profile_id = {0}", profile_id)
        return page_envelope(context, rows, total, query.page.number, query.page.size)

    return handle


async def _row_envelope(scope: Scope, resource: Resource, profile_id: UUID, row_id: int) -> dict[str, object]:
    row = await scope.fetchrow(
        resource.select("r.profile_id = $2 AND r.id = $3"), scope.community_id, profile_id, row_id
    )
    return data_envelope(serialize(row))


# Addresses ----------------------------------------------------------------------------------------------


async def _read_address(context: RequestContext) -> dict[str, object]:
    profile_id, address_id = context.path_uuid(), context.path_integer("address_id")
    async with context.app.database.read_transaction(context.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        await addresses.require_exists(scope, profile_id, address_id)
        return await _row_envelope(scope, ADDRESSES, profile_id, address_id)


async def _create_address(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id = context.path_uuid()
    await lookup.fetch_one_for_update(uow, profile_id)
    return await _row_envelope(uow, ADDRESSES, profile_id, await addresses.create(uow, profile_id, context.body))


async def _update_address(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id, address_id = context.path_uuid(), context.path_integer("address_id")
    await lookup.fetch_one_for_update(uow, profile_id)
    await addresses.update(uow, profile_id, address_id, context.body)
    return await _row_envelope(uow, ADDRESSES, profile_id, address_id)


async def _delete_address(context: RequestContext, uow: UnitOfWork) -> None:
    profile_id, address_id = context.path_uuid(), context.path_integer("address_id")
    await lookup.fetch_one_for_update(uow, profile_id)
    await addresses.delete(uow, profile_id, address_id)


# Identities ---------------------------------------------------------------------------------------------


async def _require_handle(
    context: RequestContext, uow: UnitOfWork, profile_id: UUID, key: str | int | None = None
) -> None:
    """Checks that a member may write the new handle and the handle of the identity that is updated.

    Raises ValidationError for the new handle, ApiError 403 for an identity that only the community may change.
    """
    if not context.principal.is_profile_bound:
        return
    handle = getattr(context.body, "handle", UNSET)
    if isinstance(handle, str) and (problem := member_handles.rejection_reason(uow.community, handle)):
        raise field_error("handle", problem)
    if key is not None:
        for identity in await identities.get_matching(uow, profile_id, key):
            if problem := member_handles.rejection_reason(uow.community, identity.handle):
                raise ApiError(403, f"The handle {identity.handle} {problem}.")


def _identity_key(context: RequestContext) -> str | int:
    return (
        context.path_integer("identity_id") if "identity_id" in context.path_params else context.path_params["handle"]
    )


async def _read_identity(context: RequestContext) -> dict[str, object]:
    profile_id, key = context.path_uuid(), _identity_key(context)
    async with context.app.database.read_transaction(context.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        newest = (await identities.get_matching(scope, profile_id, key))[-1]
        return await _row_envelope(scope, IDENTITIES, profile_id, newest.id or 0)


async def _create_identity(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id = context.path_uuid()
    await lookup.fetch_one_for_update(uow, profile_id)
    await _require_handle(context, uow, profile_id)
    return await _row_envelope(uow, IDENTITIES, profile_id, await identities.create(uow, profile_id, context.body))


async def _update_identity(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id = context.path_uuid()
    await lookup.fetch_one_for_update(uow, profile_id)
    await _require_handle(context, uow, profile_id, _identity_key(context))
    identity_id = await identities.update(uow, profile_id, _identity_key(context), context.body)
    return await _row_envelope(uow, IDENTITIES, profile_id, identity_id)


async def _delete_identity(context: RequestContext, uow: UnitOfWork) -> None:
    profile_id = context.path_uuid()
    await lookup.fetch_one_for_update(uow, profile_id)
    await _require_handle(context, uow, profile_id, _identity_key(context))
    await identities.delete(uow, profile_id, _identity_key(context))


# Communication preferences ---------------------------------------------------------------------------


async def _comms(scope: Scope, profile_id: UUID) -> dict[str, object]:
    return data_envelope(
        await scope.fetchval(
            f"SELECT {COMMS_SQL} FROM profiles AS r WHERE r.community_id = $1 AND r.profile_id = $2",
            scope.community_id,
            profile_id,
        )
    )


async def _read_comms(context: RequestContext) -> dict[str, object]:
    profile_id = context.path_uuid()
    async with context.app.database.read_transaction(context.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        return await _comms(scope, profile_id)


async def _write_comms(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id = context.path_uuid()
    try:
        comms = consents.validate_comms(context.body)
    except ValueError as error:
        raise field_error("", str(error)) from None
    await profiles.update_comms(uow, profile_id, comms)
    return await _comms(uow, profile_id)


# Attributes ----------------------------------------------------------------------------------------------


async def _attributes(scope: Scope, profile_id: UUID) -> dict[str, Any]:
    profile = await PROFILES.fetch_one(scope, profile_id)
    attributes: dict[str, Any] = msgspec.json.decode(profile["attributes"])
    return attributes


async def _read_attributes(context: RequestContext) -> dict[str, object]:
    """The attributes of a profile; with a name in the path, the named group of them, empty if nothing is stored."""
    async with context.app.database.read_transaction(context.community_id) as scope:
        attributes = await _attributes(scope, context.path_uuid())
    name = context.path_params.get("name")
    return data_envelope(attributes if name is None else attributes.get(name) or {})


async def _write_attributes(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    """Updates attributes of a profile: those in the body change, the others stay, and null removes one."""
    profile_id, name, body = context.path_uuid(), context.path_params.get("name"), context.body
    if name is not None:
        await lookup.fetch_one_for_update(uow, profile_id)
        stored = (await _attributes(uow, profile_id)).get(name)
        merged = {**(stored if isinstance(stored, dict) else {}), **body}
        body = {name: {key: value for key, value in merged.items() if value is not None} or None}
    await profiles.update(uow, profile_id, ProfileIn(attributes=body))
    attributes = await _attributes(uow, profile_id)
    return data_envelope(attributes if name is None else attributes.get(name) or {})


def _attribute_endpoints(endpoint: Callable[..., Endpoint]) -> Iterator[Endpoint]:
    comms = {"schema": response_schemas.COMMS}
    written_comms = {**comms, "request_model": dict[str, Any], "request_example": examples.COMMS}
    yield endpoint(
        "GET", "/attributes/comms", "Get the communication preferences of a profile", read_handler=_read_comms, **comms
    )
    for path in ("/attributes/comms", "/comms"):
        summary = "Update the communication preferences of a profile, and with them its consents and statuses"
        yield endpoint("PUT", path, summary, write_handler=_write_comms, **written_comms)
    attributes = {"schema": response_schemas.ATTRIBUTES}
    written = {**attributes, "request_model": dict[str, Any], "request_example": examples.ATTRIBUTES}
    for path, of in (("/attributes", "attributes"), ("/attributes/{name}", "a group of attributes")):
        yield endpoint("GET", path, f"Get {of} of a profile", read_handler=_read_attributes, **attributes)
        summary = f"Update {of} of a profile: those in the body change, null removes one"
        yield endpoint("PUT", path, summary, write_handler=_write_attributes, **written)


def subresource_endpoints(
    base_path: str, caller: Caller = Caller.COMMUNITY, subject: str = "", tag: str = "profiles"
) -> tuple[Endpoint, ...]:
    """The endpoints of the addresses, identities and attributes of the profile at `base_path`."""

    def endpoint(method: str, path: str, summary: str, **options: Any) -> Endpoint:
        permit = permits.PROFILE_READ if method == "GET" else permits.PROFILE_WRITE
        rule = audit_rules.READ_PROFILE if method == "GET" else audit_rules.CHANGE_PROFILE
        audit = None if caller is Caller.MEMBER else rule
        return Endpoint(
            method,
            f"{base_path}{path}",
            summary,
            caller=caller,
            permit=permit,
            subject=subject,
            tag=tag,
            audit=audit,
            **options,
        )

    address = {"request_model": AddressIn, "request_example": examples.ADDRESS, "resource": ADDRESSES}
    identity = {"request_model": IdentityIn, "request_example": examples.IDENTITY, "resource": IDENTITIES}
    one_address = "/addresses/{address_id}"
    endpoints: list[Endpoint] = [
        endpoint(
            "GET",
            "/addresses",
            "List addresses",
            read_handler=_list_handler(ADDRESSES),
            resource=ADDRESSES,
            is_list=True,
        ),
        endpoint("POST", "/addresses", "Add an address", write_handler=_create_address, status=201, **address),
        endpoint("GET", one_address, "Get an address", read_handler=_read_address, resource=ADDRESSES),
        endpoint("PUT", one_address, "Update an address", write_handler=_update_address, **address),
        endpoint("DELETE", one_address, "Delete an address", write_handler=_delete_address, status=204),
        endpoint(
            "GET",
            "/identities",
            "List identities",
            read_handler=_list_handler(IDENTITIES),
            resource=IDENTITIES,
            is_list=True,
        ),
        endpoint("POST", "/identities", "Add an identity", write_handler=_create_identity, status=201, **identity),
    ]
    for path, by in (
        ("/identities/{handle}", "by its handle"),
        ("/identities/id/{identity_id}", "by its id"),
    ):
        endpoints += [
            endpoint("GET", path, f"Get an identity {by}", read_handler=_read_identity, resource=IDENTITIES),
            endpoint("PUT", path, f"Update an identity {by}", write_handler=_update_identity, **identity),
            endpoint("DELETE", path, f"Delete an identity {by}", write_handler=_delete_identity, status=204),
        ]
    return (*endpoints, *_attribute_endpoints(endpoint))


_PATH = "/api/v3/profiles/{id}"

ENDPOINTS: tuple[Endpoint, ...] = subresource_endpoints(_PATH, subject="id")
