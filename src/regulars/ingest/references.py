"""Resolves what transactions name - profiles, locations, products - in one statement a kind."""

from collections.abc import Sequence

import msgspec

from regulars.core import timestamps
from regulars.core.errors import ValidationError
from regulars.model import locations
from regulars.model.products import products, schema
from regulars.model.products.products import InlineVariant
from regulars.model.profiles import lookup, profiles
from regulars.model.transactions.line_items import ItemRow
from regulars.model.transactions.schema import EXTERNAL_ID_OR_ID, TransactionRow
from regulars.model.unit_of_work import UnitOfWork

ErrorsByRow = dict[int, dict[str, str]]
"""What is wrong with rows, by their place: messages by path."""


async def resolve(
    uow: UnitOfWork, rows: Sequence[TransactionRow], *, create_profiles: bool = False
) -> dict[int, ValidationError]:
    """Fills in the ids that rows refer to; by place, the refusals of rows that name what is not there.

    An unknown location becomes a placeholder, an inline product is made; an unknown profile is refused
    unless `create_profiles`. Nothing is made for a row that is refused for its profile.
    """
    refused: ErrorsByRow = {}
    if not create_profiles:
        await _profiles(uow, rows, refused, create=False)
    good = [row for place, row in enumerate(rows) if place not in refused]
    # The order in which things are made and locked is the same in every batch: places, products, profiles.
    await _locations(uow, good)
    await _products(uow, rows, refused)
    if create_profiles:
        await _profiles(uow, rows, refused, create=True)
    return {place: ValidationError(errors) for place, errors in refused.items()}


# Places ----------------------------------------------------------------------------------------------


async def _locations(uow: UnitOfWork, rows: Sequence[TransactionRow]) -> None:
    refs = {row.place for row in rows if row.place is not None}
    if refs:
        found = await locations.resolve_ids(uow, refs, create_missing=True)
        for row in rows:
            if row.place is not None:
                row.location_id = found[row.place]
    if any(row.local is not None for row in rows):
        zones = await _zones(uow, rows)
        for row in rows:
            if row.local is not None:
                zone = row.timezone or zones.get(row.location_id or 0) or uow.community.timezone
                row.transacted_at = timestamps.local_to_utc(row.local, zone)


async def _zones(uow: UnitOfWork, rows: Sequence[TransactionRow]) -> dict[int, str]:
    open_ids = {row.location_id for row in rows if row.local is not None and row.timezone is None}
    found = await uow.fetch(
        """
        SELECT id, timezone FROM locations
        WHERE community_id = $1 AND id = ANY ($2) AND timezone IS NOT NULL
        """,
        uow.community_id,
        sorted(each for each in open_ids if each is not None),
    )
    return {row["id"]: row["timezone"] for row in found}


# Products --------------------------------------------------------------------------------------------


class _Named(msgspec.Struct, frozen=True):
    """A line that names its product, and where it is."""

    place: int
    number: int
    item: ItemRow

    @property
    def path(self) -> str:
        """Where it is within its transaction."""
        return f"items.{self.number}"


_inline_decoder = msgspec.json.Decoder(InlineVariant, strict=False)


async def _products(uow: UnitOfWork, rows: Sequence[TransactionRow], refused: ErrorsByRow) -> None:
    named = [
        _Named(place, number, item)
        for place, row in enumerate(rows)
        if place not in refused
        for number, item in enumerate(row.items)
        if not item.is_resolved
    ]
    for each in named:
        # A batch that is done again begins anew: what was made before may have been undone.
        each.item.product_id = each.item.product_variant_id = None
    await _make_inline(uow, [each for each in named if each.item.inline_variant is not None], refused)
    await _find(uow, [each for each in named if each.item.inline_variant is None], refused)


async def _make_inline(uow: UnitOfWork, named: Sequence[_Named], refused: ErrorsByRow) -> None:
    if not named:
        return
    good: list[tuple[_Named, InlineVariant]] = []
    for each in named:
        try:
            variant = _inline_decoder.decode(each.item.inline_variant or b"")
            products.validate_inline(variant)
        except msgspec.ValidationError as error:
            refused.setdefault(each.place, {})[f"{each.path}.product_variant"] = str(error)
        except ValidationError as refusal:
            found = refusal.with_prefix(f"{each.path}.product_variant")
            refused.setdefault(each.place, {}).update(found.errors)
        else:
            good.append((each, variant))
    asked = {variant.product_id for _, variant in good if isinstance(variant.product_id, int)}
    known = await schema.TABLE.existing_ids(uow, asked) if asked else set()
    for each, variant in good:
        if isinstance(variant.product_id, int) and variant.product_id not in known:
            refused.setdefault(each.place, {})[f"{each.path}.product_variant.product_id"] = (
                f"there is no product {variant.product_id}"
            )
    good = [(each, variant) for each, variant in good if each.place not in refused]
    made = await products.get_or_create_inline(uow, [variant for _, variant in good]) if good else []
    for (each, _), (product_id, variant_id) in zip(good, made, strict=True):
        each.item.product_id, each.item.product_variant_id = product_id, variant_id


async def _find(uow: UnitOfWork, named: Sequence[_Named], refused: ErrorsByRow) -> None:
    variants = {each.item.requested_variant_id for each in named if each.item.requested_variant_id is not None}
    skus = {each.item.sku for each in named if each.item.sku is not None}
    asked = {each.item.requested_product_id for each in named if each.item.requested_product_id is not None}
    by_id, by_sku = await products.resolve_variants(uow, variants, skus) if variants or skus else ({}, {})
    known = await schema.TABLE.existing_ids(uow, asked) if asked else set()
    for each in named:
        item = each.item
        if item.requested_variant_id is not None:
            if item.requested_variant_id in by_id:
                item.product_id, item.product_variant_id = by_id[item.requested_variant_id]
            else:
                refused.setdefault(each.place, {})[f"{each.path}.product_variant_id"] = (
                    f"there is no product variant {item.requested_variant_id}"
                )
        elif item.sku is not None and item.sku in by_sku:
            item.product_id, item.product_variant_id = by_sku[item.sku]
        elif item.requested_product_id is not None:
            if item.requested_product_id in known:
                item.product_id = item.requested_product_id
            else:
                refused.setdefault(each.place, {})[f"{each.path}.product_id"] = (
                    f"there is no product {item.requested_product_id}"
                )


# Profiles --------------------------------------------------------------------------------------------


async def _profiles(uow: UnitOfWork, rows: Sequence[TransactionRow], refused: ErrorsByRow, *, create: bool) -> None:
    named = [
        (place, row, row.profile) for place, row in enumerate(rows) if row.profile is not None and place not in refused
    ]
    if not named:
        return
    refs = {ref for _, _, ref in named}
    found = await lookup.resolve(uow, refs)
    if create:
        missing = {value for handle, value in refs - found.keys() if handle == EXTERNAL_ID_OR_ID}
        made = await profiles.get_or_create_ids(uow, missing) if missing else {}
        found |= {(EXTERNAL_ID_OR_ID, external_id): profile_id for external_id, profile_id in made.items()}
    for place, row, ref in named:
        row.profile_id = found.get(ref)
        if row.profile_id is None:
            handle, value = ref
            kind = "profile" if handle in (EXTERNAL_ID_OR_ID, "id") else f"profile with the {handle}"
            path = "profile" if handle == EXTERNAL_ID_OR_ID else "profile_id"
            refused[place] = {path: f"there is no {kind} {value}"}
