"""`regulars query`: runs a report from the shell."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from regulars.auth.tenants import ALL_CUSTOMERS, Tenant
from regulars.charts.answer_chart import Subject, answer_chart, can_be_drawn
from regulars.charts.chart import Chart
from regulars.charts.label_names import names_of_labels
from regulars.charts.picture import require_vl_convert
from regulars.charts.plot import FILE_TYPES, write_chart
from regulars.cli.export import run_export
from regulars.cli.options import CommonOptions, UsageError, load_settings, run_with_database
from regulars.cli.output import as_table, to_csv, to_json
from regulars.cli.query_request import QueryRequest
from regulars.cli.tenants import select_tenants, usage_errors
from regulars.clock import system_clock
from regulars.exports.formats import ExportFormat
from regulars.offline.atomic_output import require_file
from regulars.query import execute
from regulars.query.backends import Backends
from regulars.query.formats.tabular import header_of
from regulars.query.parser.filters import IN_SEGMENT
from regulars.query.parser.request import MAX_LIMIT, parse_query
from regulars.query.query import ReportQuery
from regulars.query.replica.cache import ReplicaCache
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.reports.report import ReportFormat
from regulars.segments import definitions
from regulars.storage.database import Database

TABLE_ROWS = 100
"""The rows of a table, unless the body has a limit."""

_FORMATS = ("table", "json", "csv")
_CHART_ENDINGS = tuple(f".{each}" for each in FILE_TYPES)

Result = dict[str, Any]


def query(
    body: Annotated[
        str, Parameter(name="report", help="The name of a report, or a request body as for POST /v1/reporting/query.")
    ],
    *,
    customer: Annotated[str, Parameter(help="Value of X-Customer, or the slug of a community.")] = ALL_CUSTOMERS,
    last: Annotated[
        str | None,
        Parameter(help="Instead of from and to: the last whole 24h, 7d, 1w or 3mo. A bare name has 30d by default."),
    ] = None,
    output: Annotated[
        str | None,
        Parameter(
            name=["-o", "--output"],
            help="Output format: table (the default, the first rows), json or csv (all rows), or an .html, .svg or .png "
            "file for a chart; with --all csv or ndjson.",
        ),
    ] = None,
    all_: Annotated[bool, Parameter(name="--all", help="All rows of one snapshot, without limits.")] = False,
    common: CommonOptions | None = None,
) -> int:
    """Runs a report with access to every customer. No token is needed.

    Example: `regulars query members_grouped_count --customer cdnow -o csv`

    A chart: `regulars query members_count_history --last 3mo -o chart.html`
    """
    with usage_errors(customer):
        request = QueryRequest(body, last, REPORTS_BY_NAME)
        parsed = None
        if IN_SEGMENT not in body:
            # A body without segments is validated before the database is opened.
            parsed = parse_query(msgspec.json.encode(request.at(system_clock())), REPORTS_BY_NAME)
    is_whole = output == "csv" and not request.is_page and parsed is not None and _is_exported(parsed)
    if all_ or is_whole:
        return _write_all(request, customer, output, common)
    output = output or "table"
    chart = _chart_path(output)
    work = partial(
        _run,
        request=request,
        customer=customer,
        is_chart=chart is not None,
        keeps_all=output != "table",
        replica_cache_mb=load_settings(common).replica_cache_mb,
    )
    with usage_errors(customer):
        answer = run_with_database(common, work)
    if chart is not None:
        write_chart(answer.chart(), chart)
        print(f"Chart of {answer.query.report.name} written to {chart}.")
        return 0
    sys.stdout.write(_text(output, answer))
    next_page = answer.result.get("pagination", {}).get("next_page_info")
    if request.is_page and next_page and output != "json":
        sys.stderr.write(f'There are more rows. For the next page add "page_info": "{next_page}".\n')
    if answer.result.get("truncated"):
        sys.stderr.write("The result has more values than these. -o csv writes all.\n")
    return 0


@dataclass(frozen=True)
class _Answer:
    """The result of a query, the number of all records if it has the first ones, and the names of ids in its labels."""

    query: ReportQuery
    result: Result
    total: int | None
    tenants: Sequence[Tenant]
    names: Mapping[str, Any]

    def chart(self) -> Chart:
        """The chart of the result."""
        currency = ", ".join(sorted({each.currency for each in self.tenants}))
        return answer_chart(Subject(self.query.report, self.query.aggregate_by, currency, self.names), self.result)


def _chart_path(output: str) -> Path | None:
    """The file of a chart, None for other output. Raises UsageError, InputNotFoundError and MissingDependencyError."""
    if not output.endswith(_CHART_ENDINGS):
        if output not in _FORMATS:
            raise UsageError(
                f"-o is {output!r}. Allowed: {', '.join(_FORMATS)}, {', '.join(f'FILE{each}' for each in _CHART_ENDINGS)}."
            )
        return None
    chart = Path(output)
    require_file(output)
    if chart.suffix != ".html":
        # Fails before the query runs if the extra is missing.
        require_vl_convert()
    return chart


async def _run(
    database: Database,
    *,
    request: QueryRequest,
    customer: str,
    is_chart: bool,
    keeps_all: bool,
    replica_cache_mb: int,
) -> _Answer:
    tenants = await select_tenants(database, customer)
    segments = await definitions.filters_of(database, tenants)
    found = parse_query(msgspec.json.encode(request.at(database.clock(), tenants)), REPORTS_BY_NAME, segments)
    if is_chart and not can_be_drawn(found.report, found.aggregate_by):
        raise UsageError(
            f"A chart needs a time series, statistics or an aggregate_by, and {found.report.name} has records. "
            "Use -o table, json or csv."
        )
    backends = Backends(database, ReplicaCache(database, replica_cache_mb))
    total: int | None = None
    if request.is_page or found.report.format is not ReportFormat.RECORDS:
        result = dict(await execute.execute(found, tenants, backends, database.clock()))
    else:
        result, total = await _pages(found, tenants, backends, database, keeps_all=keeps_all)
    names = await names_of_labels(database, tenants, result) if is_chart else {}
    return _Answer(found, result, total, tenants, names)


def _is_exported(found: ReportQuery) -> bool:
    return found.report.format is not ReportFormat.STATISTICS


async def _pages(
    found: ReportQuery, tenants: Sequence[Tenant], backends: Backends, database: Database, *, keeps_all: bool
) -> tuple[Result, int]:
    """The first rows of records, or all of them, and the number of all."""
    limit = MAX_LIMIT if keeps_all else TABLE_ROWS
    first = dict(await execute.execute(replace(found, limit=limit), tenants, backends, database.clock()))
    total, cursor = len(first["records"]), first["pagination"]["next_page_info"]
    while cursor is not None:
        page = await execute.execute(
            replace(found, limit=MAX_LIMIT, cursor=cursor), tenants, backends, database.clock()
        )
        total, cursor = total + len(page["records"]), page["pagination"]["next_page_info"]
        if keeps_all:
            first["records"] += page["records"]
    first["pagination"] = {"next_page_info": None}
    return first, total


def _text(output: str, answer: _Answer) -> str:
    if output == "json":
        return to_json(answer.result)
    if output == "csv":
        return to_csv(answer.result, header_of(answer.query))
    table = as_table(answer.result)
    shown, total = len(answer.result.get("records", ())), answer.total
    more = "" if total is None or total == shown else f"{shown:,} of {total:,} rows; -o csv writes all.\n"
    return table + more


def _write_all(request: QueryRequest, customer: str, output: str | None, common: CommonOptions | None) -> int:
    """Writes all rows to standard output, as `regulars export` does."""
    allowed = (ExportFormat.CSV, ExportFormat.NDJSON)
    file_format = {each.code: each for each in allowed}.get(output or ExportFormat.CSV.code)
    if file_format is None:
        raise UsageError(f"-o is {output!r}. Allowed with --all: csv, ndjson. `regulars export` writes other formats.")
    run_export(request.at, customer, sys.stdout.buffer, file_format=file_format, common=common)
    return 0
