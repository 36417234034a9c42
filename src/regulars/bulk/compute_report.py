"""`regulars.compute_report`: a report over files and tables, without a server, in the API's own shape."""

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from regulars.access.customers import Customer
from regulars.bulk import given as things
from regulars.bulk import reported, tables
from regulars.bulk.compute import Tell, instant_of
from regulars.bulk.on_duckdb import OnDuckDB
from regulars.bulk.plan import zone
from regulars.bulk.refusals import NotThereError, UnfitError
from regulars.bulk.report_files import place, write
from regulars.bulk.report_stores import FileStores
from regulars.bulk.reported import Needs, Told
from regulars.query.answers import answer
from regulars.query.query import Query
from regulars.query.request import parse
from regulars.query.timeseries import MOST_POINTS
from regulars.reports.over_files import FACTS, over_files
from regulars.reports.registry import BY_NAME
from regulars.reports.report import Format, Store

_ALL = 2**31 - 2
"""Files are not paged."""


def compute_report(
    report: str,
    transactions: Any = None,
    profiles: Any = None,
    locations: Any = None,
    products: Any = None,
    *,
    memberships: Any = None,
    filter: Mapping[str, Any] | None = None,  # noqa: A002 - as the API calls it
    aggregate_by: str | None = None,
    interval: str | None = None,
    start: str | date | None = None,
    end: str | date | None = None,
    as_of: Any = None,
    columns: Mapping[str, Any] | None = None,
    timezone: str = "UTC",
    currency: str | None = None,
    community_id: int = 1,
    personal: Sequence[str] = (),
    engine: str = "duckdb",
    master: str | None = None,
    spark: Any = None,
    output: str | Path | None = None,
    tell: Tell = lambda stage: None,
) -> Any:
    """A report's answer, as /v1/reporting/query gives it, of tables like those of `compute`.

    `profiles` are the members and what is known of them; each joined at its `joined_at`, else its `created_at`, else
    `as_of`. `memberships` are further joins and leaves. Values of members (`aggregations.*`, `member_aggregations`)
    need `transactions`. So do `transactions_history` and `transactions_stats`; there, `profiles` tell of buyers, who
    are as of the instant of each purchase, and may be left out.
    `filter`, `aggregate_by` and `interval` are as in a request, `start` and `end` its `from` and `to`. `as_of` is the
    instant that it is asked at, now where it is not given. `personal` names properties that stay out, beside those that
    always do.
    Nothing is paged: records are all there. Gives the answer; None where `output` names a .json, .csv or .parquet file.
    Raises UnfitError for what can't be computed from, InvalidParametersError for a request that is wrong.
    """
    if engine not in ("duckdb", "spark"):
        raise NotThereError(f"engine must be duckdb or spark, not {engine!r}.")
    path = None if output is None else place(output)
    body = {"report": report, "filter": filter, "aggregate_by": aggregate_by, "interval": interval}
    query = query_of(body | {"from": _written(start), "to": _written(end)}, engine)
    zone(timezone, "timezone")
    named = {
        "profiles": profiles,
        "memberships": memberships,
        "transactions": transactions,
        "locations": locations,
        "products": products,
    }
    club = Told(timezone, currency, instant_of(as_of), community_id, tuple(personal))
    opened = open_files(_runner(engine, spark, master), named, Needs.of(query), club, columns, tell)
    tell("computing")
    found = opened.answer(query)
    if path is None:
        return found
    if found.get("truncated") and not path.endswith(".json"):
        raise UnfitError(
            f"the answer is cut to {MOST_POINTS:,} values, and only a .json file can say so: "
            "ask for fewer groups, a shorter range or a coarser interval."
        )
    tell("writing")
    write(found, path)
    return None


def _runner(engine: str, spark: Any, master: str | None) -> Any:
    if engine == "duckdb":
        return OnDuckDB()
    from regulars.bulk.on_spark import OnSpark

    return OnSpark(spark, master)


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """Tables whose relations are made, so that a report may be asked of them."""

    runner: Any
    customer: Customer
    now: datetime

    def answer(self, query: Query) -> dict[str, Any]:
        """What the API would answer, on one page."""
        stores = FileStores(self.runner.answer, self.now)
        found = _at_once(answer(query, (self.customer,), stores, self.now))
        found.pop("pagination", None)
        for record in found.get("records", ()):
            for name, value in record.items():
                if isinstance(value, msgspec.Raw):
                    record[name] = msgspec.json.decode(value)
        return found


def open_files(
    runner: Any, things_: Mapping[str, Any], needs: Needs, told: Told, columns: Mapping[str, Any] | None, tell: Tell
) -> OpenFiles:
    """Reads tables as far as a report needs them, on an engine. Raises UnfitError for what can't be computed from."""
    wanted = _wanted(things_, needs)
    sources = {
        name: runner.source(_TABLES[name], things.given(thing, _TABLES[name]), things.named(columns, _TABLES[name]))
        for name, thing in things_.items()
        if thing is not None and name in wanted
    }
    if needs.purchases is None:
        club = reported.make(runner, sources, needs, told, tell)
    else:
        club = reported.make_purchases(runner, sources, needs.purchases, told, tell)
    customer = Customer(
        community_id=told.community_id,
        loyalty_club_id=told.community_id,
        customer_id=told.community_id,
        organization_id=told.community_id,
        slug="",
        name="",
        timezone=told.timezone,
        currency=club.currency,
        minor_digits=club.minor_digits,
        attributes={},
    )
    return OpenFiles(runner, customer, told.now)


_OF_MEMBERS = ("profiles", "memberships")
_OF_PURCHASES = ("transactions", "locations", "products")


def _wanted(things_: Mapping[str, Any], needs: Needs) -> Sequence[str]:
    """The tables that are read. Raises NotThereError for one that is needed and not there."""
    is_about_members = needs.purchases is None
    if is_about_members and things_["profiles"] is None:
        raise NotThereError("profiles are needed: they are who the report is about.")
    if (needs.values or not is_about_members) and things_["transactions"] is None:
        what = "asks for values that are made of them" if is_about_members else "is about them"
        raise NotThereError(f"transactions are needed: the report {what}.")
    if not is_about_members:
        return ("profiles", *_OF_PURCHASES)
    return (*_OF_MEMBERS, *_OF_PURCHASES) if needs.values else _OF_MEMBERS


_TABLES = {each.name: each for each in tables.TABLES} | {"profiles": tables.REPORTED_PROFILES}


def _written(at: str | date | None) -> str | None:
    return at.isoformat() if isinstance(at, date) else at


def query_of(body: Mapping[str, Any], engine: str) -> Query:
    """The query of a request. Raises NotThereError for a report that files have nothing for."""
    store = Store.COLUMNS if engine == "duckdb" else Store.LAKE
    name = body["report"]
    if name not in FACTS:
        why = "is not told by files" if name in BY_NAME else "is no report"
        raise NotThereError(f"{name} {why}: there are {', '.join(FACTS)}.")
    report = over_files(BY_NAME[name], store)
    told = {key: value for key, value in body.items() if value is not None}
    query = parse(msgspec.json.encode(told), {name: report})
    return replace(query, limit=_ALL) if report.format is Format.RECORDS else query


def _at_once(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """What a coroutine returns that waits for nothing: its rows are asked for where it runs."""
    try:
        work.send(None)
    except StopIteration as stop:
        found: dict[str, Any] = stop.value
        return found
    raise RuntimeError("an answer over files waited for something")
