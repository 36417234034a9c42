"""`regulars.compute`: every value of every profile, over files and tables, without a server."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from regulars.aggregations import fingerprint, serialization
from regulars.aggregations.aggregation import Aggregation
from regulars.clock import system_clock
from regulars.core import timestamps
from regulars.offline import atomic_output, schema
from regulars.offline import inputs as things
from regulars.offline.engines.duckdb import DuckDBEngine
from regulars.offline.errors import InputNotFoundError
from regulars.offline.pipeline import ComputeSpec, build_values
from regulars.offline.structures import InputTable

ProgressCallback = Callable[[str], None]


def compute(
    transactions: Any,
    profiles: Any = None,
    locations: Any = None,
    products: Any = None,
    *,
    as_of: Any = None,
    values: Sequence[str] | None = None,
    columns: Mapping[str, Any] | None = None,
    timezone: str = "UTC",
    currency: str | None = None,
    engine: str = "duckdb",
    master: str | None = None,
    spark: Any = None,
    output: str | Path | None = None,
    with_fingerprints: bool = False,
    progress: ProgressCallback = lambda stage: None,
) -> Any:
    """The values of all profiles, or, with a table (profile, as_of) as `as_of`, of each pair at its own instant.

    Tables are paths, patterns, folders or URLs of CSV or Parquet, pandas or Polars frames, Arrow tables, or Spark
    DataFrames; `columns` says what theirs are called, such as {"profile": "customer_id"}. `as_of` is now where it is
    not given; what happened later counts for nothing. `values` names those that are wanted, all where it is not given:
    only what they need is read, checked and computed; profile_id and calculated_at always come with them.
    Times without an offset are local: of the row's zone, else of its location's, else of `timezone`. Money is in
    `currency`, exact.
    `for_loading` adds when values change and evidence of their facts, by which `regulars load --precomputed-values` takes them.
    Gives an Arrow table, or a Spark DataFrame with engine "spark"; None where `output` names a file to write.
    Raises InvalidInputError where something can't be computed from, with the table, the column and what to do.
    """
    if engine not in ("duckdb", "spark"):
        raise InputNotFoundError(f"engine must be duckdb or spark, not {engine!r}.")
    if transactions is None:
        raise InputNotFoundError("transactions are needed: values are made of them.")
    place = None if output is None else atomic_output.resolve_output(output, may_be_folder=engine == "spark")
    instant, pairs = _instant_or_pairs(as_of)
    shown = _shown(values)
    if with_fingerprints:
        if values is not None or pairs is not None:
            raise InputNotFoundError("for_loading takes all values, at one instant: give neither values nor pairs.")
        if place is not None and place.endswith(".csv"):
            raise InputNotFoundError(
                "for_loading writes Parquet: let output end in .parquet, or be a folder of Spark's."
            )
        shown = (*shown, *fingerprint.LOADING_COLUMNS)
    asked = ComputeSpec(timezone, currency, instant, shown, with_fingerprints)
    named = {"transactions": transactions, "profiles": profiles, "locations": locations, "products": products}
    handed = {name: thing for name, thing in {**named, "as_of": pairs}.items() if thing is not None}
    runner: Any
    if engine == "duckdb":
        runner = DuckDBEngine()
    else:
        from regulars.offline.engines.spark import SparkEngine

        runner = SparkEngine(spark, master)
    sources = {name: _source(runner, name, thing, columns) for name, thing in handed.items()}
    select = build_values(runner, sources, asked, progress)
    if place is None:
        return runner.table(select)
    progress("writing")
    runner.write(select, place, shown)
    return None


def _shown(names: Sequence[str] | None) -> tuple[Aggregation, ...]:
    """The values that go out. Raises InputNotFoundError for a name that none has."""
    try:
        return serialization.aggregations_by_name(None if names is None else [*_ALWAYS, *names])
    except KeyError as error:
        known = ", ".join(each.name for each in serialization.ALL_AGGREGATIONS)
        raise InputNotFoundError(f"values: there is no {error.args[0]}; there are {known}.") from None


_ALWAYS = ("profile_id", "calculated_at")

_TABLES = {each.name: each for each in schema.TABLES}


def _source(runner: Any, name: str, thing: Any, columns: Mapping[str, Any] | None) -> InputTable:
    table = _TABLES[name]
    found: InputTable = runner.source(table, things.resolve_input(thing, table), things.map_columns(columns, table))
    return found


def resolve_as_of(as_of: Any) -> datetime:
    """One instant; now where none is given. Raises InputNotFoundError for what is none."""
    at, _ = _instant_or_pairs(as_of)
    if at is None:
        raise InputNotFoundError("as_of must be one instant: a report is asked at one.")
    return at


def _instant_or_pairs(as_of: Any) -> tuple[datetime | None, Any]:
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
            if "://" in as_of or as_of.endswith(things.EXTENSIONS) or Path(as_of).exists():
                return None, as_of
            raise InputNotFoundError(f"as_of {error}.") from None
    return None, as_of
