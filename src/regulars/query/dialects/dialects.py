"""The SQL dialects of filters and groups, and the translation of declared SQL to each engine."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

from regulars.aggregations import engines
from regulars.aggregations.compiler import translate
from regulars.core.field_type import FieldType
from regulars.query.dialects import spark
from regulars.reports.report import Backend, ReportField


class SqlDialect(Protocol):
    """One engine's expressions over lists and JSON objects. Arguments and results are SQL; `p` is the key of an object."""

    def equals_any(self, value: str, values: str) -> str: ...
    def contains(self, values: str, value: str) -> str: ...
    def overlaps(self, values: str, others: str) -> str: ...
    def is_empty(self, values: str) -> str: ...
    def element_at(self, values: str, index: str) -> str: ...
    def unnest(self, values: str) -> str: ...
    def unnest_concat(self, values: str, others: str) -> str: ...
    def object_keys(self, document: str) -> str: ...
    def object_value(self, document: str, p: str) -> str: ...
    def object_value_is_null(self, document: str, p: str) -> str: ...
    def string_value(self, document: str, p: str) -> str: ...
    def number_value(self, document: str, p: str) -> str: ...
    def boolean_value(self, document: str, p: str) -> str: ...
    def key_parameter(self, name: str) -> str: ...


class _Postgresql:
    def equals_any(self, value: str, values: str) -> str:
        return f"{value} = ANY ({values})"

    def contains(self, values: str, value: str) -> str:
        return f"{value} = ANY ({values})"

    def overlaps(self, values: str, others: str) -> str:
        return f"{values} && {others}"

    def is_empty(self, values: str) -> str:
        return f"coalesce(cardinality({values}), 0) = 0"

    def element_at(self, values: str, index: str) -> str:
        return f"({values})[{index}]"

    def unnest(self, values: str) -> str:
        return f"unnest(CASE WHEN cardinality({values}) > 0 THEN {values} ELSE array_append({values}, NULL) END)"

    def unnest_concat(self, values: str, others: str) -> str:
        return f"unnest({values} || {others})"

    def object_keys(self, document: str) -> str:
        return f"jsonb_object_keys({document})"

    def object_value(self, document: str, p: str) -> str:
        return f"{document} -> {p}"

    def object_value_is_null(self, document: str, p: str) -> str:
        return f"({document} ->> {p}) IS NULL"

    def string_value(self, document: str, p: str) -> str:
        return f"CASE WHEN jsonb_typeof({document} -> {p}) = 'string' THEN {document} ->> {p} END"

    def number_value(self, document: str, p: str) -> str:
        return f"CASE WHEN jsonb_typeof({document} -> {p}) = 'number' THEN CAST({document} ->> {p} AS NUMERIC) END"

    def boolean_value(self, document: str, p: str) -> str:
        return f"CASE WHEN jsonb_typeof({document} -> {p}) = 'boolean' THEN CAST({document} ->> {p} AS BOOLEAN) END"

    def key_parameter(self, name: str) -> str:
        return name


class _Duckdb:
    def equals_any(self, value: str, values: str) -> str:
        return f"list_contains({values}, {value})"

    def contains(self, values: str, value: str) -> str:
        return f"list_contains({values}, {value})"

    def overlaps(self, values: str, others: str) -> str:
        return f"list_has_any({values}, {others})"

    def is_empty(self, values: str) -> str:
        return f"coalesce(len({values}), 0) = 0"

    def element_at(self, values: str, index: str) -> str:
        return f"list_extract({values}, {index})"

    def unnest(self, values: str) -> str:
        return f"unnest(CASE WHEN len({values}) > 0 THEN {values} ELSE [NULL] END)"

    def unnest_concat(self, values: str, others: str) -> str:
        return f"unnest(list_concat({values}, {others}))"

    def object_keys(self, document: str) -> str:
        return f"unnest(json_keys({document}))"

    def object_value(self, document: str, p: str) -> str:
        return f"json_extract({document}, {p})"

    def object_value_is_null(self, document: str, p: str) -> str:
        return f"json_extract_string({document}, {p}) IS NULL"

    def string_value(self, document: str, p: str) -> str:
        return f"CASE WHEN json_type({document}, {p}) = 'VARCHAR' THEN json_extract_string({document}, {p}) END"

    def number_value(self, document: str, p: str) -> str:
        number = f"TRY_CAST(json_extract_string({document}, {p}) AS DECIMAL(38, 15))"
        return f"CASE WHEN json_type({document}, {p}) IN ('BIGINT', 'UBIGINT', 'DOUBLE') THEN {number} END"

    def boolean_value(self, document: str, p: str) -> str:
        boolean = f"json_extract_string({document}, {p}) = 'true'"
        return f"CASE WHEN json_type({document}, {p}) = 'BOOLEAN' THEN {boolean} END"

    def key_parameter(self, name: str) -> str:
        # A JSON pointer: a plain key that begins with $ or / would be taken for a path.
        return "/" + name.replace("~", "~0").replace("/", "~1")


