"""`regulars compute`: computes values or a report from files, without a server."""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from regulars.cli.file_options import InputFileOptions
from regulars.cli.options import UsageError, parse_instant, usage_error
from regulars.cli.progress import report_progress
from regulars.core import money
from regulars.file_dialects.options import DialectOptions
from regulars.query.errors import InvalidParametersError

_FILES = "A file, folder, glob pattern or URL of CSV or Parquet files."


def compute_values(
    *,
    transactions: Annotated[str | None, Parameter(help=f"Purchases and returns. {_FILES}")] = None,
    output: Annotated[
        str,
        Parameter(
            name=("--output", "-o"), help="Output file: .csv or .parquet, .json for a report; with Spark also a folder."
        ),
    ],
    report: Annotated[
        str | None, Parameter(help="Compute this report about members or transactions instead of values.")
    ] = None,
    segment: Annotated[
        str | None,
        Parameter(help="Compute which members are in this segment: a filter as JSON, or a file that contains it."),
    ] = None,
    query: Annotated[
        str, Parameter(help="Parameters of the report as JSON: filter, aggregate_by, interval, from, to.")
    ] = "{}",
    memberships: Annotated[str | None, Parameter(help="Joins and leaves, for reports about members.")] = None,
    community_id: Annotated[int, Parameter(help="Value of community_id in a report.")] = 1,
    profiles: Annotated[str | None, Parameter(help="Members; default: the profiles of the transactions.")] = None,
    locations: Annotated[str | None, Parameter(help="Stores with their countries, time zones and types.")] = None,
    products: Annotated[str | None, Parameter(help="Products with their SKUs and brands.")] = None,
    currency: Annotated[
        str | None, Parameter(help="Currency of the values; required if the transactions have several.")
    ] = None,
    void_status: Annotated[
        tuple[str, ...],
        Parameter(
            help="Status of transactions that are void, in any case. May be repeated. "
            "Default: cancelled, canceled, voided, failed."
        ),
    ] = (),
    no_void_statuses: Annotated[bool, Parameter(negative="", help="No status makes a transaction void.")] = False,
    as_of: Annotated[str | None, Parameter(help="Compute values as of this instant; default: now.")] = None,
    entities: Annotated[
        str | None, Parameter(help="Entity table with the columns profile and as_of: one row of values each.")
    ] = None,
    values: Annotated[
        tuple[str, ...], Parameter(negative="", help="Only these values, such as spend_all,shop_count; default: all.")
    ] = (),
    engine: Annotated[Literal["duckdb", "spark"], Parameter(help="DuckDB on one machine, or Spark.")] = "duckdb",
    master: Annotated[
        str | None, Parameter(help="URL of the Spark master, such as spark://host:7077; default: all local cores.")
    ] = None,
    with_fingerprints: Annotated[
        bool, Parameter(negative="", help="Add the columns that `regulars load --precomputed-values` needs.")
    ] = False,
    strict: Annotated[
        bool,
        Parameter(help="Reject transactions whose lines differ in other columns than those of items.", negative=""),
    ] = False,
    file_options: InputFileOptions | None = None,
) -> None:
    """Computes all values of all profiles, a report, or the members of a segment, from files, by the server's definitions.

    Example: `regulars compute --transactions purchases.csv --column profile=customer_id -o values.parquet`

    Report about members: `regulars compute --report members_count --profiles members.parquet --query '{"aggregate_by": "by_age"}'
    -o ages.csv`

    Report about transactions: `regulars compute --report transactions_stats --transactions purchases.csv --query
    '{"from": "2026-01-01", "to": "2026-11-01"}' -o year.csv`

    Segment: `regulars compute --segment at-risk.json --profiles members.parquet --transactions purchases.csv
    -o at-risk.csv`
    """
    stated = (file_options or InputFileOptions()).parse()
    inputs: dict[str, Any] = {
        "transactions": transactions,
        "profiles": profiles,
        "locations": locations,
        "products": products,
        "columns": _columns(stated),
        **{name: getattr(stated, name) for name in ("delimiter", "decimal", "encoding", "date_format", "sheet")},
        "strict": strict,
        "on_notice": lambda text: sys.stderr.write(f"{text}\n"),
        "timezone": stated.timezone or "UTC",
        "currency": _currency(currency),
        "void_statuses": () if no_void_statuses else void_status or None,
        "engine": engine,
        "master": master,
        "output": output,
    }
    if as_of is not None and entities is not None:
        raise UsageError("Use either --as-of or --entities.")
    if master is not None and engine != "spark":
        raise UsageError("--master requires --engine spark.")
    if report is not None:
        if entities is not None:
            raise UsageError("--entities is not supported for reports. Use --as-of.")
        of_report = {"memberships": memberships, "as_of": _instant(as_of), "community_id": community_id}
        _compute_report(report, query, **inputs, **of_report)
    elif segment is not None:
        if entities is not None or query != "{}" or profiles is None:
            raise UsageError(
                "--segment requires --profiles. Use --as-of for another instant; --query requires --report."
            )
        _compute_segment(segment, **inputs, memberships=memberships, as_of=_instant(as_of))
    else:
        if transactions is None:
            raise UsageError("Missing option --transactions (or --report or --segment).")
        if memberships is not None or query != "{}":
            raise UsageError("--memberships and --query require --report.")
        instants = _instant(as_of) if entities is None else _table(entities)
        _compute_values(**inputs, as_of=instants, values=_names(values), with_fingerprints=with_fingerprints)


