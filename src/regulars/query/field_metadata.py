"""The values that a field has in a report, with counts: what a selector offers."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from regulars.access.customers import Customer
from regulars.facts import instants
from regulars.query import groups
from regulars.query.compiling import Label, Plan, planned, rows_of, summed, unnested
from regulars.query.engines import OF_STORE, operand, spelled
from regulars.query.execution import Stores
from regulars.query.request import FieldQuery
from regulars.query.values import converted
from regulars.reports.interval import Interval
from regulars.reports.report import Format, Kind

MOST_VALUES = 1_000


async def field_metadata(
    asked: FieldQuery, customers: Sequence[Customer], stores: Stores, now: datetime
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
            values = plan.values(customer, now, _given(asked, customer))
            for value, count in await snapshot.rows(customer, report.source.store, plan.statement.sql, values):
                if count and count >= (customer.smallest_cell or 0):
                    counts[value] = counts.get(value, 0) + int(count)
    label = (Label(asked.field.name, asked.field),)
    in_order = sorted(counts, key=lambda value: (-counts[value], groups.order(label, (value,))))
    found = [{"value": _written(asked, value, customers[0]), "count": counts[value]} for value in in_order]
    name = asked.field.name if asked.part is None else f"{asked.field.name}.{asked.part}"
    return {"report": report.name, "field": name, "values": found[:MOST_VALUES]}


def _plan(asked: FieldQuery, is_alone: bool) -> Plan:
    kind = ("values", asked.field.name, asked.part is None, is_alone)
    return planned(asked.report, asked.filter, kind, lambda: _sql(asked, is_alone))


def _sql(asked: FieldQuery, is_alone: bool) -> str:
    report, store = asked.report, asked.report.source.store
    rows, value = _values(asked)
    measures = summed(report.measures) if report.format is not Format.RECORDS or not report.key else ()
    count = spelled(measures[0].sql, store) if measures else "count(*)"
    sql = f"SELECT\n    {value} AS value,\n    {count} AS count\n{rows}\nGROUP BY 1"
    # With several communities a value may be frequent in all of them together alone.
    return f"{sql}\nORDER BY 2 DESC, 1\nLIMIT {MOST_VALUES}" if is_alone else sql


def _values(asked: FieldQuery) -> tuple[str, str]:
    """The rows, and the value that they are counted by."""
    report, field = asked.report, asked.field
    says, store = OF_STORE[report.source.store].says, report.source.store
    rows = rows_of(report.source, asked.filter)
    if asked.part is None:
        if field.kind is not Kind.OBJECT:
            rows, (value, *_) = unnested(report, field, rows, "element")
            return rows, value
        keys = says.keys(operand(field, store))
        return f"FROM (\nSELECT r.*, {keys} AS element\n{rows}\n) AS r", "r.element"
    if field.kind is Kind.FLAGS:
        trues, falses = (says.has(spelled(each, store), "$part") for each in field.flags or ())
        return rows, f"CASE WHEN {trues} THEN TRUE WHEN {falses} THEN FALSE END"
    document = operand(field, store)
    value = f"CAST({says.part(document, '$part')} AS TEXT)"
    return rows, f"CASE WHEN {says.is_null(document, '$part')} THEN NULL ELSE {value} END"


def _written(asked: FieldQuery, value: Any, customer: Customer) -> Any:
    if value is None or asked.field.kind is Kind.FLAGS:
        return value
    if asked.field.kind is Kind.OBJECT:
        return value if asked.part is None else msgspec.Raw(value.encode())
    is_list = asked.field.kind in (Kind.INTEGERS, Kind.STRINGS)
    return value if is_list else converted(value, asked.field.kind, customer.minor_digits)


def _given(asked: FieldQuery, customer: Customer) -> Mapping[str, Any]:
    """What is bound besides the filter: the name of a part, and the range."""
    given: dict[str, Any] = {}
    if asked.part is not None:
        is_object = asked.field.kind is Kind.OBJECT
        says = OF_STORE[asked.report.source.store].says
        given["part"] = says.part_value(asked.part) if is_object else asked.part
    if asked.start is not None and asked.end is not None:
        given["from"], given["to"] = (_instant(each, customer) for each in (asked.start, asked.end))
        months = _months(given["from"], given["to"], customer)
        given |= {"interval": Interval.MONTH.written, "starts": months[:-1], "ends": months[1:]}
    return given


def _instant(at: datetime, customer: Customer) -> datetime:
    return instants.local_instant(at, customer.timezone) if at.tzinfo is None else at.astimezone(UTC)


def _months(start: datetime, end: datetime, customer: Customer) -> list[datetime]:
    """The instants at which the local months of a range begin, and the one after them."""
    zone = instants.zone(customer.timezone)
    first, last = (at.astimezone(zone) for at in (start, end))
    numbers = range(12 * first.year + first.month - 1, 12 * last.year + last.month + 1)
    walls = (datetime(number // 12, number % 12 + 1, 1) for number in numbers)  # noqa: DTZ001
    return [instants.local_instant(wall, customer.timezone) for wall in walls]
