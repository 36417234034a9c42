"""Collections of offers, such as those of a season."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from regulars.facts import expected, given
from regulars.facts.table import Table
from regulars.facts.writing import Writing


class OfferCollectionIn(msgspec.Struct, frozen=True, kw_only=True):
    """A collection as it comes in. `external_id` is what offers name it by; what is absent stays as it is."""

    external_id: given.Code = UNSET
    name: given.Text = UNSET


TABLE = Table(
    "offer_collections",
    {"external_id": "text", "is_known": "boolean", "name": "text", "created_at": "timestamptz"},
    unique={},
    soft=False,
)


def checked(collection: OfferCollectionIn) -> Mapping[str, Any]:
    """The columns that are given of a collection, held to its rules. Raises Refused by path."""
    reading = given.Reading()
    reading.read("external_id", collection.external_id, given.code)
    reading.read("name", collection.name, given.text)
    reading.require("external_id")
    return reading.done()


async def put_many(writing: Writing, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Makes or changes collections by external id; gives an outcome a row, as `expected.put` does."""
    return await expected.put(writing, TABLE, rows)
