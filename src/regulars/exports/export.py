"""Writes an export: all rows of a query, from one snapshot, to a file."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from regulars.auth.tenants import Tenant
from regulars.exports.batches import BatchSink
from regulars.exports.compression import FileCompression, OutputFile
from regulars.exports.formats import ExportFormat
from regulars.exports.group_rows import GroupRows
from regulars.exports.member_source import exported_report
from regulars.exports.record_rows import RecordRows
from regulars.exports.series_rows import SeriesRows
from regulars.exports.source import ExportRequest, RowStream
from regulars.query.backends import Backends
from regulars.query.query import ReportQuery
from regulars.reports.report import ReportFormat


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What was written: rows, bytes of the file, and whether values of small groups are suppressed."""

    rows: int
    bytes: int
    is_masked: bool


def require_exportable(
    query: ReportQuery, tenants: Sequence[Tenant], *, with_customer_columns: bool = False, now: datetime
) -> None:
    """Raises InvalidParametersError for a query that can't be exported for these tenants."""
    _row_stream(_request(query, tenants, now, with_customer_columns))


async def write_export(
    query: ReportQuery,
    tenants: Sequence[Tenant],
    backends: Backends,
    file_format: ExportFormat,
    file: Path | BinaryIO,
    *,
    compression: FileCompression | None = None,
    with_customer_columns: bool = False,
    now: datetime,
    on_progress: Callable[[int], None] = lambda rows: None,
) -> ExportSummary:
    """Writes all rows of a query, as of `now`, to a file. The cursor and the limit of the query are ignored.

    `with_customer_columns` writes each customer for itself, its id and name in the first columns. `on_progress` is called
    with the number of rows written so far, from another thread. A file that is named by its path is created, and removed
    if the export fails or is cancelled; an open file stays open. When this function ends, also by an error or because it
    is cancelled, nothing writes to the file any more.

    Raises InvalidParametersError, before anything is read, for parameters that are invalid for these tenants, and OSError
    where the file can't be written.
    """
    request = _request(query, tenants, now, with_customer_columns)
    rows = _row_stream(request)
    with _opened(file) as opened:
        output = OutputFile(opened, compression)
        sink = BatchSink(file_format.writer(output, rows.columns), on_progress)
        try:
            async with backends.snapshot(request.tenants, now) as snapshot:
                await rows.write(snapshot, sink)
            await sink.finish()
        finally:
            await sink.close()
        output.finish()
    return ExportSummary(sink.rows, output.size, rows.is_masked)


def _request(
    query: ReportQuery, tenants: Sequence[Tenant], now: datetime, with_customer_columns: bool
) -> ExportRequest:
    in_order = tuple(sorted(tenants, key=lambda each: each.community_id))
    exported = replace(query, report=exported_report(query.report))
    return ExportRequest(exported, in_order, now, with_customer_columns)


def _row_stream(request: ExportRequest) -> RowStream:
    report = request.query.report
    if report.format is ReportFormat.TIMESERIES:
        return SeriesRows(request)
    if report.format is ReportFormat.RECORDS and report.key and request.query.aggregate_by is None:
        return RecordRows(request)
    return GroupRows(request)


@contextmanager
def _opened(file: Path | BinaryIO) -> Iterator[BinaryIO]:
    """Opens a file that is named by its path, and removes it if the block raises."""
    if not isinstance(file, Path):
        yield file
        return
    try:
        with file.open("wb", buffering=0) as opened:
            yield opened
    except BaseException:
        file.unlink(missing_ok=True)
        raise
