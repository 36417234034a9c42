"""Rows of timeseries in long form: one row for each value, in the order of buckets, read in windows of buckets."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from regulars.auth.tenants import Tenant
from regulars.core.field_type import FieldType
from regulars.exports.batches import BatchSink
from regulars.exports.columns import (
    INSTANT,
    LOCAL_TIME,
    Columns,
    ExportColumn,
    arrow_type,
    label_column,
    most_minor_digits,
)
from regulars.exports.source import Customer, ExportRequest, conversions
from regulars.query import merge
from regulars.query.backends import ReadSnapshot
from regulars.query.bucket_windows import BucketWindows
from regulars.query.formats.timeseries import (
    BucketGrid,
    FetchedSeries,
    SeriesKeys,
    fetch_series,
    merge_series,
    metric_labels,
    resolve_interval,
)
from regulars.query.local_buckets import MAX_BUCKETS
from regulars.query.parser import time_range
from regulars.query.parser.time_range import TimeRange
from regulars.query.query import ReportQuery

_FIRST_BUCKETS = 8
_WINDOW_ROWS = 20_000
"""Windows become larger up to this number of values, which are in memory together."""

Row = Sequence[Any]


class SeriesRows:
    """The values of a timeseries by bucket and series."""

    is_masked = False

    def __init__(self, request: ExportRequest) -> None:
        query = request.query
        self._request = request
        for _, tenants in request.results():
            merge.require_single_currency(query, tenants)
        self._period = time_range.resolve_range(query, request.tenants)
        self._interval = resolve_interval(query, self._period, request.tenants, request.now)
        self._keys = SeriesKeys(query, self._period.zone is None)
        # Raises for a range with too many buckets.
        self._windows()
        self.columns: Columns = (
            *request.customer_columns,
            *_series_columns(query, self._keys, self._period, request.tenants),
        )

    def _windows(self) -> BucketWindows:
        return BucketWindows(self._period, self._interval, self._request.now)

    async def write(self, snapshot: ReadSnapshot, sink: BatchSink) -> None:
        """Reads and writes one window after the other, for each result."""
        for customer, tenants in self._request.results():
            windows, size = self._windows(), _FIRST_BUCKETS
            while window := windows.take(size):
                rows = await self._window_rows(snapshot, window, customer, tenants)
                for convert in conversions(self.columns, rows):
                    await sink.put(convert)
                if len(rows) > _WINDOW_ROWS:
                    size = max(1, size // 2)
                elif 2 * len(rows) <= _WINDOW_ROWS:
                    size = min(2 * size, MAX_BUCKETS)

    async def _window_rows(
        self, snapshot: ReadSnapshot, window: TimeRange, customer: Customer | None, tenants: Sequence[Tenant]
    ) -> list[Row]:
        query, now = self._request.query, self._request.now
        grid = BucketGrid(window, self._interval, tenants, now)
        fetched = await fetch_series(query, self._keys, grid, tenants, snapshot, now, None)
        return await snapshot.run_in_thread(self._merge, fetched, customer, tenants)

    def _merge(self, fetched: FetchedSeries, customer: Customer | None, tenants: Sequence[Tenant]) -> list[Row]:
        begin = () if customer is None else (customer.id, customer.name)
        found: list[tuple[datetime, int, Row]] = []
        for number, series in enumerate(merge_series(self._request.query, self._keys, fetched, tenants)):
            self.is_masked = self.is_masked or series.is_masked
            zone = series.timezone or self._period.timezone_name
            labels = tuple(series.label.values())
            found += (
                (bucket, number, (*begin, bucket, zone, *labels, value)) for bucket, value in series.values.items()
            )
        # Numbers are unique within a bucket, so rows are never compared.
        return [row for _, _, row in sorted(found)]


def _series_columns(query: ReportQuery, keys: SeriesKeys, period: TimeRange, tenants: Sequence[Tenant]) -> Columns:
    digits = most_minor_digits(tenants)
    bucket = ExportColumn(
        "bucket",
        FieldType.TIMESTAMP,
        INSTANT if period.zone is not None else LOCAL_TIME,
        "Start of the bucket.",
        format_time=period.format,
        zone=None if period.zone is None else period.zone.key,
    )
    zone = ExportColumn("timezone", FieldType.STRING, pa.string(), "Time zone of the bucket.")
    labels = (label_column(each, digits) for each in (*metric_labels(query.report), *keys.all))
    return (bucket, zone, *labels, _value_column(query, digits))


def _value_column(query: ReportQuery, minor_digits: int) -> ExportColumn:
    """The column of values: exact decimals where some measures are not integers."""
    types = {each.type for each in query.measures}
    description = "; ".join(each.description.rstrip(".") for each in query.measures) + "."
    if types == {FieldType.INTEGER}:
        return ExportColumn("value", FieldType.INTEGER, pa.int64(), description)
    return ExportColumn("value", FieldType.MONEY, arrow_type(FieldType.MONEY, minor_digits), description)
