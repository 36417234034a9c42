"""Which customers a request is about: X-Customer and X-Loyalty-Club-Slug, within what a token reaches."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from regulars.auth.errors import AccessDenied
from regulars.auth.principals import Principal


@dataclass(frozen=True, slots=True)
class Tenant:
    """A community that a request reaches: its numbers, and what its money and times are read by.

    `community_id` is the key of all its rows; `min_cell_size` is the least count that its organization shows, or None.
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


@dataclass(frozen=True, slots=True)
class TenantScope:
    """What may be asked about; None is no bound. An operator, who needs no token, reaches everything."""

    organization_id: int | None = None
    community_id: int | None = None
    slugs: tuple[str, ...] | None = None


def scope_of(principal: Principal) -> TenantScope:
    """What the caller's token reaches."""
    return TenantScope(principal.organization_id, principal.community_id, principal.customers)


# What X-Customer says ----------------------------------------------------------------------------------------

_ALL = "all=all"
_IDS = re.compile(r"[0-9]+(_[0-9]+)*")
_FORMS = "id=1, id=1_2, all=all, or filters such as chain=Nord;country=NO"

# Larger numbers are nobody's, but no less well-formed.
_LARGEST = str(2**31 - 1)


@dataclass(frozen=True, slots=True)
class TenantSelector:
    """What X-Customer asks for: customers by their ids, by their attributes, or all."""

    ids: frozenset[str] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


def parse_selector(text: str) -> TenantSelector:
    """What a value of X-Customer says. Raises Denied, 471, for one that is malformed."""
    text = _text(text)
    if text == _ALL:
        return TenantSelector()
    if _IDS.fullmatch(text):
        text = f"id={text}"
    ids = None
    attributes: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not equals or not name or not value or name in attributes or "\0" in part:
            raise AccessDenied(471, f"X-Customer is malformed: write {_FORMS}.")
        if name == "id":
            if ids is not None or not _IDS.fullmatch(value):
                raise AccessDenied(471, f"X-Customer names no ids: write {_FORMS}.")
            ids = frozenset(each.lstrip("0") or "0" for each in value.split("_"))
        else:
            attributes[name] = value
    if "all" in attributes:
        raise AccessDenied(471, f"all=all in X-Customer stands alone: write {_FORMS}.")
    return TenantSelector(ids, attributes)


def _text(value: str) -> str:
    # Headers are bytes: UTF-8 where they can be that, else Latin-1, as HTTP once had it.
    try:
        return value.encode("latin-1").decode().strip()
    except UnicodeError:
        return value.strip()


# Who that is -------------------------------------------------------------------------------------------------

_FOUND = """
SELECT c.id AS community_id, c.loyalty_club_id, c.customer_id, c.organization_id, c.slug, c.name, c.timezone,
       c.currency, c.minor_digits, c.attributes, o.min_cell_size
FROM communities AS c
JOIN organizations AS o ON o.id = c.organization_id
"""


async def resolve_tenants(
    connection: Any, reach: TenantScope, x_customer: Sequence[str], x_loyalty_club_slug: Sequence[str]
) -> tuple[Tenant, ...]:
    """The communities that a request is about, in the order of their ids: all of the customers of X-Customer, or the
    one of the slug. Both headers are given as often as they were sent.

    Raises Denied: 470 without either, 471 for one that is malformed or two that disagree, 403 for a customer that is
    out of reach, whether it exists or not, and where none is left.
    """
    text, slug = _one("X-Customer", x_customer), _one("X-Loyalty-Club-Slug", x_loyalty_club_slug)
    if text is None and slug is None:
        raise AccessDenied(470, f"Say whom it is about: send X-Customer ({_FORMS}), or X-Loyalty-Club-Slug.")
    named = None if text is None else await _of_choice(connection, reach, parse_selector(text))
    if slug is None:
        assert named is not None  # noqa: S101
        return named
    club = await _of_slug(connection, reach, _text(slug))
    if named is not None and {each.customer_id for each in named} != {each.customer_id for each in club}:
        raise AccessDenied(471, "X-Customer and X-Loyalty-Club-Slug disagree: send one of them.")
    return club


def _one(header: str, values: Sequence[str]) -> str | None:
    if len(set(values)) > 1:
        raise AccessDenied(471, f"{header} was sent more than once and disagrees with itself: send it once.")
    return values[0] if values else None


async def _of_choice(connection: Any, reach: TenantScope, choice: TenantSelector) -> tuple[Tenant, ...]:
    if choice.ids is None:
        found = await _found(connection, reach, attributes=choice.attributes)
    else:
        ids = [int(each) for each in choice.ids if (len(each), each) <= (len(_LARGEST), _LARGEST)]
        found = await _found(connection, reach, ids=ids)
        if {str(each.customer_id) for each in found} != choice.ids:
            raise AccessDenied(403, "The token does not reach every customer that X-Customer names.")
        if choice.attributes:
            found = await _found(connection, reach, ids=ids, attributes=choice.attributes)
    if not found:
        raise AccessDenied(403, "The token reaches no customer that X-Customer asks for.")
    return found


async def _of_slug(connection: Any, reach: TenantScope, slug: str) -> tuple[Tenant, ...]:
    if not slug or "\0" in slug:
        raise AccessDenied(471, "X-Loyalty-Club-Slug is empty: send the short name of a loyalty club.")
    found = await _found(connection, reach, slug=slug)
    if not found:
        raise AccessDenied(403, "The token does not reach the loyalty club that X-Loyalty-Club-Slug names.")
    return found


async def _found(
    connection: Any,
    reach: TenantScope,
    *,
    ids: Sequence[int] | None = None,
    slug: str | None = None,
    attributes: Mapping[str, str] | None = None,
) -> tuple[Tenant, ...]:
    """The communities within reach that fit all that is given."""
    bounds: list[tuple[str, tuple[object, ...]]] = [
        ("c.organization_id = {}", (reach.organization_id,)),
        ("c.id = {}", (reach.community_id,)),
        ("c.slug = ANY ({})", (reach.slugs,)),
        ("c.customer_id = ANY ({}::int[])", (ids,)),
        ("c.slug = {}", (slug,)),
        (_FITTING, (list(attributes), list(attributes.values())) if attributes else (None,)),
    ]
    conditions: list[str] = []
    values: list[object] = []
    for condition, given in bounds:
        if given[0] is not None:
            conditions.append(condition.format(*(f"${len(values) + place}" for place in range(1, len(given) + 1))))
            values += given
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = await connection.fetch(f"{_FOUND} {where} ORDER BY c.id", *values)
    return tuple(Tenant(**{**row, "attributes": msgspec.json.decode(row["attributes"])}) for row in rows)


# What a community is by itself goes before attributes of the same name.
_FITTING = """NOT EXISTS (
    SELECT
    FROM unnest({}::text[], {}::text[]) AS asked (name, value)
    WHERE asked.value IS DISTINCT FROM CASE asked.name
        WHEN 'country' THEN c.country
        WHEN 'currency' THEN c.currency
        WHEN 'timezone' THEN c.timezone
        WHEN 'slug' THEN c.slug
        WHEN 'name' THEN c.name
        ELSE c.attributes ->> asked.name
    END
)"""
