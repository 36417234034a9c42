"""Products: the request, its validation, the table and the resource that the API shows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from regulars.core import validation
from regulars.core.errors import QuotingText, ValidationError, field_error
from regulars.core.field_type import FieldType
from regulars.model import brands, passthrough_fields
from regulars.model.passthrough_fields import PassthroughField
from regulars.model.products import variants
from regulars.model.products.variants import VariantIn, VariantRow, resolve_title
from regulars.model.repository import EntityTable, Row
from regulars.model.resource import Resource, ResourceField
from regulars.model.unit_of_work import UnitOfWork


class BrandRef(msgspec.Struct, frozen=True, kw_only=True):
    """A brand by id or name, as in the response of a product."""

    id: validation.Id = None
    name: validation.Text = None


class ProductIn(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a product in a request. Absent fields are unchanged; `title` is another word for `name`."""

    external_id: validation.Code = UNSET
    name: validation.Text = UNSET
    title: validation.Text = UNSET
    brand: validation.Text | BrandRef = UNSET
    brand_id: validation.Id = UNSET
    variants: list[VariantIn] | UnsetType | None = UNSET
    handle: validation.Text = UNSET
    type: validation.Text = UNSET
    status: validation.Text = UNSET
    description: validation.LongText = UNSET
    currency: validation.Text = UNSET
    department: validation.Text = UNSET
    web_url: validation.LongText = UNSET
    position: validation.Int = UNSET
    systems: validation.JsonList = UNSET
    channels: validation.JsonList = UNSET
    images: validation.JsonList = UNSET
    tags: validation.JsonList = UNSET
    options: validation.JsonList = UNSET
    meta: validation.JsonCollection = UNSET
    custom_fields: validation.JsonList = UNSET


_EXTRAS = (
    PassthroughField("handle", FieldType.STRING),
    PassthroughField("type", FieldType.STRING),
    PassthroughField("status", FieldType.STRING),
    PassthroughField("description", FieldType.STRING),
    PassthroughField("currency", FieldType.STRING),
    PassthroughField("department", FieldType.STRING),
    PassthroughField("web_url", FieldType.STRING),
    PassthroughField("position", FieldType.INTEGER),
    PassthroughField("systems", FieldType.LIST),
    PassthroughField("channels", FieldType.LIST),
    PassthroughField("images", FieldType.LIST),
    PassthroughField("tags", FieldType.LIST),
    PassthroughField("options", FieldType.LIST),
    PassthroughField("meta", FieldType.OBJECT),
    PassthroughField("custom_fields", FieldType.LIST),
)

_BRAND = "CASE WHEN b.id IS NOT NULL THEN json_build_object('id', b.id, 'name', b.name) END"
_EMBEDDED_BRANDS = Resource(
    "product brand",
    "brands AS r",
    (ResourceField("id", FieldType.INTEGER), ResourceField("name", FieldType.STRING)),
)
# Deleted ones are filtered afterwards, because the condition would admit other indexes than that of the product.
_VARIANTS = f"""(
    SELECT coalesce(json_agg({variants.json_object_sql("v")} ORDER BY v.id) FILTER (WHERE v.deleted_at IS NULL), '[]')
    FROM product_variants AS v
    WHERE v.community_id = r.community_id AND v.product_id = r.id
)"""

PRODUCTS = Resource(
    "product",
    "products AS r LEFT JOIN brands AS b ON b.community_id = r.community_id AND b.id = r.brand_id",
    (
        ResourceField("id", FieldType.INTEGER),
        ResourceField("external_id", FieldType.STRING),
        ResourceField("name", FieldType.STRING),
        ResourceField("title", FieldType.STRING, "r.name", description="The same as name."),
        ResourceField("brand", FieldType.OBJECT, _BRAND, description="`{id, name}`, or null.", embeds=_EMBEDDED_BRANDS),
        ResourceField("brand.id", FieldType.INTEGER, "r.brand_id", is_visible=False),
        ResourceField("brand.name", FieldType.STRING, "b.name", is_visible=False),
        ResourceField("brand_id", FieldType.INTEGER, "r.brand_id", is_visible=False),
        ResourceField("variants", FieldType.LIST, _VARIANTS, embeds=variants.VARIANTS),
        *(extra.resource_field("r") for extra in _EXTRAS),
        ResourceField("created_at", FieldType.TIMESTAMP),
        ResourceField("updated_at", FieldType.TIMESTAMP),
    ),
    where="r.deleted_at IS NULL",
)

