"""Variants of products, such as a size or colour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET

from regulars.core import money, validation
from regulars.core.errors import NotFoundError, QuotingText, field_error
from regulars.core.field_type import FieldType
from regulars.model import passthrough_fields
from regulars.model.passthrough_fields import PassthroughField
from regulars.model.repository import EntityTable, Row, changed_columns
from regulars.model.resource import Resource, ResourceField
from regulars.model.unit_of_work import UnitOfWork

Price = Decimal | msgspec.UnsetType | None


class VariantIn(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a variant in a request. Absent fields are unchanged; `title` is another word for `name`."""

    id: validation.Id = UNSET
    external_id: validation.Code = UNSET
    sku: validation.Code = UNSET
    name: validation.Text = UNSET
    title: validation.Text = UNSET
    price: Price = UNSET
    barcode: validation.Code = UNSET
    handle: validation.Text = UNSET
    description: validation.LongText = UNSET
    web_url: validation.LongText = UNSET
    position: validation.Int = UNSET
    price_discounted: Price = UNSET
    price_comparison: Price = UNSET
    price_cost: Price = UNSET
    available_quantity: validation.Int = UNSET
    images: validation.JsonList = UNSET
    tags: validation.JsonList = UNSET
    options: validation.JsonList = UNSET
    meta: validation.JsonCollection = UNSET
    custom_fields: validation.JsonList = UNSET


PASSTHROUGH_FIELDS = (
    PassthroughField("barcode", FieldType.STRING),
    PassthroughField("handle", FieldType.STRING),
    PassthroughField("description", FieldType.STRING),
    PassthroughField("web_url", FieldType.STRING),
    PassthroughField("position", FieldType.INTEGER),
    PassthroughField("price_discounted", FieldType.NUMBER),
    PassthroughField("price_comparison", FieldType.NUMBER),
    PassthroughField("price_cost", FieldType.NUMBER),
    PassthroughField("available_quantity", FieldType.INTEGER),
    PassthroughField("images", FieldType.LIST),
    PassthroughField("tags", FieldType.LIST),
    PassthroughField("options", FieldType.LIST),
    PassthroughField("meta", FieldType.OBJECT),
    PassthroughField("custom_fields", FieldType.LIST),
)


def _fields(table: str) -> tuple[ResourceField, ...]:
    return (
        ResourceField("id", FieldType.INTEGER, f"{table}.id"),
        ResourceField("product_id", FieldType.INTEGER, f"{table}.product_id"),
        ResourceField("external_id", FieldType.STRING, f"{table}.external_id"),
        ResourceField("sku", FieldType.STRING, f"{table}.sku"),
        ResourceField("name", FieldType.STRING, f"{table}.name"),
        ResourceField("title", FieldType.STRING, f"{table}.name", description="The same as name."),
        ResourceField("price", FieldType.NUMBER, f"{table}.price"),
        *(extra.resource_field(table) for extra in PASSTHROUGH_FIELDS),
        ResourceField("created_at", FieldType.TIMESTAMP, f"{table}.created_at"),
        ResourceField("updated_at", FieldType.TIMESTAMP, f"{table}.updated_at"),
    )


VARIANTS = Resource("variant", "product_variants AS r", _fields("r"), where="r.deleted_at IS NULL")


def json_object_sql(table: str) -> str:
    """The SQL of a variant as a JSON object with the fields of its resource."""
    parts = [
        f"'{each.name}', "
        + (f"to_char({each.sql}, 'YYYY-MM-DD HH24:MI:SS')" if each.type is FieldType.TIMESTAMP else each.sql)
        for each in _fields(table)
    ]
    return f"json_build_object({', '.join(parts)})"


TABLE = EntityTable(
    "product_variants",
    {
        "product_id": "bigint",
        "external_id": "text",
        "sku": "text",
        "name": "text",
        "price": "numeric",
        "extra": "jsonb",
    },
    unique_fields={"product_variants_by_sku": "sku", "product_variants_by_external_id": "external_id"},
)

_NEW: Row = {**dict.fromkeys(TABLE.columns), "extra": {}}


