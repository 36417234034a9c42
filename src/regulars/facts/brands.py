"""Brands: what products are sold under; a profile's purchased_brands are their names."""

from collections.abc import Collection
from typing import Any

import msgspec
from msgspec import UNSET

from regulars.facts import given
from regulars.facts.refusals import NotFound, refuse
from regulars.facts.resource import Field, Kind, Resource
from regulars.facts.table import Row, Table, differing
from regulars.facts.writing import Writing


class BrandIn(msgspec.Struct, frozen=True, kw_only=True):
    """A brand as it comes in. What is absent stays as it is."""

    external_id: given.Code = UNSET
    name: given.Text = UNSET


BRANDS = Resource(
    "brand",
    "brands AS r",
    (
        Field("id", Kind.INTEGER),
        Field("external_id", Kind.STRING),
        Field("name", Kind.STRING),
        Field("created_at", Kind.TIME),
        Field("updated_at", Kind.TIME),
    ),
    where="r.deleted_at IS NULL",
)

TABLE = Table(
    "brands",
    {"external_id": "text", "name": "text"},
    unique={"brands_by_external_id": "external_id", "brands_by_name": "name"},
)


def name(value: str) -> str | None:
    """The name of a brand; an empty one is none. Raises ValueError."""
    return given.text(value) or None


def _checked(brand: BrandIn) -> dict[str, Any]:
    reading = given.Reading()
    reading.read("external_id", brand.external_id, given.code)
    reading.read("name", brand.name, name)
    columns = reading.done()
    if "name" in columns and columns["name"] is None:
        raise refuse("name", "must not be empty")
    return columns


async def create(writing: Writing, brand: BrandIn) -> int:
    """Makes a brand; gives its id. Raises Refused."""
    columns = _checked(brand)
    if "name" not in columns:
        raise refuse("name", "is required")
    return await TABLE.insert_one(writing, {"external_id": None, **columns})


async def update(writing: Writing, brand_id: int, brand: BrandIn) -> None:
    """Changes what is given of a brand; a new name shows in every profile that bought it.

    Raises Refused and NotFound.
    """
    columns = _checked(brand)
    found = await TABLE.locked(writing, "id = $2", brand_id)
    if not found:
        raise NotFound(f"There is no brand {brand_id}.")
    after: Row = {**found[0], **columns}
    if changed := differing(found[0], after):
        await TABLE.update(writing, [after])
        if "name" in changed:
            writing.raise_values_epoch()


async def delete(writing: Writing, brand_id: int) -> None:
    """Takes a brand out of lists; the products that have it keep it. Raises NotFound."""
    if not await TABLE.delete(writing, "id = $2", brand_id):
        raise NotFound(f"There is no brand {brand_id}.")


async def resolve(writing: Writing, names: Collection[str]) -> dict[str, int]:
    """The ids of brands by name, made where there are none. Names are not empty and without NUL."""
    wanted = set(names)
    found: dict[str, int] = {}
    while wanted:
        rows = await writing.fetch(
            "SELECT id, name FROM brands WHERE community_id = $1 AND name = ANY ($2) AND deleted_at IS NULL",
            writing.community_id,
            sorted(wanted),
        )
        found |= {row["name"]: row["id"] for row in rows}
        wanted -= found.keys()
        # Whoever makes the same at once has made it when this returns, so it is found next.
        await TABLE.insert(writing, [{"external_id": None, "name": each} for each in sorted(wanted)])
    return found
