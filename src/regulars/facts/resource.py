"""What the API shows of an entity: declared once, read one by one or listed, filtered, sorted and paged."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any
from uuid import UUID

from regulars.facts.instants import instant, written
from regulars.facts.refusals import NotFound, refuse
from regulars.storage.database import Scope


class Kind(Enum):
    """The type of a field: how a filter's text is read, and what OpenAPI says of it."""

    INTEGER = "integer"
    DECIMAL = "number"
    STRING = "string"
    BOOLEAN = "boolean"
    TIME = "date-time"
    UUID = "uuid"
    LIST = "array"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name on the wire, its type, and where it comes from (its own column unless `sql` says else).

    `shown` is False for a field that only filters and sorts, such as `location.name`. One that a thing has
    `several` of, such as `tags.handle`, only filters: its `sql` is a query, and one match is enough.
    """

    name: str
    kind: Kind
    sql: str = ""
    shown: bool = True
    several: bool = False
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """An entity as the API reads it.

    `source` is a FROM clause whose rows stand for one thing each, their table aliased `r`; `where` is a
    condition that always holds. Fields come out in the order given.
    """

    name: str
    source: str
    fields: tuple[Field, ...]
    where: str = "true"
    key: str = "id"

    def expression(self, field: Field) -> str:
        """The SQL of a field."""
        return field.sql or f"r.{field.name}"

    def field(self, name: str) -> Field | None:
        """The field of a name, or None."""
        return next((each for each in self.fields if each.name == name), None)

    @property
    def columns(self) -> str:
        """The SELECT list of the shown fields, in their order."""
        shown = (each for each in self.fields if each.shown)
        return ",\n       ".join(f'{self.expression(each)} AS "{each.name}"' for each in shown)

    def statement(self, condition: str, rest: str = "") -> str:
        """A SELECT of the shown fields within the community bound as $1."""
        return (
            f"SELECT {self.columns}\nFROM {self.source}\n"
            f"WHERE r.community_id = $1 AND {self.where} AND {condition}\n{rest}"
        )

    async def one(self, scope: Scope, key: object, condition: str = "") -> dict[str, Any]:
        """The thing with that key, as it goes on the wire. Raises NotFound."""
        found = await scope.fetchrow(self.statement(condition or f"{self._key_sql()} = $2"), scope.community_id, key)
        if found is None:
            raise NotFound(f"There is no {self.name} {key}.")
        return wire(found)

    async def many(self, scope: Scope, keys: Sequence[object]) -> dict[Any, dict[str, Any]]:
        """The things with those keys, by key; unknown keys are left out."""
        found = await scope.fetch(self.statement(f"{self._key_sql()} = ANY ($2)"), scope.community_id, list(keys))
        return {row[self.key]: wire(row) for row in found}

    def _key_sql(self) -> str:
        key = self.field(self.key)
        return self.expression(key) if key else f"r.{self.key}"


def wire(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as it goes on the wire: times in the API's form, everything else as it is."""
    return {name: written(value) if isinstance(value, datetime) else value for name, value in row.items()}


# Filters --------------------------------------------------------------------------------------------

