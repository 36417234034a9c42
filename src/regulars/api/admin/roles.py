"""Roles over HTTP: what users may do, for which customers and stores."""

from typing import Annotated, Any

import msgspec

from regulars.api.admin import authority
from regulars.api.admin.declarations import (
    INTEGER,
    INTEGERS_OR_NULL,
    TEXT,
    TEXTS,
    TEXTS_OR_NULL,
    endpoint,
    many,
    not_found,
    one,
    organization_id,
)
from regulars.api.admin.tokens import slugs_by_id
from regulars.auth import audit_rules, permits, roles
from regulars.auth.roles import NewRole, Role
from regulars.core.errors import field_error
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=roles.MAX_NAME_LENGTH)]
Locations = Annotated[list[int], msgspec.Meta(min_length=1, max_length=1_000)]


class RoleIn(msgspec.Struct, frozen=True):
    """A role. `customers` are slugs, null is all of them; `location_ids` are stores of a single customer, null is no limit."""

    name: Name
    permits: list[str]
    customers: list[Annotated[str, msgspec.Meta(max_length=200)]] | None = None
    location_ids: Locations | None = None


def describe_role(role: Role) -> dict[str, object]:
    """A role as responses show it."""
    return {
        "id": role.id,
        "name": role.name,
        "permits": role.permits,
        "customers": role.customers,
        "location_ids": role.location_ids,
    }


def is_visible(context: RequestContext, role: Role) -> bool:
    """Whether the caller may see a role and its users: not if it is about customers beyond the caller's own."""
    return authority.includes_customers(context.principal, role.customers)


async def find_manageable(context: RequestContext, connection: Any, role_id: int) -> Role:
    """The role with an id, which the caller may grant. Raises NotFoundError and AccessDenied, 403."""
    role = None if role_id >= 2**31 else await roles.find(connection, organization_id(context.principal), role_id)
    if role is None or not is_visible(context, role):
        raise not_found("role", role_id)
    authority.require_authority_over_role(context.principal, role)
    return role


async def _parse(context: RequestContext, connection: Any) -> NewRole:
    body: RoleIn = context.body
    authority.require_known(body.permits)
    slugs = await slugs_by_id(context, connection)
    for slug in body.customers or ():
        if slug not in slugs.values():
            raise field_error("customers", f"has {slug!r}, which is no customer that you have access to")
    new = NewRole(body.name, body.permits, body.customers, body.location_ids)
    authority.require_authority_over_role(context.principal, new)
    if any(not 0 < each < 2**31 for each in body.location_ids or ()):
        raise field_error("location_ids", "has a number that is no id of a store")
    return new


async def _list(context: RequestContext, connection: Any) -> dict[str, object]:
    found = await roles.list_all(connection, organization_id(context.principal))
    return data_envelope([describe_role(each) for each in found if is_visible(context, each)])


async def _create(context: RequestContext, connection: Any) -> dict[str, object]:
    new = await _parse(context, connection)
    role = await roles.create(connection, organization_id(context.principal), new, context.now)
    context.audit.details |= {"permits": list(role.permits), "customers": role.customers}
    return data_envelope(describe_role(role))


async def _update(context: RequestContext, connection: Any) -> dict[str, object]:
    before = await find_manageable(context, connection, context.path_integer("id"))
    new = await _parse(context, connection)
    role = await roles.update(connection, organization_id(context.principal), before.id, new, context.now)
    assert role is not None  # noqa: S101 - it was read in the same transaction
    context.audit.details |= {
        name: {"from": getattr(before, name), "to": getattr(role, name)}
        for name in ("permits", "customers", "location_ids")
        if getattr(before, name) != getattr(role, name)
    }
    return data_envelope(describe_role(role))


async def _delete(context: RequestContext, connection: Any) -> None:
    role = await find_manageable(context, connection, context.path_integer("id"))
    context.audit.details["role"] = role.name
    await roles.delete(connection, organization_id(context.principal), role.id)


ROLE = {
    "id": INTEGER,
    "name": TEXT,
    "permits": TEXTS,
    "customers": TEXTS_OR_NULL,
    "location_ids": INTEGERS_OR_NULL,
}
_EXAMPLE = {"name": "Store manager", "permits": ["Reporting:Api:Query", "Location:Read"], "customers": ["cdnow"]}

ENDPOINTS: tuple[Endpoint, ...] = (
    endpoint("GET", "/roles", "List roles", _list, permit=permits.ADMIN_USER_READ, schema=many("Role", ROLE)),
    endpoint(
        "POST",
        "/roles",
        "Create a role",
        _create,
        permit=permits.ADMIN_USER_WRITE,
        audit=audit_rules.CREATE_ROLE,
        request_model=RoleIn,
        request_example=_EXAMPLE,
        status=201,
        schema=one("Role", ROLE),
    ),
    endpoint(
        "PUT",
        "/roles/{id}",
        "Replace a role; it applies to its users with their next request",
        _update,
        permit=permits.ADMIN_USER_WRITE,
        audit=audit_rules.CHANGE_ROLE,
        request_model=RoleIn,
        request_example=_EXAMPLE,
        schema=one("Role", ROLE),
    ),
    endpoint(
        "DELETE",
        "/roles/{id}",
        "Delete a role that no user has",
        _delete,
        permit=permits.ADMIN_USER_WRITE,
        audit=audit_rules.CHANGE_ROLE,
        status=204,
    ),
)
