"""Resolves the profiles, locations and products that transactions refer to, most of them by one statement."""

from collections.abc import Mapping, Sequence

import msgspec

from regulars.core import timestamps
from regulars.core.errors import QuotingText, ValidationError
from regulars.ingest import reference_lookup
from regulars.ingest.reference_lookup import FoundReferences
from regulars.model import locations
from regulars.model.products import products, schema
from regulars.model.products.products import InlineVariant, ProductVariantIds
from regulars.model.profiles import lookup, profiles
from regulars.model.transactions.line_items import ItemRow
from regulars.model.transactions.schema import EXTERNAL_ID_OR_ID, TransactionRow
from regulars.model.unit_of_work import UnitOfWork

ErrorsByRow = dict[int, dict[str, str]]
"""Error messages by the index of the row and path."""


async def resolve(
    uow: UnitOfWork, rows: Sequence[TransactionRow], *, create_profiles: bool = False
) -> dict[int, ValidationError]:
    """Fills in the ids that rows refer to; returns the errors of rows with unknown references by index.

    Unknown locations become placeholders and inline products are created. Unknown profiles are errors unless
    `create_profiles`. Nothing is created for a row whose profile is unknown.
    """
    errors: ErrorsByRow = {}
    found = await reference_lookup.find(uow, rows)
    if not create_profiles:
        await _resolve_profiles(uow, rows, errors, found, create=False)
    valid = [row for index, row in enumerate(rows) if index not in errors]
    # Every batch creates and locks in the same order: locations, products, profiles.
    await _resolve_locations(uow, valid, found)
    await _resolve_products(uow, rows, errors, found)
    if create_profiles:
        await _resolve_profiles(uow, rows, errors, found, create=True)
    return {index: ValidationError(messages) for index, messages in errors.items()}


# Locations -------------------------------------------------------------------------------------------


async def _resolve_locations(uow: UnitOfWork, rows: Sequence[TransactionRow], found: FoundReferences) -> None:
    refs = {row.location_ref for row in rows if row.location_ref is not None}
    if refs:
        location_ids = found.locations
        if missing := refs - location_ids.keys():
            location_ids = location_ids | await locations.resolve_ids(uow, missing, create_missing=True)
        for row in rows:
            if row.location_ref is not None:
                row.location_id = location_ids[row.location_ref]
                row.embedded_location = found.embedded_locations.get(row.location_id)
    if any(row.local_time is not None for row in rows):
        without_zone = {row.location_id for row in rows if row.local_time is not None and row.timezone is None}
        zones = await locations.timezones(uow, {each for each in without_zone if each is not None})
        for row in rows:
            if row.local_time is not None:
                zone = row.timezone or zones.get(row.location_id or 0) or row.default_zone or uow.community.timezone
                row.transacted_at = timestamps.local_to_utc(row.local_time, zone)


# Products --------------------------------------------------------------------------------------------


class _ProductRef(msgspec.Struct, frozen=True):
    """An item that refers to a product, with the index of its row and its number within the row."""

    index: int
    number: int
    item: ItemRow

    def add_error(self, errors: ErrorsByRow, field: str, message: str) -> None:
        """Adds an error of a field of the item."""
        errors.setdefault(self.index, {})[f"items.{self.number}.{field}"] = message

    def add_unknown(self, errors: ErrorsByRow, field: str, kind: str, number: int) -> None:
        """Adds the error of a field with an id that does not exist."""
        self.add_error(errors, field, QuotingText(f"there is no {kind} {number}", f"there is no {kind} with this id"))


_inline_decoder = msgspec.json.Decoder(InlineVariant, strict=False)


async def _resolve_products(
    uow: UnitOfWork, rows: Sequence[TransactionRow], errors: ErrorsByRow, found: FoundReferences
) -> None:
    refs = [
        _ProductRef(index, number, item)
        for index, row in enumerate(rows)
        if index not in errors
        for number, item in enumerate(row.items)
        if not item.is_resolved
    ]
    for ref in refs:
        # On retry, the products of the first attempt may have been rolled back.
        ref.item.product_id = ref.item.product_variant_id = None
    inline = [ref for ref in refs if ref.item.inline_variant is not None]
    named = [ref for ref in refs if ref.item.inline_variant is None]
    await _create_inline(uow, inline, errors)
    by_id, by_sku = found.variants_by_id, found.variants_by_sku
    if inline and (skus := {ref.item.sku for ref in named if ref.item.sku is not None}):
        # An inline variant may have created the one that another item names.
        _, by_sku = await products.resolve_variants(uow, (), skus)
    await _set_products(uow, named, by_id, by_sku, errors)


