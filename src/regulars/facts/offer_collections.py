"""Collections of offers, such as those of a season."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from regulars.core import validation
from regulars.facts.columns import Columns
from regulars.facts.fact_type import FactType, RowSchema
from regulars.model import placeholders
from regulars.model.community import Community
from regulars.model.repository import EntityTable
from regulars.model.unit_of_work import UnitOfWork


class OfferCollectionIn(msgspec.Struct, frozen=True, kw_only=True):
    """A collection as input. Offers refer to it by its `external_id`. Absent fields keep their values."""

    external_id: validation.Code = UNSET
    name: validation.Text = UNSET


TABLE = EntityTable(
    "offer_collections",
    {"external_id": "text", "is_placeholder": "boolean", "name": "text", "created_at": "timestamptz"},
    unique_fields={},
    is_soft_deleted=False,
)


def validate(collection: OfferCollectionIn) -> Mapping[str, Any]:
    """Validates a collection and returns its present columns. Raises ValidationError by path."""
    reader = validation.FieldReader()
    reader.read("external_id", collection.external_id, validation.check_code)
    reader.read("name", collection.name, validation.check_text)
    reader.require("external_id")
    return reader.result()


def _validate_row(collection: OfferCollectionIn, community: Community) -> Mapping[str, Any]:
    return validate(collection)


async def upsert_many(uow: UnitOfWork, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Creates or updates collections by external id, and returns an outcome per row, as `placeholders.upsert` does."""
    return await placeholders.upsert(uow, TABLE, rows)


OFFER_COLLECTIONS = FactType(
    name="offer_collections",
    description="Collections of offers, such as those of a season.",
    schema=RowSchema(Columns(OfferCollectionIn, (("external_id",),), {}), _validate_row),
    write=upsert_many,
)
