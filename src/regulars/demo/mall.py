"""Lyngtorget, an invented club of shopping malls in five countries, as large as asked and always the same.

Three years of a club with eight malls in Norway, Sweden, Denmark, Finland and Poland and an online shop in
each country: members who come every week, now and then, once, no more or never, passers-by, sales, returns
and exchanges, with the seasons, opening hours, time zones and currencies of the place; and what the club has
written and offered to its members of late, and how they took it.

All rows follow from `size`, `seed` and `as_of` alone: the same three give the same rows in the same order.
Nothing happens at or after `as_of`. Rows are made while they are read: of what the club needs to know of all
its members at once, a reader's habits and when it bought of late are held, not its rows.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from regulars.demo import mailings, purchases
from regulars.demo import offers as offering
from regulars.demo import profiles as personal
from regulars.demo.countries import NORWAY
from regulars.demo.days import Days, days_before
from regulars.demo.lately import Lately, lately
from regulars.demo.members import Member, members
from regulars.demo.period import Period
from regulars.demo.products import product_rows
from regulars.demo.rows import (
    Community,
    LinkVisit,
    Location,
    Membership,
    Offer,
    OfferCollection,
    OfferEvent,
    Product,
    Profile,
    Sending,
    SendingEvent,
    Transaction,
)
from regulars.demo.stores import CLUB, location_rows

Size = Literal["small", "large"]
SEED = 1


class Extent(Struct, frozen=True):
    """How large a club is.

    members:          how many there are
    pace:             multiplies how often they shop
    anonymous_sales:  the sales to nobody known
    days_of_mail:     for how long messages have been kept
    throughput:       the dispatches that go out in a second
    """

    members: int
    pace: float
    anonymous_sales: int
    days_of_mail: int
    throughput: float


# The pace brings the receipts, returns and those of passers-by included, to the number beside each size.
EXTENTS: dict[Size, Extent] = {
    # 25,000 receipts, 120,000 events of messages
    "small": Extent(members=2_000, pace=0.81, anonymous_sales=2_000, days_of_mail=182, throughput=0.5),
    # 1,500,000 receipts, 1,100,000 events of messages
    "large": Extent(members=100_000, pace=0.955, anonymous_sales=120_000, days_of_mail=28, throughput=30),
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


def sendings(size: Size = "small", *, as_of: datetime) -> Iterator[Sending]:
    """Every message to many: campaigns in each language, with those that are scheduled, and what members set off."""
    length, end = EXTENTS[size].days_of_mail, days_before(as_of).as_of
    for mailing in (*mailings.campaigns(end, length), *mailings.set_off(end, length)):
        yield mailings.row(mailing)


def sending_events(size: Size = "small", *, as_of: datetime, seed: int = SEED) -> Iterator[SendingEvent]:
    """What happened to each dispatch, sending by sending, of each dispatch in the order of time."""
    for happening in _lately(size, as_of, seed).happenings():
        yield happening.row()


def link_visits(size: Size = "small", *, as_of: datetime, seed: int = SEED) -> Iterator[LinkVisit]:
    """Every visit of a page: from sendings, then from offers, then from elsewhere."""
    return _lately(size, as_of, seed).visits()


def offer_collections() -> Iterator[OfferCollection]:
    """What offers are shown under: the same in every club."""
    yield from offering.collections()


def offers(size: Size = "small", *, as_of: datetime, seed: int = SEED) -> Iterator[Offer]:
    """Every offer of a shop, in the order in which they begin, with those that are made and do not yet hold."""
    return _lately(size, as_of, seed).offer_rows()


def offer_events(size: Size = "small", *, as_of: datetime, seed: int = SEED) -> Iterator[OfferEvent]:
    """What members did with offers, offer by offer in the order of time: each use is on a receipt of the member."""
    for touch in _lately(size, as_of, seed).touches():
        yield touch.row()


def forget() -> None:
    """Lets go of what is known of all members at once, when nothing is asked for any more."""
    _lately_until.cache_clear()


def _lately(size: Size, as_of: datetime, seed: int) -> Lately:
    # Four kinds of rows are asked for one after the other, and all need it.
    return _lately_until(size, days_before(as_of).as_of, seed)


@lru_cache(maxsize=1)
def _lately_until(size: Size, as_of: datetime, seed: int) -> Lately:
    extent = EXTENTS[size]
    days = days_before(as_of)
    period = Period(
        as_of=days.as_of,
        length=extent.days_of_mail,
        throughput=extent.throughput,
        crowd=extent.members / EXTENTS["small"].members,
        seed=seed,
    )
    receipts = purchases.of_members(_members(size, days, seed), days, seed)
    return lately(period, _members(size, days, seed), receipts)


def _members(size: Size, days: Days, seed: int) -> Iterator[Member]:
    return members(EXTENTS[size].members, EXTENTS[size].pace, days, seed)
