"""The oracle's facts as the tables that `regulars.compute` takes, and its answers in the oracle's form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa

from oracle import ALPHA_3, Address, Facts, Item, Location, Transaction
from regulars.aggregations.definitions import REGISTRY
from regulars.core.field_type import FieldType

Tables = dict[str, pa.Table]
Entity = tuple[UUID, datetime]
"""A profile and an instant."""

ID_STRIDE = 10_000
"""How far apart the ids of different facts are once they are gathered."""

_LAST = "\U0010fffd"
_INSTANT = pa.timestamp("us", "UTC")
_MONEY, _RATE, _QUANTITY = pa.decimal128(18, 6), pa.decimal128(19, 12), pa.decimal128(13, 6)
_ITEM = pa.struct(
    {
        "sku": pa.string(),
        "brand": pa.string(),
        "quantity": _QUANTITY,
        "price_current": _MONEY,
        "price_sell": _MONEY,
        "discounts": pa.list_(pa.struct({"amount": _MONEY})),
        "is_void": pa.bool_(),
    }
)
_PLACE = {"iso": pa.string(), "country": pa.string(), "iso_state": pa.string(), "state": pa.string()}
_TRANSACTION = pa.schema(
    {
        "external_id": pa.string(),
        "profile": pa.string(),
        "transacted_at": _INSTANT,
        "total": _MONEY,
        "timezone": pa.string(),
        "currency": pa.string(),
        "currency_rate": _RATE,
        "location": pa.string(),
        "systems": pa.list_(pa.string()),
        "is_void": pa.bool_(),
        "status": pa.string(),
        "items": pa.list_(_ITEM),
    }
)
_PROFILE = pa.schema(
    {
        "external_id": pa.string(),
        "joined_at": _INSTANT,
        "joined_location_external_id": pa.string(),
        "preferred_location_external_id": pa.string(),
        "addresses": pa.list_(pa.struct({**_PLACE, "is_default": pa.bool_()})),
    }
)
_LOCATION = pa.schema(
    {
        "external_id": pa.string(),
        "type": pa.string(),
        "timezone": pa.string(),
        "country_iso_3": pa.string(),
        "address": pa.struct(_PLACE),
    }
)
_PRODUCT = pa.schema(
    {
        "external_id": pa.string(),
        "brand": pa.string(),
        "sku": pa.string(),
        "variants": pa.list_(pa.struct({"sku": pa.string()})),
    }
)


def combine(many: Sequence[Facts]) -> Facts:
    """The facts of several communities as those of the last; nothing of one meets anything of another.

    Every location and transaction has an external id of its own then, in the order in which they were.
    """
    locations, products, profiles, transactions = {}, {}, {}, {}
    for number, facts in enumerate(many):
        for place in facts.locations.values():
            moved = replace(place, id=_moved(number, place.id), external_id=_named(number, place))
            locations[moved.id] = moved
        for product in facts.products.values():
            products[_moved(number, product.id)] = replace(product, id=_moved(number, product.id))
        for profile in facts.profiles.values():
            id_ = combined_profile(number, profile.id)
            profiles[id_] = replace(
                profile,
                id=id_,
                joined_location_id=_moved(number, profile.joined_location_id),
                preferred_location_id=_moved(number, profile.preferred_location_id),
            )
        for transaction in facts.transactions.values():
            renumbered = _moved_transaction(number, transaction)
            transactions[renumbered.id] = renumbered
    return Facts(many[-1].community, locations, products, profiles, transactions)


def combined_profile(number: int, id_: UUID) -> UUID:
    """The id of a profile of the facts of that number, once they are gathered."""
    return UUID(int=(id_.int + number * ID_STRIDE) % 2**128)


def combined_values(number: int, values: Mapping[str, object]) -> dict[str, object]:
    """Values that name locations and profiles by their own ids, with those that they have once gathered."""
    moved = dict(values)
    for each in REGISTRY.aggregations:
        value = moved.get(each.name)
        if each.type is FieldType.UUID and isinstance(value, UUID):
            moved[each.name] = combined_profile(number, value)
        if each.type is FieldType.LOCATION and isinstance(value, int):
            moved[each.name] = _moved(number, value)
        if each.type is FieldType.LOCATION_LIST and isinstance(value, list):
            moved[each.name] = [_moved(number, id_) for id_ in value]
    return moved


def _moved(number: int, id_: Any) -> Any:
    return None if id_ is None else number * ID_STRIDE + id_


def _named(number: int, thing: Location | Transaction) -> str:
    """An external id of its own that keeps the order among the things of the same facts: null last, then by id."""
    return f"{number:04} {_LAST if thing.external_id is None else thing.external_id} {thing.id:06}"


def _moved_transaction(number: int, transaction: Transaction) -> Transaction:
    return replace(
        transaction,
        id=_moved(number, transaction.id),
        external_id=_named(number, transaction),
        profile_id=None if transaction.profile_id is None else combined_profile(number, transaction.profile_id),
        location_id=_moved(number, transaction.location_id),
        items=tuple(replace(item, product_id=_moved(number, item.product_id)) for item in transaction.items),
    )


def to_tables(facts: Facts) -> Tables:
    """The facts as Arrow tables. Every transaction and location has an external id; see `gathered`."""
    names = {None: None} | {each.id: each.external_id for each in facts.locations.values()}
    profiles = [
        {
            "external_id": str(each.id),
            "joined_at": each.joined_at,
            "joined_location_external_id": names[each.joined_location_id],
            "preferred_location_external_id": names[each.preferred_location_id],
            "addresses": [_address(address) for address in each.addresses],
        }
        for each in facts.profiles.values()
    ]
    transactions = [_transaction(each, names) for each in facts.transactions.values()]
    locations = [_location(each) for each in facts.locations.values()]
    products = [
        {"external_id": f"{each.id}", "brand": each.brand, **_skus(each.id)} for each in facts.products.values()
    ]
    return {
        "transactions": pa.Table.from_pylist(transactions, _TRANSACTION),
        "profiles": pa.Table.from_pylist(profiles, _PROFILE),
        "locations": pa.Table.from_pylist(locations, _LOCATION),
        "products": pa.Table.from_pylist(products, _PRODUCT),
    }


def _transaction(each: Transaction, names: Mapping[int | None, str | None]) -> dict[str, Any]:
    return {
        "external_id": each.external_id,
        "profile": None if each.profile_id is None else str(each.profile_id),
        "transacted_at": each.transacted_at,
        "total": each.total,
        "timezone": each.timezone,
        "currency": each.currency,
        "currency_rate": each.currency_rate,
        "location": names[each.location_id],
        "systems": list(each.systems),
        "is_void": each.is_void,
        "status": each.status,
        "items": [_item(item) for item in each.items],
    }


def _item(item: Item) -> dict[str, Any]:
    return {
        "sku": None if item.product_id is None else f"sku-{item.product_id}",
        "brand": item.brand,
        "quantity": item.quantity,
        "price_current": item.price_current,
        "price_sell": item.price_sell,
        "discounts": [{"amount": amount} for amount in item.discounts],
        "is_void": item.is_void,
    }


def _address(address: Address) -> dict[str, Any]:
    return _place(address) | {"is_default": address.is_default}


def _place(where: Address | Location) -> dict[str, Any]:
    """Half of the countries are written by their alpha-3 codes, in small letters."""
    country = where.country
    code = {"country": ALPHA_3[country].lower()} if country and where.state else {"iso": country}
    return code | {"iso_state": where.iso_state, "state": where.state}


def _location(place: Location) -> dict[str, Any]:
    """A location without a state has its country in a field of its own."""
    row = {"external_id": place.external_id, "type": place.type, "timezone": place.timezone}
    if place.country and not place.state:
        row["country_iso_3"] = ALPHA_3[place.country]
        return row | {"address": {"iso_state": place.iso_state} if place.iso_state else None}
    return row | {"address": _place(place)}


def _skus(id_: int) -> dict[str, Any]:
    """Every other product has its sku as a variant."""
    sku = f"sku-{id_}"
    return {"sku": sku} if id_ % 2 else {"variants": [{"sku": sku}, {"sku": f"{sku}-large"}]}


def as_texts(table: pa.Table) -> pa.Table:
    """A table as it stands in a CSV file: lists of names with semicolons, objects as JSON."""
    return pa.table({name: pa.array(map(_text, table[name].to_pylist()), pa.string()) for name in table.column_names})


def _text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat()
        case [str(), *_]:
            return ";".join(value)
        case list() | dict():
            return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)


def one_row_per_line(transactions: pa.Table) -> pa.Table:
    """Transactions with a row for each item that is not void, in columns of its own; at least one row."""
    rows = []
    for transaction in transactions.to_pylist():
        items = [item for item in transaction.pop("items") if not item["is_void"]]
        rows += [transaction | _line(item) for item in items] or [transaction]
    columns = {name: _ITEM.field(name).type for name in _LINE} | {"discount": _MONEY}
    header = [field for field in transactions.schema if field.name != "items"]
    return pa.Table.from_pylist(rows, pa.schema([*header, *columns.items()]))


_LINE = ("sku", "brand", "quantity", "price_current", "price_sell")


def _line(item: Mapping[str, Any]) -> dict[str, Any]:
    amounts = [discount["amount"] for discount in item["discounts"]]
    return {name: item[name] for name in _LINE} | {"discount": sum(amounts, Decimal(0))}


def entity_table(entities: Iterable[Entity]) -> pa.Table:
    """Profiles with instants as a table."""
    rows = [{"profile": str(profile), "as_of": at} for profile, at in entities]
    return pa.Table.from_pylist(rows, pa.schema({"profile": pa.string(), "as_of": _INSTANT}))


def in_oracle_form(values: pa.Table, facts: Facts) -> dict[Entity, dict[str, object]]:
    """Computed values by profile and instant, their locations by id."""
    ids = {each.external_id: each.id for each in facts.locations.values()}
    rows = [_with_ids(row, ids) for row in values.to_pylist()]
    by_entity = {(row["profile_id"], row["calculated_at"]): row for row in rows}
    assert len(by_entity) == len(rows)
    return by_entity


def _with_ids(row: dict[str, Any], ids: Mapping[str | None, int]) -> dict[str, Any]:
    for each in REGISTRY.aggregations:
        value = row.get(each.name)
        if value is None:
            continue
        if each.type is FieldType.UUID:
            row[each.name] = UUID(value)
        elif each.type is FieldType.LOCATION:
            row[each.name] = ids[value]
        elif each.type is FieldType.LOCATION_LIST:
            row[each.name] = [ids[name] for name in value]
    return row
