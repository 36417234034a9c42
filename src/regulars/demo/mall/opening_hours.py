"""When the malls are open: ordinary weeks, shorter days, and the days on which all shops are closed."""

from datetime import date, timedelta

from msgspec import Struct

from regulars.demo.rows import OpeningDayRecord

Hours = tuple[int, int]
"""Opening and closing, in minutes after midnight of the local clock."""

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_GOOD_FRIDAY, _EASTER, _EASTER_MONDAY = -2, 0, 1
_MAUNDY_THURSDAY, _ASCENSION, _WHIT_SUNDAY, _WHIT_MONDAY, _CORPUS_CHRISTI = -3, 39, 49, 50, 60


class OpeningHours(Struct, frozen=True, eq=False):
    """A country's opening hours.

    week:       hours from Monday to Sunday, None where closed
    closed:     (month, day) of the days on which shops are closed every year
    by_easter:  the same, in days after Easter Sunday
    midsummer:  whether the Friday and Saturday of midsummer are closed
    early:      (month, day) of the days that end early, and when
    """

    week: tuple[Hours | None, ...]
    closed_dates: frozenset[tuple[int, int]]
    closed_easter_offsets: frozenset[int]
    closes_at_midsummer: bool
    early_closing: dict[tuple[int, int], int]

    def hours_on(self, day: date) -> Hours | None:
        """The hours of a day, None if the malls stay closed."""
        hours = self.week[day.weekday()]
        feast = (day.month, day.day)
        if hours is None or feast in self.closed_dates or (day - easter(day.year)).days in self.closed_easter_offsets:
            return None
        if self.closes_at_midsummer and _is_midsummer(day):
            return None
        return hours[0], min(hours[1], self.early_closing.get(feast, hours[1]))

    def normal_hours(self) -> list[OpeningDayRecord]:
        """The ordinary week, as a location has it."""
        return [
            {"day": day, "open": _clock(hours[0]), "close": _clock(hours[1])}
            for day, hours in zip(_DAYS, self.week, strict=True)
            if hours is not None
        ]


def easter(year: int) -> date:
    """Easter Sunday of a year, by the rule of the Gregorian calendar."""
    golden, century = year % 19, year // 100
    moon = (19 * golden + century - century // 4 - (8 * century + 13) // 25 + 15) % 30
    moon -= (moon // 28) * (1 - (29 // (moon + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + moon + 2 - century + century // 4) % 7
    return date(year, 3, 28) + timedelta(days=moon - weekday)


def _is_midsummer(day: date) -> bool:
    """Midsummer's Day is the Saturday from 20 to 26 June; its eve is observed as well."""
    saturday = day if day.weekday() == 5 else day + timedelta(days=1)
    return saturday.weekday() == 5 and saturday.month == 6 and 20 <= saturday.day <= 26


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _week(
    weekdays: tuple[int, int], saturday: tuple[int, int], sunday: tuple[int, int] | None
) -> tuple[Hours | None, ...]:
    def minutes(hours: tuple[int, int]) -> Hours:
        return hours[0] * 60, hours[1] * 60

    return (*(minutes(weekdays),) * 5, minutes(saturday), minutes(sunday) if sunday else None)


OPENING_HOURS = {
    "NO": OpeningHours(
        week=_week((10, 21), (10, 19), None),
        closed_dates=frozenset({(1, 1), (5, 1), (5, 17), (12, 25), (12, 26)}),
        closed_easter_offsets=frozenset(
            {
                _MAUNDY_THURSDAY,
                _GOOD_FRIDAY,
                _EASTER,
                _EASTER_MONDAY,
                _ASCENSION,
                _WHIT_SUNDAY,
                _WHIT_MONDAY,
            }
        ),
        closes_at_midsummer=False,
        early_closing={(12, 24): 14 * 60, (12, 31): 16 * 60},
    ),
    "SE": OpeningHours(
        week=_week((10, 20), (10, 18), (11, 17)),
        closed_dates=frozenset({(1, 1), (12, 25)}),
        closed_easter_offsets=frozenset({_GOOD_FRIDAY, _EASTER}),
        closes_at_midsummer=True,
        early_closing={(12, 24): 13 * 60, (12, 31): 16 * 60},
    ),
    "DK": OpeningHours(
        week=_week((10, 20), (10, 18), (10, 17)),
        closed_dates=frozenset({(1, 1), (6, 5), (12, 25), (12, 26)}),
        closed_easter_offsets=frozenset(
            {
                _MAUNDY_THURSDAY,
                _GOOD_FRIDAY,
                _EASTER,
                _EASTER_MONDAY,
                _ASCENSION,
                _WHIT_SUNDAY,
                _WHIT_MONDAY,
            }
        ),
        closes_at_midsummer=False,
        early_closing={(12, 24): 14 * 60, (12, 31): 15 * 60},
    ),
    "FI": OpeningHours(
        week=_week((10, 20), (10, 19), (12, 18)),
        closed_dates=frozenset({(1, 1), (5, 1), (12, 6), (12, 25)}),
        closed_easter_offsets=frozenset({_GOOD_FRIDAY, _EASTER}),
        closes_at_midsummer=True,
        early_closing={(12, 24): 13 * 60, (12, 31): 17 * 60},
    ),
    "PL": OpeningHours(
        week=_week((9, 21), (9, 21), None),
        closed_dates=frozenset(
            {
                (1, 1),
                (1, 6),
                (5, 1),
                (5, 3),
                (8, 15),
                (11, 1),
                (11, 11),
                (12, 24),
                (12, 25),
                (12, 26),
            }
        ),
        closed_easter_offsets=frozenset({_EASTER, _EASTER_MONDAY, _WHIT_SUNDAY, _CORPUS_CHRISTI}),
        closes_at_midsummer=False,
        early_closing={(12, 31): 17 * 60},
    ),
}