# The engines are slow to import, so each function imports its own.


def _compute_values(**options: Any) -> None:
    from regulars.offline.compute import compute

    _run(partial(compute, **options), options["output"])


_QUERY_PARAMETERS = {
    "filter": "filter",
    "aggregate_by": "aggregate_by",
    "interval": "interval",
    "from": "start",
    "to": "end",
}


def _compute_report(name: str, query: str, **options: Any) -> None:
    try:
        body = json.loads(query)
    except ValueError as error:
        raise UsageError(f"--query is not valid JSON: {error}.") from None
    if not isinstance(body, dict) or (unknown := sorted(body.keys() - _QUERY_PARAMETERS.keys())):
        problem = "must be an object" if not isinstance(body, dict) else f"has unknown parameter {unknown[0]!r}"
        raise UsageError(f"--query {problem}. Allowed: {', '.join(_QUERY_PARAMETERS)}.")

    from regulars.offline.report import compute_report

    parameters = {_QUERY_PARAMETERS[key]: value for key, value in body.items()}
    _run(partial(compute_report, name, **options, **parameters), options["output"])


def _compute_segment(segment: str, **options: Any) -> None:
    from regulars.offline.segment import compute_segment

    _run(partial(compute_segment, segment, **options), options["output"])


def _run(compute: Callable[..., object], output: str) -> None:
    """Computes with a report of the progress. Raises UsageError for an invalid query or filter."""
    try:
        with report_progress(output) as progress:
            compute(progress=lambda stage: progress.update(None, stage))
    except InvalidParametersError as error:
        raise usage_error(error) from None


def _currency(code: str | None) -> str | None:
    try:
        return None if code is None else money.parse_currency(code)
    except ValueError as error:
        raise UsageError(f"--currency {code!r} {error}.") from None


def _instant(text: str | None) -> str | None:
    instant = parse_instant("--as-of", text)
    return None if instant is None else instant.isoformat()


def _table(file: str) -> str | Path:
    # A string would be parsed as an instant.
    return file if "://" in file else Path(file)


def _names(options: tuple[str, ...]) -> list[str] | None:
    return [name.strip() for each in options for name in each.split(",")] or None


def _columns(options: DialectOptions) -> dict[str, str | dict[str, str]]:
    """Names of columns in the input: of transactions by name, of other tables by table."""
    columns: dict[str, str | dict[str, str]] = {}
    for ours, theirs in options.columns.items():
        table, dot, column = ours.rpartition(".")
        of_table = columns.setdefault(table, {}) if dot and table != "transactions" else columns
        if isinstance(of_table, dict):
            of_table[column] = theirs
    return columns
