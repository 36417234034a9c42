"""The values that a field has in a report, with counts: what a selector offers."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from regulars.auth.tenants import Tenant
from regulars.core import timestamps
from regulars.query import merge
from regulars.query.backends import Backends
from regulars.query.compiler.compiler import (
    GroupLabel,
    QueryPlan,
    aggregated_measures,
    cached_plan,
    from_clause,
    unnest_elements,
)
from regulars.query.dialects.dialects import ENGINES, operand, render_sql
from regulars.query.encoders import encode_value
from regulars.query.parser.request import FieldValuesQuery
from regulars.reports.report import FieldType, ReportFormat
from regulars.rollups.intervals import Interval

MAX_VALUES = 1_000


async def field_metadata(
    asked: FieldValuesQuery, customers: Sequence[Tenant], stores: Backends, now: datetime
) -> dict[str, Any]:
    """The values of a field, most frequent first, from one snapshot at `now`.

    Of records they are counted by rows, else by the report's first measure; a timeseries is looked through in whole
    months of the customer's zone, from that of `from` to that of `to`. What is counted less often than a customer shows
    is left out.
    """
    report = asked.report
    plan = _plan(asked, is_alone=len(customers) == 1)
    counts: dict[Any, Any] = {}
    async with stores.snapshot(customers, now) as snapshot:
        for customer in customers:
            values = plan.bind(customer, now, _given(asked, customer))
            for value, count in await snapshot.fetch(customer, report.source.backend, plan.statement.sql, values):
                if count and count >= (customer.min_cell_size or 0):
                    counts[value] = counts.get(value, 0) + int(count)
    label = (GroupLabel(asked.field.name, asked.field),)
    in_order = sorted(counts, key=lambda value: (-counts[value], merge.sort_key(label, (value,))))
    found = [{"value": _written(asked, value, customers[0]), "count": counts[value]} for value in in_order]
    name = asked.field.name if asked.object_key is None else f"{asked.field.name}.{asked.object_key}"
    return {"report": report.name, "field": name, "values": found[:MAX_VALUES]}


def _plan(asked: FieldValuesQuery, is_alone: bool) -> QueryPlan:
    kind = ("values", asked.field.name, asked.object_key is None, is_alone)
    return cached_plan(asked.report, asked.filter, kind, lambda: _sql(asked, is_alone))


def _sql(asked: FieldValuesQuery, is_alone: bool) -> str:
    report, store = asked.report, asked.report.source.backend
    rows, value = _values(asked)
    measures = (
        aggregated_measures(report.measures) if report.format is not ReportFormat.RECORDS or not report.key else ()
    )
    count = render_sql(measures[0].sql, store) if measures else "count(*)"
    sql = f"SELECT\n    {value} AS value,\n    {count} AS count\n{rows}\nGROUP BY 1"
    # With several communities a value may be frequent in all of them together alone.
    return f"{sql}\nORDER BY 2 DESC, 1\nLIMIT {MAX_VALUES}" if is_alone else sql


def _values(asked: FieldValuesQuery) -> tuple[str, str]:
    """The rows, and the value that they are counted by."""
    report, field = asked.report, asked.field
    says, store = ENGINES[report.source.backend].dialect, report.source.backend
    rows = from_clause(report.source, asked.filter)
    if asked.object_key is None:
        if field.type is not FieldType.OBJECT:
            rows, (value, *_) = unnest_elements(report, field, rows, "element")
            return rows, value
        keys = says.object_keys(operand(field, store))
        return f"FROM (\nSELECT r.*, {keys} AS element\n{rows}\n) AS r", "r.element"
    if field.type is FieldType.FLAGS:
        trues, falses = (says.contains(render_sql(each, store), "$part") for each in field.flag_columns or ())
        return rows, f"CASE WHEN {trues} THEN TRUE WHEN {falses} THEN FALSE END"
    document = operand(field, store)
    value = f"CAST({says.object_value(document, '$part')} AS TEXT)"
    return rows, f"CASE WHEN {says.object_value_is_null(document, '$part')} THEN NULL ELSE {value} END"


def _written(asked: FieldValuesQuery, value: Any, customer: Tenant) -> Any:
    if value is None or asked.field.type is FieldType.FLAGS:
        return value
    if asked.field.type is FieldType.OBJECT:
        return value if asked.object_key is None else msgspec.Raw(value.encode())
    is_list = asked.field.type in (FieldType.INTEGER_LIST, FieldType.STRING_LIST)
    return value if is_list else encode_value(value, asked.field.type, customer.minor_digits)


def _given(asked: FieldValuesQuery, customer: Tenant) -> Mapping[str, Any]:
    """What is bound besides the filter: the name of a part, and the range."""
    given: dict[str, Any] = {}
    if asked.object_key is not None:
        is_object = asked.field.type is FieldType.OBJECT
        says = ENGINES[asked.report.source.backend].dialect
        given["part"] = says.key_parameter(asked.object_key) if is_object else asked.object_key
    if asked.start is not None and asked.end is not None:
        given["from"], given["to"] = (_instant(each, customer) for each in (asked.start, asked.end))
        months = _months(given["from"], given["to"], customer)
        given |= {"interval": Interval.MONTH.code, "starts": months[:-1], "ends": months[1:]}
    return given


def _instant(at: datetime, customer: Tenant) -> datetime:
    return timestamps.local_to_utc(at, customer.timezone) if at.tzinfo is None else at.astimezone(UTC)


def _months(start: datetime, end: datetime, customer: Tenant) -> list[datetime]:
    """The instants at which the local months of a range begin, and the one after them."""
    zone = timestamps.zone_info(customer.timezone)
    first, last = (at.astimezone(zone) for at in (start, end))
    numbers = range(12 * first.year + first.month - 1, 12 * last.year + last.month + 1)
    walls = (datetime(number // 12, number % 12 + 1, 1) for number in numbers)  # noqa: DTZ001
    return [timestamps.local_to_utc(wall, customer.timezone) for wall in walls]
