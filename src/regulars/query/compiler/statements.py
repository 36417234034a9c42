"""Compiled statements: named parameters, their values for a tenant, and a cache by shape of query."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.core import timestamps
from regulars.query.compiler import filter_sql
from regulars.query.compiler.conditions import Condition, combine, indent
from regulars.query.dialects.engines import render_sql
from regulars.query.query import FilterNode
from regulars.reports.report import Report, RowSource

MAX_CACHED_STATEMENTS = 2_000
"""Compiled statements in the cache; the oldest is evicted first."""

# Parameters are bound by name and cast, so that the engine need not infer their types.
_PARAMETER_TYPES = {
    "community": "INT",
    "club": "INT",
    "now": "TIMESTAMPTZ",
    "today": "INT",
    "zone": "TEXT",
    "min_cell_size": "BIGINT",
    "interval": "TEXT",
    "starts": "TIMESTAMPTZ[]",
    "ends": "TIMESTAMPTZ[]",
    "max_rows": "BIGINT",
    "from": "TIMESTAMPTZ",
    "to": "TIMESTAMPTZ",
    "limit": "BIGINT",
    "object_key": "TEXT",
    "profiles": "UUID[]",
    "instants": "TIMESTAMPTZ[]",
    "versions": "BIGINT[]",
}


@dataclass(frozen=True, slots=True)
class CompiledStatement:
    """A statement and the names of its parameters, in order.

    Columns of groups: the bucket in timeseries, the labels, the measures that have SQL. Columns of records: the visible
    fields (two columns for FLAGS), then the key fields that are not visible.
    """

    sql: str
    parameters: tuple[str, ...]
    filter_value_indexes: tuple[int | None, ...]
    """For each parameter its index among the values of the filter, or None."""


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """A statement and the query that it was compiled for."""

    statement: CompiledStatement
    filter: FilterNode | None
    report: Report

    def bind(self, tenant: Tenant, now: datetime, parameters: Mapping[str, Any]) -> list[Any]:
        """The parameter values for a tenant. `parameters` are those that depend on the request, by name: interval,
        starts, ends, max_rows, from, to, limit, object_key and those of the cursor.
        """
        backend = self.report.source.backend
        filter_values = filter_sql.bound_values(self.filter, backend, tenant.minor_digits)
        return [
            filter_values[index]
            if index is not None
            else parameters[name]
            if name in parameters
            else _TENANT_PARAMETERS[name](tenant, now)
            for name, index in zip(self.statement.parameters, self.statement.filter_value_indexes, strict=True)
        ]


def local_date_number(timezone: str, now: datetime) -> int:
    """The local date in a time zone as a number, such as 20261124."""
    local = now.astimezone(timestamps.zone_info(timezone))
    return local.year * 10_000 + local.month * 100 + local.day


_TENANT_PARAMETERS: Mapping[str, Callable[[Tenant, datetime], Any]] = {
    "community": lambda tenant, now: tenant.community_id,
    "club": lambda tenant, now: tenant.loyalty_club_id,
    "now": lambda tenant, now: now,
    "today": lambda tenant, now: local_date_number(tenant.timezone, now),
    "zone": lambda tenant, now: tenant.timezone,
    "min_cell_size": lambda tenant, now: tenant.min_cell_size or 0,
}


# Statement cache ----------------------------------------------------------------------------------------------

_statements: dict[tuple[object, ...], CompiledStatement] = {}


def clear_cache() -> None:
    """Discards all compiled statements."""
    _statements.clear()


def cached_plan(
    report: Report, node: FilterNode | None, variant: tuple[object, ...], build: Callable[[], str]
) -> QueryPlan:
    """The plan of a query. `variant` identifies the statement besides report and filter shape; `build` compiles it."""
    key = (report, variant, filter_sql.filter_shape(node))
    statement = _statements.get(key)
    if statement is None:
        statement = number_parameters(build())
        while len(_statements) >= MAX_CACHED_STATEMENTS:
            del _statements[next(iter(_statements))]
        _statements[key] = statement
    return QueryPlan(statement, node, report)


_named = re.compile(r"\$([a-z][a-z0-9_]*)")


def number_parameters(sql: str) -> CompiledStatement:
    """Numbers the named parameters of a statement in order of first appearance, and casts them to their types."""
    pieces = _named.split(sql)
    names = tuple(dict.fromkeys(pieces[1::2]))
    # Values of filters and cursors are cast where they are used.
    placeholders = {
        name: f"CAST(${number} AS {_PARAMETER_TYPES[name]})" if name in _PARAMETER_TYPES else f"${number}"
        for number, name in enumerate(names, 1)
    }
    pieces[1::2] = [placeholders[name] for name in pieces[1::2]]
    return CompiledStatement("".join(pieces), names, tuple(map(_filter_value_index, names)))


@lru_cache(maxsize=4096)
def _filter_value_index(name: str) -> int | None:
    return int(name[1:]) - 1 if name[0] == "v" and name[1:].isdigit() else None


# Clauses ------------------------------------------------------------------------------------------------------


def from_clause(source: RowSource, node: FilterNode | None, after: Condition | None = None) -> str:
    """The FROM and WHERE clauses: the rows of a source that match the filter."""
    found = f"FROM (\n{indent(render_sql(source.sql, source.backend))}\n) AS r"
    conditions = [filter_sql.condition(node, source.backend)] if node is not None else []
    conditions += [after] if after is not None else []
    return f"{found}\nWHERE {combine('AND', conditions).sql}" if conditions else found


def quote_identifier(name: str) -> str:
    """Quotes a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """Quotes a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def column_list(columns: Sequence[str]) -> str:
    """The expressions of a SELECT, one a line."""
    return ",\n".join(indent(each) for each in columns)
