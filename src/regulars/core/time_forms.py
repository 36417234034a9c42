"""The accepted forms of times in text: ISO 8601, and forms of the caller.

A form is a pattern in the syntax that Python, RE2 and Java share, with the group of each part, so that Python, DuckDB and
Spark read a time by the same declaration. The whole text must match.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from functools import lru_cache

BLANKS = " \t\r\n\u00a0"
"""Characters that are removed at both ends of a cell."""


class TimePart(Enum):
    """A part of a time in text."""

    YEAR = "year"
    SHORT_YEAR = "year of two digits"
    """1969 to 2068, as POSIX reads it."""
    MONTH = "month"
    MONTH_NAME = "name of the month"
    DAY = "day"
    HOUR = "hour"
    HALF_DAY_HOUR = "hour of half a day"
    MINUTE = "minute"
    SECOND = "second"
    FRACTION = "fraction of a second"
    HALF_DAY = "AM or PM"
    OFFSET = "offset from UTC"


@dataclass(frozen=True)
class TimeForm:
    """A form of times: its pattern, and the group of each part."""

    pattern: str
    groups: Mapping[TimePart, int]

    @property
    def match(self) -> Callable[[str], re.Match[str] | None]:
        """Matches a whole text."""
        return _full_match(self.pattern)


@lru_cache(maxsize=64)
def _full_match(pattern: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(pattern).fullmatch


_MINUTE = "[0-5][0-9]"
_OFFSET = f"Z|z|UTC|[+-](?:[01][0-9]|2[0-3])(?::?{_MINUTE}(?::?{_MINUTE})?)?"
_ISO_PARTS = (
    TimePart.YEAR, TimePart.MONTH, TimePart.DAY, TimePart.HOUR, TimePart.MINUTE, TimePart.SECOND, TimePart.FRACTION,
    TimePart.OFFSET,
)  # fmt: skip
_ISO_GROUPS = {part: number for number, part in enumerate(_ISO_PARTS, 1)}

EXTENDED = TimeForm(
    "([0-9]{4})-([0-9]{2})-([0-9]{2})"
    f"(?:[Tt ]([01]?[0-9]|2[0-4]):({_MINUTE})(?::({_MINUTE})(?:[.,]([0-9]{{1,9}}))?)? ?({_OFFSET})?)?",
    _ISO_GROUPS,
)
"""The extended form of ISO 8601: `2026-10-01`, `2026-10-01 9:30`, `2026-10-01T09:30:00.5+02:00`."""

BASIC = TimeForm(
    "([0-9]{4})([0-9]{2})([0-9]{2})"
    f"(?:[Tt]([01][0-9]|2[0-4])({_MINUTE})(?:({_MINUTE})(?:[.,]([0-9]{{1,9}}))?)?({_OFFSET})?)?",
    _ISO_GROUPS,
)
"""The basic form of ISO 8601: `20261001`, `20261001T093000Z`."""

ISO_FORMS = (EXTENDED, BASIC)

_PLAIN_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_PLAIN_HOUR = f"([01][0-9]|2[0-3]):{_MINUTE}"
_PLAIN_TIME = f"{_PLAIN_HOUR}(:{_MINUTE}([.][0-9]{{1,6}})?)?"

PLAIN_LOCAL_TIME = f"{_PLAIN_DATE}([ T]{_PLAIN_TIME})?"
"""The most common times without an offset, which every engine casts by itself."""

PLAIN_OFFSET_TIME = f"{_PLAIN_DATE}[ T]{_PLAIN_TIME}(Z|[+-]{_PLAIN_HOUR})"
"""The most common times with an offset, which every engine casts by itself."""

is_plain_time = re.compile(f"{PLAIN_LOCAL_TIME}|{PLAIN_OFFSET_TIME}").fullmatch
"""Whether a time has one of the most common forms."""

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
"""The first three letters of the English names of months."""

_MONTH_NAME = "|".join(f"[{each[0].upper()}{each[0]}]{each[1:]}[a-z]*|{each.upper()}[A-Z]*" for each in MONTHS)

_DIRECTIVES = {
    "Y": (TimePart.YEAR, "[0-9]{4}"),
    "y": (TimePart.SHORT_YEAR, "[0-9]{2}"),
    "m": (TimePart.MONTH, "[0-9]{1,2}"),
    "b": (TimePart.MONTH_NAME, _MONTH_NAME),
    "B": (TimePart.MONTH_NAME, _MONTH_NAME),
    "d": (TimePart.DAY, "[0-9]{1,2}"),
    "H": (TimePart.HOUR, "[01]?[0-9]|2[0-4]"),
    "I": (TimePart.HALF_DAY_HOUR, "0?[1-9]|1[0-2]"),
    "M": (TimePart.MINUTE, _MINUTE),
    "S": (TimePart.SECOND, _MINUTE),
    "f": (TimePart.FRACTION, "[0-9]{1,9}"),
    "p": (TimePart.HALF_DAY, "[AaPp][Mm]"),
    "z": (TimePart.OFFSET, _OFFSET),
}
_OTHER_NAMES = {
    TimePart.YEAR: TimePart.SHORT_YEAR, TimePart.SHORT_YEAR: TimePart.YEAR,
    TimePart.MONTH: TimePart.MONTH_NAME, TimePart.MONTH_NAME: TimePart.MONTH,
    TimePart.HOUR: TimePart.HALF_DAY_HOUR, TimePart.HALF_DAY_HOUR: TimePart.HOUR,
}  # fmt: skip
_SEPARATOR = re.compile(r"[A-Za-z0-9 \-/.,:;_]")


@lru_cache(maxsize=64)
def forms_of(date_format: str | None) -> tuple[TimeForm, ...]:
    """The forms of times in a file: ISO 8601, or the form of a `--date-format` such as `%m/%d/%Y %H:%M`.

    ISO 8601 with dashes is accepted beside the format, unless that begins with the year too. Raises ValueError for an
    invalid format.
    """
    if date_format is None:
        return ISO_FORMS
    form = _parse_format(date_format)
    return (form,) if date_format.startswith("%Y") else (form, EXTENDED)


def _parse_format(date_format: str) -> TimeForm:
    groups: dict[TimePart, int] = {}
    pattern = ""
    for letter in re.findall(r"%.?|[^%]", date_format, re.DOTALL):
        if len(letter) == 2 and letter[1] in _DIRECTIVES:
            part, digits = _DIRECTIVES[letter[1]]
            if part in groups or _OTHER_NAMES.get(part) in groups:
                raise ValueError("must name each part of a time once")
            groups[part] = len(groups) + 1
            pattern += f"({digits})"
        elif _SEPARATOR.fullmatch(letter):
            pattern += " +" if letter == " " else f"[{letter}]"
        else:
            allowed = " ".join(f"%{name}" for name in _DIRECTIVES)
            raise ValueError(f"must consist of {allowed} and of separators; {letter!r} is neither")
    has_year = TimePart.YEAR in groups or TimePart.SHORT_YEAR in groups
    if not (has_year and TimePart.DAY in groups and (TimePart.MONTH in groups or TimePart.MONTH_NAME in groups)):
        raise ValueError("must have a year, a month and a day, such as %m/%d/%Y %H:%M")
    if (TimePart.HALF_DAY in groups) != (TimePart.HALF_DAY_HOUR in groups):
        raise ValueError("must have both %I and %p, or neither")
    return TimeForm(pattern, groups)


def parse_time(text: str, forms: Sequence[TimeForm] = ISO_FORMS) -> datetime:
    """Parses a time; it has no time zone if the text has no offset. Raises ValueError, also for text after the time."""
    if forms is ISO_FORMS and is_plain_time(text):
        return datetime.fromisoformat(text)
    text = text.strip(BLANKS)
    for form in forms:
        if match := form.match(text):
            return _build({part: match[group] for part, group in form.groups.items() if match[group]})
    raise ValueError("is no time")


def _build(parts: Mapping[TimePart, str]) -> datetime:
    def number(part: TimePart) -> int:
        return int(parts.get(part, 0))

    year = number(TimePart.YEAR)
    if short := parts.get(TimePart.SHORT_YEAR):
        year = int(short) + (1900 if int(short) >= 69 else 2000)
    name = parts.get(TimePart.MONTH_NAME)
    month = number(TimePart.MONTH) if name is None else MONTHS.index(name[:3].lower()) + 1
    hour = number(TimePart.HOUR)
    if half := parts.get(TimePart.HALF_DAY):
        hour = number(TimePart.HALF_DAY_HOUR) % 12 + (12 if half.upper() == "PM" else 0)
    minute, second = number(TimePart.MINUTE), number(TimePart.SECOND)
    # More than six digits are cut, as everywhere.
    microsecond = int(parts.get(TimePart.FRACTION, "")[:6].ljust(6, "0"))
    is_end_of_day = hour == 24
    if is_end_of_day and (minute or second or microsecond):
        raise ValueError("is after 24:00")
    offset = parts.get(TimePart.OFFSET)
    zone = None if offset is None else timezone(_offset(offset))
    hour = 0 if is_end_of_day else hour
    at = datetime(year, month, number(TimePart.DAY), hour, minute, second, microsecond, tzinfo=zone)
    return at + timedelta(days=is_end_of_day)


def _offset(text: str) -> timedelta:
    if text in ("Z", "z", "UTC"):
        return timedelta()
    digits = text[1:].replace(":", "").ljust(6, "0")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:]))
    return -size if text[0] == "-" else size
