"""Lyngtorget, an invented club of shopping malls in five countries, as large as asked and always the same.

Three years of a club with eight malls in Norway, Sweden, Denmark, Finland and Poland and an online shop in
each country: members who come every week, now and then, once, no more or never, passers-by, sales, returns
and exchanges, with the seasons, opening hours, time zones and currencies of the place.

All rows follow from `size`, `seed` and `as_of` alone: the same three give the same rows in the same order.
Nothing happens at or after `as_of`. Rows are made while they are read, so the large club needs no more
memory than the small.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from msgspec import Struct

from regulars.demo import profiles as personal
from regulars.demo import purchases
from regulars.demo.countries import NORWAY
from regulars.demo.days import Days, days_before
from regulars.demo.members import Member, members
from regulars.demo.products import product_rows
from regulars.demo.rows import Community, Location, Membership, Product, Profile, Transaction
from regulars.demo.stores import CLUB, location_rows

Size = Literal["small", "large"]
SEED = 1


class Extent(Struct, frozen=True):
    """How large a club is: its members, the pace at which they shop, and the sales to nobody known."""

    members: int
    pace: float
    anonymous_sales: int


# The pace brings the receipts, returns and those of passers-by included, to the number beside each size.
EXTENTS: dict[Size, Extent] = {
    "small": Extent(members=2_000, pace=0.81, anonymous_sales=2_000),  # 25,000 receipts
    "large": Extent(members=100_000, pace=0.955, anonymous_sales=120_000),  # 1,500,000 receipts
}


def community() -> Community:
    """The club: Norwegian, its books kept in kroner."""
    return {
        "slug": CLUB.lower(),
        "name": f"{CLUB} Club",
        "country": NORWAY.iso,
        "timezone": NORWAY.timezone,
        "currency": NORWAY.currency,
        "attributes": {"chain": CLUB, "country": NORWAY.iso},
    }


def locations() -> Iterator[Location]:
    """The shops of the malls and the five online shops."""
    yield from location_rows()


def products() -> Iterator[Product]:
    """The catalogue with its variants; `price` is in the community's currency."""
    yield from product_rows()


def profiles(size: Size = "small", *, as_of: datetime, seed: int = SEED) -> Iterator[Profile]:
    """Every member, also those who left, as known at `as_of` (an aware time, else ValueError)."""
    for member in _members(size, days_before(as_of), seed):
        yield personal.profile(member, as_of, seed)


def memberships(size: Size = "small", *, as_of: datetime, seed: int = SEED) -> Iterator[Membership]:
    """Every joining and leaving: each member's first `in` is at its `joined_at`."""
    for member in _members(size, days_before(as_of), seed):
        yield from personal.memberships(member, seed)


def transactions(size: Size = "small", *, as_of: datetime, seed: int = SEED) -> Iterator[Transaction]:
    """Every receipt: those of each member, then those of passers-by, whose `profile` is None.

    `total` is the sum of price_sell * quantity. A return has negative quantities and a negative total and
    names its sale in `linked_receipt_ref`; an exchange is a return and, minutes later, a sale, both tagged
    `exchange`.
    """
    days = days_before(as_of)
    yield from purchases.of_members(_members(size, days, seed), days, seed)
    yield from purchases.of_passers_by(EXTENTS[size].anonymous_sales, days, seed)


def _members(size: Size, days: Days, seed: int) -> Iterator[Member]:
    return members(EXTENTS[size].members, EXTENTS[size].pace, days, seed)
