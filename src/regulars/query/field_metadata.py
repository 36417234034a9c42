"""The values of a field in a report with their counts, for selectors of filters."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from regulars.auth.tenants import Tenant
from regulars.core import timestamps
from regulars.core.field_type import FieldType
from regulars.query import merge, suppression
from regulars.query.backends import Backends
from regulars.query.compiler import filter_sql
from regulars.query.compiler.groups import (
    GroupLabel,
    aggregate_partitions,
    aggregated_measures,
    select_measures,
    unnest_elements,
)
from regulars.query.compiler.statements import QueryPlan, cached_plan, from_clause
from regulars.query.dialects.engines import ENGINES, operand, render_sql
from regulars.query.encoders import encode_value
from regulars.query.parser.request import FieldValuesQuery
from regulars.reports.report import Report, ReportFormat, ReportMeasure
from regulars.rollups.intervals import Interval

MAX_VALUES = 1_000


async def field_metadata(
    query: FieldValuesQuery, tenants: Sequence[Tenant], backends: Backends, now: datetime
) -> dict[str, Any]:
    """The values of a field, most frequent first, from one snapshot at `now`.

    Values of records are counted by rows, others by the first measure of the report. A timeseries is read in whole
    local months, from that of `from` to that of `to`; of a gauge, a count is the largest of a month. Values with fewer
    members than the minimum cell size are omitted; other counts that are suppressed are None.
    """
    report, minimum = query.report, suppression.min_cell_size(tenants)
    counts: dict[Any, int] = {}
    members: dict[Any, int] = {}
    async with backends.snapshot(tenants, now) as snapshot:
        for tenant in tenants:
            plan = _plan(query.for_community(tenant.community_id), is_limited=len(tenants) == 1 and not minimum)
            values = plan.bind(tenant, now, _parameters(query, tenant))
            for value, count, *others in await snapshot.fetch(
                tenant, report.source.backend, plan.statement.sql, values
            ):
                counts[value] = counts.get(value, 0) + int(count or 0)
                members[value] = members.get(value, 0) + int((others or [count])[0] or 0)
    counts = {value: count for value, count in counts.items() if count}
    members = {value: count for value, count in members.items() if count}
    label = (GroupLabel(query.field.name, query.field, is_status=query.object_key is not None),)
    small, masked = suppression.suppressed_values(report, label, members, minimum)
    in_order = sorted(
        counts.keys() - small,
        key=lambda value: (value in masked, 0 if value in masked else -counts[value], merge.sort_key(label, (value,))),
    )
    found = [
        {"value": _encode(query, value, tenants[0]), "count": None if value in masked else counts[value]}
        for value in in_order
    ]
    name = query.field.name if query.object_key is None else f"{query.field.name}.{query.object_key}"
    return {"report": report.name, "field": name, "values": found[:MAX_VALUES]}


def _plan(query: FieldValuesQuery, is_limited: bool) -> QueryPlan:
    variant = ("values", query.field.name, query.object_key is None, is_limited)
    return cached_plan(query.report, query.filter, variant, lambda: _sql(query, is_limited))


def _sql(query: FieldValuesQuery, is_limited: bool) -> str:
    rows, value = _values(query)
    measures = _measures(query.report)
    selected = select_measures([f"{value} AS value"], rows, measures, query.report.source.backend)
    sql = aggregate_partitions(measures, selected, ["1"], 1) or f"{selected}\nGROUP BY 1"
    # With several communities, a value may be frequent only in their sum; rare values decide what is suppressed.
    return f"{sql}\nORDER BY 2 DESC, 1\nLIMIT {MAX_VALUES}" if is_limited else sql


_ROWS = ReportMeasure("rows", FieldType.INTEGER, "Number of rows.", "count(*)")


def _measures(report: Report) -> list[ReportMeasure]:
    """What counts a value, and what counts its members if that is another measure."""
    if report.format is ReportFormat.RECORDS and report.key:
        return [_ROWS]
    first, *others = aggregated_measures((*report.measures, *report.hidden_measures))
    found = [first, *(each for each in others if each.name == report.count_measure)]
    # Members who are counted in one month are in the next one as well.
    return [replace(each, largest_of="r.bucket") for each in found] if report.is_gauge else found


def _values(query: FieldValuesQuery) -> tuple[str, str]:
    """The FROM clause, and the expression of the value."""
    report, field = query.report, query.field
    dialect, backend = ENGINES[report.source.backend].dialect, report.source.backend
    rows = from_clause(report.source_for({field.name, *filter_sql.field_names(query.filter)}), query.filter)
    if query.object_key is None:
        if field.type is not FieldType.OBJECT:
            rows, (value, *_) = unnest_elements(report, field, rows, "element")
            return rows, value
        keys = dialect.object_keys(operand(field, backend))
        return f"FROM (\nSELECT r.*, {keys} AS element\n{rows}\n) AS r", "r.element"
    if field.type is FieldType.FLAGS:
        trues, falses = (
            dialect.contains(render_sql(each, backend), "$object_key") for each in field.flag_columns or ()
        )
        return rows, f"CASE WHEN {trues} THEN TRUE WHEN {falses} THEN FALSE END"
    document = operand(field, backend)
    value = f"CAST({dialect.object_value(document, '$object_key')} AS TEXT)"
    return rows, f"CASE WHEN {dialect.object_value_is_null(document, '$object_key')} THEN NULL ELSE {value} END"


def _encode(query: FieldValuesQuery, value: Any, tenant: Tenant) -> Any:
    if value is None or query.field.type is FieldType.FLAGS:
        return value
    if query.field.type is FieldType.OBJECT:
        return value if query.object_key is None else msgspec.Raw(value.encode())
    is_list = query.field.type in (FieldType.INTEGER_LIST, FieldType.STRING_LIST)
    return value if is_list else encode_value(value, query.field.type, tenant.minor_digits)


def _parameters(query: FieldValuesQuery, tenant: Tenant) -> Mapping[str, Any]:
    """The parameters besides those of the filter: the key within an object, and the time range."""
    parameters: dict[str, Any] = {}
    if query.object_key is not None:
        is_object = query.field.type is FieldType.OBJECT
        dialect = ENGINES[query.report.source.backend].dialect
        parameters["object_key"] = dialect.key_parameter(query.object_key) if is_object else query.object_key
    if query.start is not None and query.end is not None:
        parameters["from"], parameters["to"] = (_to_utc(each, tenant) for each in (query.start, query.end))
        months = _months(parameters["from"], parameters["to"], tenant)
        parameters |= {"interval": Interval.MONTH.code, "starts": months[:-1], "ends": months[1:]}
    return parameters


def _to_utc(at: datetime, tenant: Tenant) -> datetime:
    return timestamps.local_to_utc(at, tenant.timezone) if at.tzinfo is None else at.astimezone(UTC)


def _months(start: datetime, end: datetime, tenant: Tenant) -> list[datetime]:
    """The starts of the local months of a range, and of the month after them."""
    zone = timestamps.zone_info(tenant.timezone)
    first, last = (at.astimezone(zone) for at in (start, end))
    numbers = range(12 * first.year + first.month - 1, 12 * last.year + last.month + 1)
    local_times = (datetime(number // 12, number % 12 + 1, 1) for number in numbers)  # noqa: DTZ001
    return [timestamps.local_to_utc(local_time, tenant.timezone) for local_time in local_times]
