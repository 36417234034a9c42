"""The entities of the model as fact types: stores, products, profiles and memberships."""

from typing import Any

import msgspec

from regulars.facts.columns import Columns
from regulars.facts.fact_type import FactType, RowSchema, local_to_utc_text, require_external_id
from regulars.model import locations, memberships, rejoining
from regulars.model.community import Community
from regulars.model.memberships import MembershipIn, MembershipRow
from regulars.model.products import products
from regulars.model.profiles import profiles, schema
from regulars.model.profiles.schema import ProfileIn

LOCATIONS = FactType(
    name="locations",
    description="Stores and other places of sale.",
    schema=RowSchema(Columns(locations.LocationIn, (("external_id",),), {}), require_external_id(locations.validate)),
    write=locations.upsert_many,
)

PRODUCTS = FactType(
    name="products",
    description="Products with their variants and brands.",
    schema=RowSchema(Columns(products.ProductIn, (("external_id",),), {}), require_external_id(products.validate)),
    write=products.upsert_many,
)


def _validate_profile(profile: ProfileIn, community: Community) -> Any:
    in_utc = msgspec.structs.replace(profile, joined_at=local_to_utc_text(profile.joined_at, community))
    return require_external_id(schema.validate)(in_utc, community)


PROFILE_SCHEMA = RowSchema(Columns(ProfileIn, (("external_id",),), {}, times=("joined_at",)), _validate_profile)
"""Profiles as rows of files."""

PROFILES = FactType(
    name="profiles",
    description="Profiles of customers, with their consents, addresses and identities.",
    schema=PROFILE_SCHEMA,
    write=profiles.upsert_many,
    is_backfilled=True,
)


def _validate_membership(membership: MembershipIn, community: Community) -> MembershipRow:
    return memberships.validate(msgspec.structs.replace(membership, at=local_to_utc_text(membership.at, community)))


MEMBERSHIPS = FactType(
    name="memberships",
    description="Joins and leaves of the loyalty club.",
    schema=RowSchema(
        Columns(MembershipIn, (("profile",), ("type",), ("at",)), {}, times=("at",)), _validate_membership
    ),
    write=rejoining.write_memberships,
    is_backfilled=True,
)
