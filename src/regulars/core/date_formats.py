"""Proposes the date format of times that are not in ISO 8601."""

import re
from collections.abc import Sequence

from regulars.core.time_forms import BLANKS, ISO_FORMS, TimeForm, forms_of, parse_time

_DATE = re.compile(
    r"(?P<first>[0-9]{1,4}|[A-Za-z]{3,9})(?P<before>[-/. ])(?P<second>[0-9]{1,2}|[A-Za-z]{3,9})(?P<after>[-/. ]|, ?)"
    r"(?P<third>[0-9]{1,4})(?P<time>(?P<gap>,? |T)(?P<hour>[0-9]{1,2})(?P<colon>[:.])[0-9]{2}"
    r"(?P<second_of_minute>[:.][0-9]{2}(?P<fraction>[.,][0-9]{1,9})?)?(?P<half>(?P<blank> ?)[AaPp][Mm])?)?"
)


def propose(cells: Sequence[str]) -> list[str]:
    """The date formats that read the most of some cells, of which the first has a form of its own; empty if none does.

    Two formats mean that no cell shows whether the month or the day comes first.
    """
    texts = [each.strip(BLANKS) for each in cells]
    strange = next((each for each in texts if each and not _is_read(each, ISO_FORMS)), "")
    match = _DATE.fullmatch(strange)
    formats = [] if match is None else [each + _time_format(match) for each in _date_formats(match)]
    counts = {each: sum(_is_read(text, forms_of(each)) for text in texts) for each in formats}
    most = max(counts.values(), default=0)
    return [each for each, count in counts.items() if count == most and _is_read(strange, forms_of(each))]


def advise(cells: Sequence[str]) -> str:
    """Which date format reads some cells, as the end of a message about one of them; empty if none is known."""
    formats = propose(cells)
    if not formats:
        return ""
    text = f"; --date-format '{formats[0]}' reads it"
    if len(formats) == 1:
        return text
    first, other = ("month", "day") if formats[0].startswith("%m") else ("day", "month")
    return f"{text} if the {first} comes first, '{formats[1]}' if the {other} does: the file does not show which"


def _is_read(text: str, forms: tuple[TimeForm, ...]) -> bool:
    try:
        parse_time(text, forms)
    except ValueError:
        return False
    return True


def _date_formats(match: re.Match[str]) -> list[str]:
    first, second, third = match["first"], match["second"], match["third"]
    before, after = match["before"], match["after"]
    year = "%Y" if len(third) == 4 else "%y"
    if len(first) > 2 and first.isdigit():
        orders = [("%Y", "%m", "%d")]
    elif not first.isdigit():
        orders = [("%b", "%d", year)]
    elif not second.isdigit():
        orders = [("%d", "%b", year)]
    elif before == ".":
        # With points the day is always first.
        orders = [("%d", "%m", year)]
    else:
        orders = [("%m", "%d", year), ("%d", "%m", year)]
        orders = orders if before == "/" else orders[::-1]
    return [f"{one}{before}{two}{after}{three}" for one, two, three in orders]


def _time_format(match: re.Match[str]) -> str:
    if not match["time"]:
        return ""
    seconds = match["second_of_minute"] or ""
    fraction = f"{match['fraction'][0]}%f" if match["fraction"] else ""
    half = f"{match['blank']}%p" if match["half"] else ""
    second = f"{seconds[0]}%S{fraction}" if seconds else ""
    return f"{match['gap']}{'%I' if half else '%H'}{match['colon']}%M{second}{half}"
