"""`regulars query`: runs a report from the shell."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from regulars.auth.tenants import ALL_CUSTOMERS
from regulars.cli import chart_page
from regulars.cli.export import run_export, write_to_standard_output
from regulars.cli.options import CommonOptions, UsageError, load_settings, run_with_database
from regulars.cli.output import as_table, to_csv, to_json
from regulars.cli.tenants import select_tenants, usage_errors
from regulars.exports.formats import ExportFormat
from regulars.query import execute
from regulars.query.backends import Backends
from regulars.query.parser.filters import IN_SEGMENT
from regulars.query.parser.request import parse_query
from regulars.query.replica.cache import ReplicaCache
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.reports.report import ReportFormat
from regulars.segments import definitions
from regulars.storage.database import Database

_FORMATTERS = {"table": as_table, "json": to_json, "csv": to_csv}


def query(
    body: Annotated[str, Parameter(help="Request body, as for POST /v1/reporting/query.")],
    *,
    customer: Annotated[str, Parameter(help="Value of X-Customer, or the slug of a community.")] = ALL_CUSTOMERS,
    output: Annotated[
        str | None,
        Parameter(
            name=["-o", "--output"],
            help="Output format: table (the default), json, csv, or an .html file for a chart; with --all csv or ndjson.",
        ),
    ] = None,
    all_: Annotated[bool, Parameter(name="--all", help="All rows instead of a page, without limits.")] = False,
    common: CommonOptions | None = None,
) -> int:
    """Runs a report with access to every customer. No token is needed.

    Example: `regulars query '{"report": "members_grouped_count"}' --customer cdnow -o csv`

    A chart: `regulars query '{"report": "members_count_history", "from": "2026-01-01", "to": "2026-04-01"}'
    -o chart.html`
    """
    if all_:
        return _write_all(body, customer, output, common)
    output = output or "table"
    content = body.encode(errors="replace")
    if IN_SEGMENT not in body:
        # A body without segments is validated before the database is opened.
        with usage_errors(customer):
            parse_query(content, REPORTS_BY_NAME)
    chart = Path(output) if output.endswith(".html") else None
    if chart is None and output not in _FORMATTERS:
        raise UsageError(f"-o is {output!r}. Allowed: table, json, csv, FILE.html.")
    if chart is not None:
        # Fails before the query runs if plotly is missing.
        chart_page.plotly_script()
    replica_cache_mb = load_settings(common).replica_cache_mb

    async def work(database: Database) -> tuple[str, Mapping[str, Any]]:
        tenants = await select_tenants(database, customer)
        segments = await definitions.filters_of(database, tenants)
        report_query = parse_query(content, REPORTS_BY_NAME, segments)
        name = report_query.report.name
        if chart is not None and report_query.report.format is not ReportFormat.TIMESERIES:
            raise UsageError(f"A chart needs a time series, and {name} is none. Use -o table, json or csv.")
        backends = Backends(database, ReplicaCache(replica_cache_mb))
        return name, await execute.execute(report_query, tenants, backends, database.clock())

    with usage_errors(customer):
        name, result = run_with_database(common, work)
    if chart is not None:
        chart.write_text(chart_page.render_page(name, result))
        print(f"Chart of {name} written to {chart}.")
        return 0
    sys.stdout.write(_FORMATTERS[output](result))
    if output != "json" and (next_page := result.get("pagination", {}).get("next_page_info")):
        sys.stderr.write(
            f'There are more rows. For the next page add "page_info": "{next_page}"; --all writes all rows.\n'
        )
    return 0


def _write_all(body: str, customer: str, output: str | None, common: CommonOptions | None) -> int:
    """Writes all rows to standard output, as `regulars export` does."""
    allowed = (ExportFormat.CSV, ExportFormat.NDJSON)
    file_format = {each.code: each for each in allowed}.get(output or ExportFormat.CSV.code)
    if file_format is None:
        raise UsageError(f"-o is {output!r}. Allowed with --all: csv, ndjson. `regulars export` writes other formats.")
    return write_to_standard_output(partial(run_export, body, customer, file_format=file_format), common)
