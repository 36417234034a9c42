"""A product: its shape, its table, its rules. What is done with products is in `products`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from regulars.facts import brands, extras, given, variants
from regulars.facts.extras import Extra
from regulars.facts.refusals import Refused, refuse
from regulars.facts.resource import Field, Kind, Resource
from regulars.facts.table import Row, Table
from regulars.facts.variants import VariantIn, VariantRow, renamed
from regulars.facts.writing import Writing


class BrandRef(msgspec.Struct, frozen=True, kw_only=True):
    """A brand by id or name, as a product shows it."""

    id: given.Id = None
    name: given.Text = None


class ProductIn(msgspec.Struct, frozen=True, kw_only=True):
    """A product as it comes in. What is absent stays as it is; `title` is another word for `name`."""

    external_id: given.Code = UNSET
    name: given.Text = UNSET
    title: given.Text = UNSET
    brand: given.Text | BrandRef = UNSET
    brand_id: given.Id = UNSET
    variants: list[VariantIn] | UnsetType | None = UNSET
    handle: given.Text = UNSET
    type: given.Text = UNSET
    status: given.Text = UNSET
    description: given.LongText = UNSET
    currency: given.Text = UNSET
    department: given.Text = UNSET
    web_url: given.LongText = UNSET
    position: given.Whole = UNSET
    systems: given.Several = UNSET
    channels: given.Several = UNSET
    images: given.Several = UNSET
    tags: given.Several = UNSET
    options: given.Several = UNSET
    meta: given.Collection = UNSET
    custom_fields: given.Several = UNSET


_EXTRAS = (
    Extra("handle", Kind.STRING),
    Extra("type", Kind.STRING),
    Extra("status", Kind.STRING),
    Extra("description", Kind.STRING),
    Extra("currency", Kind.STRING),
    Extra("department", Kind.STRING),
    Extra("web_url", Kind.STRING),
    Extra("position", Kind.INTEGER),
    Extra("systems", Kind.LIST),
    Extra("channels", Kind.LIST),
    Extra("images", Kind.LIST),
    Extra("tags", Kind.LIST),
    Extra("options", Kind.LIST),
    Extra("meta", Kind.OBJECT),
    Extra("custom_fields", Kind.LIST),
)

_BRAND = "CASE WHEN b.id IS NOT NULL THEN json_build_object('id', b.id, 'name', b.name) END"
_VARIANTS = f"""(
    SELECT coalesce(json_agg({variants.as_object("v")} ORDER BY v.id), '[]')
    FROM product_variants AS v
    WHERE v.community_id = r.community_id AND v.product_id = r.id AND v.deleted_at IS NULL
)"""

PRODUCTS = Resource(
    "product",
    "products AS r LEFT JOIN brands AS b ON b.community_id = r.community_id AND b.id = r.brand_id",
    (
        Field("id", Kind.INTEGER),
        Field("external_id", Kind.STRING),
        Field("name", Kind.STRING),
        Field("title", Kind.STRING, "r.name", meaning="The name, in another word for it."),
        Field("brand", Kind.OBJECT, _BRAND, meaning="`{id, name}`, or null."),
        Field("brand.id", Kind.INTEGER, "r.brand_id", shown=False),
        Field("brand.name", Kind.STRING, "b.name", shown=False),
        Field("brand_id", Kind.INTEGER, "r.brand_id", shown=False),
        Field("variants", Kind.LIST, _VARIANTS),
        *(extra.field("r") for extra in _EXTRAS),
        Field("created_at", Kind.TIME),
        Field("updated_at", Kind.TIME),
    ),
    where="r.deleted_at IS NULL",
)

TABLE = Table(
    "products",
    {"external_id": "text", "name": "text", "brand_id": "bigint", "extra": "jsonb"},
    unique={"products_by_external_id": "external_id", "products_by_name": "name"},
)

NEW: Row = {**dict.fromkeys(TABLE.columns), "extra": {}}


@dataclass(frozen=True, slots=True)
class ProductRow:
    """A product that was checked: what was given of it.

    `brand` is a brand's id or name, None where it is to have none, UNSET where it stays.
    """

    columns: Mapping[str, Any]
    extra: Mapping[str, Any]
    brand: int | str | UnsetType | None
    brand_path: str
    variants: tuple[VariantRow, ...]

    @property
    def external_id(self) -> str | None:
        """Its id in another system, where one was given."""
        found: str | None = self.columns.get("external_id")
        return found

    @property
    def name(self) -> str | None:
        """The name that was given, in either word for it."""
        found: str | None = renamed(NEW, self.columns).get("name")
        return found

    def merged(self, before: Mapping[str, Any], brand_id: int | UnsetType | None) -> Row:
        """What it makes of a product that stands."""
        extra = extras.merged(before["extra"], self.extra)
        after = {**before, **renamed(before, self.columns), "extra": extra}
        return after if isinstance(brand_id, UnsetType) else {**after, "brand_id": brand_id}


def checked(product: ProductIn) -> ProductRow:
    """A product held to its rules, its variants too. Raises Refused by path."""
    reading = given.Reading()
    reading.read("external_id", product.external_id, given.code)
    for name in ("name", "title"):
        reading.read(name, getattr(product, name), given.text)
    extras.read(reading, _EXTRAS, product)
    brand, path = _brand(product, reading)
    inline = []
    for index, variant in enumerate(product.variants or ()):
        try:
            inline.append(variants.checked(variant))
        except Refused as refused:
            reading.errors |= refused.within(f"variants.{index}").errors
    columns, extra = extras.apart(_EXTRAS, reading.done())
    return ProductRow(columns, extra, brand, path, tuple(inline))


def _brand(product: ProductIn, reading: given.Reading) -> tuple[int | str | UnsetType | None, str]:
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
            return brands.name(named), path
        except ValueError as error:
            reading.errors[path] = str(error)
    return (None if named is None or product.brand_id is None else UNSET), path


async def brand_ids(
    writing: Writing, rows: Sequence[ProductRow], standing: Collection[int] = ()
) -> list[int | UnsetType | None]:
    """The brand of each product by id, made where only a name is known of it.

    `standing` are ids that products have already, so that what was read can be sent back even when its
    brand is deleted. Raises Refused for an id that no brand has.
    """
    by_name = await brands.resolve(writing, {row.brand for row in rows if isinstance(row.brand, str)})
    asked = {row.brand for row in rows if isinstance(row.brand, int)}
    known = set(standing)
    if asked - known:
        known |= await brands.TABLE.ids(writing, asked)
    found: list[int | UnsetType | None] = []
    for row in rows:
        if isinstance(row.brand, int) and row.brand not in known:
            raise refuse(row.brand_path, f"is no brand: there is none with the id {row.brand}")
        found.append(by_name[row.brand] if isinstance(row.brand, str) else row.brand)
    return found


def wanted(product_id: int, row: ProductRow) -> list[variants.Wanted]:
    """The variants that came with a product."""
    return [variants.Wanted(product_id, variant, f"variants.{index}") for index, variant in enumerate(row.variants)]
