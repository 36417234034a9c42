"""`regulars query`: any report from the shell."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from regulars.access.customers import Reach, chosen
from regulars.access.denied import Denied
from regulars.cli import charts
from regulars.cli.answers import as_csv, as_json, as_table
from regulars.cli.asked import Where, WrongUseError, settings_of, with_database
from regulars.query import answers
from regulars.query.columns import Copies
from regulars.query.execution import Stores
from regulars.query.problems import InvalidParametersError
from regulars.query.query import Query
from regulars.query.request import NotJsonError, parse
from regulars.reports.registry import BY_NAME
from regulars.reports.report import Format
from regulars.storage.database import Database

_PRINTED = {"table": as_table, "json": as_json, "csv": as_csv}

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
    where: Where | None = None,
) -> int:
    """Asks for a report, as the operator: no token is needed, and every customer is in reach.

    Example: `regulars query '{"report": "members_grouped_count"}' --customer cdnow -o csv`

    A chart: `regulars query '{"report": "members_count_history", "from": "2026-01-01", "to": "2026-04-01"}'
    -o chart.html`
    """
    asked = _parsed(body)
    chart = Path(output) if output.endswith(".html") else None
    if chart is None and output not in _PRINTED:
        raise WrongUseError(f"-o {output} is no form of an answer: there are table, json, csv, and FILE.html.")
    if chart is not None and asked.report.format is not Format.TIMESERIES:
        raise WrongUseError(f"{asked.report.name} is no timeseries and has no chart: leave -o out, or say csv or json.")

    copies_megabytes = settings_of(where).copies_megabytes

    async def work(database: Database) -> Mapping[str, Any]:
        async with database.unscoped() as connection:
            customers = await chosen(connection, Reach(), *_headers(customer))
        stores = Stores(database, Copies(copies_megabytes))
        return await answers.answer(asked, customers, stores, database.clock())

    try:
        answer = with_database(where, work)
    except Denied as denied:
        unknown = f"There is no customer {customer!r}: `regulars community list` names the clubs."
        raise WrongUseError(unknown if denied.status == 403 else denied.message) from None
    except InvalidParametersError as error:
        raise _wrong(error) from None
    if chart is not None:
        chart.write_text(charts.page(asked.report.name, answer))
        print(f"{chart} shows {asked.report.name}.")
        return 0
    sys.stdout.write(_PRINTED[output](answer))
    if output != "json" and (more := answer.get("pagination", {}).get("next_page_info")):
        sys.stderr.write(f'There is more: ask again with "page_info": "{more}".\n')
    return 0


def _parsed(body: str) -> Query:
    try:
        return parse(body.encode(errors="replace"), BY_NAME)
    except NotJsonError as error:
        raise WrongUseError(str(error)) from None
    except InvalidParametersError as error:
        raise _wrong(error) from None


def _wrong(error: InvalidParametersError) -> WrongUseError:
    told = (f"{'.'.join(map(str, path))}: {each.message}" for path, found in error.problems.items() for each in found)
    return WrongUseError(" ".join(told))


def _headers(customer: str) -> tuple[Sequence[str], Sequence[str]]:
    """X-Customer and X-Loyalty-Club-Slug."""
    is_slug = "=" not in customer and not customer.replace("_", "").isdecimal()
    return ([], [customer]) if is_slug else ([customer], [])
