"""Compiles queries to SQL statements for one community. Each shape is compiled once, its values are bound each time."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.core import timestamps
from regulars.core.field_type import FieldType
from regulars.query.compiler import filter_sql
from regulars.query.compiler.conditions import Condition, combine, indent
from regulars.query.dialects.dialects import ENGINES, operand, render_sql
from regulars.query.query import FilterNode, ReportQuery
from regulars.reports.report import Grouping, Report, ReportField, ReportFormat, ReportMeasure, RowSource

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


def local_date_number(tenant: Tenant, now: datetime) -> int:
    """The local date of a community as a number, such as 20261124."""
    local = now.astimezone(timestamps.zone_info(tenant.timezone))
    return local.year * 10_000 + local.month * 100 + local.day


_TENANT_PARAMETERS: Mapping[str, Callable[[Tenant, datetime], Any]] = {
    "community": lambda tenant, now: tenant.community_id,
    "club": lambda tenant, now: tenant.loyalty_club_id,
    "now": lambda tenant, now: now,
    "today": local_date_number,
    "zone": lambda tenant, now: tenant.timezone,
    "min_cell_size": lambda tenant, now: tenant.min_cell_size or 0,
}


# Statement cache ------------------------------------------------------------------------------------------------

_statements: dict[tuple[object, ...], CompiledStatement] = {}


def clear_cache() -> None:
    """Discards all compiled statements."""
    _statements.clear()


def cached_plan(
    report: Report, node: FilterNode | None, variant: tuple[object, ...], build: Callable[[], str]
) -> QueryPlan:
    """The plan of a query. `variant` identifies the statement is_equals report and filter shape; `build` compiles it."""
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


# Groups ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GroupLabel:
    """One key of a group's label and its field. `is_status` marks the true or false of a FLAGS field."""

    key: str
    field: ReportField
    is_status: bool = False


def group_fields(query: ReportQuery) -> tuple[ReportField, ...]:
    """The fields that a query groups by."""
    return _fields(query.report, query.aggregate_by)


def _fields(report: Report, aggregation: Grouping | None) -> tuple[ReportField, ...]:
    names: Sequence[str] = aggregation.fields if aggregation is not None else report.default_group_by
    if aggregation is None and report.format is ReportFormat.RECORDS and not report.key and not names:
        names = ("community_id",)
    return tuple(report.fields_by_name[name] for name in names)


def group_labels(query: ReportQuery) -> tuple[GroupLabel, ...]:
    """The label keys of a query's groups, in the order of the statement's columns."""
    return labels_for(group_fields(query))


def labels_for(fields: Iterable[ReportField]) -> tuple[GroupLabel, ...]:
    """The label keys of groups by these fields, in order."""
    found: list[GroupLabel] = []
    for field in fields:
        found.append(GroupLabel(field.label_names[0], field))
        if field.type is FieldType.FLAGS:
            found.append(GroupLabel(field.label_names[1], field, is_status=True))
    return tuple(found)


def aggregated_measures(measures: Iterable[ReportMeasure]) -> tuple[ReportMeasure, ...]:
    """The measures that the statement computes, in the order of its columns; the others follow from these."""
    return tuple(each for each in measures if each.sql)


def plan_groups(query: ReportQuery) -> QueryPlan:
    """Plans the statement for the groups of one community, in timeseries by bucket."""
    report, aggregation = query.report, query.aggregate_by
    kind = ("groups", aggregation.name if aggregation is not None else None)
    return cached_plan(report, query.filter, kind, lambda: _groups_sql(report, aggregation, query.filter))


