"""The engines of reports: translation of declared SQL, dialect, and types of bound values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from regulars.aggregations import engines
from regulars.core.field_type import FieldType
from regulars.query.dialects.dialect import SqlDialect
from regulars.query.dialects.duckdb import DuckdbDialect
from regulars.query.dialects.file_macros import DUCKDB_FILE_MACROS, SPARK_FILE_MACROS
from regulars.query.dialects.postgresql import PostgresqlDialect
from regulars.query.dialects.spark import SparkDialect
from regulars.reports.report import Backend, ReportField


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


POSTGRESQL = QueryEngine(
    _with_list_macros(engines.POSTGRESQL, PostgresqlDialect()), PostgresqlDialect(), _TYPES, ' COLLATE "C"'
)
DUCKDB = QueryEngine(
    _with_file_macros(_with_list_macros(engines.DUCKDB, DuckdbDialect()), DUCKDB_FILE_MACROS),
    DuckdbDialect(),
    {**_TYPES, FieldType.NUMBER: "DECIMAL(38, 15)"},
)
SPARK = QueryEngine(
    _with_file_macros(_with_list_macros(engines.SPARK, SparkDialect()), SPARK_FILE_MACROS),
    SparkDialect(),
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
    # Imports the parser of SQL, which most statements for PostgreSQL do without.
    from regulars.aggregations.compiler import translate

    # Parameters look like Spark variables.
    return _SPARK_PARAMETER.sub(r"$\1", translate(sql, engine))


def operand(field: ReportField, backend: Backend) -> str:
    """The SQL of a field as the operand of an operator."""
    text = render_sql(field.expression, backend)
    is_plain = text.replace("_", "").replace(".", "").replace('"', "").isalnum()
    return text if is_plain else f"({text})"
