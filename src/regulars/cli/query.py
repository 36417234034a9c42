"""`regulars query`: any report from the shell."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

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

_PRINTED = {"table": as_table, "json": to_json, "csv": to_csv}

_ALL = "all=all"


def add_to(app: App) -> None:
    """Adds the command."""
    app.command(query)


def query(
    body: Annotated[str, Parameter(help="What would be posted to /v1/reporting/query.")],
    *,
    customer: Annotated[str, Parameter(help="As X-Customer says it, or the slug of a club.")] = _ALL,
    output: Annotated[
        str, Parameter(name=["-o", "--output"], help="table, json, csv, or a file such as chart.html.")
    ] = "table",
    where: CommonOptions | None = None,
) -> int:
    """Asks for a report, as the operator: no token is needed, and every customer is in reach.

    Example: `regulars query '{"report": "members_grouped_count"}' --customer cdnow -o csv`

    A chart: `regulars query '{"report": "members_count_history", "from": "2026-01-01", "to": "2026-04-01"}'
    -o chart.html`
    """
    asked = _parsed(body)
    chart = Path(output) if output.endswith(".html") else None
    if chart is None and output not in _PRINTED:
        raise UsageError(f"-o {output} is no form of an answer: there are table, json, csv, and FILE.html.")
    if chart is not None:
        chart_page.plotly_script()  # fails before the query runs
    if chart is not None and asked.report.format is not ReportFormat.TIMESERIES:
        raise UsageError(f"{asked.report.name} is no timeseries and has no chart: leave -o out, or say csv or json.")

    replica_cache_mb = load_settings(where).replica_cache_mb

    async def work(database: Database) -> Mapping[str, Any]:
        async with database.unscoped_connection() as connection:
            customers = await resolve_tenants(connection, TenantScope(), *_headers(customer))
        stores = Backends(database, ReplicaCache(replica_cache_mb))
        return await execute.execute(asked, customers, stores, database.clock())

    try:
        answer = run_with_database(where, work)
    except AccessDenied as denied:
        unknown = f"There is no customer {customer!r}: `regulars community list` names the clubs."
        raise UsageError(unknown if denied.status == 403 else denied.message) from None
    except InvalidParametersError as error:
        raise usage_error(error) from None
    if chart is not None:
        chart.write_text(chart_page.render_page(asked.report.name, answer))
        print(f"{chart} shows {asked.report.name}.")
        return 0
    sys.stdout.write(_PRINTED[output](answer))
    if output != "json" and (more := answer.get("pagination", {}).get("next_page_info")):
        sys.stderr.write(f'There is more: ask again with "page_info": "{more}".\n')
    return 0


def _parsed(body: str) -> ReportQuery:
    try:
        return parse_query(body.encode(errors="replace"), REPORTS_BY_NAME)
    except InvalidJsonError as error:
        raise UsageError(str(error)) from None
    except InvalidParametersError as error:
        raise usage_error(error) from None


def _headers(customer: str) -> tuple[Sequence[str], Sequence[str]]:
    """X-Customer and X-Loyalty-Club-Slug."""
    is_slug = "=" not in customer and not customer.replace("_", "").isdecimal()
    return ([], [customer]) if is_slug else ([customer], [])