@dataclass(frozen=True, slots=True)
class VariantRow:
    """A validated variant: the columns and passthrough fields of the request."""

    id: int | None
    columns: Mapping[str, Any]
    extra: Mapping[str, Any]

    def apply_to(self, before: Mapping[str, Any]) -> Row:
        """Returns a stored variant with the fields of the row."""
        columns = resolve_title(before, self.columns)
        return {**before, **columns, "extra": passthrough_fields.merge(before["extra"], self.extra)}


def resolve_title(before: Mapping[str, Any], columns: Mapping[str, Any]) -> dict[str, Any]:
    """Replaces `title` by `name`; a name that differs from the stored one takes precedence."""
    found = dict(columns)
    title = found.pop("title", UNSET)
    if title is not UNSET and found.get("name", before["name"]) == before["name"]:
        found["name"] = title
    return found


def validate(variant: VariantIn) -> VariantRow:
    """Validates a variant. Raises ValidationError."""
    reader = validation.FieldReader()
    for name in ("external_id", "sku"):
        reader.read(name, getattr(variant, name), validation.check_code)
    for name in ("name", "title"):
        reader.read(name, getattr(variant, name), validation.check_text)
    reader.read("price", variant.price, money.check_decimal)
    passthrough_fields.read_fields(reader, PASSTHROUGH_FIELDS, variant)
    columns, extra = passthrough_fields.split(PASSTHROUGH_FIELDS, reader.result())
    return VariantRow(variant.id if isinstance(variant.id, int) else None, columns, extra)


# One variant of a product ----------------------------------------------------------------------------


async def create(uow: UnitOfWork, product_id: int, variant: VariantIn) -> int:
    """Creates a variant of a locked product and returns its id. Raises ValidationError."""
    return await TABLE.insert_one(uow, {**validate(variant).apply_to(_NEW), "product_id": product_id})


async def update(uow: UnitOfWork, product_id: int, variant_id: int, variant: VariantIn) -> None:
    """Updates a variant. Raises ValidationError and NotFoundError."""
    row = validate(variant)
    found = await TABLE.lock_rows(uow, "id = $2 AND product_id = $3", variant_id, product_id)
    if not found:
        raise NotFoundError(f"There is no variant {variant_id} of product {product_id}.")
    after = row.apply_to(found[0])
    if changed_columns(found[0], after):
        await TABLE.update(uow, [after])


async def delete(uow: UnitOfWork, product_id: int, variant_id: int) -> None:
    """Soft-deletes a variant; items that sold it keep it. Raises NotFoundError."""
    if not await TABLE.delete(uow, "id = $2 AND product_id = $3", variant_id, product_id):
        raise NotFoundError(f"There is no variant {variant_id} of product {product_id}.")


# Many variants ---------------------------------------------------------------------------------------

_ATTEMPTS = 10

_UNIQUE = ("sku", "external_id")
"""The columns whose values are unique in a community."""


@dataclass(frozen=True, slots=True)
class RequestedVariant:
    """A variant that a product must have, and its path in the request."""

    product_id: int
    row: VariantRow
    path: str


@dataclass(slots=True, eq=False)
class _State:
    before: Row | None
    after: Row


_Key = tuple[str | int | None, ...]
"""What a variant is matched by: the name of a column and its value."""


def _keys(row: Mapping[str, Any]) -> list[_Key]:
    keys: list[_Key] = [(name, row[name]) for name in ("id", *_UNIQUE) if row.get(name) is not None]
    return keys if row["sku"] or row["external_id"] else [*keys, ("name", row["product_id"], row["name"])]


@dataclass(slots=True)
class _VariantIndex:
    """Stored and new variants by id, SKU, external id and, of those without the latter, name in the product."""

    states: list[_State] = field(default_factory=list)
    by_key: dict[_Key, _State] = field(default_factory=dict)

    def add(self, state: _State) -> _State:
        """Adds a variant and returns it."""
        self.states.append(state)
        self.index(state)
        return state

    def index(self, state: _State) -> None:
        """Indexes a variant by its current keys."""
        for key in _keys(state.after):
            if self.find(*key) is None:
                self.by_key[key] = state

    def find(self, *key: str | int | None) -> _State | None:
        """The variant that has a key now."""
        found = self.by_key.get(key)
        return found if found is not None and key in _keys(found.after) else None

    def clash(self, state: _State) -> str:
        """The field whose value another variant has, or an empty text."""
        return next((name for name in _UNIQUE if self.find(name, state.after[name]) not in (None, state)), "")

    def match(self, requested: RequestedVariant) -> _State | None:
        """The variant with the id, else SKU, else external id; without these, the one with the name in the product."""
        columns = requested.row.columns
        own = self.find("id", requested.row.id)
        if own is not None and own.after["product_id"] == requested.product_id:
            return own
        sku, external_id = columns.get("sku"), columns.get("external_id")
        if sku is None and external_id is None:
            return self.find("name", requested.product_id, resolve_title(_NEW, columns).get("name"))
        return self.find("sku", sku) or self.find("external_id", external_id)


