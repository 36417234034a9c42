"""How PostgreSQL and DuckDB say what filters and groups need, and declarations where the two differ."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

from regulars.aggregations import engines
from regulars.aggregations.compile import translated
from regulars.query import lake
from regulars.reports.report import Field, Kind, Store


class Dialect(Protocol):
    """One engine's way to say it; every argument and result is SQL. `p` is the name of an object's part."""

    def is_any(self, value: str, values: str) -> str: ...
    def has(self, values: str, value: str) -> str: ...
    def has_any(self, values: str, others: str) -> str: ...
    def is_empty(self, values: str) -> str: ...
    def nth(self, values: str, place: str) -> str: ...
    def elements(self, values: str) -> str: ...
    def joined(self, values: str, others: str) -> str: ...
    def keys(self, document: str) -> str: ...
    def part(self, document: str, p: str) -> str: ...
    def is_null(self, document: str, p: str) -> str: ...
    def string(self, document: str, p: str) -> str: ...
    def number(self, document: str, p: str) -> str: ...
    def boolean(self, document: str, p: str) -> str: ...
    def part_value(self, name: str) -> str: ...


class _Postgresql:
    def is_any(self, value: str, values: str) -> str:
        return f"{value} = ANY ({values})"

    def has(self, values: str, value: str) -> str:
        return f"{value} = ANY ({values})"

    def has_any(self, values: str, others: str) -> str:
        return f"{values} && {others}"

    def is_empty(self, values: str) -> str:
        return f"coalesce(cardinality({values}), 0) = 0"

    def nth(self, values: str, place: str) -> str:
        return f"({values})[{place}]"

    def elements(self, values: str) -> str:
        return f"unnest(CASE WHEN cardinality({values}) > 0 THEN {values} ELSE array_append({values}, NULL) END)"

    def joined(self, values: str, others: str) -> str:
        return f"unnest({values} || {others})"

    def keys(self, document: str) -> str:
        return f"jsonb_object_keys({document})"

    def part(self, document: str, p: str) -> str:
        return f"{document} -> {p}"

    def is_null(self, document: str, p: str) -> str:
        return f"({document} ->> {p}) IS NULL"

    def string(self, document: str, p: str) -> str:
        return f"CASE WHEN jsonb_typeof({document} -> {p}) = 'string' THEN {document} ->> {p} END"

    def number(self, document: str, p: str) -> str:
        return f"CASE WHEN jsonb_typeof({document} -> {p}) = 'number' THEN CAST({document} ->> {p} AS NUMERIC) END"

    def boolean(self, document: str, p: str) -> str:
        return f"CASE WHEN jsonb_typeof({document} -> {p}) = 'boolean' THEN CAST({document} ->> {p} AS BOOLEAN) END"

    def part_value(self, name: str) -> str:
        return name


class _Duckdb:
    def is_any(self, value: str, values: str) -> str:
        return f"list_contains({values}, {value})"

    def has(self, values: str, value: str) -> str:
        return f"list_contains({values}, {value})"

    def has_any(self, values: str, others: str) -> str:
        return f"list_has_any({values}, {others})"

    def is_empty(self, values: str) -> str:
        return f"coalesce(len({values}), 0) = 0"

    def nth(self, values: str, place: str) -> str:
        return f"list_extract({values}, {place})"

    def elements(self, values: str) -> str:
        return f"unnest(CASE WHEN len({values}) > 0 THEN {values} ELSE [NULL] END)"

    def joined(self, values: str, others: str) -> str:
        return f"unnest(list_concat({values}, {others}))"

    def keys(self, document: str) -> str:
        return f"unnest(json_keys({document}))"

    def part(self, document: str, p: str) -> str:
        return f"json_extract({document}, {p})"

    def is_null(self, document: str, p: str) -> str:
        return f"json_extract_string({document}, {p}) IS NULL"

    def string(self, document: str, p: str) -> str:
        return f"CASE WHEN json_type({document}, {p}) = 'VARCHAR' THEN json_extract_string({document}, {p}) END"

    def number(self, document: str, p: str) -> str:
        number = f"TRY_CAST(json_extract_string({document}, {p}) AS DECIMAL(38, 15))"
        return f"CASE WHEN json_type({document}, {p}) IN ('BIGINT', 'UBIGINT', 'DOUBLE') THEN {number} END"

    def boolean(self, document: str, p: str) -> str:
        boolean = f"json_extract_string({document}, {p}) = 'true'"
        return f"CASE WHEN json_type({document}, {p}) = 'BOOLEAN' THEN {boolean} END"

    def part_value(self, name: str) -> str:
        # A JSON pointer; a bare name that begins with $ or / would be a path.
        return "/" + name.replace("~", "~0").replace("/", "~1")


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine: how it translates declarations, and how it says the rest. `types` are those of bound values."""

    declared: engines.Engine
    says: Dialect
    types: Mapping[Kind, str]
    collation: str = ""