_COMPARISONS = {"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
OPERATORS = (*_COMPARISONS, "in", "nullable")
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
    # PostgreSQL reads no exponent of more than five digits.
    if len(digits) > _MAX_DIGITS or not (-_MAX_DIGITS <= int(exponent) <= _MAX_DIGITS):
        raise ValueError(f"must be a number of at most {_MAX_DIGITS} digits")
    return found


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ValueError("must be a UUID") from None


def _string(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text


_READERS: dict[Kind, Callable[[str], object]] = {
    Kind.INTEGER: _integer,
    Kind.DECIMAL: _decimal,
    Kind.STRING: _string,
    Kind.BOOLEAN: _boolean,
    Kind.TIME: instant,
    Kind.UUID: _uuid,
}


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: its number from 1, and how many it holds."""

    number: int = 1
    size: int = 15


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that was asked for: conditions in SQL, their values (from $2 on), an order, a page."""

    conditions: tuple[str, ...]
    values: tuple[object, ...]
    order: str
    page: Page


def _condition(field: Field, sql: str, operator: str, text: str, values: list[object]) -> str:
    if field.kind in (Kind.LIST, Kind.OBJECT):
        raise ValueError("can't be filtered as a whole: name one of its parts")
    if field.several:
        own = replace(field, several=False)
        # Not equal is: none of them is equal. Null is: there is none.
        if operator == "nullable":
            found = "NOT EXISTS" if _boolean(text) else "EXISTS"
            return f"{found} (SELECT FROM ({sql}) AS one (value))"
        none = operator == "ne"
        condition = _condition(own, "one.value", "eq" if none else operator, text, values)
        return f"{'NOT ' if none else ''}EXISTS (SELECT FROM ({sql}) AS one (value) WHERE {condition})"
    if operator == "nullable":
        return f"{sql} IS NULL" if _boolean(text) else f"{sql} IS NOT NULL"
    read = _READERS[field.kind]
    several = operator == "in"
    # Of a column of 16 or 32 bits larger numbers are asked for, too: there are none.
    wide = f"::bigint{'[]' if several else ''}" if field.kind is Kind.INTEGER else ""
    placeholder = f"${len(values) + 2}{wide}"
    caseless = field.kind is Kind.STRING
    if several:
        given = [read(each.strip()) for each in text.split(",")]
        values.append([str(each).lower() for each in given] if caseless else given)
        return f"{f'lower({sql})' if caseless else sql} = ANY ({placeholder})"
    if operator not in _COMPARISONS:
        raise ValueError(f"has no filter {operator!r}: use one of {', '.join(OPERATORS)}")
    value = read(text)
    values.append(str(value).lower() if caseless else value)
    return f"{f'lower({sql})' if caseless else sql} {_COMPARISONS[operator]} {placeholder}"


def _page(query: Mapping[str, str]) -> Page:
    found = {}
    for name, default, most in (("size", 15, 500), ("number", 1, 10**9)):
        text = query.get(f"page[{name}]", "")
        if not text:
            found[name] = default
            continue
        try:
            value = _integer(text)
        except ValueError as error:
            raise refuse(f"page.{name}", str(error)) from None
        if not 1 <= value <= most:
            raise refuse(f"page.{name}", f"must be from 1 to {most}")
        found[name] = value
    return Page(number=found["number"], size=found["size"])


def _order(resource: Resource, text: str) -> str:
    parts = []
    # Sorting by one field again changes nothing.
    for each in dict.fromkeys(filter(None, (part.strip() for part in text.split(",")))):
        name = each.removeprefix("-")
        field = resource.field(name)
        if field is None or field.several or field.kind in (Kind.LIST, Kind.OBJECT):
            raise refuse("sort", f"{name!r} can't be sorted by")
        parts.append(f"{resource.expression(field)} {'DESC' if each.startswith('-') else 'ASC'} NULLS LAST")
    # The key comes last, so that pages never overlap.
    return ", ".join([*parts, resource._key_sql()])


def listing(resource: Resource, query: Mapping[str, str]) -> Listing:
    """What a query string asks of a resource: `filter[f]=v`, `filter[f][op]=v`, `sort`, `page[size]`,
    `page[number]`. Raises Refused by path for what can't be understood.
    """
    conditions: list[str] = []
    values: list[object] = []
    for key, text in query.items():
        if not key.startswith("filter"):
            continue
        match = _FILTER.match(key)
        field = resource.field(match[1]) if match else None
        if match is None or field is None:
            raise refuse(match[1] if match else key, f"is no field of a {resource.name} that can be filtered")
        # A bare time means "from then on", as clients of the public API expect of transacted_at.
        operator = match[2] or ("gte" if field.name == "transacted_at" else "eq")
        try:
            conditions.append(_condition(field, resource.expression(field), operator, text, values))
        except ValueError as error:
            raise refuse(field.name, str(error)) from None
    return Listing(tuple(conditions), tuple(values), _order(resource, query.get("sort", "")), _page(query))


async def listed(
    resource: Resource, scope: Scope, asked: Listing, condition: str = "true", *bound: object
) -> tuple[list[dict[str, Any]], int]:
    """One page of a list as it goes on the wire, and how many there are in all.

    `condition` narrows the list further; its values are `bound`, written `{0}`, `{1}` ... in it.
    """
    first = len(asked.values) + 2
    own = condition.format(*(f"${first + index}" for index in range(len(bound))))
    where = " AND ".join((*asked.conditions, own)) or "true"
    values = (scope.community_id, *asked.values, *bound)
    page = asked.page
    rest = f"ORDER BY {asked.order}\nLIMIT {page.size} OFFSET {(page.number - 1) * page.size}"
    rows = await scope.fetch(resource.statement(where, rest), *values)
    total = await scope.fetchval(
        f"SELECT count(*) FROM {resource.source} WHERE r.community_id = $1 AND {resource.where} AND {where}",
        *values,
    )
    return [wire(row) for row in rows], total
