"""Records: the present rows of a report, or groups of them, a page at a time in an order that does not move."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from regulars.access.customers import Customer
from regulars.query import cursors, groups, small_groups
from regulars.query.compiling import (
    bound_after,
    grouped,
    hidden_key_fields,
    key_fields,
    labels,
    listed,
    shown_fields,
)
from regulars.query.execution import Stores
from regulars.query.query import Query
from regulars.query.values import converter, flags
from regulars.reports.report import Field, Kind, Report

Row = Sequence[Any]


async def records(query: Query, customers: Sequence[Customer], stores: Stores, now: datetime) -> dict[str, Any]:
    """The answer to a query in records, from one snapshot at `now`.

    Raises InvalidParametersError for a cursor that is not of this query and these customers.
    """
    asked = cursors.question(query, customers)
    key = await stores.cursor_key()
    start = cursors.read(query.cursor, asked, key) if query.cursor is not None else None
    in_order = sorted(customers, key=lambda customer: customer.community_id)
    find = _rows if query.report.key and query.aggregate_by is None else _groups
    found, behind = await find(query, in_order, stores, now, start)
    return {
        "records": found,
        "pagination": {"next_page_info": None if behind is None else cursors.written(behind, asked, key)},
        "result_type": query.report.format.value,
    }


Page = tuple[list[dict[str, Any]], list[Any] | None]
"""Records as they go out, and the position of the last one where others follow."""


async def _rows(
    query: Query, customers: Sequence[Customer], stores: Stores, now: datetime, start: list[Any] | None
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
                    after = cursors.restored(start[1:], key_fields(report))
            plan = listed(query, after)
            # One more than the page holds tells whether another page follows.
            given = {"limit": query.limit - len(found) + 1}
            if after is not None:
                given |= bound_after(report, after)
            values = plan.values(customer, now, given)
            rows = await snapshot.rows(customer, report.source.store, plan.statement.sql, values)
            if len(found) + len(rows) > query.limit:
                rows = rows[: query.limit - len(found)]
                found += await snapshot.run(shape.written, rows, customer)
                return found, behind if not rows else [customer.community_id, *shape.key(rows[-1])]
            found += await snapshot.run(shape.written, rows, customer)
            if rows:
                behind = [customer.community_id, *shape.key(rows[-1])]
    return found, None


class _Shape:
    """How a report's rows become records."""

    def __init__(self, report: Report) -> None:
        self._columns: list[tuple[Field, int]] = []
        places: dict[str, int] = {}
        width = 0
        for field in (*shown_fields(report), *hidden_key_fields(report)):
            places[field.name] = width
            if field.shown:
                self._columns.append((field, width))
            width += 2 if field.kind is Kind.FLAGS else 1
        self._key = [places[each.name] for each in key_fields(report)]
        self._counts = places.get(report.counts)

    def key(self, row: Row) -> list[Any]:
        """The values of a row that order it within its community."""
        return [row[place] for place in self._key]

    def written(self, rows: Sequence[Row], customer: Customer) -> list[dict[str, Any]]:
        """Rows of a customer as they go out."""
        taken = [(field.name, self._taken(field, place, customer)) for field, place in self._columns]
        found = [{name: take(row) for name, take in taken} for row in rows]
        if self._counts is not None and customer.smallest_cell:
            for row, record in zip(rows, found, strict=True):
                if row[self._counts] is None:
                    record["masked"] = True
        return found

    def _taken(self, field: Field, place: int, customer: Customer) -> Callable[[Row], Any]:
        if field.kind is Kind.FLAGS:
            return lambda row: flags(row[place], row[place + 1])
        convert = converter(field.kind, customer.minor_digits)
        if convert is None:
            return lambda row: row[place]
        return lambda row: None if row[place] is None else convert(row[place])


async def _groups(
    query: Query, customers: Sequence[Customer], stores: Stores, now: datetime, start: list[Any] | None
) -> Page:
    """Groups over all communities, by their labels."""
    groups.require_one_currency(query, customers)
    report, keys, plan = query.report, labels(query), grouped(query)
    answers = []
    async with stores.snapshot(customers, now) as snapshot:
        for customer in customers:
            values = plan.values(customer, now, {})
            rows = await snapshot.rows(customer, report.source.store, plan.statement.sql, values)
            answers.append((customer, rows))
    sums = groups.added(query.measures, len(keys), answers)
    in_order = sorted((groups.order(keys, label), label) for label in sums)
    if start is not None:
        last = groups.order(keys, cursors.restored(start, [each.field for each in keys]))
        in_order = [each for each in in_order if each[0] > last]
    page = [label for _, label in in_order[: query.limit]]
    digits = customers[0].minor_digits
    masked = small_groups.hidden(query, sums, small_groups.smallest_cell(customers))
    found = [
        {
            **groups.labelled(keys, label, digits),
            **(
                small_groups.masked(query.measures) if label in masked else groups.measured(query.measures, sums[label])
            ),
        }
        for label in page
    ]
    return found, list(page[-1]) if len(in_order) > query.limit else None