def _groups_sql(report: Report, aggregation: Grouping | None, node: FilterNode | None) -> str:
    backend = report.source.backend
    fields = _fields(report, aggregation)
    columns = ["r.bucket AS bucket"] if report.format is ReportFormat.TIMESERIES else []
    keys = ["1"] if columns else []
    used_fields = {*filter_sql.field_names(node), *(each.name for each in fields)}
    inner = from_clause(report.source_for(used_fields), node)
    for number, field in enumerate(fields, 1):
        inner, expressions = unnest_elements(report, field, inner, f"element_{number}")
        for key, expression in zip(field.label_names, expressions, strict=False):
            columns.append(f"{expression} AS {quote_identifier(key)}")
            if not field.is_tenant_field:
                keys.append(str(len(columns)))
    labels = len(columns)
    measures = aggregated_measures(report.measures_for(aggregation))
    columns += (f"{render_sql(each.sql, backend)} AS {quote_identifier(each.name)}" for each in measures)
    sql = f"SELECT\n{_column_list(columns)}\n{inner}"
    if shared := {each.distinct_partition for each in measures if each.distinct_partition}:
        partitioned = f"{sql}\nGROUP BY {', '.join((*keys, *shared))}"
        has_id_lists = any(each.is_id_list for each in measures)
        return partitioned if has_id_lists else _sum_partitions(measures, partitioned, labels)
    if report.series_order and {each.name for each in fields} >= set(report.default_group_by):
        order = ", ".join((*report.series_order, "1"))
        return f"{sql}\nGROUP BY {order}, {', '.join(keys[1:])}\nORDER BY {order}\nLIMIT $max_rows"
    if keys:
        return f"{sql}\nGROUP BY {', '.join(keys)}"
    # A community without rows is a group of its own only where the report counts the whole community.
    return sql if not report.key and report.format is ReportFormat.RECORDS else f"{sql}\nHAVING count(*) > 0"


def _sum_partitions(measures: Sequence[ReportMeasure], sets: str, labels: int) -> str:
    """Sums groups over the partitions of member bitmaps: counts bits, adds numbers."""
    keys = [str(place) for place in range(1, labels + 1)]
    names = ", ".join(f"label_{key}" for key in keys)
    columns = [f"s.label_{key}" for key in keys]
    for each in measures:
        value = f"s.{quote_identifier(each.name)}"
        total = f"sum(bit_count({value}))" if each.distinct_partition else f"sum({value})"
        whole = f"CAST(coalesce({total}, 0) AS bigint)" if each.type is FieldType.INTEGER else total
        columns.append(f"{whole} AS {quote_identifier(each.name)}")
    parameters = ", ".join((*([names] if names else []), *(quote_identifier(each.name) for each in measures)))
    sql = f"SELECT\n{_column_list(columns)}\nFROM (\n{indent(sets)}\n) AS s ({parameters})"
    return f"{sql}\nGROUP BY {', '.join(keys)}" if keys else f"{sql}\nHAVING count(*) > 0"


def unnest_elements(report: Report, field: ReportField, rows: str, element: str) -> tuple[str, list[str]]:
    """Unnests a list field: the rows, once for each element, and the label expressions of the field."""
    backend, dialect = report.source.backend, ENGINES[report.source.backend].dialect
    if field.type is FieldType.FLAGS:
        trues, falses = (render_sql(each, backend) for each in field.flag_columns or ())
        elements, found = (
            dialect.unnest_concat(trues, falses),
            [f"r.{element}", dialect.contains(trues, f"r.{element}")],
        )
    elif field.type in (FieldType.INTEGER_LIST, FieldType.STRING_LIST):
        elements, found = dialect.unnest(render_sql(field.expression, backend)), [f"r.{element}"]
    else:
        return rows, [render_sql(field.expression, backend)]
    return f"FROM (\n{indent(f'SELECT r.*, {elements} AS {element}')}\n{indent(rows)}\n) AS r", found


# Records --------------------------------------------------------------------------------------------------------


def key_fields(report: Report) -> tuple[ReportField, ...]:
    """The fields that order and identify the rows of one community."""
    found = (report.fields_by_name[name] for name in report.key)
    return tuple(each for each in found if not each.is_tenant_field)


def shown_fields(report: Report) -> tuple[ReportField, ...]:
    """The fields of a record, in order."""
    return tuple(each for each in report.fields if each.visible)


def hidden_key_fields(report: Report) -> tuple[ReportField, ...]:
    """The key fields that a record does not show."""
    return tuple(each for each in key_fields(report) if not each.visible)


