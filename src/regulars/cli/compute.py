"""`regulars compute`: every value of every profile over files, without a server."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from regulars.cli.options import UsageError, usage_error
from regulars.cli.progress import report_progress
from regulars.core import money, timestamps
from regulars.query.errors import InvalidParametersError

_FILES = "A file, a folder, a pattern or a URL of CSV or Parquet."


def register(app: App) -> None:
    """Registers the command."""
    app.command(compute_values, name="compute")


def compute_values(
    *,
    transactions: Annotated[str | None, Parameter(help=f"Purchases and returns. {_FILES}")] = None,
    output: Annotated[
        str,
        Parameter(
            name=("--output", "-o"), help="To .csv or .parquet; values by Spark to a folder, a report to .json too."
        ),
    ],
    report: Annotated[str | None, Parameter(help="A report of members or of transactions instead of values.")] = None,
    query: Annotated[str, Parameter(help="What is asked of it: filter, aggregate_by, interval, from, to.")] = "{}",
    memberships: Annotated[str | None, Parameter(help="Joins and leaves, for reports of members.")] = None,
    community_id: Annotated[int, Parameter(help="The number that a report has for the club.")] = 1,
    profiles: Annotated[str | None, Parameter(help="Members; else those that transactions name.")] = None,
    locations: Annotated[str | None, Parameter(help="Stores: their countries, zones and kinds.")] = None,
    products: Annotated[str | None, Parameter(help="The brands of what is sold, by sku.")] = None,
    timezone: Annotated[str, Parameter(help="The zone of times without an offset, and of dates.")] = "UTC",
    currency: Annotated[str | None, Parameter(help="What values are in; needed where there are several.")] = None,
    as_of: Annotated[str | None, Parameter(help="The instant that values are true at; now if not given.")] = None,
    pairs: Annotated[str | None, Parameter(help="A file of columns profile and as_of: values at each.")] = None,
    values: Annotated[
        tuple[str, ...], Parameter(negative="", help="Only these values, as spend_all,shop_count; all if not given.")
    ] = (),
    engine: Annotated[Literal["duckdb", "spark"], Parameter(help="One machine, or many.")] = "duckdb",
    master: Annotated[str | None, Parameter(help="Spark's, such as spark://host:7077; else all cores here.")] = None,
    for_loading: Annotated[
        bool,
        Parameter(negative="", help="Add what `regulars load --precomputed-values` needs to take the values over."),
    ] = False,
    column: Annotated[
        tuple[str, ...], Parameter(negative="", help="What a column is called: profile=customer_id, profiles.x=y.")
    ] = (),
) -> None:
    """Computes all values of all profiles from files, or a report, by the definitions that the server lives by.

    Example: `regulars compute --transactions purchases.csv --column profile=customer_id -o values.parquet`

    A report: `regulars compute --report members_count --profiles members.parquet --query '{"aggregate_by": "by_age"}'
    -o ages.csv`

    Of transactions: `regulars compute --report transactions_stats --transactions purchases.csv --query
    '{"from": "2026-01-01", "to": "2026-11-01"}' -o year.csv`; buyers are as of the instant of each purchase.
    """
    _check_zone(timezone)
    named = _currency(currency)
    if as_of is not None and pairs is not None:
        raise UsageError("Give --as-of or --pairs, not both.")
    if master is not None and engine != "spark":
        raise UsageError("--master is Spark's: give --engine spark too.")

    if report is not None:
        if pairs is not None:
            raise UsageError("--pairs are for values: a report is asked at one instant, --as-of.")
        _report(
            report,
            query,
            transactions=transactions,
            profiles=profiles,
            locations=locations,
            products=products,
            memberships=memberships,
            as_of=_instant(as_of),
            columns=_columns(column),
            timezone=timezone,
            currency=named,
            community_id=community_id,
            engine=engine,
            master=master,
            output=output,
        )
        return
    if transactions is None:
        raise UsageError("Give --transactions: values are made of them; or --report, which says what it needs.")
    if memberships is not None or query != "{}":
        raise UsageError("--memberships and --query are for a report: name it, --report members_count.")

    # The engines take their time to load, which no other command should wait for.
    from regulars.offline.compute import compute

    with report_progress(output) as told:
        compute(
            transactions,
            profiles,
            locations,
            products,
            as_of=_instant(as_of) if pairs is None else _table(pairs),
            values=_names(values),
            columns=_columns(column),
            timezone=timezone,
            currency=named,
            engine=engine,
            master=master,
            output=output,
            with_fingerprints=for_loading,
            progress=lambda stage: told.update(None, stage),
        )


_ASKED = {"filter": "filter", "aggregate_by": "aggregate_by", "interval": "interval", "from": "start", "to": "end"}


def _report(name: str, query: str, **given: Any) -> None:
    try:
        body = json.loads(query)
    except ValueError as error:
        raise UsageError(f"--query is no JSON: {error}.") from None
    if not isinstance(body, dict) or (unknown := sorted(body.keys() - _ASKED.keys())):
        what = "must be an object" if not isinstance(body, dict) else f"has {unknown[0]}"
        raise UsageError(f"--query {what}: it may have {', '.join(_ASKED)}.")

    from regulars.offline.report import compute_report

    asked = {_ASKED[key]: value for key, value in body.items()}
    try:
        with report_progress(given["output"]) as told:
            compute_report(name, **given, **asked, progress=lambda stage: told.update(None, stage))
    except InvalidParametersError as error:
        raise usage_error(error) from None


def _check_zone(name: str) -> None:
    try:
        timestamps.zone_info(name)
    except ValueError as error:
        raise UsageError(f"--timezone {name!r} {error}.") from None


def _currency(code: str | None) -> str | None:
    try:
        return None if code is None else money.parse_currency(code)
    except ValueError as error:
        raise UsageError(f"--currency {code!r} {error}.") from None


def _instant(text: str | None) -> str | None:
    try:
        return text if text is None else timestamps.parse_timestamp(text).isoformat()
    except ValueError as error:
        raise UsageError(f"--as-of {error}.") from None


def _table(file: str) -> str | Path:
    # A text by itself may be an instant.
    return file if "://" in file else Path(file)


def _names(told: tuple[str, ...]) -> list[str] | None:
    return [name.strip() for each in told for name in each.split(",")] or None


def _columns(told: tuple[str, ...]) -> dict[str, str | dict[str, str]]:
    """What columns are called, of the transactions by their names, of other tables by theirs."""
    columns: dict[str, str | dict[str, str]] = {}
    for each in told:
        ours, equals, theirs = each.partition("=")
        if not (ours and equals and theirs):
            raise UsageError(f"--column {each!r} must be OURS=THEIRS, such as profile=customer_id.")
        table, dot, name = ours.rpartition(".")
        own = columns.setdefault(table, {}) if dot and table != "transactions" else columns
        if isinstance(own, dict):
            own[name] = theirs
    return columns
