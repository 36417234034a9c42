"""Who the members are as shoppers: where they live, when they joined and left, how often and where they
buy.

A member is drawn from the club's seed and its own number alone, so that profiles, memberships and
transactions can each be generated separately and still describe the same people.
"""

from bisect import bisect
from collections.abc import Iterator
from datetime import datetime
from itertools import accumulate
from random import Random
from typing import Literal

from msgspec import Struct

from regulars.demo.mall.calendar import HistoryCalendar, draw_day, draw_in_store_minute, draw_online_minute
from regulars.demo.mall.countries import DENMARK, FINLAND, NORWAY, POLAND, SWEDEN, Country, HomeTown
from regulars.demo.mall.stores import ONLINE_SHOPS, SHOP_WEIGHTS, SHOPS, Mall, OnlineShop, Shop, mall_for

Segment = Literal["never", "one_time", "lapsed", "occasional", "loyal", "devoted"]

# How many members shop like this, and how often a year while they do.
_SEGMENTS: dict[Segment, tuple[float, float]] = {
    "never": (0.12, 0.0),
    "one_time": (0.16, 0.0),
    "lapsed": (0.2, 6.0),
    "occasional": (0.32, 4.0),
    "loyal": (0.15, 14.0),
    "devoted": (0.05, 36.0),
}
_NAMES = tuple(_SEGMENTS)
_SEGMENT_SHARES = tuple(accumulate(share for share, _ in _SEGMENTS.values()))

_HOMES = (NORWAY, SWEDEN, DENMARK, FINLAND, POLAND)
_HOME_SHARES = tuple(accumulate((0.48, 0.22, 0.12, 0.11, 0.07)))

# How people join, by the share of those who live near a mall, and what led them there.
_CHANNELS = ("pos", "ios", "android", "web", "import")
_CHANNEL_SHARES = tuple(accumulate((0.42, 0.2, 0.2, 0.12, 0.06)))
_SUBCHANNELS = {
    "pos": ("till", "info-desk", "kiosk"),
    "ios": ("app-store", "qr-code", "referral"),
    "android": ("app-store", "qr-code", "referral"),
    "web": ("checkout", "newsletter", "campaign"),
    "import": ("former-club",),
}

_LAPSED_FOR = 400
_FAVOURITES = 9


class MallMember(Struct, frozen=True, eq=False):
    """A member as a shopper; days are the history's, and `shops` names the preferred ones repeatedly."""

    number: int
    segment: Segment
    country: Country
    town: HomeTown
    mall: Mall
    shops: tuple[Shop, ...]
    share_online: float
    visits_per_year: float
    joined_at: datetime
    joined_day: int
    joined_shop: Shop | OnlineShop
    last_day: int
    left_at: datetime | None
    rejoined_at: datetime | None
    optin_channel: str
    optin_subchannel: str

    @property
    def external_id(self) -> str:
        """The member's number as the club prints it."""
        return f"M{self.number:06d}"

    def is_member_at(self, at: datetime) -> bool:
        """Whether a person who had joined was still, or again, a member at an instant."""
        if self.left_at is None or at < self.left_at:
            return True
        return self.rejoined_at is not None and at >= self.rejoined_at


def members(count: int, pace: float, days: HistoryCalendar, seed: int) -> Iterator[MallMember]:
    """The club's members by number; `pace` multiplies how often they all shop."""
    for number in range(1, count + 1):
        yield _member(number, pace, days, Random(f"member {number} of {seed}"))


def _member(number: int, pace: float, days: HistoryCalendar, dice: Random) -> MallMember:
    chance = dice.random
    country = _HOMES[bisect(_HOME_SHARES, chance() * _HOME_SHARES[-1])]
    town = dice.choice(country.towns)
    mall = mall_for(town.mall_city, country)
    channel = _CHANNELS[bisect(_CHANNEL_SHARES, chance() * _CHANNEL_SHARES[-1])]
    if channel == "pos" and town.mall_city is None:
        channel = "web"
    joined_day, joined_at = _joined(channel, country, days, dice)
    shops = tuple(_preferred(mall, dice) for _ in range(_FAVOURITES))
    segment = _segment(chance(), days.last_day - joined_day)
    last_day = _last_day(segment, joined_day, days, dice)
    left_at, back_at = _left(country, joined_day, days, dice)
    return MallMember(
        number=number,
        segment=segment,
        country=country,
        town=town,
        mall=mall,
        shops=shops,
        share_online=_share_online(town, chance()),
        visits_per_year=_SEGMENTS[segment][1] * pace * dice.gammavariate(4, 0.25),
        joined_at=joined_at,
        joined_day=joined_day,
        joined_shop=shops[0] if channel == "pos" else ONLINE_SHOPS[country.iso],
        last_day=last_day,
        left_at=left_at,
        rejoined_at=back_at,
        optin_channel=channel,
        optin_subchannel=dice.choice(_SUBCHANNELS[channel]),
    )


def _joined(channel: str, country: Country, days: HistoryCalendar, dice: Random) -> tuple[int, datetime]:
    chance = dice.random
    while True:
        if channel == "import":
            # The members of the club before this one were taken over on the first day.
            day, minute = 0, 8 * 60 + int(chance() * 60)
        elif channel == "pos":
            day = draw_day(days.in_store_join_weights[country.iso], 0, days.last_day, chance())
            minute = draw_in_store_minute(days.hours_on(country, day), chance(), chance())
        else:
            day, minute = draw_day(days.online_join_weights, 0, days.last_day, chance()), draw_online_minute(chance())
        at = days.instant(country, day, minute, int(chance() * 60))
        # The last day is not over: who would join after as_of joins on another day.
        if at < days.as_of:
            return day, at


def _segment(chance: float, days_since: int) -> Segment:
    segment = _NAMES[bisect(_SEGMENT_SHARES, chance * _SEGMENT_SHARES[-1])]
    # A member cannot have stayed away for longer than being a member.
    return "occasional" if segment == "lapsed" and days_since < _LAPSED_FOR + 60 else segment


def _last_day(segment: Segment, joined_day: int, days: HistoryCalendar, dice: Random) -> int:
    if segment == "lapsed":
        return dice.randint(joined_day + 30, days.last_day - _LAPSED_FOR)
    return days.last_day


def _left(
    country: Country, joined_day: int, days: HistoryCalendar, dice: Random
) -> tuple[datetime | None, datetime | None]:
    """When a member left and came back: a few do, none in the first month or the last days."""
    first, last = joined_day + 30, days.last_day - 2
    if dice.random() >= 0.07 or first >= last:
        return None, None
    left = dice.randint(first, last)
    left_at = days.instant(country, left, draw_online_minute(dice.random()), 0)
    back = left + dice.randint(20, 240)
    if dice.random() >= 0.2 or back > last:
        return left_at, None
    return left_at, days.instant(country, back, draw_online_minute(dice.random()), 0)


def _preferred(mall: Mall, dice: Random) -> Shop:
    shares = SHOP_WEIGHTS[mall.number]
    return SHOPS[mall.number][bisect(shares, dice.random() * shares[-1])]


def _share_online(town: HomeTown, chance: float) -> float:
    if town.mall_city is None:
        return 0.85
    # Half never buy online, a few only there, the others now and then.
    return 0.0 if chance < 0.5 else 1.0 if chance > 0.93 else chance - 0.45
