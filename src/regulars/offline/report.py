"""`regulars.compute_report`: computes a report from files and tables, without a server, in the shape of the API."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from regulars.auth.tenants import Tenant
from regulars.charts.answer_chart import Subject, answer_chart, can_be_drawn
from regulars.charts.plot import Plot
from regulars.offline import report_relations, schema
from regulars.offline.compute import ProgressCallback, resolve_as_of, resolve_void_statuses
from regulars.offline.engines import create_engine, require_engine
from regulars.offline.errors import InputNotFoundError, InvalidInputError
from regulars.offline.input_traits import check_timezone
from regulars.offline.registration import InputReading, parse_reading, register
from regulars.offline.report_relations import ReportContext, RequiredRelations
from regulars.offline.report_sources import OFFLINE_SOURCES, offline_report
from regulars.offline.structures import EngineBackend, NoticeCallback
from regulars.offline.writers import resolve_report_output, write_report
from regulars.query.backends import Backends, ReadSnapshot
from regulars.query.execute import execute
from regulars.query.formats.timeseries import MAX_POINTS
from regulars.query.parser.request import parse_query
from regulars.query.query import ReportQuery
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.reports.report import Backend, ReportFormat

_ALL = 2**31 - 2
"""Page size that returns all records on one page."""

T = TypeVar("T")
ExecuteStatement = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""Executes a compiled statement with positional parameters and returns its rows."""


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
    delimiter: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    date_format: str | None = None,
    sheet: str | None = None,
    strict: bool = False,
    timezone: str = "UTC",
    currency: str | None = None,
    void_statuses: Sequence[str] | None = None,
    community_id: int = 1,
    personal_properties: Sequence[str] = (),
    engine: str = "duckdb",
    master: str | None = None,
    spark: Any = None,
    output: str | Path | None = None,
    progress: ProgressCallback = lambda stage: None,
    on_notice: NoticeCallback | None = None,
) -> Any:
    """Computes a report, with the response shape of /v1/reporting/query, from input tables like those of `compute`.

    `profiles` are the members with their attributes; each joins at its `joined_at`, else its `created_at`, else
    `as_of`. `memberships` are further joins and leaves. Values of members (`aggregations.*`, `member_aggregations`)
    and the reports `transactions_history` and `transactions_stats` need `transactions`. For the latter, `profiles` are
    the buyers, as of the instant of each purchase, and are optional.
    `filter`, `aggregate_by` and `interval` are as in a request, `start` and `end` are its `from` and `to`. `as_of` is
    the instant of the request, by default now. `personal_properties` are excluded from
    the properties of members, in addition to those that always are.
    Text in files is written as in `compute`, and `void_statuses` are as there.
    Results are not paged. Returns the result, whose `plot()` draws it, or None if `output` is a .json, .csv or .parquet file.
    Raises InvalidInputError for invalid input, InvalidParametersError for an invalid request.
    """
    require_engine(engine)
    path = None if output is None else resolve_report_output(output)
    body = {"report": report, "filter": filter, "aggregate_by": aggregate_by, "interval": interval}
    query = parse_offline_query(body | {"from": _format(start), "to": _format(end)}, engine)
    check_timezone(timezone, "timezone")
    tables = {
        "profiles": profiles,
        "memberships": memberships,
        "transactions": transactions,
        "locations": locations,
        "products": products,
    }
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
    context = ReportContext(
        timezone,
        currency,
        resolve_as_of(as_of),
        community_id,
        tuple(personal_properties),
        strict,
        reading.on_notice,
        resolve_void_statuses(void_statuses),
    )
    session = open_report_session(
        create_engine(engine, spark, master), tables, RequiredRelations.for_query(query), context, reading, progress
    )
    progress("computing")
    result = session.execute(query)
    if path is None:
        return ReportAnswer(result, query, session.tenant)
    if result.get("truncated") and not path.endswith(".json"):
        raise InvalidInputError(
            f"The result exceeds {MAX_POINTS:,} values and would be truncated, which only a .json file can indicate. "
            "Use fewer groups, a shorter range or a coarser interval."
        )
    progress("writing")
    write_report(result, path)
    return None


class ReportAnswer(dict[str, Any]):
    """The answer of a report, in the shape of the API, that can be drawn."""

    def __init__(self, answer: Mapping[str, Any], query: ReportQuery, tenant: Tenant) -> None:
        super().__init__(answer)
        self._query, self._tenant = query, tenant

    def plot(self) -> Plot:
        """A chart, which notebooks draw and `save` writes to a file. Raises InvalidInputError for records of members."""
        query = self._query
        if not can_be_drawn(query.report, query.aggregate_by):
            raise InvalidInputError(
                f"{query.report.name} has records, which are no chart. Use aggregate_by: "
                f"{', '.join(query.report.groupings_by_name)}."
            )
        return Plot(answer_chart(Subject(query.report, query.aggregate_by, self._tenant.currency or ""), self))


