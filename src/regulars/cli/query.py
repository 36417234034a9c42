"""`regulars query`: runs a report from the shell."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from regulars.auth.errors import AccessDenied
from regulars.auth.tenants import TenantScope, resolve_tenants
from regulars.cli import chart_page
from regulars.cli.options import CommonOptions, UsageError, load_settings, run_with_database, usage_error
from regulars.cli.output import as_table, to_csv, to_json
from regulars.query import execute
from regulars.query.backends import Backends
from regulars.query.errors import InvalidParametersError
from regulars.query.parser.request import InvalidJsonError, parse_query
from regulars.query.query import ReportQuery
from regulars.query.replica.cache import ReplicaCache
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.reports.report import ReportFormat
from regulars.storage.database import Database

_FORMATTERS = {"table": as_table, "json": to_json, "csv": to_csv}

_ALL_TENANTS = "all=all"


def query(
    body: Annotated[str, Parameter(help="Request body, as for POST /v1/reporting/query.")],
    *,
    customer: Annotated[str, Parameter(help="Value of X-Customer, or the slug of a community.")] = _ALL_TENANTS,
    output: Annotated[
        str, Parameter(name=["-o", "--output"], help="Output format: table, json, csv, or an .html file for a chart.")
    ] = "table",
    common: CommonOptions | None = None,
) -> int:
    """Runs a report with access to every customer. No token is needed.

    Example: `regulars query '{"report": "members_grouped_count"}' --customer cdnow -o csv`

    A chart: `regulars query '{"report": "members_count_history", "from": "2026-01-01", "to": "2026-04-01"}'
    -o chart.html`
    """
    report_query = _parse(body)
    chart = Path(output) if output.endswith(".html") else None
    if chart is None and output not in _FORMATTERS:
        raise UsageError(f"-o is {output!r}. Allowed: table, json, csv, FILE.html.")
    if chart is not None:
        # Fails before the query runs if plotly is missing.
        chart_page.plotly_script()
    if chart is not None and report_query.report.format is not ReportFormat.TIMESERIES:
        raise UsageError(
            f"A chart needs a time series, and {report_query.report.name} is none. Use -o table, json or csv."
        )

    replica_cache_mb = load_settings(common).replica_cache_mb

    async def work(database: Database) -> Mapping[str, Any]:
        async with database.unscoped_connection() as connection:
            tenants = await resolve_tenants(connection, TenantScope(), *customer_headers(customer))
        backends = Backends(database, ReplicaCache(replica_cache_mb))
        return await execute.execute(report_query, tenants, backends, database.clock())

    try:
        result = run_with_database(common, work)
    except AccessDenied as error:
        not_found = f"Customer {customer!r} not found. `regulars community list` shows the communities."
        raise UsageError(not_found if error.status == 403 else error.message) from None
    except InvalidParametersError as error:
        raise usage_error(error) from None
    if chart is not None:
        chart.write_text(chart_page.render_page(report_query.report.name, result))
        print(f"Chart of {report_query.report.name} written to {chart}.")
        return 0
    sys.stdout.write(_FORMATTERS[output](result))
    if output != "json" and (next_page := result.get("pagination", {}).get("next_page_info")):
        sys.stderr.write(f'There are more rows. For the next page add "page_info": "{next_page}".\n')
    return 0


def _parse(body: str) -> ReportQuery:
    try:
        return parse_query(body.encode(errors="replace"), REPORTS_BY_NAME)
    except InvalidJsonError as error:
        raise UsageError(str(error)) from None
    except InvalidParametersError as error:
        raise usage_error(error) from None


def customer_headers(customer: str) -> tuple[Sequence[str], Sequence[str]]:
    """Returns the values of X-Customer and X-Loyalty-Club-Slug."""
    is_slug = "=" not in customer and not customer.replace("_", "").isdecimal()
    return ([], [customer]) if is_slug else ([customer], [])
