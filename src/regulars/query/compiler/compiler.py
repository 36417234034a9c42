"""From a query to a statement for one community: its shape becomes SQL once, its values are bound each time."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.core import timestamps
from regulars.query.compiler import filter_sql
from regulars.query.compiler.conditions import Condition, combine, indent
from regulars.query.dialects.dialects import ENGINES, operand, render_sql
from regulars.query.query import FilterNode, ReportQuery
from regulars.reports.report import FieldType, Grouping, Report, ReportField, ReportFormat, ReportMeasure, RowSource

MAX_CACHED_STATEMENTS = 2_000
"""So many shapes are kept; what was compiled first goes first."""

# Bound by name; a type spares the engine from guessing.
_TYPES = {
    "community": "INT",
    "club": "INT",
    "now": "TIMESTAMPTZ",
    "today": "INT",
    "zone": "TEXT",
    "smallest": "BIGINT",
    "interval": "TEXT",
    "starts": "TIMESTAMPTZ[]",
    "ends": "TIMESTAMPTZ[]",
    "most": "BIGINT",
    "from": "TIMESTAMPTZ",
    "to": "TIMESTAMPTZ",
    "limit": "BIGINT",
    "part": "TEXT",
}


@dataclass(frozen=True, slots=True)
class CompiledStatement:
    """A statement of one shape. `parameters` are the names of its values in their order.

    Its rows are, of groups: the bucket in timeseries, the labels, the measures with SQL of their own; of records: the
    columns of the shown fields (two for FLAGS), then of the fields of the key that are not shown.
    """

    sql: str
    parameters: tuple[str, ...]
    filter_value_indexes: tuple[int | None, ...]
    """Of each parameter its place among the filter's values, or None."""


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """A statement and what is bound to it."""

    statement: CompiledStatement
    filter: FilterNode | None
    report: Report

    def bind(self, customer: Tenant, now: datetime, given: Mapping[str, Any]) -> list[Any]:
        """The values of its parameters for a customer. `given` are those by name that follow from the request:
        interval, starts, ends, most, from, to, limit and the cursor's.
        """
        store = self.report.source.backend
        bound = filter_sql.bound_values(self.filter, store, customer.minor_digits)
        return [
            bound[place] if place is not None else given[name] if name in given else _OF_CUSTOMER[name](customer, now)
            for name, place in zip(self.statement.parameters, self.statement.filter_value_indexes, strict=True)
        ]


def local_date_number(customer: Tenant, now: datetime) -> int:
    """The date of a community as a number, such as 20261124."""
    local = now.astimezone(timestamps.zone_info(customer.timezone))
    return local.year * 10_000 + local.month * 100 + local.day


_OF_CUSTOMER: Mapping[str, Callable[[Tenant, datetime], Any]] = {
    "community": lambda customer, now: customer.community_id,
    "club": lambda customer, now: customer.loyalty_club_id,
    "now": lambda customer, now: now,
    "today": local_date_number,
    "zone": lambda customer, now: customer.timezone,
    "smallest": lambda customer, now: customer.min_cell_size or 0,
}


# Kept statements ------------------------------------------------------------------------------------------------

_statements: dict[tuple[object, ...], CompiledStatement] = {}


def clear_cache() -> None:
    """Compiles every shape anew from now on."""
    _statements.clear()


def cached_plan(
    report: Report, node: FilterNode | None, variant: tuple[object, ...], build: Callable[[], str]
) -> QueryPlan:
    """The plan of a filter and what is asked of its rows: `kind` tells statements apart, `make` writes one."""
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
    """A statement whose named parameters are numbered in the order in which they come up, and typed."""
    pieces = _named.split(sql)
    names = tuple(dict.fromkeys(pieces[1::2]))
    # What is bound by a filter or a cursor is typed where it stands.
    placed = {
        name: f"CAST(${place} AS {_TYPES[name]})" if name in _TYPES else f"${place}"
        for place, name in enumerate(names, 1)
    }
    pieces[1::2] = [placed[name] for name in pieces[1::2]]
    return CompiledStatement("".join(pieces), names, tuple(map(_place, names)))


@lru_cache(maxsize=4096)
def _place(name: str) -> int | None:
    return int(name[1:]) - 1 if name[0] == "v" and name[1:].isdigit() else None


# Groups ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GroupLabel:
    """One key of a group's label, and the field that it comes from. `status` is that of FLAGS."""

    key: str
    field: ReportField
    is_status: bool = False


def group_fields(query: ReportQuery) -> tuple[ReportField, ...]:
    """The fields that a query's groups are labelled with."""
    return _fields(query.report, query.aggregate_by)


def _fields(report: Report, aggregation: Grouping | None) -> tuple[ReportField, ...]:
    names: Sequence[str] = aggregation.fields if aggregation is not None else report.default_group_by
    if aggregation is None and report.format is ReportFormat.RECORDS and not report.key and not names:
        names = ("community_id",)
    return tuple(report.fields_by_name[name] for name in names)


