"""Records: the present rows of a report, or groups of them, a page at a time in an order that does not move."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.query import cursors, merge, suppression
from regulars.query.backends import Backends
from regulars.query.compiler.compiler import (
    cursor_parameters,
    group_labels,
    hidden_key_fields,
    key_fields,
    plan_groups,
    plan_records,
    shown_fields,
)
from regulars.query.encoders import encode_flags, encoder_for
from regulars.query.query import ReportQuery
from regulars.reports.report import FieldType, Report, ReportField

Row = Sequence[Any]


async def records(query: ReportQuery, customers: Sequence[Tenant], stores: Backends, now: datetime) -> dict[str, Any]:
    """The answer to a query in records, from one snapshot at `now`.

    Raises InvalidParametersError for a cursor that is not of this query and these customers.
    """
    asked = cursors.query_fingerprint(query, customers)
    key = await stores.cursor_key()
    start = cursors.decode(query.cursor, asked, key) if query.cursor is not None else None
    in_order = sorted(customers, key=lambda customer: customer.community_id)
    find = _rows if query.report.key and query.aggregate_by is None else _groups
    found, behind = await find(query, in_order, stores, now, start)
    return {
        "records": found,
        "pagination": {"next_page_info": None if behind is None else cursors.encode(behind, asked, key)},
        "result_type": query.report.format.value,
    }


Page = tuple[list[dict[str, Any]], list[Any] | None]
"""Records as they go out, and the position of the last one where others follow."""


async def _rows(
    query: ReportQuery, customers: Sequence[Tenant], stores: Backends, now: datetime, start: list[Any] | None
) -> Page:
    """Rows by community, then by the report's key."""
    report = query.report
    shape = _Shape(report)
    found: list[dict[str, Any]] = []
    behind: list[Any] | None = None
    async with stores.snapshot(customers, now) as snapshot:
        for customer in customers:
            after = None
            if start is not None:
                if customer.community_id < start[0]:
                    continue
                if customer.community_id == start[0]:
                    after = cursors.restore_types(start[1:], key_fields(report))
            plan = plan_records(query, after)
            # One more than the page holds tells whether another page follows.
            given = {"limit": query.limit - len(found) + 1}
            if after is not None:
                given |= cursor_parameters(report, after)
            values = plan.bind(customer, now, given)
            rows = await snapshot.fetch(customer, report.source.backend, plan.statement.sql, values)
            if len(found) + len(rows) > query.limit:
                rows = rows[: query.limit - len(found)]
                found += await snapshot.run_in_thread(shape.written, rows, customer)
                return found, behind if not rows else [customer.community_id, *shape.key(rows[-1])]
            found += await snapshot.run_in_thread(shape.written, rows, customer)
            if rows:
                behind = [customer.community_id, *shape.key(rows[-1])]
    return found, None


class _Shape:
    """How a report's rows become records."""

    def __init__(self, report: Report) -> None:
        self._columns: list[tuple[ReportField, int]] = []
        places: dict[str, int] = {}
        width = 0
        for field in (*shown_fields(report), *hidden_key_fields(report)):
            places[field.name] = width
            if field.visible:
                self._columns.append((field, width))
            width += 2 if field.type is FieldType.FLAGS else 1
        self._key = [places[each.name] for each in key_fields(report)]
        self._counts = places.get(report.count_measure)

    def key(self, row: Row) -> list[Any]:
        """The values of a row that order it within its community."""
        return [row[place] for place in self._key]

    def written(self, rows: Sequence[Row], customer: Tenant) -> list[dict[str, Any]]:
        """Rows of a customer as they go out."""
        taken = [(field.name, self._taken(field, place, customer)) for field, place in self._columns]
        found = [{name: take(row) for name, take in taken} for row in rows]
        if self._counts is not None and customer.min_cell_size:
            for row, record in zip(rows, found, strict=True):
                if row[self._counts] is None:
                    record["masked"] = True
        return found

    def _taken(self, field: ReportField, place: int, customer: Tenant) -> Callable[[Row], Any]:
        if field.type is FieldType.FLAGS:
            return lambda row: encode_flags(row[place], row[place + 1])
        convert = encoder_for(field.type, customer.minor_digits)
        if convert is None:
            return lambda row: row[place]
        return lambda row: None if row[place] is None else convert(row[place])


async def _groups(
    query: ReportQuery, customers: Sequence[Tenant], stores: Backends, now: datetime, start: list[Any] | None
) -> Page:
    """Groups over all communities, by their labels."""
    merge.require_single_currency(query, customers)
    report, keys, plan = query.report, group_labels(query), plan_groups(query)
    answers = []
    async with stores.snapshot(customers, now) as snapshot:
        for customer in customers:
            values = plan.bind(customer, now, {})
            rows = await snapshot.fetch(customer, report.source.backend, plan.statement.sql, values)
            answers.append((customer, rows))
    sums = merge.merge_groups(query.measures, len(keys), answers)
    in_order = sorted((merge.sort_key(keys, label), label) for label in sums)
    if start is not None:
        last = merge.sort_key(keys, cursors.restore_types(start, [each.field for each in keys]))
        in_order = [each for each in in_order if each[0] > last]
    page = [label for _, label in in_order[: query.limit]]
    digits = customers[0].minor_digits
    masked = suppression.suppressed_groups(query, sums, suppression.min_cell_size(customers))
    found = [
        {
            **merge.serialize_label(keys, label, digits),
            **(
                suppression.masked_measures(query.measures)
                if label in masked
                else merge.evaluate_measures(query.measures, sums[label])
            ),
        }
        for label in page
    ]
    return found, list(page[-1]) if len(in_order) > query.limit else None
