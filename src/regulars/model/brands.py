"""Brands of products. Their names are the values of a profile's purchased_brands."""

from collections.abc import Collection
from typing import Any

import msgspec
from msgspec import UNSET

from regulars.core import validation
from regulars.core.errors import NotFoundError, field_error
from regulars.core.field_type import FieldType
from regulars.model import passthrough_fields
from regulars.model.passthrough_fields import PassthroughField
from regulars.model.repository import EntityTable, Row, changed_columns
from regulars.model.resource import Resource, ResourceField
from regulars.model.unit_of_work import UnitOfWork


class BrandIn(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a brand in a request. Absent fields are unchanged."""

    external_id: validation.Code = UNSET
    name: validation.Text = UNSET
    handle: validation.Text = UNSET


_EXTRAS = (PassthroughField("handle", FieldType.STRING),)

BRANDS = Resource(
    "brand",
    "brands AS r",
    (
        ResourceField("id", FieldType.INTEGER),
        ResourceField("external_id", FieldType.STRING),
        ResourceField("name", FieldType.STRING),
        *(extra.resource_field("r") for extra in _EXTRAS),
        ResourceField("created_at", FieldType.TIMESTAMP),
        ResourceField("updated_at", FieldType.TIMESTAMP),
    ),
    where="r.deleted_at IS NULL",
)

TABLE = EntityTable(
    "brands",
    {"external_id": "text", "name": "text", "extra": "jsonb"},
    unique_fields={"brands_by_external_id": "external_id", "brands_by_name": "name"},
)


def validate_name(value: str) -> str | None:
    """Validates the name of a brand; an empty one becomes None. Raises ValueError."""
    return validation.check_text(value) or None


def _checked(brand: BrandIn) -> tuple[dict[str, Any], dict[str, Any]]:
    reader = validation.FieldReader()
    reader.read("external_id", brand.external_id, validation.check_code)
    reader.read("name", brand.name, validate_name)
    passthrough_fields.read_fields(reader, _EXTRAS, brand)
    columns, extra = passthrough_fields.split(_EXTRAS, reader.result())
    if "name" in columns and columns["name"] is None:
        raise field_error("name", "must not be empty")
    return columns, extra


async def create(uow: UnitOfWork, brand: BrandIn) -> int:
    """Creates a brand and returns its ID. Raises ValidationError."""
    columns, extra = _checked(brand)
    if "name" not in columns:
        raise field_error("name", "is required")
    return await TABLE.insert_one(uow, {"external_id": None, **columns, "extra": passthrough_fields.merge({}, extra)})


async def update(uow: UnitOfWork, brand_id: int, brand: BrandIn) -> None:
    """Updates a brand; a new name shows in every profile that bought it.

    Raises ValidationError and NotFoundError.
    """
    columns, extra = _checked(brand)
    found = await TABLE.lock_rows(uow, "id = $2", brand_id)
    if not found:
        raise NotFoundError(f"There is no brand {brand_id}.")
    after: Row = {**found[0], **columns, "extra": passthrough_fields.merge(found[0]["extra"], extra)}
    if changed := changed_columns(found[0], after):
        await TABLE.update(uow, [after])
        if "name" in changed:
            uow.invalidate_values()


async def delete(uow: UnitOfWork, brand_id: int) -> None:
    """Soft-deletes a brand; its products keep it. Raises NotFoundError."""
    if not await TABLE.delete(uow, "id = $2", brand_id):
        raise NotFoundError(f"There is no brand {brand_id}.")


async def get_or_create_ids(uow: UnitOfWork, names: Collection[str]) -> dict[str, int]:
    """The ids of brands by name; missing ones are created. Names must not be empty or contain NUL."""
    requested = set(names)
    found: dict[str, int] = {}
    while requested:
        rows = await uow.fetch(
            "SELECT id, name FROM brands WHERE community_id = $1 AND name = ANY ($2) AND deleted_at IS NULL",
            uow.community_id,
            sorted(requested),
        )
        found |= {row["name"]: row["id"] for row in rows}
        requested -= found.keys()
        # A concurrent insert of the same row has committed when this returns, so the next query finds it.
        await TABLE.insert(uow, [{"external_id": None, "name": each, "extra": {}} for each in sorted(requested)])
    return found
