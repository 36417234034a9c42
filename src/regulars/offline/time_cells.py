"""SQL that reads times in text by the forms of `core.time_forms`, with the same result as Python."""

from collections.abc import Callable, Sequence

from regulars.core.time_forms import ISO_FORMS, MONTHS, PLAIN_LOCAL_TIME, PLAIN_OFFSET_TIME, TimeForm, TimePart
from regulars.offline.text_functions import TextFunctions

_DAY_MICROSECONDS = 86_400_000_000

_Group = Callable[[TimePart], str]
"""The SQL of a part of a time, an empty text where it is absent."""


def local_time(cell: str, forms: Sequence[TimeForm], text: TextFunctions) -> str:
    """The local time of a cell without an offset; null if it has one, or is no time."""
    return _time(cell, forms, text, has_offset=False)


def instant(cell: str, forms: Sequence[TimeForm], text: TextFunctions) -> str:
    """The instant in UTC of a cell with an offset; null if it has none, or is no time."""
    return _time(cell, forms, text, has_offset=True)


def _time(cell: str, forms: Sequence[TimeForm], text: TextFunctions, *, has_offset: bool) -> str:
    parsed = f"coalesce({', '.join(_parse(form, cell, text, has_offset=has_offset) for form in forms)})"
    if forms is not ISO_FORMS:
        # The format of the file may give a text in ISO 8601 another meaning.
        return parsed
    # The engine's own cast is fast.
    local, at = ("NULL", text.instant(cell)) if has_offset else (_cast(cell), "NULL")
    return f"""CASE WHEN {text.matches(cell, PLAIN_LOCAL_TIME)} THEN {local}
     WHEN {text.matches(cell, PLAIN_OFFSET_TIME)} THEN {at}
     ELSE {parsed} END"""


def _cast(text: str) -> str:
    return f"TRY_CAST({text} AS TIMESTAMP)"


def _parse(form: TimeForm, cell: str, text: TextFunctions, *, has_offset: bool) -> str:
    """The timestamp of a cell; null if it does not have the form, or if the day does not exist."""

    def build(group: Callable[[int], str]) -> str:
        def part(name: TimePart) -> str:
            return group(form.groups[name]) if name in form.groups else "''"

        of_day = _microseconds(part)
        day = _cast(f"concat({_year(part)}, '-', {_month(part)}, '-', {_two_digits(part(TimePart.DAY))})")
        offset = f"CASE WHEN {part(TimePart.OFFSET)} <> '' THEN {_offset_seconds(part(TimePart.OFFSET))} ELSE 0 END"
        condition = f"({part(TimePart.OFFSET)} <> '') = {'TRUE' if has_offset else 'FALSE'}"
        # 24:00 is the next midnight, and there is nothing after it.
        condition += f" AND {of_day} <= {_DAY_MICROSECONDS}"
        return f"CASE WHEN {condition} THEN {text.add_microseconds(day, f'{of_day} - 1000000 * ({offset})')} END"

    return text.with_groups(cell, form.pattern, len(form.groups), build)


def _two_digits(number: str) -> str:
    return f"lpad({number}, 2, '0')"


def _number(digits: str) -> str:
    return f"coalesce(TRY_CAST({digits} AS BIGINT), 0)"


def _year(part: _Group) -> str:
    year, short = part(TimePart.YEAR), part(TimePart.SHORT_YEAR)
    return f"CASE WHEN {short} = '' THEN {year} WHEN {short} >= '69' THEN concat('19', {short}) ELSE concat('20', {short}) END"


def _month(part: _Group) -> str:
    cases = [f"WHEN '{each}' THEN '{number:02}'" for number, each in enumerate(MONTHS, 1)]
    name = f"lower(substr({part(TimePart.MONTH_NAME)}, 1, 3))"
    return f"CASE {name} {' '.join(cases)} ELSE {_two_digits(part(TimePart.MONTH))} END"


def _microseconds(part: _Group) -> str:
    """The time of day. Digits of the fraction after the sixth are cut."""
    afternoon = f"CASE upper({part(TimePart.HALF_DAY)}) WHEN 'PM' THEN 12 ELSE 0 END"
    hour = f"{_number(part(TimePart.HOUR))} + {_number(part(TimePart.HALF_DAY_HOUR))} % 12 + {afternoon}"
    minute, second = _number(part(TimePart.MINUTE)), _number(part(TimePart.SECOND))
    fraction = _number(f"rpad({part(TimePart.FRACTION)}, 6, '0')")
    return f"(((({hour}) * 60 + {minute}) * 60 + {second}) * 1000000 + {fraction})"


def _offset_seconds(offset: str) -> str:
    digits = f"replace({offset}, ':', '')"
    parts = [f"{_number(f'substr({digits}, {start}, 2)')} * {unit}" for start, unit in ((2, 3600), (4, 60), (6, 1))]
    return f"CASE substr({offset}, 1, 1) WHEN '-' THEN -1 WHEN '+' THEN 1 ELSE 0 END * ({' + '.join(parts)})"