async def upsert(
    uow: UnitOfWork, requested: Sequence[RequestedVariant], create_only: bool = False
) -> list[tuple[int, int, bool]]:
    """Creates or updates variants; returns (product id, variant id, whether anything changed) of each.

    With `create_only`, existing variants of any product are returned unchanged. Raises ValidationError if a SKU or an
    external id belongs to another product.
    """
    made_ids: set[int] = set()
    changed_ids: set[int] = set()
    for _ in range(_ATTEMPTS):
        existing = await _find_existing(uow, requested)
        states = [_match_or_create(existing, each, create_only) for each in requested]
        new = [each.after for each in existing.states if each.before is None]
        if create_only:
            # The products are not locked here, and one SKU may come with several of them: insert in a fixed order.
            new.sort(key=lambda row: (row["sku"] or "", row["external_id"] or "", row["product_id"]))
        changed_ids |= await _update(uow, existing)
        inserted = await TABLE.insert(uow, new)
        made_ids |= {row["id"] for row in inserted}
        if len(inserted) == len(new):
            break
        # A concurrent writer created one of them: the next attempt finds it.
    else:
        raise field_error("variants", "are changed by others all the time: try again later")
    for row, inserted_row in zip(new, inserted, strict=True):
        row["id"] = inserted_row["id"]
    return [
        (state.after["product_id"], state.after["id"], state.after["id"] in made_ids | changed_ids) for state in states
    ]


_RELEASE = """
UPDATE product_variants SET sku = NULL, external_id = NULL WHERE community_id = $1 AND id = ANY ($2)
"""


async def _update(uow: UnitOfWork, existing: _VariantIndex) -> set[int]:
    """Updates the stored variants that changed, and returns their ids."""
    changed = [
        (state.before, state.after)
        for state in existing.states
        if state.before is not None and changed_columns(state.before, state.after)
    ]
    # A unique index compares row by row: what one variant frees and another one takes is free before.
    released = [
        before["id"]
        for before, after in changed
        for name in _UNIQUE
        if before[name] != after[name] and existing.find(name, before[name]) is not None
    ]
    if released:
        await uow.execute(_RELEASE, uow.community_id, sorted(released))
    await TABLE.update(uow, [after for _, after in changed])
    return {before["id"] for before, _ in changed}


async def _find_existing(uow: UnitOfWork, requested: Sequence[RequestedVariant]) -> _VariantIndex:
    rows = await TABLE.lock_rows(
        uow,
        "(product_id = ANY ($2) OR sku = ANY ($3) OR external_id = ANY ($4))",
        sorted({each.product_id for each in requested}),
        sorted({sku for each in requested if (sku := each.row.columns.get("sku"))}),
        sorted({code for each in requested if (code := each.row.columns.get("external_id"))}),
    )
    existing = _VariantIndex()
    for row in rows:
        existing.add(_State(before=row, after=dict(row)))
    return existing


def _match_or_create(existing: _VariantIndex, requested: RequestedVariant, create_only: bool) -> _State:
    state = existing.match(requested)
    if state is None:
        return existing.add(_State(None, {**requested.row.apply_to(_NEW), "product_id": requested.product_id}))
    if create_only:
        return state
    if (product_id := state.after["product_id"]) != requested.product_id:
        named = "sku" if requested.row.columns.get("sku") == state.after["sku"] else "external_id"
        advice = "choose one that is free"
        message = QuotingText(f"belongs to product {product_id}: {advice}", f"belongs to another product: {advice}")
        raise field_error(f"{requested.path}.{named}", message)
    state.after = requested.row.apply_to(state.after)
    if named := existing.clash(state):
        raise field_error(f"{requested.path}.{named}", "is taken by another variant: choose one that is free")
    existing.index(state)
    return state