def group_labels(query: ReportQuery) -> tuple[GroupLabel, ...]:
    """The keys of a query's labels, in the order of the statement's columns."""
    return labels_for(group_fields(query))


def labels_for(fields: Iterable[ReportField]) -> tuple[GroupLabel, ...]:
    """The keys of groups by fields, in their order."""
    found: list[GroupLabel] = []
    for field in fields:
        found.append(GroupLabel(field.label_names[0], field))
        if field.type is FieldType.FLAGS:
            found.append(GroupLabel(field.label_names[1], field, is_status=True))
    return tuple(found)


def aggregated_measures(measures: Iterable[ReportMeasure]) -> tuple[ReportMeasure, ...]:
    """Those of the measures that a statement of groups gives, in the order of its columns."""
    return tuple(each for each in measures if each.sql)


def plan_groups(query: ReportQuery) -> QueryPlan:
    """The statement that gives a query's groups of one community; in timeseries by bucket."""
    report, aggregation = query.report, query.aggregate_by
    kind = ("groups", aggregation.name if aggregation is not None else None)
    return cached_plan(report, query.filter, kind, lambda: _grouped(report, aggregation, query.filter))


def _grouped(report: Report, aggregation: Grouping | None, node: FilterNode | None) -> str:
    store = report.source.backend
    fields = _fields(report, aggregation)
    columns = ["r.bucket AS bucket"] if report.format is ReportFormat.TIMESERIES else []
    keys = ["1"] if columns else []
    asked = {*filter_sql.field_names(node), *(each.name for each in fields)}
    inner = from_clause(report.source_for(asked), node)
    for number, field in enumerate(fields, 1):
        inner, expressions = unnest_elements(report, field, inner, f"element_{number}")
        for key, expression in zip(field.label_names, expressions, strict=False):
            columns.append(f"{expression} AS {quote_identifier(key)}")
            if not field.is_tenant_field:
                keys.append(str(len(columns)))
    labels = len(columns)
    measures = aggregated_measures(report.measures_for(aggregation))
    columns += (f"{render_sql(each.sql, store)} AS {quote_identifier(each.name)}" for each in measures)
    sql = f"SELECT\n{_listed(columns)}\n{inner}"
    if shared := {each.distinct_partition for each in measures if each.distinct_partition}:
        joined_apart = f"{sql}\nGROUP BY {', '.join((*keys, *shared))}"
        is_counted_later = any(each.is_id_list for each in measures)
        return joined_apart if is_counted_later else _counted(measures, joined_apart, labels)
    if report.series_order and {each.name for each in fields} >= set(report.default_group_by):
        order = ", ".join((*report.series_order, "1"))
        return f"{sql}\nGROUP BY {order}, {', '.join(keys[1:])}\nORDER BY {order}\nLIMIT $most"
    if keys:
        return f"{sql}\nGROUP BY {', '.join(keys)}"
    # A community without rows is a group of its own only where the report says how large the community is.
    return sql if not report.key and report.format is ReportFormat.RECORDS else f"{sql}\nHAVING count(*) > 0"


def _counted(measures: Sequence[ReportMeasure], sets: str, labels: int) -> str:
    """Groups whose members are still apart in sets, put together: bits counted, numbers added up."""
    keys = [str(place) for place in range(1, labels + 1)]
    names = ", ".join(f"label_{key}" for key in keys)
    columns = [f"s.label_{key}" for key in keys]
    for each in measures:
        value = f"s.{quote_identifier(each.name)}"
        total = f"sum(bit_count({value}))" if each.distinct_partition else f"sum({value})"
        whole = f"CAST(coalesce({total}, 0) AS bigint)" if each.type is FieldType.INTEGER else total
        columns.append(f"{whole} AS {quote_identifier(each.name)}")
    given = ", ".join((*([names] if names else []), *(quote_identifier(each.name) for each in measures)))
    sql = f"SELECT\n{_listed(columns)}\nFROM (\n{indent(sets)}\n) AS s ({given})"
    return f"{sql}\nGROUP BY {', '.join(keys)}" if keys else f"{sql}\nHAVING count(*) > 0"


def unnest_elements(report: Report, field: ReportField, rows: str, element: str) -> tuple[str, list[str]]:
    """The rows, once for each element of an array, and what their groups are labelled by."""
    store, says = report.source.backend, ENGINES[report.source.backend].dialect
    if field.type is FieldType.FLAGS:
        trues, falses = (render_sql(each, store) for each in field.flag_columns or ())
        elements, found = says.unnest_concat(trues, falses), [f"r.{element}", says.contains(trues, f"r.{element}")]
    elif field.type in (FieldType.INTEGER_LIST, FieldType.STRING_LIST):
        elements, found = says.unnest(render_sql(field.expression, store)), [f"r.{element}"]
    else:
        return rows, [render_sql(field.expression, store)]
    return f"FROM (\n{indent(f'SELECT r.*, {elements} AS {element}')}\n{indent(rows)}\n) AS r", found


