"""When and where members and passers-by shop, and the receipts that come of it."""

from bisect import bisect
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import count
from math import sqrt
from random import Random

from regulars.demo.mall.brands import Category
from regulars.demo.mall.calendar import HistoryCalendar, draw_day, draw_in_store_minute, draw_online_minute
from regulars.demo.mall.countries import Country
from regulars.demo.mall.members import MallMember
from regulars.demo.mall.pos import PointOfSale, ShopVisit
from regulars.demo.mall.products import Shelf, shelves
from regulars.demo.mall.stores import MALLS, ONLINE_SHOPS, SHOP_WEIGHTS, SHOPS, Mall, Shop
from regulars.demo.rows import TransactionRecord

_BUYS_ON_JOINING = 0.85
_CLAIMS_AN_EARLIER_RECEIPT = 0.03
_IN_ANOTHER_MALL = 0.05
_GUESTS_ONLINE = 0.06
# A visit to a mall ends with one to three receipts.
_STOPS_A_VISIT = (0.68, 0.92)

_RECEIPTS_A_MEMBER = 10_000
_FIRST_SERIAL_OF_PASSERS_BY = 9_000_000_001


def member_transactions(members: Iterable[MallMember], days: HistoryCalendar, seed: int) -> Iterator[TransactionRecord]:
    """All receipts of each member, member by member, in about the order of time."""
    for member in members:
        if member.segment != "never":
            yield from _of_member(member, days, Random(f"purchases of {member.number} of {seed}"))


def anonymous_transactions(sales: int, days: HistoryCalendar, seed: int) -> Iterator[TransactionRecord]:
    """So many anonymous sales, in no order, and what comes back of them."""
    dice = Random(f"passers-by of {seed}")
    till = PointOfSale(days, dice, None, count(_FIRST_SERIAL_OF_PASSERS_BY))
    made = 0
    while made < sales:
        stop = _anywhere(days, dice)
        if days.is_past(stop.day, stop.at):
            sale = till.sale(stop)
            made += 1
            yield sale
            yield from _before(days.as_of, till.returns(sale, stop))


def _of_member(member: MallMember, days: HistoryCalendar, dice: Random) -> Iterator[TransactionRecord]:
    till = PointOfSale(days, dice, member.external_id, count(member.number * _RECEIPTS_A_MEMBER + 1))
    for stop in _stops(member, days, dice):
        if not (days.is_past(stop.day, stop.at) and member.is_member_at(stop.at)):
            continue
        sale = till.sale(stop)
        yield sale
        later = till.returns(sale, stop)
        if later and all(member.is_member_at(receipt["transacted_at"]) for receipt in later):
            yield from _before(days.as_of, later)


def _before(as_of: datetime, receipts: list[TransactionRecord]) -> list[TransactionRecord]:
    return receipts if all(receipt["transacted_at"] < as_of for receipt in receipts) else []


def _stops(member: MallMember, days: HistoryCalendar, dice: Random) -> Iterator[ShopVisit]:
    """Where a member buys: on joining, before it now and then, and on every visit."""
    bought = False
    if isinstance(member.joined_shop, Shop):
        if member.segment != "one_time" and dice.random() < _CLAIMS_AN_EARLIER_RECEIPT:
            # Bought without being a member, and claimed by the receipt later.
            yield from _visit(member, max(member.joined_day - dice.randint(1, 10), 0), days, dice)
        if dice.random() < _BUYS_ON_JOINING:
            # Joined at the till, with the shopping in hand.
            at = member.joined_at + timedelta(minutes=1 + int(3 * dice.random()))
            yield ShopVisit(member.joined_shop, _shelf(member.joined_shop.category), member.joined_day, at)
            bought = True
    for day, online in _days_of_visits(member, bought, days, dice):
        if online:
            category = dice.choice(member.shops).category
            yield _online(member.country, category, day, days, dice)
        else:
            yield from _visit(member, day, days, dice)


def _days_of_visits(member: MallMember, bought: bool, days: HistoryCalendar, dice: Random) -> list[tuple[int, bool]]:
    """The days on which a member comes after joining, in order, and whether it comes to the online shop."""
    low, high = member.joined_day + 1, member.last_day
    if low > high:
        return []
    if member.segment == "one_time":
        visits, high = 0 if bought else 1, min(high, low + 60)
    else:
        mean = member.visits_per_year * (high - low + 1) / 365
        visits = round(dice.gauss(mean, sqrt(mean)))
        if member.segment == "lapsed" and not bought:
            visits = max(visits, 1)
    found = set()
    for _ in range(visits):
        online = dice.random() < member.share_online
        running = days.online_weights if online else days.in_store_weights[member.country.iso]
        found.add((draw_day(running, low, high, dice.random()), online))
    return sorted(found)


def _visit(member: MallMember, day: int, days: HistoryCalendar, dice: Random) -> Iterator[ShopVisit]:
    """A walk through a mall, shop after shop; none on a day on which it is closed."""
    chance = dice.random
    mall = member.mall
    if chance() < _IN_ANOTHER_MALL:
        mall = dice.choice(MALLS)
    hours = days.opening_hours[mall.country.iso][day]
    if hours is None:
        return
    minute = draw_in_store_minute(hours, chance(), chance())
    stops = 1 if member.segment == "one_time" else 1 + bisect(_STOPS_A_VISIT, chance())
    for _ in range(stops):
        shop = dice.choice(member.shops) if mall is member.mall else _any_shop(mall, chance())
        at = days.instant(mall.country, day, minute, int(60 * chance()))
        yield ShopVisit(shop, _shelf(shop.category), day, at)
        minute += 6 + int(35 * chance())
        if minute >= hours[1]:
            return


def _online(country: Country, category: Category, day: int, days: HistoryCalendar, dice: Random) -> ShopVisit:
    chance = dice.random
    # What a customer would have eaten does not come by post: beauty is what is ordered most instead.
    shelf = shelves()["BEA"] if category.is_perishable else _shelf(category)
    at = days.instant(country, day, draw_online_minute(chance()), int(60 * chance()))
    return ShopVisit(ONLINE_SHOPS[country.iso], shelf, day, at)


def _anywhere(days: HistoryCalendar, dice: Random) -> ShopVisit:
    """A purchase of an unknown customer."""
    chance = dice.random
    mall = dice.choice(MALLS)
    shop = _any_shop(mall, chance())
    if chance() < _GUESTS_ONLINE:
        return _online(
            mall.country, shop.category, draw_day(days.online_weights, 0, days.last_day, chance()), days, dice
        )
    day = draw_day(days.in_store_weights[mall.country.iso], 0, days.last_day, chance())
    minute = draw_in_store_minute(days.hours_on(mall.country, day), chance(), chance())
    return ShopVisit(shop, _shelf(shop.category), day, days.instant(mall.country, day, minute, int(60 * chance())))


def _any_shop(mall: Mall, chance: float) -> Shop:
    shares = SHOP_WEIGHTS[mall.number]
    return SHOPS[mall.number][bisect(shares, chance * shares[-1])]


def _shelf(category: Category) -> Shelf:
    return shelves()[category.code]
