"""Compiles queries of records: rows of one community in key order, from a cursor on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from regulars.core.field_type import FieldType
from regulars.query.compiler import filter_sql
from regulars.query.compiler.conditions import Condition, combine, indent
from regulars.query.compiler.statements import (
    QueryPlan,
    cached_plan,
    column_list,
    from_clause,
    quote_identifier,
    quote_literal,
)
from regulars.query.dialects.engines import ENGINES, operand, render_sql
from regulars.query.query import FilterNode, ReportQuery
from regulars.reports.report import Report, ReportField


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
            ranks = " ".join(f"WHEN {quote_literal(each.name)} THEN {rank}" for rank, each in enumerate(field.values))
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
    fields = (*shown_fields(report), *hidden_key_fields(report))
    source = report.source_for({*filter_sql.field_names(node), *(each.name for each in fields)})
    columns: list[str] = []
    for field in fields:
        if field.type is FieldType.FLAGS:
            columns += (render_sql(each, backend) for each in field.flag_columns or ())
        else:
            columns.append(f"{render_sql(field.expression, backend)} AS {quote_identifier(field.name)}")
    terms = _terms(report, nulls or [False] * len(key_fields(report)))
    order = ",\n".join(indent(f"{each.sql} NULLS FIRST") for each in terms)
    rows = from_clause(source, node, None if nulls is None else _after(terms))
    return f"SELECT\n{column_list(columns)}\n{rows}\nORDER BY\n{order}\nLIMIT $limit"
