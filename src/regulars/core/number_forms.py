"""The accepted forms of numbers in text: with a decimal point, and with a decimal comma or thousands separators.

A pattern is in the syntax that Python, RE2 and Java share, so that Python, DuckDB and Spark read a number by the same
declaration. The whole text must match.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

SPACES = " \u00a0\u2009\u202f"
"""Blanks that separate thousands."""

APOSTROPHES = "'\u2019"

MAX_DECIMALS = 20
"""Most decimal places of a number in text: floats print up to 17 digits."""

NUMBER = (
    f"[+-]?([0-9]{{1,18}}([.][0-9]{{0,{MAX_DECIMALS}}})?|[.][0-9]{{1,{MAX_DECIMALS}}})"
    "([eE]([+]?0?[01]?[0-9]|-0?[0-9]))?"
)
"""ASCII digits, a point, and an exponent as floats print it; short enough that engines cast it exactly."""

INTEGER = "[+-]?[0-9]{1,18}([.]0{0,16})?"
"""Also with a point and zeros, as programs that know only floats print it."""


@dataclass(frozen=True)
class NumberForm:
    """How a file writes numbers: its decimal mark, and the character that separates thousands beside blanks and apostrophes.

    Without a separator, numbers have no thousands separators at all.
    """

    description: str
    mark: str
    separator: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as every engine reads them."""
        return not self.separator

    @cached_property
    def pattern(self) -> str:
        """A number in this form, its exponent included; thousands are in groups of three digits of one separator."""
        groups = "|".join(
            f"[1-9][0-9]{{0,2}}({each}[0-9]{{3}})+"
            for each in (f"[{self.separator}]", f"[{SPACES}]", f"[{APOSTROPHES}]")
        )
        return f"[+-]?([0-9]{{1,18}}|{groups})?([{self.mark}][0-9]{{0,{MAX_DECIMALS}}})?([eE][+-]?[0-9]{{1,2}})?"

    @property
    def removed(self) -> str:
        """A pattern of the characters that are no part of the number."""
        return f"[{self.separator}{SPACES}{APOSTROPHES}]"

    def to_plain(self, text: str) -> str:
        """A number with a decimal point and without separators. Raises ValueError if the text does not have this form."""
        if self.is_plain:
            return text
        if not re.fullmatch(self.pattern, text):
            raise ValueError
        return re.sub(self.removed, "", text).replace(self.mark, ".")


PLAIN = NumberForm("decimal point", ".")
POINT = NumberForm("decimal point, thousands separators", ".", ",")
COMMA = NumberForm("decimal comma", ",", ".")

FORMS_BY_MARK = {".": POINT, ",": COMMA}
"""The form of numbers by the decimal mark that a caller names."""


def detect_form(cells: Iterable[str]) -> NumberForm | None:
    """The form of the numbers in some cells; None if nothing shows that it is other than plain, or if they contradict.

    `1,000` shows nothing by itself, because it is 1 with a decimal comma and 1000 with a decimal point. Beside `12,50` it is
    the one, beside `12.50` the other.
    """
    has_comma = has_point = has_separators = is_certain = False
    for cell in cells:
        with_point, with_comma = _read(POINT, cell), _read(COMMA, cell)
        has_comma |= with_comma is not None and with_point is None
        has_point |= with_point is not None and with_comma is None
        if with_point is not None and not re.fullmatch(NUMBER, cell):
            has_separators = True
            # Blanks and apostrophes separate thousands in both forms.
            is_certain |= with_point == with_comma
    if has_comma:
        return None if has_point else COMMA
    return POINT if has_separators and (has_point or is_certain) else None


def _read(form: NumberForm, text: str) -> str | None:
    try:
        plain = form.to_plain(text)
    except ValueError:
        return None
    return plain if re.fullmatch(NUMBER, plain) else None


def other_readings(text: str) -> dict[str, str]:
    """What a number that is not plain means, by the decimal mark that reads it."""
    return {mark: plain for mark, form in FORMS_BY_MARK.items() if (plain := _read(form, text)) is not None}