# Records --------------------------------------------------------------------------------------------------------


def key_fields(report: Report) -> tuple[ReportField, ...]:
    """The fields that order the rows of one community and tell them apart."""
    found = (report.fields_by_name[name] for name in report.key)
    return tuple(each for each in found if not each.is_tenant_field)


def shown_fields(report: Report) -> tuple[ReportField, ...]:
    """The fields of a record, in their order."""
    return tuple(each for each in report.fields if each.visible)


def hidden_key_fields(report: Report) -> tuple[ReportField, ...]:
    """The fields of the key that a record does not show."""
    return tuple(each for each in key_fields(report) if not each.visible)


def plan_records(query: ReportQuery, after: Sequence[object] | None) -> QueryPlan:
    """The statement that gives a query's records of one community in the order of the report's key, from the one
    behind `after`, the key of a record; its values are bound as c1, c2 and so on, those that are not null.
    """
    report = query.report
    nulls = None if after is None else tuple(each is None for each in after)
    return cached_plan(report, query.filter, ("records", nulls), lambda: _records(report, query.filter, nulls))


def cursor_parameters(report: Report, after: Sequence[Any]) -> dict[str, Any]:
    """The values of a key by the names that `listed` binds them as."""
    found: dict[str, Any] = {}
    for place, (field, value) in enumerate(zip(key_fields(report), after, strict=True), 1):
        found[f"c{place}"] = value
        if field.values:
            found[f"rank{place}"] = enum_rank(field, value)
    return found


def enum_rank(field: ReportField, value: object) -> int:
    """The place of a value among those of an enum: null first, then as declared, then what is not declared."""
    if value is None:
        return -1
    names = [each.name for each in field.values]
    return names.index(str(value)) if str(value) in names else len(names)


@dataclass(frozen=True, slots=True)
class _Term:
    """One expression that records are ordered by, and what it is compared with."""

    sql: str
    bound: str
    is_null: bool = False


def _terms(report: Report, nulls: Sequence[bool]) -> list[_Term]:
    store = report.source.backend
    engine = ENGINES[store]
    found: list[_Term] = []
    for place, (field, is_null) in enumerate(zip(key_fields(report), nulls, strict=True), 1):
        expression = operand(field, store)
        if field.values:
            ranks = " ".join(f"WHEN {_literal(each.name)} THEN {n}" for n, each in enumerate(field.values))
            ranked = f"CASE {expression} {ranks} ELSE {len(field.values)} END"
            found.append(
                _Term(f"CASE WHEN {expression} IS NULL THEN -1 ELSE {ranked} END", f"CAST($rank{place} AS INT)")
            )
        collated = f"{expression}{engine.collation}" if field.type is FieldType.STRING else expression
        found.append(_Term(collated, f"CAST($c{place} AS {engine.parameter_types[field.type]})", is_null))
    return found


def _after(terms: Sequence[_Term]) -> Condition:
    """What holds for the rows behind the one whose key is bound; nulls come first and equal each other."""
    term, *others = terms
    behind = Condition(f"{term.sql} IS NOT NULL" if term.is_null else f"{term.sql} > {term.bound}")
    if not others:
        return behind
    beside = Condition(f"{term.sql} IS NULL" if term.is_null else f"{term.sql} = {term.bound}")
    return combine("OR", [behind, combine("AND", [beside, _after(others)])])


def _records(report: Report, node: FilterNode | None, nulls: Sequence[bool] | None) -> str:
    store = report.source.backend
    columns: list[str] = []
    for field in (*shown_fields(report), *hidden_key_fields(report)):
        if field.type is FieldType.FLAGS:
            columns += (render_sql(each, store) for each in field.flag_columns or ())
        else:
            columns.append(f"{render_sql(field.expression, store)} AS {quote_identifier(field.name)}")
    terms = _terms(report, nulls or [False] * len(key_fields(report)))
    order = ",\n".join(indent(f"{each.sql} NULLS FIRST") for each in terms)
    rows = from_clause(report.source, node, None if nulls is None else _after(terms))
    return f"SELECT\n{_listed(columns)}\n{rows}\nORDER BY\n{order}\nLIMIT $limit"


# Parts ----------------------------------------------------------------------------------------------------------


def from_clause(source: RowSource, node: FilterNode | None, after: Condition | None = None) -> str:
    """FROM and WHERE: the rows of a source that the filter lets through."""
    found = f"FROM (\n{indent(render_sql(source.sql, source.backend))}\n) AS r"
    conditions = [filter_sql.condition(node, source.backend)] if node is not None else []
    conditions += [after] if after is not None else []
    return f"{found}\nWHERE {combine('AND', conditions).sql}" if conditions else found


def quote_identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _listed(columns: Sequence[str]) -> str:
    return ",\n".join(indent(each) for each in columns)
