"""The days of the club's history: how busy each is, where shops are open, what is on sale, what money costs.

A history is the three years before an instant, `as_of`; its days are counted from 0. A draw over days takes
running sums of how busy they are, so that a purchase falls on a Saturday in December more easily than on a
Monday in February, and never on a day on which the shop is closed.
"""

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from math import sin
from random import Random
from zoneinfo import ZoneInfo

from msgspec import Struct

from regulars.demo.mall.campaigns import PriceCampaign, black_friday, campaign_on
from regulars.demo.mall.countries import COUNTRIES, FINLAND, NORWAY, Country
from regulars.demo.mall.opening_hours import OPENING_HOURS, Hours

HISTORY_DAYS = 3 * 365 + 1
_LAUNCH = 60

#                Mon   Tue   Wed  Thu   Fri   Sat   Sun
_WEEK_IN_STORE = (0.85, 0.85, 0.9, 1.05, 1.3, 1.7, 1.0)
_WEEK_ONLINE = (1.1, 1.05, 1.0, 1.0, 0.85, 0.8, 1.2)
_YEAR = (1.0, 0.82, 0.92, 0.97, 1.0, 1.0, 0.88, 1.05, 0.95, 1.0, 1.15, 1.35)

# How busy the online shops are from midnight on, hour by hour. No purchase happens while clocks are set forward or
# back: so every local time in the data names one instant.
_HOURS_ONLINE = tuple(accumulate((2, 0, 0, 0, 0, 1, 2, 4, 6, 7, 8, 8, 9, 8, 7, 7, 8, 9, 10, 13, 16, 17, 13, 6)))

_KRONER_A_UNIT = {"SEK": 1.01, "DKK": 1.56, "EUR": 11.65, "PLN": 2.72}


class HistoryCalendar(Struct, frozen=True, eq=False):
    """The days of a history: `in_store` and `joins_in_store` by country, `rates` into kroner by currency."""

    as_of: datetime
    dates: list[date]
    opening_hours: dict[str, list[Hours | None]]
    in_store_weights: dict[str, list[float]]
    online_weights: list[float]
    in_store_join_weights: dict[str, list[float]]
    online_join_weights: list[float]
    campaigns: list[PriceCampaign | None]
    exchange_rates: dict[str, list[Decimal]]
    timezones: dict[str, ZoneInfo]

    @property
    def last_day(self) -> int:
        """The day that holds `as_of`."""
        return len(self.dates) - 1

    def is_past(self, day: int, at: datetime) -> bool:
        """Whether an instant of a day comes before `as_of`."""
        # Comparing times of different zones is slow, and only the last two dates can hold as_of anywhere.
        return day < self.last_day - 1 or at < self.as_of

    def hours_on(self, country: Country, day: int) -> Hours:
        """When a country's malls are open on a day that is known not to be a closed one."""
        hours = self.opening_hours[country.iso][day]
        if hours is None:
            raise LookupError(f"the malls in {country.name} are closed on {self.dates[day]}")
        return hours

    def instant(self, country: Country, day: int, minute: int, second: int) -> datetime:
        """The instant at which a country's clocks show this."""
        on = self.dates[day]
        hour, minute = divmod(minute, 60)
        return datetime(on.year, on.month, on.day, hour, minute, second, tzinfo=self.timezones[country.iso])


def calendar_before(as_of: datetime) -> HistoryCalendar:
    """The history that ends at `as_of`, an aware time."""
    if as_of.tzinfo is None:
        raise ValueError("as_of has no time zone: give one, such as datetime(2026, 1, 1, tzinfo=UTC)")
    # The country that is furthest ahead says what the last day is, so that none of its purchases is lost.
    today = as_of.astimezone(ZoneInfo(FINLAND.timezone)).date()
    dates = [today - timedelta(days=HISTORY_DAYS - 1 - day) for day in range(HISTORY_DAYS)]
    busy = [_season(day) for day in dates]
    opening = {country.iso: [OPENING_HOURS[country.iso].hours_on(day) for day in dates] for country in COUNTRIES}
    in_store = {iso: _busy_in_store(dates, busy, hours) for iso, hours in opening.items()}
    online = [at * _WEEK_ONLINE[day.weekday()] * _rush_online(day) for day, at in zip(dates, busy, strict=True)]
    appeal = [_appeal_of_joining(number, day) for number, day in enumerate(dates)]
    return HistoryCalendar(
        as_of=as_of.astimezone(UTC),
        dates=dates,
        opening_hours=opening,
        in_store_weights={iso: _running(weights) for iso, weights in in_store.items()},
        online_weights=_running(online),
        in_store_join_weights={iso: _running(_times(weights, appeal)) for iso, weights in in_store.items()},
        online_join_weights=_running(_times(online, appeal)),
        campaigns=[campaign_on(day) for day in dates],
        exchange_rates={country.currency: [_rate(country.currency, day) for day in dates] for country in COUNTRIES},
        timezones={country.iso: ZoneInfo(country.timezone) for country in COUNTRIES},
    )


