"""Finds what the transactions of a commit refer to by ids and SKUs, with one statement for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from regulars.core import validation
from regulars.model import community as communities
from regulars.model import locations
from regulars.model.products import products
from regulars.model.products.products import ProductVariantIds
from regulars.model.profiles import lookup
from regulars.model.profiles.lookup import ProfileRef
from regulars.model.transactions import schema
from regulars.model.transactions.schema import TransactionRow
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.array_literals import array_literal

_STATEMENT = f"""
SELECT 'community' AS kind, {communities.VERSION_SQL} AS ref, NULL::uuid AS profile_id, NULL::bigint AS id,
       NULL::bigint AS product_id, NULL::json AS location
FROM communities
WHERE id = $1
UNION ALL
SELECT 'profile', found.value, found.profile_id, NULL, NULL, NULL
FROM ({lookup.BY_ID}) AS found
UNION ALL
SELECT 'location', found.ref, NULL, found.id, NULL, {schema.embedded_location_sql("$1", "found.id")}
FROM ({locations.find_sql("$3::text::text[]", "$4::text::bigint[]")}) AS found
WHERE found.id IS NOT NULL
UNION ALL
SELECT 'variant', found.sku, NULL, found.id, found.product_id, NULL
FROM ({products.find_variants_sql("$5::text::bigint[]", "$6::text::text[]")}) AS found
"""


class CommunityChangedError(Exception):
    """The community, or what its webhooks listen to, was changed since it was read."""


@dataclass(slots=True)
class FoundReferences:
    """What was found, by its reference. `embedded_locations` are the locations as transactions show them, by id."""

    profiles: dict[ProfileRef, UUID] = field(default_factory=dict)
    locations: dict[str, int] = field(default_factory=dict)
    embedded_locations: dict[int, msgspec.Raw] = field(default_factory=dict)
    variants_by_id: dict[int, ProductVariantIds] = field(default_factory=dict)
    variants_by_sku: dict[str, ProductVariantIds] = field(default_factory=dict)


def _profile_id(row: TransactionRow) -> str | None:
    """The profile's id in canonical form, if the row names the profile so."""
    if row.profile is None or row.profile[0] != "id" or not lookup.is_canonical_uuid(row.profile[1]):
        return None
    return row.profile[1]


async def find(uow: UnitOfWork, rows: Sequence[TransactionRow]) -> FoundReferences:
    """Finds profiles by their ids, locations by ids and external ids, and product variants by ids and SKUs.

    Raises CommunityChangedError if the community was read before the transaction, and has changed since.
    """
    profile_ids = {ref for row in rows if (ref := _profile_id(row)) is not None}
    location_refs = sorted({row.location_ref for row in rows if row.location_ref is not None})
    items = [item for row in rows for item in row.items if not item.is_resolved and item.inline_variant is None]
    variant_ids = {each for item in items if (each := item.requested_variant_id) is not None}
    variant_ids = {each for each in variant_ids if 0 < each <= validation.MAX_ID}
    skus = {item.sku for item in items if item.sku is not None}
    found = FoundReferences()
    if uow.is_community_current and not (profile_ids or location_refs or variant_ids or skus):
        return found
    records = await uow.fetch(
        _STATEMENT,
        uow.community_id,
        array_literal(sorted(profile_ids)),
        array_literal(location_refs),
        array_literal([locations.number_of(ref) for ref in location_refs]),
        array_literal(sorted(variant_ids)),
        array_literal(sorted(skus)),
    )
    for kind, ref, profile_id, row_id, product_id, location in records:
        if kind == "community":
            if not uow.is_community_current and ref != uow.community.version:
                raise CommunityChangedError
        elif kind == "profile":
            found.profiles["id", ref] = profile_id
        elif kind == "location":
            found.locations[ref] = row_id
            found.embedded_locations[row_id] = location
        else:
            ids = (product_id, row_id)
            if row_id in variant_ids:
                found.variants_by_id[row_id] = ids
            if ref in skus:
                found.variants_by_sku[ref] = ids
    uow.is_community_current = True
    return found