def plan_records(query: ReportQuery, after: Sequence[object] | None) -> QueryPlan:
    """Plans the statement for the records of one community in key order, starting after the key `after`.

    The non-null values of that key are bound as c1, c2, ...; see cursor_parameters.
    """
    report = query.report
    nulls = None if after is None else tuple(each is None for each in after)
    return cached_plan(report, query.filter, ("records", nulls), lambda: _records_sql(report, query.filter, nulls))


def cursor_parameters(report: Report, after: Sequence[Any]) -> dict[str, Any]:
    """The parameters of a statement of plan_records for the key `after`."""
    found: dict[str, Any] = {}
    for number, (field, value) in enumerate(zip(key_fields(report), after, strict=True), 1):
        found[f"c{number}"] = value
        if field.values:
            found[f"rank{number}"] = enum_rank(field, value)
    return found


def enum_rank(field: ReportField, value: object) -> int:
    """The rank of a value in an enum: null first, then the declared values in order, then any other."""
    if value is None:
        return -1
    names = [each.name for each in field.values]
    return names.index(str(value)) if str(value) in names else len(names)


@dataclass(frozen=True, slots=True)
class _Term:
    """One expression of the sort key, and the parameter that it is compared with."""

    sql: str
    bound: str
    is_null: bool = False


def _terms(report: Report, nulls: Sequence[bool]) -> list[_Term]:
    backend = report.source.backend
    engine = ENGINES[backend]
    found: list[_Term] = []
    for number, (field, is_null) in enumerate(zip(key_fields(report), nulls, strict=True), 1):
        expression = operand(field, backend)
        if field.values:
            ranks = " ".join(f"WHEN {_literal(each.name)} THEN {rank}" for rank, each in enumerate(field.values))
            ranked = f"CASE {expression} {ranks} ELSE {len(field.values)} END"
            found.append(
                _Term(f"CASE WHEN {expression} IS NULL THEN -1 ELSE {ranked} END", f"CAST($rank{number} AS INT)")
            )
        collated = f"{expression}{engine.collation}" if field.type is FieldType.STRING else expression
        found.append(_Term(collated, f"CAST($c{number} AS {engine.parameter_types[field.type]})", is_null))
    return found


def _after(terms: Sequence[_Term]) -> Condition:
    """The condition on rows after the cursor; nulls sort first and equal each other."""
    term, *others = terms
    is_greater = Condition(f"{term.sql} IS NOT NULL" if term.is_null else f"{term.sql} > {term.bound}")
    if not others:
        return is_greater
    is_equal = Condition(f"{term.sql} IS NULL" if term.is_null else f"{term.sql} = {term.bound}")
    return combine("OR", [is_greater, combine("AND", [is_equal, _after(others)])])


def _records_sql(report: Report, node: FilterNode | None, nulls: Sequence[bool] | None) -> str:
    backend = report.source.backend
    columns: list[str] = []
    for field in (*shown_fields(report), *hidden_key_fields(report)):
        if field.type is FieldType.FLAGS:
            columns += (render_sql(each, backend) for each in field.flag_columns or ())
        else:
            columns.append(f"{render_sql(field.expression, backend)} AS {quote_identifier(field.name)}")
    terms = _terms(report, nulls or [False] * len(key_fields(report)))
    order = ",\n".join(indent(f"{each.sql} NULLS FIRST") for each in terms)
    rows = from_clause(report.source, node, None if nulls is None else _after(terms))
    return f"SELECT\n{_column_list(columns)}\n{rows}\nORDER BY\n{order}\nLIMIT $limit"


# Clauses ----------------------------------------------------------------------------------------------------------


def from_clause(source: RowSource, node: FilterNode | None, after: Condition | None = None) -> str:
    """The FROM and WHERE clauses: the rows of a source that match the filter."""
    found = f"FROM (\n{indent(render_sql(source.sql, source.backend))}\n) AS r"
    conditions = [filter_sql.condition(node, source.backend)] if node is not None else []
    conditions += [after] if after is not None else []
    return f"{found}\nWHERE {combine('AND', conditions).sql}" if conditions else found


def quote_identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _column_list(columns: Sequence[str]) -> str:
    return ",\n".join(indent(each) for each in columns)
