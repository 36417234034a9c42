"""Lyngtorget, an invented club of shopping malls in five countries, of a chosen size and always the same.

Three years of a club with eight malls in Norway, Sweden, Denmark, Finland and Poland and an online shop in
each country: members who come every week, now and then, once, no more or never, passers-by, sales, returns
and exchanges, with the seasons, opening hours, time zones and currencies of the place; and what the club has
recently sent and offered to its members, and how they responded.

All rows follow from `size`, `seed` and `as_of` alone: the same three give the same rows in the same order.
Nothing happens at or after `as_of`. Rows are made while they are read: of what the club needs to know of all
all members, their reading habits and recent purchases are held in memory, not its rows.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from regulars.demo.mall import mailings, purchases
from regulars.demo.mall import offers as offering
from regulars.demo.mall import profiles as personal
from regulars.demo.mall.calendar import HistoryCalendar, calendar_before
from regulars.demo.mall.countries import NORWAY
from regulars.demo.mall.members import MallMember, members
from regulars.demo.mall.products import product_rows
from regulars.demo.mall.recent_activity import RecentActivity, build_recent_activity
from regulars.demo.mall.stores import CLUB, location_rows
from regulars.demo.mall.window import HistoryWindow
from regulars.demo.rows import (
    CommunityRecord,
    LinkVisitRecord,
    LocationRecord,
    MembershipRecord,
    OfferCollectionRecord,
    OfferEventRecord,
    OfferRecord,
    ProductRecord,
    ProfileRecord,
    SendingEventRecord,
    SendingRecord,
    TransactionRecord,
)

Size = Literal["tiny", "small", "large"]
SEED = 1


class SizeParameters(Struct, frozen=True):
    """How large a club is.

    members:               number of members
    visit_rate:            multiplies how often they shop
    anonymous_sales:       number of sales without a member
    message_history_days:  how many days messages go back
    throughput:            dispatches that are sent per second
    """

    members: int
    visit_rate: float
    anonymous_sales: int
    message_history_days: int
    throughput: float


# The visit rate yields the number of receipts above each size, including returns and anonymous sales.
SIZE_PARAMETERS: dict[Size, SizeParameters] = {
    # 1,200 receipts, 6,000 events of messages
    "tiny": SizeParameters(
        members=100, visit_rate=0.81, anonymous_sales=100, message_history_days=182, throughput=0.025
    ),
    # 25,000 receipts, 120,000 events of messages
    "small": SizeParameters(
        members=2_000, visit_rate=0.81, anonymous_sales=2_000, message_history_days=182, throughput=0.5
    ),
    # 1,500,000 receipts, 1,100,000 events of messages
    "large": SizeParameters(
        members=100_000, visit_rate=0.955, anonymous_sales=120_000, message_history_days=28, throughput=30
    ),
}


def community() -> CommunityRecord:
    """The club: Norwegian, with kroner as its currency."""
    return {
        "slug": CLUB.lower(),
        "name": f"{CLUB} Club",
        "country": NORWAY.iso,
        "timezone": NORWAY.timezone,
        "currency": NORWAY.currency,
        "attributes": {"chain": CLUB, "country": NORWAY.iso},
    }


def locations() -> Iterator[LocationRecord]:
    """The shops of the malls and the five online shops."""
    yield from location_rows()


def products() -> Iterator[ProductRecord]:
    """The catalogue with its variants; `price` is in the community's currency."""
    yield from product_rows()


def profiles(size: Size = "small", *, as_of: datetime, seed: int = SEED) -> Iterator[ProfileRecord]:
    """Every member, also those who left, as known at `as_of` (an aware time, else ValueError)."""
    for member in _members(size, calendar_before(as_of), seed):
        yield personal.profile(member, as_of, seed)


def memberships(size: Size = "small", *, as_of: datetime, seed: int = SEED) -> Iterator[MembershipRecord]:
    """Every joining and leaving: each member's first `in` is at its `joined_at`."""
    for member in _members(size, calendar_before(as_of), seed):
        yield from personal.memberships(member, seed)


def transactions(size: Size = "small", *, as_of: datetime, seed: int = SEED) -> Iterator[TransactionRecord]:
    """Every receipt: those of each member, then those of passers-by, whose `profile` is None.

    `total` is the sum of price_sell * quantity. A return has negative quantities and a negative total and
    names its sale in `linked_receipt_ref`; an exchange is a return and, minutes later, a sale, both tagged
    `exchange`.
    """
    days = calendar_before(as_of)
    yield from purchases.member_transactions(_members(size, days, seed), days, seed)
    yield from purchases.anonymous_transactions(SIZE_PARAMETERS[size].anonymous_sales, days, seed)


def sendings(size: Size = "small", *, as_of: datetime) -> Iterator[SendingRecord]:
    """Every message to many: campaigns in each language, with those that are scheduled, and what members set off."""
    length, end = SIZE_PARAMETERS[size].message_history_days, calendar_before(as_of).as_of
    for mailing in (*mailings.campaign_mailings(end, length), *mailings.triggered_mailings(end, length)):
        yield mailings.sending_record(mailing)


def sending_events(size: Size = "small", *, as_of: datetime, seed: int = SEED) -> Iterator[SendingEventRecord]:
    """The events of each dispatch, by sending, those of a dispatch in order of time."""
    for event in _recent_activity(size, as_of, seed).dispatch_events():
        yield event.row()


def link_visits(size: Size = "small", *, as_of: datetime, seed: int = SEED) -> Iterator[LinkVisitRecord]:
    """Every visit of a page: from sendings, then from offers, then from elsewhere."""
    return _recent_activity(size, as_of, seed).visits()


def offer_collections() -> Iterator[OfferCollectionRecord]:
    """The collections of offers: the same in every club."""
    yield from offering.collections()


def offers(size: Size = "small", *, as_of: datetime, seed: int = SEED) -> Iterator[OfferRecord]:
    """Every offer of a shop, in the order in which they begin, including those that are not valid yet."""
    return _recent_activity(size, as_of, seed).offer_rows()


def offer_events(size: Size = "small", *, as_of: datetime, seed: int = SEED) -> Iterator[OfferEventRecord]:
    """What members did with offers, offer by offer in the order of time: each use is on a receipt of the member."""
    for touch in _recent_activity(size, as_of, seed).offer_interactions():
        yield touch.row()


def clear_cache() -> None:
    """Frees the data about all members when no more rows are needed."""
    _recent_activity_until.cache_clear()


def _recent_activity(size: Size, as_of: datetime, seed: int) -> RecentActivity:
    # Four kinds of rows are generated one after the other, and all need it.
    return _recent_activity_until(size, calendar_before(as_of).as_of, seed)


@lru_cache(maxsize=1)
def _recent_activity_until(size: Size, as_of: datetime, seed: int) -> RecentActivity:
    extent = SIZE_PARAMETERS[size]
    days = calendar_before(as_of)
    period = HistoryWindow(
        as_of=days.as_of,
        days=extent.message_history_days,
        throughput=extent.throughput,
        size_factor=extent.members / SIZE_PARAMETERS["small"].members,
        seed=seed,
    )
    receipts = purchases.member_transactions(_members(size, days, seed), days, seed)
    return build_recent_activity(period, _members(size, days, seed), receipts)


def _members(size: Size, days: HistoryCalendar, seed: int) -> Iterator[MallMember]:
    return members(SIZE_PARAMETERS[size].members, SIZE_PARAMETERS[size].visit_rate, days, seed)
