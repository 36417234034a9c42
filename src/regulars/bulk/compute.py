"""`regulars.compute`: every value of every profile, over files and tables, without a server."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from regulars.aggregations import evidence, wire
from regulars.aggregations.aggregation import Aggregation
from regulars.bulk import given as things
from regulars.bulk import replacing, tables
from regulars.bulk.on_duckdb import OnDuckDB
from regulars.bulk.plan import Asked, run
from regulars.bulk.refusals import NotThereError
from regulars.bulk.shape import Source
from regulars.clock import system_clock
from regulars.facts import instants

Tell = Callable[[str], None]


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
    for_loading: bool = False,
    tell: Tell = lambda stage: None,
) -> Any:
    """The values of all profiles, or, with a table (profile, as_of) as `as_of`, of each pair at its own instant.

    Tables are paths, patterns, folders or URLs of CSV or Parquet, pandas or Polars frames, Arrow tables, or Spark
    DataFrames; `columns` says what theirs are called, such as {"profile": "customer_id"}. `as_of` is now where it is
    not given; what happened later counts for nothing. `values` names those that are wanted, all where it is not given:
    only what they need is read, checked and computed; profile_id and calculated_at always come with them.
    Times without an offset are local: of the row's zone, else of its location's, else of `timezone`. Money is in
    `currency`, exact.
    `for_loading` adds when values change and evidence of their facts, by which `regulars load --values` takes them.
    Gives an Arrow table, or a Spark DataFrame with engine "spark"; None where `output` names a file to write.
    Raises UnfitError where something can't be computed from, with the table, the column and what to do.
    """
    if engine not in ("duckdb", "spark"):
        raise NotThereError(f"engine must be duckdb or spark, not {engine!r}.")
    if transactions is None:
        raise NotThereError("transactions are needed: values are made of them.")
    place = None if output is None else replacing.place(output, may_be_folder=engine == "spark")
    instant, pairs = _instant_or_pairs(as_of)
    shown = _shown(values)
    if for_loading:
        if values is not None or pairs is not None:
            raise NotThereError("for_loading takes all values, at one instant: give neither values nor pairs.")
        if place is not None and place.endswith(".csv"):
            raise NotThereError("for_loading writes Parquet: let output end in .parquet, or be a folder of Spark's.")
        shown = (*shown, *evidence.SIDE)
    asked = Asked(timezone, currency, instant, shown, for_loading)
    named = {"transactions": transactions, "profiles": profiles, "locations": locations, "products": products}
    handed = {name: thing for name, thing in {**named, "as_of": pairs}.items() if thing is not None}
    runner: Any
    if engine == "duckdb":
        runner = OnDuckDB()
    else:
        from regulars.bulk.on_spark import OnSpark

        runner = OnSpark(spark, master)
    sources = {name: _source(runner, name, thing, columns) for name, thing in handed.items()}
    select = run(runner, sources, asked, tell)
    if place is None:
        return runner.table(select)
    tell("writing")
    runner.write(select, place, shown)
    return None


def _shown(names: Sequence[str] | None) -> tuple[Aggregation, ...]:
    """The values that go out. Raises NotThereError for a name that none has."""
    try:
        return wire.named(None if names is None else [*_ALWAYS, *names])
    except KeyError as error:
        known = ", ".join(each.name for each in wire.ALL)
        raise NotThereError(f"values: there is no {error.args[0]}; there are {known}.") from None


_ALWAYS = ("profile_id", "calculated_at")

_TABLES = {each.name: each for each in tables.TABLES}


def _source(runner: Any, name: str, thing: Any, columns: Mapping[str, Any] | None) -> Source:
    table = _TABLES[name]
    found: Source = runner.source(table, things.given(thing, table), things.named(columns, table))
    return found


def instant_of(as_of: Any) -> datetime:
    """One instant; now where none is given. Raises NotThereError for what is none."""
    at, _ = _instant_or_pairs(as_of)
    if at is None:
        raise NotThereError("as_of must be one instant: a report is asked at one.")
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
            return instants.instant(as_of), None
        except ValueError as error:
            if "://" in as_of or as_of.endswith(things.ENDINGS) or Path(as_of).exists():
                return None, as_of
            raise NotThereError(f"as_of {error}.") from None
    return None, as_of
