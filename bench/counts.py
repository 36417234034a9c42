"""Counts of groups, balance and history: their cost does not depend on the number of members."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from bench.environment import ZONE, BenchClub, BenchDatabase, BenchEnvironment
from bench.latency import Query, measure_latencies, measure_latency, percentile
from bench.result import Findings, format_number
from bench.seed_data import sql
from bench.size import Size
from regulars.auth.tenants import Tenant
from regulars.query.backends import Backends
from regulars.query.formats.records import records
from regulars.query.formats.timeseries import timeseries
from regulars.query.parser.request import parse_query
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.rollups import compaction, partitions
from regulars.storage.database import Database

ROUNDS = 5
FEW = 10_000
DAYS = 150

GROUPED: dict[str, tuple[str, str]] = {
    "all groups": (
        "SELECT name, count(*) FROM (SELECT unnest(groups) AS name FROM members {where}) AS stood GROUP BY name",
        "GROUP BY over all groups",
    ),
    "one field": ("SELECT gender, count(*) FROM members {where} GROUP BY gender", "GROUP BY over one field"),
}
"""Queries without rollups: for all groups of the report, and for one of thirteen grouping types."""

BALANCES: dict[str, dict[str, Any]] = {
    "joined and left": {},
    "by optin_platform": {"aggregate_by": "optin_platform"},
    "by consents": {"aggregate_by": "consents"},
    "of one gender": {"filter": {"type": "equal", "field": "gender", "value": "female"}},
    "of one gender and age": {
        "filter": {
            "type": "and",
            "operations": [
                {"type": "equal", "field": "gender", "value": "female"},
                {"type": "equal", "field": "age", "value": "30-34"},
            ],
        }
    },
}
TWO_FIELDS = "of one gender and age"
"""Needs rollups by all fields, so it has no target."""


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """Communities of few and of very many members; then a community of many joins a day."""
    many, few = size.rows(5_000_000, 2 * FEW), FEW
    findings.describe(
        f"Two clubs of {few:,} and {many:,} members, who stand in the same some 600 groups; the whole of "
        f"members_grouped_count is requested alternately, from the body of the request to the body of the answer, in one "
        f"process under row-level security. GROUP BY: over the same table under row-level security, and in DuckDB over "
        f"a copy of the columns that it needs, with all cores."
    )
    store = environment.database()
    asyncio.run(_create_partitions(store))
    clubs = {few: store.create_club("few"), many: store.create_club("many")}
    with store.owner_connection() as connection, connection.cursor() as cursor:
        for members, club in clubs.items():
            cursor.execute(sql("fill_counted").replace("$1", str(club.id)).replace("$2", str(members)).encode())
            cursor.execute(sql("fill_counts").replace("$1", str(club.id)).encode())
    store.vacuum("members", "group_counts")
    asyncio.run(_measure_counts(store, clubs, size, findings))
    _measure_duckdb(store, clubs[many], environment.folder, size, findings)
    joins_per_day = size.rows(2_000, 20)
    findings.describe(
        f"Balance and history: a club in which {joins_per_day:,} a day joined on the last {DAYS} days, nearly each unlike all "
        f"others; from then on as above."
    )
    asyncio.run(_measure_balance(store, store.create_club("balance"), joins_per_day, size, findings))


async def _create_partitions(store: BenchDatabase) -> None:
    async with Database(store.app_url, 1) as database:
        await partitions.ensure(database)


def _tenant(club: BenchClub) -> Tenant:
    return Tenant(club.id, club.id, 1, 1, "counts", "Counts", ZONE, "NOK", 2, {})


def _report_query(database: Database, club: BenchClub, execute: Any, body: dict[str, Any]) -> Query:
    backends, content = Backends(database), json.dumps(body).encode()

    async def query() -> bytes:
        response = await execute(parse_query(content, REPORTS_BY_NAME), [_tenant(club)], backends, database.clock())
        return msgspec.json.encode(response)

    return query


# Now ----------------------------------------------------------------------------------------------------


async def _measure_counts(store: BenchDatabase, clubs: dict[int, BenchClub], size: Size, findings: Findings) -> None:
    few, many = clubs
    requests = size.rows(200, 10)
    async with Database(store.app_url, 2) as database:
        queries = {
            members: _report_query(database, club, records, {"report": "members_grouped_count"})
            for members, club in clubs.items()
        }
        records_by_size = {members: msgspec.json.decode(await query())["records"] for members, query in queries.items()}
        assert len(records_by_size[few]) == len(records_by_size[many]), [len(each) for each in records_by_size.values()]
        times = await _round_medians(queries, requests, size.rounds(ROUNDS))
        medians = {
            members: findings.record(f"members_grouped_count, {name} members", times[members], "ms")
            for members, name in ((few, "few"), (many, "many"))
        }
        ratios = [of_many / of_few for of_few, of_many in zip(times[few], times[many], strict=True)]
        ratio = findings.record("members_grouped_count, many members / few", ratios, "")
        claim = f"members_grouped_count costs the same for {few:,} and for {many:,} members, within 20 percent"
        findings.target(claim, f"{format_number(ratio)} times", 1 / 1.2 <= ratio <= 1.2)
        for name, (statement, title) in GROUPED.items():
            query = _scan_query(database, clubs[many], statement)
            median = findings.record(
                f"{title}, PostgreSQL, many members", await measure_latencies(query, size.rounds(3)), "ms"
            )
            findings.target_at_least(
                f"members_grouped_count: at least 50 times less than a GROUP BY in PostgreSQL, {name}",
                median / medians[many],
                50,
                "times",
            )
        with store.owner_connection() as connection:
            uncompacted_rows = compaction.MAX_UNCOMPACTED
            statement = (
                sql("append_group_deltas").replace("$1", str(clubs[many].id)).replace("$2", str(uncompacted_rows))
            )
            connection.execute(statement.encode())
        latencies = await measure_latencies(queries[many], size.rounds(ROUNDS))
        findings.record(
            f"members_grouped_count with {uncompacted_rows:,} rows that are not compacted yet", latencies, "ms"
        )


def _scan_query(database: Database, club: BenchClub, statement: str) -> Query:
    text = statement.format(where=f"WHERE community_id = {club.id} AND is_member")

    async def query() -> None:
        async with database.read_transaction(club.id) as scope:
            await scope.fetch(text)

    return query


def _measure_duckdb(store: BenchDatabase, club: BenchClub, folder: Path, size: Size, findings: Findings) -> None:
    values_by_name = {figure.name: figure.value for figure in findings.figures}
    with _copy_to_duckdb(store, club, folder) as connection:
        for statement, title in GROUPED.values():
            text = statement.format(where="")
            connection.execute(text).fetchall()
            times = []
            for _ in range(size.rounds(ROUNDS)):
                began = time.perf_counter()
                connection.execute(text).fetchall()
                times.append(1e3 * (time.perf_counter() - began))
            median = findings.record(f"{title}, DuckDB, many members", times, "ms")
            from_rollups = values_by_name["members_grouped_count, many members"]
            findings.record(f"{title}, DuckDB / members_grouped_count", median / from_rollups, "times")


@contextmanager
def _copy_to_duckdb(store: BenchDatabase, club: BenchClub, folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection with the columns of a club's members."""
    path = folder / "members.csv"
    statement = f"SELECT gender, array_to_string(groups, '|') FROM members WHERE community_id = {club.id} AND is_member"
    with (
        store.owner_connection() as connection,
        connection.cursor() as cursor,
        path.open("wb") as file,
        cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT csv)".encode()) as rows,
    ):
        for chunk in rows:
            file.write(chunk)
    with duckdb.connect() as duckdb_connection:
        duckdb_connection.execute(
            "CREATE TABLE members AS SELECT gender, string_split(names, '|') AS groups FROM "
            f"read_csv('{path}', header = false, columns = {{'gender': 'VARCHAR', 'names': 'VARCHAR'}})"
        )
        path.unlink()
        yield duckdb_connection


