"""Collections of offers, such as those of a season."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from regulars.core import validation
from regulars.model import placeholders
from regulars.model.repository import EntityTable
from regulars.model.unit_of_work import UnitOfWork


class OfferCollectionIn(msgspec.Struct, frozen=True, kw_only=True):
    """A collection as it comes in. `external_id` is what offers name it by; what is absent stays as it is."""

    external_id: validation.Code = UNSET
    name: validation.Text = UNSET


TABLE = EntityTable(
    "offer_collections",
    {"external_id": "text", "is_known": "boolean", "name": "text", "created_at": "timestamptz"},
    unique_fields={},
    is_soft_deleted=False,
)


def validate(collection: OfferCollectionIn) -> Mapping[str, Any]:
    """The columns that are given of a collection, held to its rules. Raises Refused by path."""
    reading = validation.FieldReader()
    reading.read("external_id", collection.external_id, validation.check_code)
    reading.read("name", collection.name, validation.check_text)
    reading.require("external_id")
    return reading.result()


async def upsert_many(uow: UnitOfWork, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Makes or changes collections by external id; gives an outcome a row, as `expected.put` does."""
    return await placeholders.upsert(uow, TABLE, rows)