@dataclass(frozen=True, slots=True)
class ReportSession:
    """Prepared relations of input tables that reports can be computed from."""

    engine: EngineBackend
    tenant: Tenant
    now: datetime

    def execute(self, query: ReportQuery) -> dict[str, Any]:
        """The response of the API, on one page."""
        backends = FileBackends(self.engine.execute, self.now)
        result = _run_synchronously(execute(query, (self.tenant,), backends, self.now))
        result.pop("pagination", None)
        for record in result.get("records", ()):
            for name, value in record.items():
                if isinstance(value, msgspec.Raw):
                    record[name] = msgspec.json.decode(value)
        return result


def open_report_session(
    engine: EngineBackend,
    tables: Mapping[str, Any],
    needs: RequiredRelations,
    context: ReportContext,
    reading: InputReading,
    progress: ProgressCallback,
) -> ReportSession:
    """Prepares the relations that a report needs on an engine. Raises InvalidInputError for invalid input."""
    required = _required_tables(tables, needs)
    registered = {
        name: register(engine, _TABLES[name], value, reading)
        for name, value in tables.items()
        if value is not None and name in required
    }
    if needs.purchases is None:
        club = report_relations.build_member_relations(engine, registered, needs, context, progress)
    else:
        club = report_relations.build_purchase_relations(engine, registered, needs.purchases, context, progress)
    tenant = Tenant(
        community_id=context.community_id,
        loyalty_club_id=context.community_id,
        customer_id=context.community_id,
        organization_id=context.community_id,
        slug="",
        name="",
        timezone=context.timezone,
        currency=club.currency,
        minor_digits=club.minor_digits,
        attributes={},
    )
    return ReportSession(engine, tenant, context.now)


_MEMBER_TABLES = ("profiles", "memberships")
_PURCHASE_TABLES = ("transactions", "locations", "products")


def _required_tables(tables: Mapping[str, Any], needs: RequiredRelations) -> Sequence[str]:
    """Names of the tables to read. Raises InputNotFoundError for a required table that is missing."""
    is_about_members = needs.purchases is None
    if is_about_members and tables["profiles"] is None:
        raise InputNotFoundError("profiles is required for a report about members.")
    if (needs.values or not is_about_members) and tables["transactions"] is None:
        reason = "a report that uses values of members" if is_about_members else "a report about transactions"
        raise InputNotFoundError(f"transactions is required for {reason}.")
    if not is_about_members:
        return ("profiles", *_PURCHASE_TABLES)
    return (*_MEMBER_TABLES, *_PURCHASE_TABLES) if needs.values else _MEMBER_TABLES


_TABLES = {each.name: each for each in schema.TABLES} | {"profiles": schema.REPORT_PROFILES}


def _format(at: str | date | None) -> str | None:
    return at.isoformat() if isinstance(at, date) else at


def parse_offline_query(body: Mapping[str, Any], engine: str) -> ReportQuery:
    """Parses a request. Raises InputNotFoundError for a report that cannot be computed from files."""
    store = Backend.DUCKDB if engine == "duckdb" else Backend.SPARK
    name = body["report"]
    if name not in OFFLINE_SOURCES:
        reason = "can't be computed from files" if name in REPORTS_BY_NAME else "is unknown"
        raise InputNotFoundError(f"Report {name!r} {reason}. Allowed: {', '.join(OFFLINE_SOURCES)}.")
    report = offline_report(REPORTS_BY_NAME[name], store)
    present = {key: value for key, value in body.items() if value is not None}
    query = parse_query(msgspec.json.encode(present), {name: report})
    return replace(query, limit=_ALL) if report.format is ReportFormat.RECORDS else query


def _run_synchronously(coroutine: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Runs a coroutine that never suspends, because its rows are computed in the calling thread."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: dict[str, Any] = stop.value
        return result
    raise RuntimeError("a report over files must not suspend")


class FileBackends(Backends):
    """Backend that executes all statements on one engine, at the instant `now`."""

    def __init__(self, execute: ExecuteStatement, now: datetime) -> None:
        self._execute = execute
        self._now = now

    @asynccontextmanager
    async def snapshot(self, customers: Sequence[Tenant], now: datetime | None = None) -> AsyncIterator[ReadSnapshot]:
        """A snapshot of the files."""
        yield _FileSnapshot(now or self._now, customers[0].community_id, self._execute)

    async def cursor_key(self) -> bytes:
        """Empty, because results over files are not paged."""
        return b""


class _FileSnapshot(ReadSnapshot):
    def __init__(self, now: datetime, community_id: int, execute: ExecuteStatement) -> None:
        super().__init__(None, now, None, None, community_id)
        self._execute = execute

    async def fetch(self, tenant: Tenant, backend: Backend, statement: str, values: Sequence[Any]) -> list[Any]:
        return self._execute(statement, [list(each) if isinstance(each, tuple) else each for each in values])

    async def run_in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs work synchronously, because there are no concurrent requests and no event loop."""
        return work(*arguments)
