"""Compiles queries of groups: one row for each group of one community, in timeseries for each bucket."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from regulars.core.field_type import FieldType
from regulars.query.compiler import filter_sql
from regulars.query.compiler.conditions import indent
from regulars.query.compiler.statements import QueryPlan, cached_plan, column_list, from_clause, quote_identifier
from regulars.query.dialects.engines import ENGINES, render_sql
from regulars.query.query import FilterNode, ReportQuery
from regulars.reports.report import Backend, Grouping, Report, ReportField, ReportFormat, ReportMeasure

_ELEMENT_TYPES = {
    FieldType.INTEGER_LIST: FieldType.INTEGER,
    FieldType.STRING_LIST: FieldType.STRING,
    FieldType.FLAGS: FieldType.STRING,
}


@dataclass(frozen=True, slots=True)
class GroupLabel:
    """One key of a group's label and its field. `is_status` marks the true or false of a FLAGS field."""

    key: str
    field: ReportField
    is_status: bool = False

    @property
    def type(self) -> FieldType:
        """The type of its values; rows are grouped by each element of a list."""
        if self.is_status:
            return FieldType.BOOLEAN
        return _ELEMENT_TYPES.get(self.field.type, self.field.type)


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
    measures = aggregated_measures((*report.measures_for(aggregation), *report.hidden_measures))
    sql = select_measures(columns, inner, measures, backend)
    if partitioned := aggregate_partitions(measures, sql, keys, len(columns)):
        return partitioned
    if report.series_order and {each.name for each in fields} >= set(report.default_group_by):
        order = ", ".join((*report.series_order, "1"))
        return f"{sql}\nGROUP BY {order}, {', '.join(keys[1:])}\nORDER BY {order}\nLIMIT $max_rows"
    if keys:
        return f"{sql}\nGROUP BY {', '.join(keys)}"
    # A community without rows is a group of its own only where the report counts the whole community.
    return sql if not report.key and report.format is ReportFormat.RECORDS else f"{sql}\nHAVING count(*) > 0"


def select_measures(labels: Sequence[str], rows: str, measures: Sequence[ReportMeasure], backend: Backend) -> str:
    """The SELECT of labels and measures over rows, to which a GROUP BY is added."""
    columns = [f"{render_sql(each.sql, backend)} AS {quote_identifier(each.name)}" for each in measures]
    return f"SELECT\n{column_list([*labels, *columns])}\n{rows}"


def aggregate_partitions(measures: Sequence[ReportMeasure], sql: str, keys: Sequence[str], labels: int) -> str | None:
    """A SELECT, grouped by its first `labels` columns, of which `keys` vary; None if no measure has partitions."""
    shared = dict.fromkeys(each.partition for each in measures if each.partition)
    if not shared:
        return None
    partitioned = f"{sql}\nGROUP BY {', '.join((*keys, *shared))}"
    has_id_lists = any(each.is_id_list for each in measures)
    return partitioned if has_id_lists else _sum_partitions(measures, partitioned, labels)


def _sum_partitions(measures: Sequence[ReportMeasure], sets: str, labels: int) -> str:
    """Sums groups over partitions: counts the bits of member bitmaps, adds numbers or takes the largest."""
    keys = [str(place) for place in range(1, labels + 1)]
    names = ", ".join(f"label_{key}" for key in keys)
    columns = [f"s.label_{key}" for key in keys]
    for each in measures:
        value = f"s.{quote_identifier(each.name)}"
        total = f"sum(bit_count({value}))" if each.distinct_partition else f"sum({value})"
        if each.largest_of:
            total = f"max({value})"
        whole = f"CAST(coalesce({total}, 0) AS bigint)" if each.type is FieldType.INTEGER else total
        columns.append(f"{whole} AS {quote_identifier(each.name)}")
    parameters = ", ".join((*([names] if names else []), *(quote_identifier(each.name) for each in measures)))
    sql = f"SELECT\n{column_list(columns)}\nFROM (\n{indent(sets)}\n) AS s ({parameters})"
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