_TYPES = {
    Kind.INTEGER: "BIGINT",
    Kind.NUMBER: "NUMERIC",
    Kind.MONEY: "BIGINT",
    Kind.PERCENT: "BIGINT",
    Kind.STRING: "TEXT",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.DATE: "DATE",
    Kind.TIME: "TIMESTAMPTZ",
    Kind.INTEGERS: "BIGINT",
    Kind.STRINGS: "TEXT",
}


def _declared(engine: engines.Engine, says: Dialect) -> engines.Engine:
    macros: dict[str, engines.Macro] = {
        "has_element": says.has,
        "has_any": says.has_any,
        "is_empty": says.is_empty,
        "nth": says.nth,
    }
    return replace(engine, macros={**engine.macros, **macros})


_SPARK_TYPES = {
    **_TYPES,
    Kind.NUMBER: "DECIMAL(38, 15)",
    Kind.STRING: "STRING",
    Kind.TIME: "TIMESTAMP",
    Kind.STRINGS: "STRING",
}


def _over_files(engine: engines.Engine, words: Mapping[str, engines.Macro]) -> engines.Engine:
    return replace(engine, macros={**engine.macros, **words})


POSTGRESQL = Engine(_declared(engines.POSTGRESQL, _Postgresql()), _Postgresql(), _TYPES, ' COLLATE "C"')
DUCKDB = Engine(
    _over_files(_declared(engines.DUCKDB, _Duckdb()), lake.ON_DUCKDB),
    _Duckdb(),
    {**_TYPES, Kind.NUMBER: "DECIMAL(38, 15)"},
)
SPARK = Engine(_over_files(_declared(engines.SPARK, lake.Spark()), lake.ON_SPARK), lake.Spark(), _SPARK_TYPES)

OF_STORE: Mapping[Store, Engine] = {Store.TABLES: POSTGRESQL, Store.COLUMNS: DUCKDB, Store.LAKE: SPARK}


_SPARK_PARAMETER = re.compile(r"\$\{(\w+)\}")


@lru_cache(maxsize=4096)
def spelled(sql: str, store: Store) -> str:
    """A declared piece of SQL as the engine of a store says it. Declarations are in PostgreSQL's dialect and may use
    the functions that aggregations declare, and has_element(list, value), has_any(list, list), is_empty(list),
    nth(list, place from 1).
    """
    engine = OF_STORE[store].declared
    if store is Store.TABLES and not any(f"{name}(" in sql for name in engine.macros):
        return sql.strip()
    # Spark's own variables look like parameters.
    return _SPARK_PARAMETER.sub(r"$\1", translated(sql, engine))


def operand(field: Field, store: Store) -> str:
    """The SQL of a field such that it may stand beside an operator."""
    text = spelled(field.expression, store)
    is_plain = text.replace("_", "").replace(".", "").replace('"', "").isalnum()
    return text if is_plain else f"({text})"