def draw_day(running: list[float], low: int, high: int, chance: float) -> int:
    """A day from low to high, both included, for a chance in [0, 1), the busier the likelier."""
    below = running[low]
    return min(bisect_right(running, below + chance * (running[high + 1] - below)) - 1, high)


def draw_online_minute(chance: float) -> int:
    """A minute of the day at which a member buys or joins online: mostly in the evening."""
    wanted = chance * _HOURS_ONLINE[-1]
    hour = bisect_right(_HOURS_ONLINE, wanted)
    below = _HOURS_ONLINE[hour - 1] if hour else 0
    return hour * 60 + int(60 * (wanted - below) / (_HOURS_ONLINE[hour] - below))


def draw_in_store_minute(hours: Hours, chance: float, other: float) -> int:
    """A minute between opening and closing, the middle of the day likelier than its ends."""
    # The last minutes are left free, for an exchange is two receipts.
    return hours[0] + int((chance + other) / 2 * (hours[1] - hours[0] - 6))


def _season(day: date) -> float:
    """How busy a day is by its season; the weather is drawn, but a day has the same in every history."""
    busy = _YEAR[day.month - 1] * Random(f"weather of {day}").uniform(0.88, 1.12)
    to_black_friday = (black_friday(day.year) - day).days
    if to_black_friday == 0:
        return busy * 2.6
    if -3 <= to_black_friday <= 4:
        return busy * 1.25
    if day.month == 12:
        # From the tenth on it grows day by day until the last one before Christmas Eve.
        return busy * (1 + 0.07 * (day.day - 9)) if 10 <= day.day <= 23 else busy * (0.7 if day.day <= 26 else 1.1)
    return busy


def _busy_in_store(dates: list[date], busy: list[float], opening: list[Hours | None]) -> list[float]:
    # A short day has fewer visitors, in proportion to a usual one of ten hours.
    return [
        at * _WEEK_IN_STORE[day.weekday()] * min(1.0, (hours[1] - hours[0]) / 600) if hours else 0.0
        for day, at, hours in zip(dates, busy, opening, strict=True)
    ]


def _rush_online(day: date) -> float:
    to_black_friday = (black_friday(day.year) - day).days
    if to_black_friday in (0, -3):
        return 2.0
    # What is ordered in the last days before Christmas would not arrive.
    return 0.4 if day.month == 12 and 20 <= day.day <= 25 else 1.0


def _appeal_of_joining(number: int, day: date) -> float:
    """A launch with a big campaign, then a steady stream with a recruiting fortnight in spring and autumn."""
    if number < _LAUNCH:
        return 8.0
    return 2.5 if day.month in (3, 9) and 10 <= day.day <= 23 else 1.0


def _rate(currency: str, day: date) -> Decimal:
    """Kroner for one unit: a monthly rate, as in bookkeeping, that wanders by a few per cent."""
    if currency == NORWAY.currency:
        return Decimal(1)
    months = day.year * 12 + day.month
    wander = 1 + 0.025 * sin(months / 7 + len(currency)) + 0.012 * sin(months / 2.3)
    return Decimal(f"{_KRONER_A_UNIT[currency] * wander:.4f}")


def _running(weights: list[float]) -> list[float]:
    return [0.0, *accumulate(weights)]


def _times(weights: list[float], others: list[float]) -> list[float]:
    return [weight * other for weight, other in zip(weights, others, strict=True)]