@dataclass(frozen=True, slots=True)
class QueryEngine:
    """One engine: its macros for declared SQL, its dialect, and the types of bound values."""

    macro_engine: engines.SqlEngine
    dialect: SqlDialect
    parameter_types: Mapping[FieldType, str]
    collation: str = ""


_TYPES = {
    FieldType.INTEGER: "BIGINT",
    FieldType.NUMBER: "NUMERIC",
    FieldType.MONEY: "BIGINT",
    FieldType.PERCENT: "BIGINT",
    FieldType.STRING: "TEXT",
    FieldType.BOOLEAN: "BOOLEAN",
    FieldType.DATE: "DATE",
    FieldType.TIMESTAMP: "TIMESTAMPTZ",
    FieldType.INTEGER_LIST: "BIGINT",
    FieldType.STRING_LIST: "TEXT",
}


def _with_list_macros(engine: engines.SqlEngine, dialect: SqlDialect) -> engines.SqlEngine:
    macros: dict[str, engines.Macro] = {
        "has_element": dialect.contains,
        "has_any": dialect.overlaps,
        "is_empty": dialect.is_empty,
        "nth": dialect.element_at,
    }
    return replace(engine, macros={**engine.macros, **macros})


_SPARK_TYPES = {
    **_TYPES,
    FieldType.NUMBER: "DECIMAL(38, 15)",
    FieldType.STRING: "STRING",
    FieldType.TIMESTAMP: "TIMESTAMP",
    FieldType.STRING_LIST: "STRING",
}


def _with_file_macros(engine: engines.SqlEngine, macros: Mapping[str, engines.Macro]) -> engines.SqlEngine:
    return replace(engine, macros={**engine.macros, **macros})


POSTGRESQL = QueryEngine(_with_list_macros(engines.POSTGRESQL, _Postgresql()), _Postgresql(), _TYPES, ' COLLATE "C"')
DUCKDB = QueryEngine(
    _with_file_macros(_with_list_macros(engines.DUCKDB, _Duckdb()), spark.DUCKDB_FILE_MACROS),
    _Duckdb(),
    {**_TYPES, FieldType.NUMBER: "DECIMAL(38, 15)"},
)
SPARK = QueryEngine(
    _with_file_macros(_with_list_macros(engines.SPARK, spark.SparkDialect()), spark.SPARK_FILE_MACROS),
    spark.SparkDialect(),
    _SPARK_TYPES,
)

ENGINES: Mapping[Backend, QueryEngine] = {Backend.POSTGRES: POSTGRESQL, Backend.DUCKDB: DUCKDB, Backend.SPARK: SPARK}


_SPARK_PARAMETER = re.compile(r"\$\{(\w+)\}")


@lru_cache(maxsize=4096)
def render_sql(sql: str, backend: Backend) -> str:
    """Translates declared SQL to the engine of a backend.

    Declarations are in PostgreSQL's dialect and may use the macros of aggregations, and has_element(list, value),
    has_any(list, list), is_empty(list), nth(list, index from 1).
    """
    engine = ENGINES[backend].macro_engine
    if backend is Backend.POSTGRES and not any(f"{name}(" in sql for name in engine.macros):
        return sql.strip()
    # Parameters look like Spark variables.
    return _SPARK_PARAMETER.sub(r"$\1", translate(sql, engine))


def operand(field: ReportField, backend: Backend) -> str:
    """The SQL of a field as the operand of an operator."""
    text = render_sql(field.expression, backend)
    is_plain = text.replace("_", "").replace(".", "").replace('"', "").isalnum()
    return text if is_plain else f"({text})"
