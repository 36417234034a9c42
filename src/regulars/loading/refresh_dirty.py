"""Refreshes the dirty profiles of a load: DuckDB computes their values in parts, and each value is written once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from io import BytesIO
from uuid import UUID

import asyncpg
import duckdb
import pyarrow as pa
import pyarrow.csv
import structlog

from regulars.aggregations import dirty_profiles
from regulars.aggregations import table as table_module
from regulars.ingest.commit import commit
from regulars.model.profiles import lookup
from regulars.model.unit_of_work import UnitOfWork
from regulars.offline.errors import InvalidInputError
from regulars.storage.database import Database
from regulars.verify import export
from regulars.verify.export import INTEGER, TEXT, ExportedFacts, ProfileRange

MAX_PROFILES_PER_RANGE = 20_000
MAX_SALES_PER_RANGE = 500_000
"""Limits of one range, and so of the memory to compute it."""

PROFILES_PER_WRITE = 2_500
"""Profiles that one commit writes and locks, so that no other writer waits long."""

WORKERS = 2
"""DuckDB computes one range while PostgreSQL exports another."""

_log = structlog.get_logger("regulars.load")

# As `verify` partitions profiles, but by counting transactions: stored counts of dirty profiles are outdated.
_RANGE = f"""
SELECT profile_id AS last, number
FROM (
    SELECT profile_id, number, sum(1 + sales) OVER (ORDER BY profile_id) AS weight
    FROM (
        SELECT dirty.profile_id, row_number() OVER (ORDER BY dirty.profile_id) AS number,
               (
                   SELECT count(*)
                   FROM transactions AS sale
                   WHERE sale.community_id = $1 AND sale.profile_id = dirty.profile_id AND NOT sale.is_void
               ) AS sales
        FROM (
            SELECT profile_id
            FROM profile_aggregations
            WHERE community_id = $1
              AND profile_id >= $2
              AND {dirty_profiles.is_marked_by("$3::bigint", "values_version")}
            ORDER BY profile_id
            LIMIT $4
        ) AS dirty
    ) AS counted
) AS weighted
WHERE weight <= $5 OR number = 1
ORDER BY number DESC
LIMIT 1
"""

_DIRTY = f"""
SELECT stored.profile_id, stored.values_version AS mark, cache_versions.values_version
FROM profile_aggregations AS stored
JOIN cache_versions ON cache_versions.community_id = $1
WHERE stored.community_id = $1
  AND stored.profile_id BETWEEN $2::uuid AND $3::uuid
  AND {dirty_profiles.is_marked_by("$4::bigint", "stored.values_version")}
