"""Tenants of a request: the customers named by X-Customer or X-Loyalty-Club-Slug that the caller has access to."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from regulars.auth.errors import AccessDenied
from regulars.auth.principals import Principal
from regulars.core import money


@dataclass(frozen=True, slots=True)
class Tenant:
    """A community that a request has access to.

    `community_id` is the key of its rows. `currency` and `minor_digits` apply to its amounts, `timezone` to its dates.
    `min_cell_size` is the smallest count that its organization shows, or None. `segments_version` changes with every
    change of a segment, and is None without segments.
    """

    community_id: int
    loyalty_club_id: int
    customer_id: int
    organization_id: int
    slug: str
    name: str
    timezone: str
    currency: str
    minor_digits: int
    attributes: Mapping[str, Any]
    min_cell_size: int | None = None
    segments_version: UUID | None = None


@dataclass(frozen=True, slots=True)
class TenantScope:
    """The tenants that a caller has access to. None is no restriction; without restrictions it is every tenant."""

    organization_id: int | None = None
    community_id: int | None = None
    slugs: tuple[str, ...] | None = None


def scope_of(principal: Principal) -> TenantScope:
    """Returns the tenants that a caller has access to."""
    return TenantScope(principal.organization_id, principal.community_id, principal.customers)


# X-Customer --------------------------------------------------------------------------------------------------

ALL_CUSTOMERS = "all=all"
"""The value of X-Customer that selects all customers that the caller has access to."""

_IDS = re.compile(r"[0-9]+(_[0-9]+)*")
_ALLOWED_FORMS = "id=1, id=1_2, all=all, or attributes such as chain=Nord;country=NO"

# Larger ids are well-formed, but belong to no customer.
_MAX_ID = str(2**31 - 1)


@dataclass(frozen=True, slots=True)
class TenantSelector:
    """The customers that X-Customer selects: by ids, by attributes, or all."""

    ids: frozenset[str] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


def parse_selector(text: str) -> TenantSelector:
    """Parses a value of X-Customer. Raises AccessDenied, 471, if it is malformed."""
    text = _decode(text)
    if text == ALL_CUSTOMERS:
        return TenantSelector()
    if _IDS.fullmatch(text):
        text = f"id={text}"
    ids = None
    attributes: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not equals or not name or not value or name in attributes or "\0" in part:
            raise AccessDenied(471, f"X-Customer is malformed. Allowed: {_ALLOWED_FORMS}.")
        if name == "id":
            if ids is not None or not _IDS.fullmatch(value):
                raise AccessDenied(471, f"X-Customer has malformed ids. Allowed: {_ALLOWED_FORMS}.")
            ids = frozenset(each.lstrip("0") or "0" for each in value.split("_"))
        else:
            attributes[name] = value
    if "all" in attributes:
        raise AccessDenied(471, f"X-Customer combines all=all with other conditions. Allowed: {_ALLOWED_FORMS}.")
    return TenantSelector(ids, attributes)


def _decode(value: str) -> str:
    # Header values are bytes: decoded as UTF-8 if possible, otherwise as Latin-1, as older clients send them.
    try:
        return value.encode("latin-1").decode().strip()
    except UnicodeError:
        return value.strip()


# Resolution --------------------------------------------------------------------------------------------------

_SELECT = """
SELECT c.id AS community_id, c.loyalty_club_id, c.customer_id, c.organization_id, c.slug, c.name, c.timezone,
       c.currency, c.minor_digits, c.attributes, o.min_cell_size, c.segments_version
FROM communities AS c
JOIN organizations AS o ON o.id = c.organization_id
"""


async def resolve_tenants(
    connection: Any, scope: TenantScope, x_customer: Sequence[str], x_loyalty_club_slug: Sequence[str]
) -> tuple[Tenant, ...]:
    """Returns the tenants of a request, ordered by community id.

    These are all communities of the customers in X-Customer, or the community of the slug. Both headers are passed as
    often as they were sent. Raises AccessDenied: 470 without either header; 471 for a malformed header or two that
    disagree; 403 for a customer outside the scope, whether it exists or not, and if no customer matches.
    """
    selector_text = _single("X-Customer", x_customer)
    slug = _single("X-Loyalty-Club-Slug", x_loyalty_club_slug)
    if selector_text is None and slug is None:
        raise AccessDenied(470, f"Missing header: X-Customer ({_ALLOWED_FORMS}) or X-Loyalty-Club-Slug.")
    selected = None if selector_text is None else await _select(connection, scope, parse_selector(selector_text))
    if slug is None:
        assert selected is not None  # noqa: S101
        return selected
    club = await _select_by_slug(connection, scope, _decode(slug))
    if selected is not None and {each.customer_id for each in selected} != {each.customer_id for each in club}:
        raise AccessDenied(471, "X-Customer and X-Loyalty-Club-Slug name different customers. Send one of them.")
    return club


async def get_tenants(connection: Any, organization_id: int, community_ids: Sequence[int]) -> tuple[Tenant, ...]:
    """Returns those of the communities that belong to an organization, ordered by community id."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE c.organization_id = $1 AND c.id = ANY ($2) ORDER BY c.id", organization_id, community_ids
    )
    return tuple(map(_parse_row, rows))


