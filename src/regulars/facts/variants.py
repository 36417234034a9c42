"""Variants: what is on the shelf, one size or colour of a product."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET

from regulars.facts import extras, given, money
from regulars.facts.extras import Extra
from regulars.facts.refusals import NotFound, refuse
from regulars.facts.resource import Field, Kind, Resource
from regulars.facts.table import Row, Table, differing
from regulars.facts.writing import Writing

Price = Decimal | msgspec.UnsetType | None


class VariantIn(msgspec.Struct, frozen=True, kw_only=True):
    """A variant as it comes in. What is absent stays as it is; `title` is another word for `name`."""

    id: given.Id = UNSET
    external_id: given.Code = UNSET
    sku: given.Code = UNSET
    name: given.Text = UNSET
    title: given.Text = UNSET
    price: Price = UNSET
    barcode: given.Code = UNSET
    handle: given.Text = UNSET
    description: given.LongText = UNSET
    web_url: given.LongText = UNSET
    position: given.Whole = UNSET
    price_discounted: Price = UNSET
    price_comparison: Price = UNSET
    price_cost: Price = UNSET
    available_quantity: given.Whole = UNSET
    images: given.Several = UNSET
    tags: given.Several = UNSET
    options: given.Several = UNSET
    meta: given.Collection = UNSET
    custom_fields: given.Several = UNSET


EXTRAS = (
    Extra("barcode", Kind.STRING),
    Extra("handle", Kind.STRING),
    Extra("description", Kind.STRING),
    Extra("web_url", Kind.STRING),
    Extra("position", Kind.INTEGER),
    Extra("price_discounted", Kind.DECIMAL),
    Extra("price_comparison", Kind.DECIMAL),
    Extra("price_cost", Kind.DECIMAL),
    Extra("available_quantity", Kind.INTEGER),
    Extra("images", Kind.LIST),
    Extra("tags", Kind.LIST),
    Extra("options", Kind.LIST),
    Extra("meta", Kind.OBJECT),
    Extra("custom_fields", Kind.LIST),
)


def _fields(table: str) -> tuple[Field, ...]:
    return (
        Field("id", Kind.INTEGER, f"{table}.id"),
        Field("product_id", Kind.INTEGER, f"{table}.product_id"),
        Field("external_id", Kind.STRING, f"{table}.external_id"),
        Field("sku", Kind.STRING, f"{table}.sku"),
        Field("name", Kind.STRING, f"{table}.name"),
        Field("title", Kind.STRING, f"{table}.name", meaning="The name, in another word for it."),
        Field("price", Kind.DECIMAL, f"{table}.price"),
        *(extra.field(table) for extra in EXTRAS),
        Field("created_at", Kind.TIME, f"{table}.created_at"),
        Field("updated_at", Kind.TIME, f"{table}.updated_at"),
    )


VARIANTS = Resource("variant", "product_variants AS r", _fields("r"), where="r.deleted_at IS NULL")


def as_object(table: str) -> str:
    """The SQL of a variant as one JSON object, in the shape of its resource."""
    parts = [
        f"'{each.name}', " + (f"to_char({each.sql}, 'YYYY-MM-DD HH24:MI:SS')" if each.kind is Kind.TIME else each.sql)
        for each in _fields(table)
    ]
    return f"json_build_object({', '.join(parts)})"


TABLE = Table(
    "product_variants",
    {
        "product_id": "bigint",
        "external_id": "text",
        "sku": "text",
        "name": "text",
        "price": "numeric",
        "extra": "jsonb",
    },
    unique={"product_variants_by_sku": "sku", "product_variants_by_external_id": "external_id"},
)

_NEW: Row = {**dict.fromkeys(TABLE.columns), "extra": {}}


@dataclass(frozen=True, slots=True)
class VariantRow:
    """A variant that was checked: the columns and the extra fields that were given."""

    id: int | None
    columns: Mapping[str, Any]
    extra: Mapping[str, Any]

    def merged(self, before: Mapping[str, Any]) -> Row:
        """What it makes of a variant that stands."""
        columns = renamed(before, self.columns)
        return {**before, **columns, "extra": extras.merged(before["extra"], self.extra)}


def renamed(before: Mapping[str, Any], columns: Mapping[str, Any]) -> dict[str, Any]:
    """Columns in which a given `title` is the name, unless the name itself was given anew."""
    found = dict(columns)
    title = found.pop("title", UNSET)
    if title is not UNSET and found.get("name", before["name"]) == before["name"]:
        found["name"] = title
    return found


def checked(variant: VariantIn) -> VariantRow:
    """A variant held to its rules. Raises Refused by path."""
    reading = given.Reading()
    for name in ("external_id", "sku"):
        reading.read(name, getattr(variant, name), given.code)
    for name in ("name", "title"):
        reading.read(name, getattr(variant, name), given.text)
    reading.read("price", variant.price, money.exact)
    extras.read(reading, EXTRAS, variant)
    columns, extra = extras.apart(EXTRAS, reading.done())
    return VariantRow(variant.id if isinstance(variant.id, int) else None, columns, extra)


# One variant of a product ----------------------------------------------------------------------------


async def create(writing: Writing, product_id: int, variant: VariantIn) -> int:
    """Makes a variant of a product that stands; gives its id. Raises Refused."""
    return await TABLE.insert_one(writing, {**checked(variant).merged(_NEW), "product_id": product_id})


async def update(writing: Writing, product_id: int, variant_id: int, variant: VariantIn) -> None:
    """Changes what is given of a variant. Raises Refused and NotFound."""
    row = checked(variant)
    found = await TABLE.locked(writing, "id = $2 AND product_id = $3", variant_id, product_id)
    if not found:
        raise NotFound(f"There is no variant {variant_id} of product {product_id}.")
    after = row.merged(found[0])
    if differing(found[0], after):
        await TABLE.update(writing, [after])


async def delete(writing: Writing, product_id: int, variant_id: int) -> None:
    """Takes a variant out of lists; what was sold of it stays. Raises NotFound."""
    if not await TABLE.delete(writing, "id = $2 AND product_id = $3", variant_id, product_id):
        raise NotFound(f"There is no variant {variant_id} of product {product_id}.")


# Many variants ---------------------------------------------------------------------------------------

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """A variant that a product should have; `path` is where it came in."""

    product_id: int
    row: VariantRow
    path: str


@dataclass(slots=True, eq=False)
class _State:
    before: Row | None
    after: Row


@dataclass(slots=True)
class _Known:
    """The variants that stand, found by what names them."""

    states: list[_State] = field(default_factory=list)
    by_id: dict[int, _State] = field(default_factory=dict)
    by_sku: dict[str, _State] = field(default_factory=dict)
    by_external_id: dict[str, _State] = field(default_factory=dict)
    by_name: dict[tuple[int, str | None], _State] = field(default_factory=dict)

    def add(self, state: _State) -> _State:
        """Takes a variant in; gives it."""
        self.states.append(state)
        self.index(state)
        return state

    def index(self, state: _State) -> None:
        """Makes a variant findable by what names it now."""
        row = state.after
        if row.get("id") is not None:
            self.by_id[row["id"]] = state
        if row["sku"] is not None:
            self.by_sku.setdefault(row["sku"], state)
        if row["external_id"] is not None:
            self.by_external_id.setdefault(row["external_id"], state)
        if row["sku"] is None and row["external_id"] is None:
            self.by_name.setdefault((row["product_id"], row["name"]), state)

    def clash(self, state: _State) -> str:
        """The field by which another variant is named already, or nothing."""
        if self.by_sku.get(state.after["sku"], state) is not state:
            return "sku"
        if self.by_external_id.get(state.after["external_id"], state) is not state:
            return "external_id"
        return ""

    def match(self, wanted: Wanted) -> _State | None:
        """By id, then sku, then external id; what has none of these by its name within the product."""
        columns = wanted.row.columns
        own = self.by_id.get(wanted.row.id or 0)
        if own is not None and own.after["product_id"] == wanted.product_id:
            return own
        sku, external_id = columns.get("sku"), columns.get("external_id")
        if sku is None and external_id is None:
            return self.by_name.get((wanted.product_id, renamed(_NEW, columns).get("name")))
        return self.by_sku.get(sku or "") or self.by_external_id.get(external_id or "")


async def put(writing: Writing, wanted: Sequence[Wanted], only_make: bool = False) -> list[tuple[int, int, bool]]:
    """Makes or changes variants; gives (product id, variant id, whether anything is new) of each.

    With `only_make`, one that stands is taken as it is, of whatever product. Raises Refused where a sku or
    an external id belongs to another product.
    """
    made_ids: set[int] = set()
    for _ in range(_ATTEMPTS):
        known = await _known(writing, wanted)
        taken = [_take(known, each, only_make) for each in wanted]
        new = [each.after for each in known.states if each.before is None]
        if only_make:
            # Elsewhere the lock on the product keeps writers in order; here one sku may come under several.
            new.sort(key=lambda row: (row["sku"] or "", row["external_id"] or "", row["product_id"]))
        made = await TABLE.insert(writing, new)
        made_ids |= {row["id"] for row in made}
        if len(made) == len(new):
            break
        # Another writer made one of them meanwhile: it is found when looked for again.
    else:
        raise refuse("variants", "are changed by others all the time: try again later")
    for row, kept in zip(new, made, strict=True):
        row["id"] = kept["id"]
    changed = {
        state.after["id"]: bool(differing(state.before, state.after))
        for state in known.states
        if state.before is not None
    }
    await TABLE.update(writing, [state.after for state in known.states if changed.get(state.after["id"])])
    return [
        (
            state.after["product_id"],
            state.after["id"],
            state.after["id"] in made_ids or changed.get(state.after["id"], False),
        )
        for state in taken
    ]


async def _known(writing: Writing, wanted: Sequence[Wanted]) -> _Known:
    rows = await TABLE.locked(
        writing,
        "(product_id = ANY ($2) OR sku = ANY ($3) OR external_id = ANY ($4))",
        sorted({each.product_id for each in wanted}),
        sorted({sku for each in wanted if (sku := each.row.columns.get("sku"))}),
        sorted({code for each in wanted if (code := each.row.columns.get("external_id"))}),
    )
    known = _Known()
    for row in rows:
        known.add(_State(before=row, after=dict(row)))
    return known


def _take(known: _Known, wanted: Wanted, only_make: bool) -> _State:
    state = known.match(wanted)
    if state is None:
        return known.add(_State(None, {**wanted.row.merged(_NEW), "product_id": wanted.product_id}))
    if only_make:
        return state
    if (product_id := state.after["product_id"]) != wanted.product_id:
        named = "sku" if wanted.row.columns.get("sku") == state.after["sku"] else "external_id"
        raise refuse(f"{wanted.path}.{named}", f"belongs to product {product_id}: choose one that is free")
    state.after = wanted.row.merged(state.after)
    if named := known.clash(state):
        raise refuse(f"{wanted.path}.{named}", "is taken by another variant: choose one that is free")
    known.index(state)
    return state