"""

_STILL_DIRTY = """
SELECT profile_id, values_version
FROM profile_aggregations
WHERE community_id = $1 AND profile_id = ANY ($2) AND values_version < 0
"""

DIRTY_COLUMNS = {"profile_id": TEXT, "mark": INTEGER, "values_version": INTEGER}

_MIN_ID, _MAX_ID = UUID(int=0), UUID(int=2**128 - 1)


async def refresh_dirty(
    database: Database, community_id: int, load_id: int, on_refreshed: Callable[[int], None] = lambda profiles: None
) -> None:
    """Refreshes all profiles that a load has marked dirty and no other write has refreshed.

    Called after the last row of the load. `on_refreshed` is called with the number of profiles of each range.
    """
    ranges = dirty_ranges(database, community_id, load_id)
    ranges_lock = asyncio.Lock()

    async def work() -> None:
        while True:
            async with ranges_lock:
                found = await anext(ranges, None)
            if found is None:
                return
            profile_range, profiles = found
            await _refresh_range(database, community_id, load_id, profile_range)
            on_refreshed(profiles)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(work())
    except ExceptionGroup as errors:
        # Callers distinguish system errors by their class.
        raise errors.exceptions[0] from errors


async def dirty_ranges(database: Database, community_id: int, load_id: int) -> AsyncIterator[tuple[ProfileRange, int]]:
    """Yields ranges of dirty profiles that fit into memory, each with its number of profiles."""
    first = _MIN_ID
    while True:
        async with database.read_transaction(community_id) as scope:
            found = await scope.fetchrow(
                _RANGE, community_id, first, load_id, MAX_PROFILES_PER_RANGE, MAX_SALES_PER_RANGE
            )
        if found is None:
            return
        profile_range = ProfileRange(first, found["last"])
        yield profile_range, found["number"]
        # The greatest possible id has no successor: its range is repeated until it is refreshed.
        first = UUID(int=min(profile_range.last.int + 1, _MAX_ID.int))


async def _refresh_range(database: Database, community_id: int, load_id: int, profile_range: ProfileRange) -> None:
    async with database.read_transaction(community_id) as scope:
        facts = await export.export_facts(scope, profile_range, load_id)
        parameters = (community_id, profile_range.first, profile_range.last, load_id)
        dirty = await export.export_query(scope, _DIRTY, parameters, DIRTY_COLUMNS)
        at = scope.now
    try:
        table = await asyncio.to_thread(_compute, facts, dirty, at)
        for start in range(0, len(table), PROFILES_PER_WRITE):
            await write_values(database, community_id, table.slice(start, PROFILES_PER_WRITE))
    except (duckdb.Error, InvalidInputError, asyncpg.InsufficientPrivilegeError) as error:
        # A sum or the number of locations is too large for DuckDB, its disk is full, or the role may not create
        # temporary tables.
        _log.warning("load.refresh_fallback", error=type(error).__name__)
        await _refresh_in_database(database, community_id, dirty)


# By DuckDB ----------------------------------------------------------------------------------------------


def copy_expression(name: str, column_type: str) -> str:
    """The SQL of a value as PostgreSQL's COPY reads it: lists as array literals."""
    if not column_type.endswith("[]"):
        return f"value.{name}"
    escaped = """replace(replace(CAST(each AS VARCHAR), '\\', '\\\\'), '"', '\\"')"""
    quoted = f"""list_transform(value.{name}, lambda each: '"' || {escaped} || '"')"""
    return f"""'{{' || array_to_string({quoted}, ',') || '}}' AS {name}"""


_VALUES = f"""
SELECT value.profile_id, value.calculated_at, value.next_change_at, dirty.values_version, dirty.mark,
       {", ".join(copy_expression(each.name, each.type.column_type) for each in table_module.STORED_AGGREGATIONS)}
FROM recomputed AS value
JOIN dirty USING (profile_id)
ORDER BY value.profile_id
"""


def _compute(facts: ExportedFacts, dirty: pa.Table, at: datetime) -> pa.Table:
    """The columns of the staging table, ordered by profile id."""
    engine = export.recompute(facts, at)
    try:
        engine.connection.register("dirty", dirty)
        return engine.connection.sql(_VALUES).to_arrow_table()
    finally:
        engine.connection.close()


async def write_values(database: Database, community_id: int, table: pa.Table) -> None:
    """Stores rows of the staging table for the profiles that are still dirty by the same mark."""
    rows = BytesIO()
    pyarrow.csv.write_csv(table, rows, pyarrow.csv.WriteOptions(include_header=False))
    profile_ids = [UUID(each) for each in table["profile_id"].to_pylist()]

    async def work(uow: UnitOfWork) -> None:
        await uow.execute(table_module.CREATE_STAGING_TABLE)
        rows.seek(0)
        await uow.connection.copy_to_table(
            table_module.STAGING_TABLE, source=rows, columns=table_module.STAGING_COLUMNS, format="csv"
        )
        await lookup.lock(uow, profile_ids)
        await uow.fetchval(table_module.store_staged(), community_id)
        uow.stored_values.update(profile_ids)

    await commit(database, community_id, work)


# By PostgreSQL ------------------------------------------------------------------------------------------


async def _refresh_in_database(database: Database, community_id: int, dirty: pa.Table) -> None:
    """Refreshes profiles as a live write does."""
    profile_ids = [UUID(each) for each in dirty["profile_id"].to_pylist()]
    for start in range(0, len(profile_ids), PROFILES_PER_WRITE):
        some = profile_ids[start : start + PROFILES_PER_WRITE]

        async def work(uow: UnitOfWork, some: list[UUID] = some) -> None:
            for row in await uow.fetch(_STILL_DIRTY, community_id, some):
                uow.mark_dirty(row["profile_id"], dirty_profiles.cause(row["values_version"]) or "")

        await commit(database, community_id, work)
