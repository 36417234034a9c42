"""Offers: benefits that members may use, such as a discount in one shop until a certain day."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET

from regulars.core import timestamps, validation
from regulars.facts import offer_collections
from regulars.facts.columns import Columns
from regulars.facts.fact_type import FactType, RowSchema, in_community_timezone
from regulars.model import locations, placeholders
from regulars.model.repository import EntityTable
from regulars.model.unit_of_work import UnitOfWork


class OfferIn(msgspec.Struct, frozen=True, kw_only=True):
    """An offer as input. Absent fields keep their values.

    Events refer to an offer by its `external_id`. `collections` are the external ids of its collections, `location` is
    the id or the external id of a store.
    """

    external_id: validation.Code = UNSET
    name: validation.Text = UNSET
    type: validation.Text = UNSET
    status: validation.Text = UNSET
    collections: validation.JsonList = UNSET
    location: validation.Code = UNSET
    campaign_id: validation.Id = UNSET
    usable_since: validation.Text = UNSET
    usable_until: validation.Text = UNSET
    stock: validation.Count = UNSET
    created_at: validation.Text = UNSET


TABLE = EntityTable(
    "offers",
    {
        "external_id": "text",
        "is_placeholder": "boolean",
        "name": "text",
        "type": "text",
        "status": "text",
        "collection_ids": "bigint[]",
        "location_id": "bigint",
        "campaign_id": "bigint",
        "usable_since": "timestamptz",
        "usable_until": "timestamptz",
        "stock": "bigint",
        "created_at": "timestamptz",
    },
    unique_fields={},
    is_soft_deleted=False,
)


def validate(offer: OfferIn, timezone: str) -> Mapping[str, Any]:
    """Validates an offer and returns its present columns; a timestamp without an offset is in `timezone`.

    Raises ValidationError by path.
    """
    reader = validation.FieldReader()
    for name in ("external_id", "location"):
        reader.read(name, getattr(offer, name), validation.check_code)
    for name in ("name", "type", "status"):
        reader.read(name, getattr(offer, name), validation.check_text)
    reader.read("collections", offer.collections, _codes, null_value=())
    for name in ("campaign_id", "stock"):
        reader.read(name, getattr(offer, name), int)
    for name in ("usable_since", "usable_until", "created_at"):
        reader.read(name, getattr(offer, name), partial(timestamps.parse_in_timezone, zone=timezone))
    since, until = (reader.columns.get(name) for name in ("usable_since", "usable_until"))
    if since is not None and until is not None and until < since:
        reader.errors["usable_until"] = "must not lie before usable_since"
    reader.require("external_id")
    columns = reader.result()
    # An offer always has a time of creation, so null means absent.
    return {name: value for name, value in columns.items() if name != "created_at" or value is not None}


def _codes(values: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(each, str | int) and not isinstance(each, bool) for each in values):
        raise ValueError("must be external ids of collections")
    codes = (validation.check_code(each) for each in values)
    return tuple(sorted({each for each in codes if each is not None}))


async def upsert_many(uow: UnitOfWork, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Creates or updates offers by external id, and returns an outcome per row, as `placeholders.upsert` does.

    Unknown locations and collections are created as placeholders. Events that arrived before their offer belong to it.
    """
    stores = {row["location"] for row in rows if row.get("location") is not None}
    location_ids = await locations.resolve_ids(uow, stores, create_missing=True)
    names = {each for row in rows for each in row.get("collections", ())}
    collection_ids = await placeholders.get_or_create_ids(uow, offer_collections.TABLE.name, names)
    return await placeholders.upsert(uow, TABLE, [_row(row, location_ids, collection_ids) for row in rows])


def _row(
    offer: Mapping[str, Any], location_ids: Mapping[str, int], collection_ids: Mapping[str, int]
) -> Mapping[str, Any]:
    row = dict(offer)
    if "location" in row:
        location = row.pop("location")
        row["location_id"] = None if location is None else location_ids[location]
    if "collections" in row:
        row["collection_ids"] = sorted(collection_ids[each] for each in row.pop("collections"))
    return row


OFFERS = FactType(
    name="offers",
    description="Offers that members may use.",
    schema=RowSchema(
        Columns(
            OfferIn,
            (("external_id",),),
            {},
            times=(
                "created_at",
                "usable_since",
                "usable_until",
            ),
        ),
        in_community_timezone(validate),
    ),
    write=upsert_many,
)