async def _create_inline(uow: UnitOfWork, refs: Sequence[_ProductRef], errors: ErrorsByRow) -> None:
    if not refs:
        return
    valid: list[tuple[_ProductRef, InlineVariant]] = []
    for ref in refs:
        try:
            variant = _inline_decoder.decode(ref.item.inline_variant or b"")
            products.validate_inline(variant)
        except msgspec.ValidationError as error:
            ref.add_error(errors, "product_variant", str(error))
        except ValidationError as error:
            for path, message in error.with_prefix("product_variant").errors.items():
                ref.add_error(errors, path, message)
        else:
            valid.append((ref, variant))
    product_ids = {variant.product_id for _, variant in valid if isinstance(variant.product_id, int)}
    existing = await schema.TABLE.existing_ids(uow, product_ids) if product_ids else set()
    for ref, variant in valid:
        if isinstance(variant.product_id, int) and variant.product_id not in existing:
            ref.add_unknown(errors, "product_variant.product_id", "product", variant.product_id)
    valid = [(ref, variant) for ref, variant in valid if ref.index not in errors]
    created = await products.get_or_create_inline(uow, [variant for _, variant in valid]) if valid else []
    for (ref, _), (product_id, variant_id) in zip(valid, created, strict=True):
        ref.item.product_id, ref.item.product_variant_id = product_id, variant_id


async def _set_products(
    uow: UnitOfWork,
    refs: Sequence[_ProductRef],
    by_id: Mapping[int, ProductVariantIds],
    by_sku: Mapping[str, ProductVariantIds],
    errors: ErrorsByRow,
) -> None:
    product_ids = {ref.item.requested_product_id for ref in refs if ref.item.requested_product_id is not None}
    existing = await schema.TABLE.existing_ids(uow, product_ids) if product_ids else set()
    for ref in refs:
        item = ref.item
        if item.requested_variant_id is not None:
            if item.requested_variant_id in by_id:
                item.product_id, item.product_variant_id = by_id[item.requested_variant_id]
            else:
                ref.add_unknown(errors, "product_variant_id", "product variant", item.requested_variant_id)
        elif item.sku is not None and item.sku in by_sku:
            item.product_id, item.product_variant_id = by_sku[item.sku]
        elif item.requested_product_id is not None:
            if item.requested_product_id in existing:
                item.product_id = item.requested_product_id
            else:
                ref.add_unknown(errors, "product_id", "product", item.requested_product_id)


# Profiles --------------------------------------------------------------------------------------------


async def _resolve_profiles(
    uow: UnitOfWork, rows: Sequence[TransactionRow], errors: ErrorsByRow, found: FoundReferences, *, create: bool
) -> None:
    owned = [
        (index, row, row.profile) for index, row in enumerate(rows) if row.profile is not None and index not in errors
    ]
    if not owned:
        return
    refs = {ref for _, _, ref in owned}
    profile_ids = found.profiles
    if others := refs - profile_ids.keys():
        profile_ids = profile_ids | await lookup.resolve(uow, others)
    if create:
        missing = {value for handle, value in refs - profile_ids.keys() if handle == EXTERNAL_ID_OR_ID}
        created = await profiles.get_or_create_ids(uow, missing) if missing else {}
        profile_ids |= {(EXTERNAL_ID_OR_ID, external_id): profile_id for external_id, profile_id in created.items()}
    for index, row, ref in owned:
        row.profile_id = profile_ids.get(ref)
        if row.profile_id is None:
            handle, value = ref
            named = value if handle in (EXTERNAL_ID_OR_ID, "id") else f"with the {handle} {value}"
            path = "profile" if handle == EXTERNAL_ID_OR_ID else "profile_id"
            errors[index] = {path: QuotingText(f"there is no profile {named}", "there is no profile with this id")}
