"""`regulars export`: writes the whole result of a report to a file."""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO

import uvloop
from cyclopts import Parameter

from regulars import bootstrap
from regulars.auth.tenants import ALL_CUSTOMERS, Tenant
from regulars.cli.options import CommonOptions, UsageError, load_settings
from regulars.cli.progress import ProgressReporter, format_count, report_progress
from regulars.cli.tenants import select_tenants, usage_errors
from regulars.exports.compression import COMPRESSIONS_BY_CODE, FileCompression
from regulars.exports.export import ExportSummary, write_export
from regulars.exports.formats import FORMATS_BY_CODE, ExportFormat
from regulars.offline.atomic_output import atomic_replace, require_file
from regulars.query.backends import Backends
from regulars.query.errors import ErrorCollector
from regulars.query.parser.request import RequestBody, decode_body, parse_whole_query
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.segments import definitions
from regulars.storage.database import Database

STANDARD_OUTPUT = "-"

_FORMATS = ", ".join(FORMATS_BY_CODE)
_COMPRESSIONS = ", ".join(COMPRESSIONS_BY_CODE)


def export(
    body: Annotated[str, Parameter(help="Request body, as for POST /v1/reporting/query, without page_info and limit.")],
    *,
    output: Annotated[
        str, Parameter(name=["-o", "--output"], allow_leading_hyphen=True, help="File to write; - is standard output.")
    ],
    customer: Annotated[str, Parameter(help="Value of X-Customer, or the slug of a community.")] = ALL_CUSTOMERS,
    format_: Annotated[
        str | None, Parameter(name="--format", help=f"{_FORMATS}; by default the extension of the file.")
    ] = None,
    compress: Annotated[
        str | None, Parameter(help=f"{_COMPRESSIONS}; by default what the extension of the file says.")
    ] = None,
    customer_columns: Annotated[
        bool, Parameter(help="Export each customer for itself, with its id and name in the first columns.")
    ] = False,
    common: CommonOptions | None = None,
) -> int:
    """Writes the whole result of a report to a file, from one snapshot. No token and no server is needed.

    Example: `regulars export '{"report": "members"}' --customer lyngtorget -o members.parquet`

    The file appears under its name when it is complete.
    """
    file_format, compression = _file_type(output, format_, compress)
    if output != STANDARD_OUTPUT:
        require_file(output)
    work = partial(
        run_export,
        lambda _now, _tenants: decode_body(body.encode(errors="replace")),
        customer,
        file_format=file_format,
        compression=compression,
        customer_columns=customer_columns,
    )
    if output == STANDARD_OUTPUT:
        work(sys.stdout.buffer, common=common)
        return 0
    with atomic_replace(output) as temporary:
        summary = work(temporary, common=common)
    masked = " Counts of small groups are suppressed." if summary.is_masked else ""
    print(f"{format_count(summary.rows, 'row')} written to {output} ({summary.bytes:,} bytes).{masked}")
    return 0


def run_export(
    body_at: Callable[[datetime, Sequence[Tenant]], RequestBody],
    customer: str,
    file: Path | BinaryIO,
    *,
    file_format: ExportFormat,
    compression: FileCompression | None = None,
    customer_columns: bool = False,
    common: CommonOptions | None = None,
) -> ExportSummary:
    """Runs an export of the selected customers, with its progress on standard error.

    `body_at` returns the request for the time and the customers.
    """
    loaded = load_settings(common)

    async def run(urls: bootstrap.DatabaseUrls, progress: ProgressReporter) -> ExportSummary:
        async with bootstrap.open_pool(urls, loaded) as database:
            return await _export(database, progress)

    async def _export(database: Database, progress: ProgressReporter) -> ExportSummary:
        tenants = await select_tenants(database, customer)
        segments = await definitions.filters_of(database, tenants)
        now = database.clock()
        query = parse_whole_query(body_at(now, tenants), REPORTS_BY_NAME, ErrorCollector(), segments)
        return await write_export(
            query,
            tenants,
            Backends(database),
            file_format,
            file,
            compression=compression,
            with_customer_columns=customer_columns,
            now=now,
            on_progress=lambda rows: progress.update(None, format_count(rows, "row")),
        )

    with bootstrap.prepare_database(loaded) as urls, report_progress("export") as progress, usage_errors(customer):
        return uvloop.run(run(urls, progress))


def _file_type(output: str, format_: str | None, compress: str | None) -> tuple[ExportFormat, FileCompression | None]:
    """The format and the compression of a file, by the options and the extensions of its name."""
    extensions = [each.removeprefix(".") for each in Path(output).suffixes[-2:]]
    by_suffix = {each.suffix.removeprefix("."): each for each in FileCompression}
    compression = by_suffix.get(extensions[-1]) if extensions else None
    if compression is not None:
        extensions.pop()
    if compress is not None:
        compression = COMPRESSIONS_BY_CODE.get(compress)
        if compression is None:
            raise UsageError(f"--compress is {compress!r}. Allowed: {_COMPRESSIONS}.")
    code = format_ if format_ is not None else extensions[-1] if extensions else ""
    file_format = FORMATS_BY_CODE.get(code)
    if file_format is None:
        what = f"--format is {code!r}" if format_ is not None else f"The format of {output!r} is unknown"
        raise UsageError(f"{what}. Allowed: {_FORMATS}; a file with such an extension, or --format.")
    return file_format, compression
