"""`regulars.compute_report`: a report over files and tables, without a server, in the API's own shape."""

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from regulars.access.customers import Customer
from regulars.bulk import given as things
from regulars.bulk import reported, tables
from regulars.bulk.compute import Tell, instant_of
from regulars.bulk.lists import ON_DUCKDB, ON_SPARK
from regulars.bulk.on_duckdb import OnDuckDB
from regulars.bulk.plan import zone
from regulars.bulk.refusals import NotThereError
from regulars.bulk.report_files import place, write
from regulars.bulk.report_stores import FileStores
from regulars.facts import money
from regulars.query.answers import answer, asked_fields
from regulars.query.query import Query
from regulars.query.request import parse
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
    """A report's answer, as /v1/reporting/query gives it, of members in tables like those of `compute`.

    `profiles` are the members and what is known of them; each joined at its `joined_at`, else its `created_at`, else
    `as_of`. `memberships` are further joins and leaves. Values of members (`aggregations.*`, `member_aggregations`)
    need `transactions`. `filter`, `aggregate_by` and `interval` are as in a request, `start` and `end` its `from` and
    `to`. `as_of` is the instant that it is asked at, now where it is not given. `personal` names properties that stay
    out, beside those that always do.
    Nothing is paged: records are all there. Gives the answer; None where `output` names a .json, .csv or .parquet file.
    Raises UnfitError for what can't be computed from, InvalidParametersError for a request that is wrong.
    """
    if engine not in ("duckdb", "spark"):
        raise NotThereError(f"engine must be duckdb or spark, not {engine!r}.")
    if profiles is None:
        raise NotThereError("profiles are needed: they are who a report is about.")
    path = None if output is None else place(output)
    store = Store.COLUMNS if engine == "duckdb" else Store.LAKE
    body = {"report": report, "filter": filter, "aggregate_by": aggregate_by, "interval": interval}
    query = _query(body | {"from": _written(start), "to": _written(end)}, store)
    zone(timezone, "timezone")
    now = instant_of(as_of)
    needs = reported.Needs.of(query, asked_fields(query))
    if needs.values and transactions is None:
        raise NotThereError("transactions are needed: the report asks for values that are made of them.")
    handed = {"profiles": profiles, "memberships": memberships}
    if needs.values:
        handed |= {"transactions": transactions, "locations": locations, "products": products}
    runner: Any
    if engine == "duckdb":
        runner = OnDuckDB()
    else:
        from regulars.bulk.on_spark import OnSpark

        runner = OnSpark(spark, master)
    sources = {
        name: runner.source(_TABLES[name], things.given(thing, _TABLES[name]), things.named(columns, _TABLES[name]))
        for name, thing in handed.items()
        if thing is not None
    }
    lists = ON_DUCKDB if engine == "duckdb" else ON_SPARK
    club = reported.make(runner, lists, sources, needs, (timezone, currency, now), personal, tell)
    customer = Customer(
        community_id=community_id,
        loyalty_club_id=community_id,
        customer_id=community_id,
        organization_id=community_id,
        slug="",
        name="",
        timezone=timezone,
        currency=club.currency,
        minor_digits=money.minor_digits(club.currency),
        attributes={},
    )
    tell("computing")
    found = _at_once(answer(query, (customer,), FileStores(runner.answer, now), now))
    found.pop("pagination", None)
    if path is None:
        return found
    tell("writing")
    write(found, path)
    return None


_TABLES = {each.name: each for each in tables.TABLES} | {"profiles": tables.REPORTED_PROFILES}


def _written(at: str | date | None) -> str | None:
    return at.isoformat() if isinstance(at, date) else at


def _query(body: Mapping[str, Any], store: Store) -> Query:
    """The query of a request. Raises NotThereError for a report that files have nothing for."""
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
