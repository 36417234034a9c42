"""`regulars.compute`: computes all values of all profiles from files and tables, without a server."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from regulars.aggregations import fingerprint, serialization
from regulars.aggregations.aggregation import Aggregation
from regulars.clock import system_clock
from regulars.core import timestamps
from regulars.core.errors import ValidationError
from regulars.model.transactions.void_statuses import DEFAULT_VOID_STATUSES, normalize_void_statuses
from regulars.offline import atomic_output, inputs, schema
from regulars.offline.engines import create_engine, require_engine
from regulars.offline.errors import InputNotFoundError
from regulars.offline.pipeline import ComputeSpec, build_values
from regulars.offline.registration import parse_reading, register
from regulars.offline.structures import NoticeCallback
from regulars.offline.value_list import with_metadata

ProgressCallback = Callable[[str], None]


def compute(
    transactions: Any,
    profiles: Any = None,
    locations: Any = None,
    products: Any = None,
    *,
    as_of: Any = None,
    values: str | Sequence[str] | None = None,
    money: str = "decimal",
    columns: Mapping[str, Any] | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    date_format: str | None = None,
    sheet: str | None = None,
    strict: bool = False,
    timezone: str = "UTC",
    currency: str | None = None,
    void_statuses: Sequence[str] | None = None,
    engine: str = "duckdb",
    master: str | None = None,
    spark: Any = None,
    output: str | Path | None = None,
    with_fingerprints: bool = False,
    progress: ProgressCallback = lambda stage: None,
    on_notice: NoticeCallback | None = None,
) -> Any:
    """Computes the values of all profiles, or of each row of an entity table (profile, as_of) passed as `as_of`.

    Tables are paths, glob patterns, folders or URLs of CSV or Parquet files, pandas or Polars frames, lazy ones too, Arrow
    tables, relations of DuckDB, Spark DataFrames, or anything with an Arrow stream. `columns` maps column names to those of
    the input, such as {"profile": "customer_id"}. `as_of` defaults to now; later facts are ignored. `values` selects one or
    several values (default: all), which `regulars.values()` lists: only what they need is read, validated and computed;
    profile_id and calculated_at are always included.
    Times in text are ISO 8601, or in `date_format`, such as "%m/%d/%Y %H:%M". `delimiter`, `decimal` and `encoding` of CSV
    files are detected unless they are stated. Of lines of one transaction that differ in other columns than those of items,
    the first one with a value decides, unless `strict`. `on_notice` receives how files were read and how many
    transactions have such lines (default: the log).
    Times without an offset are local, in the time zone of the row, else of its location, else in `timezone`. Money is
    exact, in `currency`; with `money="float"`, money and percentages are floating-point numbers. A transaction with one
    of the `void_statuses` (by default cancelled, canceled, voided and failed) in any case is void.
    `with_fingerprints` adds the next change and the fingerprint of the facts, which
    `regulars load --precomputed-values` needs.
    Returns an Arrow table, whose fields have the meaning, type and unit of their value as metadata, or a Spark DataFrame
    with engine "spark"; None if `output` is written.
    Raises InvalidInputError for invalid input, with the table, the column and a remedy.
    """
    require_engine(engine)
    if money not in ("decimal", "float"):
        raise InputNotFoundError(f"Unknown money {money!r}. Allowed: decimal, float.")
    if transactions is None:
        raise InputNotFoundError("transactions is required.")
    target = None if output is None else atomic_output.resolve_output(output, may_be_folder=engine == "spark")
    instant, entities = _instant_or_entities(as_of)
    aggregations = _select(values)
    if with_fingerprints:
        if values is not None or entities is not None:
            raise InputNotFoundError(
                "with_fingerprints needs all values at one instant. Omit values, and use a single instant as as_of."
            )
        if target is not None and target.endswith(".csv"):
            raise InputNotFoundError(
                "with_fingerprints writes Parquet only. Use an output with the extension .parquet, or a folder with Spark."
            )
        aggregations = (*aggregations, *fingerprint.LOADING_COLUMNS)
    tables = {"transactions": transactions, "profiles": profiles, "locations": locations, "products": products}
    passed = {name: value for name, value in {**tables, "as_of": entities}.items() if value is not None}
    reading = parse_reading(
        columns,
        on_notice,
        strict=strict,
        delimiter=delimiter,
        decimal=decimal,
        encoding=encoding,
        date_format=date_format,
        sheet=sheet,
    )
    spec = ComputeSpec(
        timezone,
        currency,
        instant,
        aggregations,
        with_fingerprints,
        money == "float",
        reading.is_strict,
        reading.on_notice,
        resolve_void_statuses(void_statuses),
    )
    backend = create_engine(engine, spark, master)
    registered = {name: register(backend, _TABLES[name], value, reading) for name, value in passed.items()}
    select = build_values(backend, registered, spec, progress)
    if target is None:
        table = backend.to_table(select)
        if not isinstance(table, pa.Table):
            return table
        ((currency_code,),) = backend.fetch("SELECT currency FROM club")
        return with_metadata(table, currency_code)
    progress("writing")
    backend.write(select, target, aggregations)
    return None


def _select(names: str | Sequence[str] | None) -> tuple[Aggregation, ...]:
    """The selected values. Raises InputNotFoundError for an unknown name."""
    if isinstance(names, str):
        names = [names]
    if names is not None and not (isinstance(names, Sequence) and all(isinstance(each, str) for each in names)):
        raise InputNotFoundError(f'values is {names!r}. Pass a name, or a list of names such as ["spend_12m"].')
    try:
        return serialization.aggregations_by_name(None if names is None else [*_ALWAYS, *names])
    except KeyError as error:
        allowed = ", ".join(each.name for each in serialization.ALL_AGGREGATIONS)
        raise InputNotFoundError(f"Unknown value {error.args[0]!r}. Allowed: {allowed}.") from None


_ALWAYS = ("profile_id", "calculated_at")

_TABLES = {each.name: each for each in schema.TABLES}


def resolve_void_statuses(statuses: Sequence[str] | None) -> tuple[str, ...]:
    """Void statuses in lower case; None is the default. Raises InputNotFoundError for invalid ones."""
    if statuses is None:
        return DEFAULT_VOID_STATUSES
    try:
        return normalize_void_statuses([statuses] if isinstance(statuses, str) else statuses)
    except ValidationError as error:
        raise InputNotFoundError(f"void_statuses {error.errors['void_statuses']}.") from None


def resolve_as_of(as_of: Any) -> datetime:
    """The instant of `as_of`; now if it is None. Raises InputNotFoundError if it is not an instant."""
    at, _ = _instant_or_entities(as_of)
    if at is None:
        raise InputNotFoundError(f"as_of must be a single instant for a report. Found: a {type(as_of).__name__}.")
    return at


def _instant_or_entities(as_of: Any) -> tuple[datetime | None, Any]:
    if as_of is None:
        return system_clock(), None
    if isinstance(as_of, datetime):
        return (as_of.replace(tzinfo=UTC) if as_of.tzinfo is None else as_of.astimezone(UTC)), None
    if isinstance(as_of, date):
        return datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC), None
    if isinstance(as_of, str):
        try:
            return timestamps.parse_timestamp(as_of), None
        except ValueError as error:
            if "://" in as_of or as_of.endswith(inputs.EXTENSIONS) or Path(as_of).exists():
                return None, as_of
            raise InputNotFoundError(f"as_of is {as_of!r}. It {error}.") from None
    return None, as_of