TABLE = EntityTable(
    "products",
    {"external_id": "text", "name": "text", "brand_id": "bigint", "extra": "jsonb"},
    unique_fields={"products_by_external_id": "external_id", "products_by_name": "name"},
)

NEW_PRODUCT: Row = {**dict.fromkeys(TABLE.columns), "extra": {}}


@dataclass(frozen=True, slots=True)
class ProductRow:
    """A validated product: the fields of the request.

    `brand` is the id or name of a brand, None to remove it, UNSET to leave it unchanged.
    """

    columns: Mapping[str, Any]
    extra: Mapping[str, Any]
    brand: int | str | UnsetType | None
    brand_path: str
    variants: tuple[VariantRow, ...]

    @property
    def external_id(self) -> str | None:
        """The external id of the request, or None."""
        external_id: str | None = self.columns.get("external_id")
        return external_id

    @property
    def name(self) -> str | None:
        """The name or title of the request, or None."""
        name: str | None = resolve_title(NEW_PRODUCT, self.columns).get("name")
        return name

    @property
    def has_brand(self) -> bool:
        """Whether the request names a brand."""
        return isinstance(self.brand, int | str)

    def apply_to(self, before: Mapping[str, Any], brand_id: int | UnsetType | None) -> Row:
        """Returns a stored product with the fields of the row."""
        extra = passthrough_fields.merge(before["extra"], self.extra)
        after = {**before, **resolve_title(before, self.columns), "extra": extra}
        return after if isinstance(brand_id, UnsetType) else {**after, "brand_id": brand_id}


def validate(product: ProductIn) -> ProductRow:
    """Validates a product and its variants. Raises ValidationError."""
    reader = validation.FieldReader()
    reader.read("external_id", product.external_id, validation.check_code)
    for name in ("name", "title"):
        reader.read(name, getattr(product, name), validation.check_text)
    passthrough_fields.read_fields(reader, _EXTRAS, product)
    brand, path = _brand(product, reader)
    inline = []
    for index, variant in enumerate(product.variants or ()):
        try:
            inline.append(variants.validate(variant))
        except ValidationError as error:
            reader.errors |= error.with_prefix(f"variants.{index}").errors
    columns, extra = passthrough_fields.split(_EXTRAS, reader.result())
    return ProductRow(columns, extra, brand, path, tuple(inline))


def _brand(product: ProductIn, reader: validation.FieldReader) -> tuple[int | str | UnsetType | None, str]:
    if isinstance(product.brand_id, int):
        return product.brand_id, "brand_id"
    named: object = product.brand
    path = "brand"
    if isinstance(named, BrandRef):
        if isinstance(named.id, int):
            return named.id, "brand.id"
        named, path = named.name, "brand.name"
    if isinstance(named, str):
        try:
            return brands.validate_name(named), path
        except ValueError as error:
            reader.errors[path] = str(error)
    return (None if named is None or product.brand_id is None else UNSET), path


async def resolve_brand_ids(
    uow: UnitOfWork, rows: Sequence[ProductRow], existing_ids: Collection[int] = ()
) -> list[int | UnsetType | None]:
    """The id of the brand of each product; brands that are named and missing are created.

    `existing_ids` are brands that the products have, which may be deleted by now: a response can be sent back. Raises
    ValidationError for an unknown id.
    """
    by_name = await brands.get_or_create_ids(uow, {row.brand for row in rows if isinstance(row.brand, str)})
    requested = {row.brand for row in rows if isinstance(row.brand, int)}
    known = set(existing_ids)
    if requested - known:
        known |= await brands.TABLE.existing_ids(uow, requested)
    found: list[int | UnsetType | None] = []
    for row in rows:
        if isinstance(row.brand, int) and row.brand not in known:
            message = QuotingText(f"is no brand: there is none with the id {row.brand}", "is no brand")
            raise field_error(row.brand_path, message)
        found.append(by_name[row.brand] if isinstance(row.brand, str) else row.brand)
    return found


def requested_variants(product_id: int, row: ProductRow) -> list[variants.RequestedVariant]:
    """The variants in the request of a product."""
    return [
        variants.RequestedVariant(product_id, variant, f"variants.{index}")
        for index, variant in enumerate(row.variants)
    ]
