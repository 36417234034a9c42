"""How an engine says what members are made of: lists, objects of answers, words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArrayFunctions:
    """One engine's way to say it; every argument and result is SQL.

    `ids` are the whole numbers of a list in JSON, each once, in their order. `named` are the names of an object in JSON
    whose value is that word, in order. `without` is an object without names, as they are compared: in small letters
    and digits alone. `numbered` gives each element of a list its `place`, as an `element`. `some` are those elements
    that are not null.
    """

    empty_strings: str
    empty_ids: str
    is_not_empty: Callable[[str], str]
    parse_ids: Callable[[str], str]
    keys_with_value: Callable[[str, str], str]
    without_keys: Callable[[str, Sequence[str]], str]
    with_index: Callable[[str], str]
    compact: Callable[[Sequence[str]], str]
    concat: Callable[[Sequence[str]], str]
    with_prefix: Callable[[str, str], str]
    contains: Callable[[str, str], str]
    first_word: Callable[[str], str]


_LETTERS = r"\p{L}\p{N}"


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(f"'{each}'" for each in texts)


DUCKDB_ARRAYS = ArrayFunctions(
    empty_strings="CAST([] AS VARCHAR[])",
    empty_ids="CAST([] AS BIGINT[])",
    is_not_empty=lambda c: f"len({c}) > 0",
    parse_ids=lambda c: (
        f"list_filter(TRY_CAST({c} AS BIGINT[]), "
        f"lambda id, place: list_position(TRY_CAST({c} AS BIGINT[]), id) = place)"
    ),
    keys_with_value=lambda c, word: (
        f"list_sort(list_transform(list_filter("
        f"map_entries(TRY_CAST(TRY_CAST({c} AS JSON) AS MAP(VARCHAR, VARCHAR))), lambda told: told.value = '{word}'"
        f"), lambda told: told.key))"
    ),
    without_keys=lambda c, names: (
        f"CAST(to_json(map_from_entries(list_filter("
        f"map_entries(TRY_CAST(TRY_CAST({c} AS JSON) AS MAP(VARCHAR, JSON))), lambda told: NOT list_contains("
        f"[{_listed(names)}], regexp_replace(lower(told.key), '[^{_LETTERS}]', '', 'g'))))) AS VARCHAR)"
    ),
    with_index=lambda c: f"list_transform({c}, lambda element, place: {{'place': place, 'element': element}})",
    compact=lambda texts: f"list_filter([{', '.join(texts)}], lambda told: told IS NOT NULL)",
    concat=lambda lists: " || ".join(lists),
    with_prefix=lambda c, prefix: f"list_transform({c}, lambda told: '{prefix}' || told)",
    contains=lambda c, value: f"list_contains({c}, {value})",
    first_word=lambda c: f"regexp_extract(lower({c}), '^[^{_LETTERS}]*([{_LETTERS}]+)', 1)",
)

# A backslash within a text of Spark's is written twice.
_SPARK_LETTERS = _LETTERS.replace("\\", "\\\\")

SPARK_ARRAYS = ArrayFunctions(
    empty_strings="CAST(array() AS ARRAY<STRING>)",
    empty_ids="CAST(array() AS ARRAY<BIGINT>)",
    is_not_empty=lambda c: f"size({c}) > 0",
    parse_ids=lambda c: f"array_distinct(from_json({c}, 'array<bigint>'))",
    keys_with_value=lambda c, word: (
        f"array_sort(map_keys(map_filter(from_json({c}, 'map<string, string>'), (name, told) -> told = '{word}')))"
    ),
    without_keys=lambda c, names: (
        f"to_json(map_filter(from_json({c}, 'map<string, variant>'), (name, told) -> NOT array_contains("
        f"array({_listed(names)}), regexp_replace(lower(name), '[^{_SPARK_LETTERS}]', ''))))"
    ),
    with_index=lambda c: f"transform({c}, (element, place) -> struct(place AS place, element AS element))",
    compact=lambda texts: f"array_compact(array({', '.join(texts)}))",
    concat=lambda lists: f"concat({', '.join(lists)})",
    with_prefix=lambda c, prefix: f"transform({c}, told -> concat('{prefix}', CAST(told AS STRING)))",
    contains=lambda c, value: f"array_contains({c}, {value})",
    first_word=lambda c: f"regexp_extract(lower({c}), '^[^{_SPARK_LETTERS}]*([{_SPARK_LETTERS}]+)', 1)",
)

ARRAY_FUNCTIONS = {"duckdb": DUCKDB_ARRAYS, "spark": SPARK_ARRAYS}
"""Each engine's way, by its name."""
