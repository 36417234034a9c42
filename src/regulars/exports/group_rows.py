"""Rows of groups: grouped records and statistics, merged over the communities of each result."""

from collections.abc import Sequence
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.core.field_type import FieldType
from regulars.exports.batches import BatchSink
from regulars.exports.columns import MASKED, Columns, label_column, measure_column, most_minor_digits
from regulars.exports.source import Customer, ExportRequest, conversions
from regulars.query import merge, suppression
from regulars.query.backends import ReadSnapshot
from regulars.query.compiler.groups import group_labels
from regulars.query.encoders import encode_value
from regulars.query.group_sums import GroupSums, fetch_group_sums
from regulars.query.parser import time_range
from regulars.reports.report import ReportFormat

_SCALED_TYPES = (FieldType.MONEY, FieldType.PERCENT)


class GroupRows:
    """The groups of records or statistics, in the order of their labels."""

    is_masked = False

    def __init__(self, request: ExportRequest) -> None:
        query = request.query
        self._request = request
        for _, tenants in request.results():
            merge.require_single_currency(query, tenants)
        self._is_statistics = query.report.format is ReportFormat.STATISTICS
        self._period = time_range.resolve_range(query, request.tenants) if self._is_statistics else None
        self._labels = group_labels(query)
        self._threshold = suppression.min_cell_size(request.tenants) if query.report.count_measure else 0
        digits = most_minor_digits(request.tenants)
        self.columns: Columns = (
            *request.customer_columns,
            *(label_column(each, digits) for each in self._labels),
            *(measure_column(each, digits) for each in query.measures),
            *((MASKED,) if self._threshold else ()),
        )

    async def write(self, snapshot: ReadSnapshot, sink: BatchSink) -> None:
        """Merges and writes one result after the other."""
        query, now = self._request.query, self._request.now
        for customer, tenants in self._request.results():
            groups = await fetch_group_sums(query, tenants, snapshot, now, self._threshold, self._period)
            rows = self._rows(customer, tenants, groups)
            for convert in conversions(self.columns, rows):
                await sink.put(convert)

    def _rows(self, customer: Customer | None, tenants: Sequence[Tenant], groups: GroupSums) -> list[list[Any]]:
        query = self._request.query
        sums, masked = groups.sums, groups.suppressed
        self.is_masked = self.is_masked or not masked.isdisjoint(sums)
        begin = [] if customer is None else [customer.id, customer.name]
        digits = tenants[0].minor_digits
        found = []
        for label in sorted(
            sums, key=lambda label: merge.sort_key(self._labels, label, nulls_last=self._is_statistics)
        ):
            is_masked = label in masked
            measures = (
                [None] * len(query.measures)
                if is_masked
                else merge.evaluate_measures(query.measures, sums[label]).values()
            )
            shown = [
                encode_value(value, each.field.type, digits) if each.field.type in _SCALED_TYPES else value
                for each, value in zip(self._labels, label, strict=True)
            ]
            found.append([*begin, *shown, *measures, *([is_masked] if self._threshold else [])])
        return found
