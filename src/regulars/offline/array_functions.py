"""SQL array and JSON functions of each engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from regulars.facts.members import NAME_CHARACTERS


@dataclass(frozen=True, slots=True)
class ArrayFunctions:
    """SQL generators of one engine; all arguments and results are SQL.

    `parse_ids`: the distinct integers of a JSON list, in order. `keys_with_value`: the sorted keys of a JSON object
    with a given value. `without_keys`: a JSON object without keys, which are compared as normalized names of
    properties. `with_index`: each element of a list as a struct of `position` and `element`. `compact`: a list without
    nulls.
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


_NAME_CHARACTERS = _listed([each.replace("'", "''") for each in NAME_CHARACTERS])

DUCKDB_ARRAYS = ArrayFunctions(
    empty_strings="CAST([] AS VARCHAR[])",
    empty_ids="CAST([] AS BIGINT[])",
    is_not_empty=lambda c: f"len({c}) > 0",
    parse_ids=lambda c: (
        f"list_filter(TRY_CAST({c} AS BIGINT[]), "
        f"lambda id, position: list_position(TRY_CAST({c} AS BIGINT[]), id) = position)"
    ),
    keys_with_value=lambda c, word: (
        f"list_sort(list_transform(list_filter("
        f"map_entries(TRY_CAST(TRY_CAST({c} AS JSON) AS MAP(VARCHAR, VARCHAR))), lambda item: item.value = '{word}'"
        f"), lambda item: item.key))"
    ),
    without_keys=lambda c, names: (
        f"CAST(to_json(map_from_entries(list_filter("
        f"map_entries(TRY_CAST(TRY_CAST({c} AS JSON) AS MAP(VARCHAR, JSON))), lambda item: NOT list_contains("
        f"[{_listed(names)}], translate(item.key, {_NAME_CHARACTERS}))))) AS VARCHAR)"
    ),
    with_index=lambda c: f"list_transform({c}, lambda element, position: {{'position': position, 'element': element}})",
    compact=lambda texts: f"list_filter([{', '.join(texts)}], lambda item: item IS NOT NULL)",
    concat=lambda lists: " || ".join(lists),
    with_prefix=lambda c, prefix: f"list_transform({c}, lambda item: '{prefix}' || item)",
    contains=lambda c, value: f"list_contains({c}, {value})",
    first_word=lambda c: f"regexp_extract(lower({c}), '^[^{_LETTERS}]*([{_LETTERS}]+)', 1)",
)

# Spark strings need doubled backslashes.
_SPARK_LETTERS = _LETTERS.replace("\\", "\\\\")
_SPARK_NAME_CHARACTERS = _listed([each.replace("\\", "\\\\").replace("'", "\\'") for each in NAME_CHARACTERS])

SPARK_ARRAYS = ArrayFunctions(
    empty_strings="CAST(array() AS ARRAY<STRING>)",
    empty_ids="CAST(array() AS ARRAY<BIGINT>)",
    is_not_empty=lambda c: f"size({c}) > 0",
    parse_ids=lambda c: f"array_distinct(from_json({c}, 'array<bigint>'))",
    keys_with_value=lambda c, word: (
        f"array_sort(map_keys(map_filter(from_json({c}, 'map<string, string>'), (name, item) -> item = '{word}')))"
    ),
    without_keys=lambda c, names: (
        f"to_json(map_filter(from_json({c}, 'map<string, variant>'), (name, item) -> NOT array_contains("
        f"array({_listed(names)}), translate(name, {_SPARK_NAME_CHARACTERS}))))"
    ),
    with_index=lambda c: f"transform({c}, (element, position) -> struct(position AS position, element AS element))",
    compact=lambda texts: f"array_compact(array({', '.join(texts)}))",
    concat=lambda lists: f"concat({', '.join(lists)})",
    with_prefix=lambda c, prefix: f"transform({c}, item -> concat('{prefix}', CAST(item AS STRING)))",
    contains=lambda c, value: f"array_contains({c}, {value})",
    first_word=lambda c: f"regexp_extract(lower({c}), '^[^{_SPARK_LETTERS}]*([{_SPARK_LETTERS}]+)', 1)",
)

ARRAY_FUNCTIONS = {"duckdb": DUCKDB_ARRAYS, "spark": SPARK_ARRAYS}
"""Array functions by name of the engine."""
