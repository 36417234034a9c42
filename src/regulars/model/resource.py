"""Resources: declarations of what the API shows of an entity, from which it is read, listed, filtered and sorted."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from regulars.core.errors import NotFoundError, field_error
from regulars.core.field_type import FieldType
from regulars.core.timestamps import format_timestamp, parse_timestamp
from regulars.storage.database import Scope


@dataclass(frozen=True, slots=True)
class ResourceField:
    """A field: its name in JSON, its type, and its SQL expression (the column of its name if `sql` is empty).

    A field that is not visible only filters and sorts, such as `location.name`. A multivalued one, such as
    `tags.handle`, only filters: its `sql` is a query, and a resource matches if one of the values does. An object or a
    list of objects `embeds` a resource, with all of its visible fields.
    """

    name: str
    type: FieldType
    sql: str = ""
    is_visible: bool = True
    is_multivalued: bool = False
    description: str = ""
    embeds: "Resource | None" = None


@dataclass(frozen=True, slots=True)
class Resource:
    """An entity as the API shows it, with its fields in this order.

    `from_clause` has a row for each entity, in a table aliased `r`; `where` is a condition for all queries.
    """

    name: str
    from_clause: str
    fields: tuple[ResourceField, ...]
    where: str = "true"
    key: str = "id"

    def expression(self, field: ResourceField) -> str:
        """The SQL expression of a field."""
        return field.sql or f"r.{field.name}"

    def field(self, name: str) -> ResourceField | None:
        """The field with a name, or None."""
        return next((each for each in self.fields if each.name == name), None)

    @property
    def select_list(self) -> str:
        """The SELECT list of the visible fields in their order."""
        shown = (each for each in self.fields if each.is_visible)
        return ",\n       ".join(f'{self.expression(each)} AS "{each.name}"' for each in shown)

    def select(self, condition: str, rest: str = "") -> str:
        """A SELECT of the visible fields in the community $1."""
        return (
            f"SELECT {self.select_list}\nFROM {self.from_clause}\n"
            f"WHERE r.community_id = $1 AND {self.where} AND {condition}\n{rest}"
        )

    async def fetch_one(self, scope: Scope, key: object, condition: str = "") -> dict[str, Any]:
        """Returns the entity with a key, serialized. Raises NotFoundError."""
        found = await scope.fetchrow(self.select(condition or f"{self._key_sql()} = $2"), scope.community_id, key)
        if found is None:
            raise NotFoundError(f"There is no {self.name} {key}.")
        return serialize(found)

    async def fetch_many(self, scope: Scope, keys: Sequence[object]) -> dict[Any, dict[str, Any]]:
        """Returns the entities with keys, serialized, by key; unknown keys are left out."""
        found = await scope.fetch(self.select(f"{self._key_sql()} = ANY ($2)"), scope.community_id, list(keys))
        return {row[self.key]: serialize(row) for row in found}

    def _key_sql(self) -> str:
        key = self.field(self.key)
        return self.expression(key) if key else f"r.{self.key}"


def serialize(row: Mapping[str, Any]) -> dict[str, Any]:
    """Serializes a row: timestamps in the format of the API, all other values unchanged."""
    return {name: format_timestamp(value) if isinstance(value, datetime) else value for name, value in row.items()}


# Filters --------------------------------------------------------------------------------------------

_COMPARISONS = {"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
FILTER_OPERATORS = (*_COMPARISONS, "in", "nullable")
_MAX_DIGITS = 100
_FILTER = re.compile(r"filter\[([A-Za-z0-9_.]+)\](?:\[([a-z]+)\])?$")


def _boolean(text: str) -> bool:
    try:
        return {"1": True, "true": True, "0": False, "false": False}[text.lower()]
    except KeyError:
        raise ValueError("must be 1, 0, true or false") from None


def _integer(text: str) -> int:
    try:
        found = int(text)
    except ValueError:
        raise ValueError("must be an integer") from None
    if not -(2**63) <= found < 2**63:
        raise ValueError("must be an integer of at most 64 bits")
    return found


def _decimal(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise ValueError("must be a number") from None
    if not found.is_finite():
        raise ValueError("must be a number")
    _, digits, exponent = found.as_tuple()
    # PostgreSQL accepts no exponent of more than five digits.
    if len(digits) > _MAX_DIGITS or not (-_MAX_DIGITS <= int(exponent) <= _MAX_DIGITS):
        raise ValueError(f"must be a number of at most {_MAX_DIGITS} digits")
    return found


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ValueError("must be a UUID") from None


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a date, YYYY-MM-DD") from None


def _string(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text


_READERS: dict[FieldType, Callable[[str], object]] = {
    FieldType.INTEGER: _integer,
    FieldType.NUMBER: _decimal,
    FieldType.STRING: _string,
    FieldType.BOOLEAN: _boolean,
    FieldType.TIMESTAMP: parse_timestamp,
    FieldType.DATE: _date,
    FieldType.UUID: _uuid,
}


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The requested page of a list: its number from 1, and its size."""

    number: int = 1
    size: int = 15


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The query of a list: SQL conditions, their values ($2 and following), an order and a page."""

    conditions: tuple[str, ...]
    values: tuple[object, ...]
    order_by: str
    page: PageRequest


def _condition(field: ResourceField, sql: str, operator: str, text: str, values: list[object]) -> str:
    if field.type in (FieldType.LIST, FieldType.OBJECT):
        raise ValueError("can't be filtered as a whole: name one of its parts")
    if field.is_multivalued:
        own = replace(field, is_multivalued=False)
        # `ne` means that no value is equal, and null that there is no value.
        if operator == "nullable":
            found = "NOT EXISTS" if _boolean(text) else "EXISTS"
            return f"{found} (SELECT FROM ({sql}) AS one (value))"
        none = operator == "ne"
        condition = _condition(own, "one.value", "eq" if none else operator, text, values)
        return f"{'NOT ' if none else ''}EXISTS (SELECT FROM ({sql}) AS one (value) WHERE {condition})"
    if operator == "nullable":
        return f"{sql} IS NULL" if _boolean(text) else f"{sql} IS NOT NULL"
    read = _READERS[field.type]
    several = operator == "in"
    # Numbers beyond the range of a 16 or 32 bit column match nothing instead of failing.
    wide = f"::bigint{'[]' if several else ''}" if field.type is FieldType.INTEGER else ""
    placeholder = f"${len(values) + 2}{wide}"
    caseless = field.type is FieldType.STRING
    if several:
        values.append([read(each.strip()) for each in text.split(",")])
        if caseless:
            return f"{_lower(sql)} = ANY (ARRAY(SELECT {_lower('each')} FROM unnest({placeholder}::text[]) AS each))"
        return f"{sql} = ANY ({placeholder})"
    if operator not in _COMPARISONS:
        raise ValueError(f"has no filter {operator!r}: use one of {', '.join(FILTER_OPERATORS)}")
    values.append(read(text))
    if caseless:
        return f"{_lower(sql)} {_COMPARISONS[operator]} {_lower(f'{placeholder}::text')}"
    return f"{sql} {_COMPARISONS[operator]} {placeholder}"


def _lower(sql: str) -> str:
    """SQL of a text in lower case.

    The database does it to both sides of a comparison, by its own locale: Python has other small letters for some capitals,
    and the collation of codes has those of ASCII alone.
    """
    return f'lower(({sql}) COLLATE "default")'


def _page(query: Mapping[str, str]) -> PageRequest:
    found = {}
    for name, default, most in (("size", 15, 500), ("number", 1, 10**9)):
        text = query.get(f"page[{name}]", "")
        if not text:
            found[name] = default
            continue
        try:
            value = _integer(text)
        except ValueError as error:
            raise field_error(f"page.{name}", str(error)) from None
        if not 1 <= value <= most:
            raise field_error(f"page.{name}", f"must be from 1 to {most}")
        found[name] = value
    return PageRequest(number=found["number"], size=found["size"])


def _order(resource: Resource, text: str) -> str:
    parts = []
    # A repeated field has no effect.
    for each in dict.fromkeys(filter(None, (part.strip() for part in text.split(",")))):
        name = each.removeprefix("-")
        field = resource.field(name)
        if field is None or field.is_multivalued or field.type in (FieldType.LIST, FieldType.OBJECT):
            raise field_error("sort", f"{name!r} can't be sorted by")
        parts.append(f"{resource.expression(field)} {'DESC' if each.startswith('-') else 'ASC'} NULLS LAST")
    # The key comes last, so that pages do not overlap.
    return ", ".join([*parts, resource._key_sql()])


def parse_list_query(resource: Resource, query: Mapping[str, str], bound: Sequence[object] = ()) -> ListQuery:
    """Parses a query string: `filter[f]=v`, `filter[f][op]=v`, `sort`, `page[size]` and `page[number]`.

    `bound` are the values of $2 and following in the `from_clause` of the resource. Raises ValidationError.
    """
    conditions: list[str] = []
    values: list[object] = list(bound)
    for key, text in query.items():
        if not key.startswith("filter"):
            continue
        match = _FILTER.match(key)
        field = resource.field(match[1]) if match else None
        if match is None or field is None:
            raise field_error(match[1] if match else key, f"is no field of a {resource.name} that can be filtered")
        # Clients of the public API expect transacted_at without an operator to mean "from then on".
        operator = match[2] or ("gte" if field.name == "transacted_at" else "eq")
        try:
            conditions.append(_condition(field, resource.expression(field), operator, text, values))
        except ValueError as error:
            raise field_error(field.name, str(error)) from None
    return ListQuery(tuple(conditions), tuple(values), _order(resource, query.get("sort", "")), _page(query))


async def fetch_page(
    resource: Resource, scope: Scope, query: ListQuery, condition: str = "true", *bound: object
) -> tuple[list[dict[str, Any]], int]:
    """Returns one page of a list, serialized, and the total number of entities.

    `condition` is another condition; its values are `bound`, written `{0}`, `{1}` ... in it.
    """
    first = len(query.values) + 2
    own = condition.format(*(f"${first + index}" for index in range(len(bound))))
    where = " AND ".join((*query.conditions, own)) or "true"
    values = (scope.community_id, *query.values, *bound)
    page = query.page
    rest = f"ORDER BY {query.order_by}\nLIMIT {page.size} OFFSET {(page.number - 1) * page.size}"
    rows = await scope.fetch(resource.select(where, rest), *values)
    total = await scope.fetchval(
        f"SELECT count(*) FROM {resource.from_clause} WHERE r.community_id = $1 AND {resource.where} AND {where}",
        *values,
    )
    return [serialize(row) for row in rows], total