# Over time ----------------------------------------------------------------------------------------------


async def _measure_balance(
    store: BenchDatabase, club: BenchClub, joins_per_day: int, size: Size, findings: Findings
) -> None:
    async with Database(store.app_url, 2) as database:
        for part in range(2):
            with store.owner_connection() as connection:
                statement = sql("append_joins").replace("$1", str(club.id)).replace("$2", str(DAYS))
                connection.execute(
                    statement.replace("$3", str(joins_per_day // 2)).replace("(day, '-'", f"({part}, day").encode()
                )
            await compaction.compact(database, club.id)
        with store.owner_connection() as connection:
            for table in ("balance_rollups", "member_flow_deltas"):
                connection.execute(f"VACUUM (ANALYZE) {table}".encode())
        now = database.clock()
        body: dict[str, Any] = {
            "report": "member_balance",
            "interval": "1d",
            "from": (now - timedelta(days=DAYS - 1)).isoformat(),
            "to": now.isoformat(),
        }
        requests = size.rows(100, 5)
        for name, parameters in BALANCES.items():
            query = _report_query(database, club, timeseries, body | parameters)
            assert msgspec.json.decode(await query())["data_points"], name
            rounds = [await measure_latencies(query, requests) for _ in range(size.rounds(3))]
            findings.record(
                f"{DAYS} days of member_balance, {name}, p50", [percentile(each, 50) for each in rounds], "ms"
            )
            p95 = findings.record(
                f"{DAYS} days of member_balance, {name}, p95", [percentile(each, 95) for each in rounds], "ms"
            )
            if name != TWO_FIELDS:
                findings.target_at_most(f"{DAYS} days of daily member_balance, {name}: p95 under 20 ms", p95, 20, "ms")


# Requests -------------------------------------------------------------------------------------------------


async def _round_medians(queries: dict[int, Query], requests: int, rounds: int) -> dict[int, list[float]]:
    """The median of each round, in milliseconds; requests of all take turns."""
    medians: dict[int, list[float]] = {key: [] for key in queries}
    for _ in range(rounds):
        times: dict[int, list[float]] = {key: [] for key in queries}
        for _ in range(requests):
            for key, query in queries.items():
                times[key].append(await measure_latency(query))
        for key, latencies in times.items():
            medians[key].append(percentile(latencies, 50))
    return medians
