"""Executes queries of records: current rows of a report or groups of them, in pages of a stable order."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.core.field_type import FieldType
from regulars.query import cursors, merge, suppression
from regulars.query.backends import Backends
from regulars.query.compiler.groups import group_labels
from regulars.query.compiler.records import cursor_parameters, hidden_key_fields, key_fields, plan_records, shown_fields
from regulars.query.encoders import encode_flags, encoder_for
from regulars.query.group_sums import fetch_group_sums
from regulars.query.query import ReportQuery
from regulars.reports.report import Report, ReportField

Row = Sequence[Any]


async def records(query: ReportQuery, tenants: Sequence[Tenant], backends: Backends, now: datetime) -> dict[str, Any]:
    """Executes a query of records on one snapshot at `now`.

    Raises InvalidParametersError for a cursor that belongs to another query or other tenants.
    """
    fingerprint = cursors.query_fingerprint(query, tenants)
    key = await backends.cursor_key()
    start = cursors.decode(query.cursor, fingerprint, key) if query.cursor is not None else None
    in_order = sorted(tenants, key=lambda tenant: tenant.community_id)
    fetch_page = _rows if query.report.key and query.aggregate_by is None else _groups
    found, last_position = await fetch_page(query, in_order, backends, now, start)
    return {
        "records": found,
        "pagination": {
            "next_page_info": None if last_position is None else cursors.encode(last_position, fingerprint, key)
        },
        "result_type": query.report.format.value,
    }


Page = tuple[list[dict[str, Any]], list[Any] | None]
"""Serialized records, and the position of the last one if more follow."""


async def _rows(
    query: ReportQuery, tenants: Sequence[Tenant], backends: Backends, now: datetime, start: list[Any] | None
) -> Page:
    """A page of rows, ordered by community, then by the key of the report."""
    report = query.report
    encoder = _RecordEncoder(report)
    found: list[dict[str, Any]] = []
    last_position: list[Any] | None = None
    async with backends.snapshot(tenants, now) as snapshot:
        for tenant in tenants:
            after = None
            if start is not None:
                if tenant.community_id < start[0]:
                    continue
                if tenant.community_id == start[0]:
                    after = cursors.restore_types(start[1:], key_fields(report))
            plan = plan_records(query.for_community(tenant.community_id), after)
            # One row more than the page holds shows whether another page follows.
            parameters = {"limit": query.limit - len(found) + 1}
            if after is not None:
                parameters |= cursor_parameters(report, after)
            values = plan.bind(tenant, now, parameters)
            rows = await snapshot.fetch(tenant, report.source.backend, plan.statement.sql, values)
            if len(found) + len(rows) > query.limit:
                rows = rows[: query.limit - len(found)]
                found += await snapshot.run_in_thread(encoder.encode, rows, tenant)
                return found, last_position if not rows else [tenant.community_id, *encoder.key(rows[-1])]
            found += await snapshot.run_in_thread(encoder.encode, rows, tenant)
            if rows:
                last_position = [tenant.community_id, *encoder.key(rows[-1])]
    return found, None


class _RecordEncoder:
    """Encodes the rows of a report as records."""

    def __init__(self, report: Report) -> None:
        self._columns: list[tuple[ReportField, int]] = []
        columns: dict[str, int] = {}
        width = 0
        for field in (*shown_fields(report), *hidden_key_fields(report)):
            columns[field.name] = width
            if field.visible:
                self._columns.append((field, width))
            width += 2 if field.type is FieldType.FLAGS else 1
        self._key = [columns[each.name] for each in key_fields(report)]
        self._counts = columns.get(report.count_measure)

    def key(self, row: Row) -> list[Any]:
        """The sort key of a row within its community."""
        return [row[column] for column in self._key]

    def encode(self, rows: Sequence[Row], tenant: Tenant) -> list[dict[str, Any]]:
        """Encodes rows of a tenant."""
        getters = [(field.name, self._getter(field, column, tenant)) for field, column in self._columns]
        found = [{name: get(row) for name, get in getters} for row in rows]
        if self._counts is not None and tenant.min_cell_size:
            for row, record in zip(rows, found, strict=True):
                if row[self._counts] is None:
                    record["masked"] = True
        return found

    def _getter(self, field: ReportField, column: int, tenant: Tenant) -> Callable[[Row], Any]:
        if field.type is FieldType.FLAGS:
            return lambda row: encode_flags(row[column], row[column + 1])
        encode = encoder_for(field.type, tenant.minor_digits)
        if encode is None:
            return lambda row: row[column]
        return lambda row: None if row[column] is None else encode(row[column])


async def _groups(
    query: ReportQuery, tenants: Sequence[Tenant], backends: Backends, now: datetime, start: list[Any] | None
) -> Page:
    """A page of groups over all communities, ordered by their labels."""
    merge.require_single_currency(query, tenants)
    keys, minimum = group_labels(query), suppression.min_cell_size(tenants)
    async with backends.snapshot(tenants, now) as snapshot:
        groups = await fetch_group_sums(query, tenants, snapshot, now, minimum)
    sums = groups.sums
    in_order = sorted((merge.sort_key(keys, label), label) for label in sums)
    if start is not None:
        last = merge.sort_key(keys, cursors.restore_types(start, [each.field for each in keys]))
        in_order = [each for each in in_order if each[0] > last]
    page = [label for _, label in in_order[: query.limit]]
    digits = tenants[0].minor_digits
    found = [
        {
            **merge.serialize_label(keys, label, digits),
            **(
                suppression.masked_measures(query.measures)
                if label in groups.suppressed
                else merge.evaluate_measures(query.measures, sums[label])
            ),
        }
        for label in page
    ]
    return found, list(page[-1]) if len(in_order) > query.limit else None
