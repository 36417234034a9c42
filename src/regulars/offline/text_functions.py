"""Functions on text that casting needs, in the SQL of each engine."""

from collections.abc import Callable
from dataclasses import dataclass

from regulars.core.time_forms import BLANKS


@dataclass(frozen=True, slots=True)
class TextFunctions:
    """SQL generators of an engine.

    `matches` is true if a whole text has a pattern, `remove` removes the characters of a pattern. `with_groups` evaluates an
    expression over the groups of a pattern, by the SQL of a group's number, and allows blanks around it; all are empty
    where the text does not match.
    `trim` removes the blanks around a text, which `has_blank_end` finds. `add_microseconds` adds an integer to a timestamp,
    `instant` casts a common text with an offset to an instant in UTC.
    """

    matches: Callable[[str, str], str]
    remove: Callable[[str, str], str]
    with_groups: Callable[[str, str, int, Callable[[Callable[[int], str]], str]], str]
    trim: Callable[[str], str]
    has_blank_end: Callable[[str], str]
    add_microseconds: Callable[[str, str], str]
    instant: Callable[[str], str]


_CODES = ", ".join(str(ord(each)) for each in BLANKS)
_BLANKS = " || ".join(f"chr({ord(each)})" for each in BLANKS)
ANY_BLANKS = "[" + "".join(f"\\x{{{ord(each):02x}}}" for each in BLANKS) + "]*"
"""A pattern of any number of blanks."""


def _quoted(pattern: str) -> str:
    return pattern.replace("'", "''")


def _escaped(pattern: str) -> str:
    """A pattern within a raw literal, which can't contain an apostrophe."""
    return pattern.replace("'", "\\x27")


def _with_blanks(pattern: str) -> str:
    return f"{ANY_BLANKS}(?:{pattern}){ANY_BLANKS}"


def _duckdb_groups(c: str, pattern: str, groups: int, build: Callable[[Callable[[int], str]], str]) -> str:
    names = ", ".join(f"'g{number}'" for number in range(1, groups + 1))
    # A lambda binds the groups, so that the pattern is matched once.
    parts = f"regexp_extract({c}, '^{_with_blanks(pattern)}$', [{names}])"
    return f"list_transform([{parts}], lambda part: {build(lambda number: f'part.g{number}')})[1]"


def _spark_groups(c: str, pattern: str, groups: int, build: Callable[[Callable[[int], str]], str]) -> str:
    parts = ", ".join(
        f"'g{number}', regexp_extract({c}, r'^{_with_blanks(pattern)}\\z', {number})" for number in range(1, groups + 1)
    )
    return f"transform(array(named_struct({parts})), part -> {build(lambda number: f'part.g{number}')})[0]"


DUCKDB_TEXT = TextFunctions(
    matches=lambda c, pattern: f"regexp_full_match({c}, '{_quoted(pattern)}')",
    remove=lambda c, pattern: f"regexp_replace({c}, '{_quoted(pattern)}', '', 'g')",
    with_groups=_duckdb_groups,
    trim=lambda c: f"trim({c}, {_BLANKS})",
    has_blank_end=lambda c: f"unicode({c}) IN ({_CODES}) OR unicode(({c})[-1]) IN ({_CODES})",
    add_microseconds=lambda at, number: f"({at} + to_microseconds({number}))",
    instant=lambda c: f"timezone('UTC', TRY_CAST({c} AS TIMESTAMPTZ))",
)

SPARK_TEXT = TextFunctions(
    # \z, because $ also matches before a line end.
    matches=lambda c, pattern: f"({c} RLIKE r'^(?:{_escaped(pattern)})\\z')",
    remove=lambda c, pattern: f"regexp_replace({c}, r'{_escaped(pattern)}', '')",
    with_groups=_spark_groups,
    trim=lambda c: f"trim(BOTH {_BLANKS} FROM {c})",
    has_blank_end=lambda c: f"ascii({c}) IN ({_CODES}) OR ascii(right({c}, 1)) IN ({_CODES})",
    add_microseconds=lambda at, number: f"timestampadd(MICROSECOND, {number}, {at})",
    instant=lambda c: f"TRY_CAST({c} AS TIMESTAMP)",
)