async def list_tenants(connection: Any, scope: TenantScope) -> tuple[Tenant, ...]:
    """Returns all tenants in a scope, ordered by community id."""
    return await _fetch(connection, scope)


def _single(header: str, values: Sequence[str]) -> str | None:
    if len(set(values)) > 1:
        raise AccessDenied(471, f"{header} was sent more than once with different values. Send it once.")
    return values[0] if values else None


async def _select(connection: Any, scope: TenantScope, selector: TenantSelector) -> tuple[Tenant, ...]:
    if selector.ids is None:
        tenants = await _fetch(connection, scope, attributes=selector.attributes)
    else:
        ids = [int(each) for each in selector.ids if (len(each), each) <= (len(_MAX_ID), _MAX_ID)]
        tenants = await _fetch(connection, scope, ids=ids)
        if {str(each.customer_id) for each in tenants} != selector.ids:
            raise AccessDenied(403, "The token has no access to some of the customers in X-Customer.")
        if selector.attributes:
            tenants = await _fetch(connection, scope, ids=ids, attributes=selector.attributes)
    if not tenants:
        raise AccessDenied(403, "X-Customer matches no customer that the token has access to.")
    return tenants


async def _select_by_slug(connection: Any, scope: TenantScope, slug: str) -> tuple[Tenant, ...]:
    if not slug or "\0" in slug:
        raise AccessDenied(471, "X-Loyalty-Club-Slug is empty or malformed. It must be the slug of a loyalty club.")
    tenants = await _fetch(connection, scope, slug=slug)
    if not tenants:
        raise AccessDenied(403, "The token has no access to the loyalty club in X-Loyalty-Club-Slug.")
    return tenants


async def _fetch(
    connection: Any,
    scope: TenantScope,
    *,
    ids: Sequence[int] | None = None,
    slug: str | None = None,
    attributes: Mapping[str, str] | None = None,
) -> tuple[Tenant, ...]:
    """Returns the tenants in the scope that match every argument that is not None."""
    filters: list[tuple[str, tuple[object, ...]]] = [
        ("c.organization_id = {}", (scope.organization_id,)),
        ("c.id = {}", (scope.community_id,)),
        ("c.slug = ANY ({})", (scope.slugs,)),
        ("c.customer_id = ANY ({}::int[])", (ids,)),
        ("c.slug = {}", (slug,)),
        (_HAS_ATTRIBUTES, (list(attributes), list(attributes.values())) if attributes else (None,)),
    ]
    conditions: list[str] = []
    arguments: list[object] = []
    for condition, values in filters:
        if values[0] is not None:
            conditions.append(condition.format(*(f"${len(arguments) + n}" for n in range(1, len(values) + 1))))
            arguments += values
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = await connection.fetch(f"{_SELECT} {where} ORDER BY c.id", *arguments)
    return tuple(map(_parse_row, rows))


def _parse_row(row: Any) -> Tenant:
    digits = money.minor_digits(row["currency"])
    return Tenant(**{**row, "attributes": msgspec.json.decode(row["attributes"]), "minor_digits": digits})


# Columns of a community take precedence over attributes of the same name.
_HAS_ATTRIBUTES = """NOT EXISTS (
    SELECT
    FROM unnest({}::text[], {}::text[]) AS required (name, value)
    WHERE required.value IS DISTINCT FROM CASE required.name
        WHEN 'country' THEN c.country
        WHEN 'currency' THEN c.currency
        WHEN 'timezone' THEN c.timezone
        WHEN 'slug' THEN c.slug
        WHEN 'name' THEN c.name
        ELSE c.attributes ->> required.name
    END
)"""
