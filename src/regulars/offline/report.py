"""`regulars.compute_report`: a report over files and tables, without a server, in the API's own shape."""

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from regulars.auth.tenants import Tenant
from regulars.offline import inputs as things
from regulars.offline import report_relations, schema
from regulars.offline.compute import ProgressCallback, resolve_as_of
from regulars.offline.engines.duckdb import DuckDBEngine
from regulars.offline.errors import InputNotFoundError, InvalidInputError
from regulars.offline.pipeline import check_timezone
from regulars.offline.report_backend import FileBackends
from regulars.offline.report_relations import ReportContext, RequiredRelations
from regulars.offline.report_sources import OFFLINE_SOURCES, offline_report
from regulars.offline.report_writer import resolve_report_output, write_report
from regulars.query.execute import execute
from regulars.query.formats.timeseries import MAX_POINTS
from regulars.query.parser.request import parse_query
from regulars.query.query import ReportQuery
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.reports.report import Backend, ReportFormat

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
    personal_properties: Sequence[str] = (),
    engine: str = "duckdb",
    master: str | None = None,
    spark: Any = None,
    output: str | Path | None = None,
    progress: ProgressCallback = lambda stage: None,
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
    Raises InvalidInputError for what can't be computed from, InvalidParametersError for a request that is wrong.
    """
    if engine not in ("duckdb", "spark"):
        raise InputNotFoundError(f"engine must be duckdb or spark, not {engine!r}.")
    path = None if output is None else resolve_report_output(output)
    body = {"report": report, "filter": filter, "aggregate_by": aggregate_by, "interval": interval}
    query = parse_offline_query(body | {"from": _written(start), "to": _written(end)}, engine)
    check_timezone(timezone, "timezone")
    named = {
        "profiles": profiles,
        "memberships": memberships,
        "transactions": transactions,
        "locations": locations,
        "products": products,
    }
    club = ReportContext(timezone, currency, resolve_as_of(as_of), community_id, tuple(personal_properties))
    opened = open_report_session(
        _runner(engine, spark, master), named, RequiredRelations.for_query(query), club, columns, progress
    )
    progress("computing")
    found = opened.execute(query)
    if path is None:
        return found
    if found.get("truncated") and not path.endswith(".json"):
        raise InvalidInputError(
            f"the answer is cut to {MAX_POINTS:,} values, and only a .json file can say so: "
            "ask for fewer groups, a shorter range or a coarser interval."
        )
    progress("writing")
    write_report(found, path)
    return None


def _runner(engine: str, spark: Any, master: str | None) -> Any:
    if engine == "duckdb":
        return DuckDBEngine()
    from regulars.offline.engines.spark import SparkEngine

    return SparkEngine(spark, master)


@dataclass(frozen=True, slots=True)
class ReportSession:
    """Tables whose relations are made, so that a report may be asked of them."""

    engine: Any
    tenant: Tenant
    now: datetime

    def execute(self, query: ReportQuery) -> dict[str, Any]:
        """What the API would answer, on one page."""
        stores = FileBackends(self.engine.answer, self.now)
        found = _at_once(execute(query, (self.tenant,), stores, self.now))
        found.pop("pagination", None)
        for record in found.get("records", ()):
            for name, value in record.items():
                if isinstance(value, msgspec.Raw):
                    record[name] = msgspec.json.decode(value)
        return found


def open_report_session(
    runner: Any,
    things_: Mapping[str, Any],
    needs: RequiredRelations,
    told: ReportContext,
    columns: Mapping[str, Any] | None,
    tell: ProgressCallback,
) -> ReportSession:
    """Reads tables as far as a report needs them, on an engine. Raises InvalidInputError for what can't be computed from."""
    wanted = _wanted(things_, needs)
    sources = {
        name: runner.source(
            _TABLES[name], things.resolve_input(thing, _TABLES[name]), things.map_columns(columns, _TABLES[name])
        )
        for name, thing in things_.items()
        if thing is not None and name in wanted
    }
    if needs.purchases is None:
        club = report_relations.build_member_relations(runner, sources, needs, told, tell)
    else:
        club = report_relations.build_purchase_relations(runner, sources, needs.purchases, told, tell)
    customer = Tenant(
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
    return ReportSession(runner, customer, told.now)


_OF_MEMBERS = ("profiles", "memberships")
_OF_PURCHASES = ("transactions", "locations", "products")


def _wanted(things_: Mapping[str, Any], needs: RequiredRelations) -> Sequence[str]:
    """The tables that are read. Raises InputNotFoundError for one that is needed and not there."""
    is_about_members = needs.purchases is None
    if is_about_members and things_["profiles"] is None:
        raise InputNotFoundError("profiles are needed: they are who the report is about.")
    if (needs.values or not is_about_members) and things_["transactions"] is None:
        what = "asks for values that are made of them" if is_about_members else "is about them"
        raise InputNotFoundError(f"transactions are needed: the report {what}.")
    if not is_about_members:
        return ("profiles", *_OF_PURCHASES)
    return (*_OF_MEMBERS, *_OF_PURCHASES) if needs.values else _OF_MEMBERS


_TABLES = {each.name: each for each in schema.TABLES} | {"profiles": schema.REPORT_PROFILES}


def _written(at: str | date | None) -> str | None:
    return at.isoformat() if isinstance(at, date) else at


def parse_offline_query(body: Mapping[str, Any], engine: str) -> ReportQuery:
    """The query of a request. Raises InputNotFoundError for a report that files have nothing for."""
    store = Backend.DUCKDB if engine == "duckdb" else Backend.SPARK
    name = body["report"]
    if name not in OFFLINE_SOURCES:
        why = "is not told by files" if name in REPORTS_BY_NAME else "is no report"
        raise InputNotFoundError(f"{name} {why}: there are {', '.join(OFFLINE_SOURCES)}.")
    report = offline_report(REPORTS_BY_NAME[name], store)
    told = {key: value for key, value in body.items() if value is not None}
    query = parse_query(msgspec.json.encode(told), {name: report})
    return replace(query, limit=_ALL) if report.format is ReportFormat.RECORDS else query


def _at_once(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """What a coroutine returns that waits for nothing: its rows are asked for where it runs."""
    try:
        work.send(None)
    except StopIteration as stop:
        found: dict[str, Any] = stop.value
        return found
    raise RuntimeError("an answer over files waited for something")
