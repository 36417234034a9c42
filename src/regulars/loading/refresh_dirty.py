"""The end of a load: the values of all profiles that it has marked, computed by DuckDB in parts, each written once."""

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
from regulars.storage.database import Database
from regulars.verify import export
from regulars.verify.export import INTEGER, TEXT, ExportedFacts, ProfileRange

MAX_PROFILES_PER_RANGE = 20_000
MAX_SALES_PER_RANGE = 500_000
"""What is computed at once bounds the memory that it takes."""

PROFILES_PER_WRITE = 2_500
"""So many profiles are locked at once while their values are written, so that nobody waits long for one of them."""

WORKERS = 2
"""While the database copies one part out, DuckDB computes another."""

_log = structlog.get_logger("regulars.load")

# As verify takes its parts, but by the transactions themselves: what is kept of a marked profile is not true.
_PART = f"""
SELECT profile_id AS last, number
FROM (
    SELECT profile_id, number, sum(1 + sales) OVER (ORDER BY profile_id) AS weight
    FROM (
        SELECT marked.profile_id, row_number() OVER (ORDER BY marked.profile_id) AS number,
               (
                   SELECT count(*)
                   FROM transactions AS told
                   WHERE told.community_id = $1 AND told.profile_id = marked.profile_id AND NOT told.is_void
               ) AS sales
        FROM (
            SELECT profile_id
            FROM profile_aggregations
            WHERE community_id = $1 AND profile_id >= $2 AND {dirty_profiles.is_marked_by("$3::bigint", "values_version")}
            ORDER BY profile_id
            LIMIT $4
        ) AS marked
    ) AS counted
) AS weighed
WHERE weight <= $5 OR number = 1
ORDER BY number DESC
LIMIT 1
"""

_MARKED = f"""
SELECT kept.profile_id, kept.values_version AS mark, cache_versions.values_version
FROM profile_aggregations AS kept
JOIN cache_versions ON cache_versions.community_id = $1
WHERE kept.community_id = $1
  AND kept.profile_id BETWEEN $2::uuid AND $3::uuid
  AND {dirty_profiles.is_marked_by("$4::bigint", "kept.values_version")}
"""

_STILL_MARKED = """
SELECT profile_id, values_version
FROM profile_aggregations
WHERE community_id = $1 AND profile_id = ANY ($2) AND values_version < 0
"""

DIRTY_COLUMNS = {"profile_id": TEXT, "mark": INTEGER, "values_version": INTEGER}

_LEAST, _GREATEST = UUID(int=0), UUID(int=2**128 - 1)


async def refresh_dirty(
    database: Database, community_id: int, load_id: int, on_refreshed: Callable[[int], None] = lambda profiles: None
) -> None:
    """Computes what a load has marked, as no other write has meanwhile; `told` hears how many profiles of each part.

    The load marks no more by then.
    """
    found_parts = dirty_ranges(database, community_id, load_id)
    free = asyncio.Lock()

    async def work() -> None:
        while True:
            async with free:
                found = await anext(found_parts, None)
            if found is None:
                return
            part, profiles = found
            await _compute(database, community_id, load_id, part)
            on_refreshed(profiles)

    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(work())


async def dirty_ranges(database: Database, community_id: int, load: int) -> AsyncIterator[tuple[ProfileRange, int]]:
    """What a load has marked, in parts of a size that fits memory, each with how many profiles it holds."""
    first = _LEAST
    while True:
        async with database.read_transaction(community_id) as scope:
            found = await scope.fetchrow(_PART, community_id, first, load, MAX_PROFILES_PER_RANGE, MAX_SALES_PER_RANGE)
        if found is None:
            return
        part = ProfileRange(first, found["last"])
        yield part, found["number"]
        # The very last id is asked for again until it is computed.
        first = UUID(int=min(part.last.int + 1, _GREATEST.int))


async def _compute(database: Database, community_id: int, load: int, part: ProfileRange) -> None:
    async with database.read_transaction(community_id) as scope:
        facts = await export.export_facts(scope, part, load)
        ends = (community_id, part.first, part.last, load)
        marked = await export.export_query(scope, _MARKED, ends, DIRTY_COLUMNS)
        at = scope.now
    try:
        table = await asyncio.to_thread(_computed, facts, marked, at)
        for start in range(0, len(table), PROFILES_PER_WRITE):
            await write_values(database, community_id, table.slice(start, PROFILES_PER_WRITE))
    except (duckdb.Error, asyncpg.InsufficientPrivilegeError) as error:
        # A sum that is too large for the engine, or a role that may make no temporary table.
        _log.warning("load.computed_live", why=type(error).__name__)
        await _refresh(database, community_id, marked)


# By DuckDB ----------------------------------------------------------------------------------------------


def copy_expression(name: str, kind: str) -> str:
    """A value as COPY reads it: lists as the database writes them."""
    if not kind.endswith("[]"):
        return f"value.{name}"
    escaped = """replace(replace(CAST(each AS VARCHAR), '\\', '\\\\'), '"', '\\"')"""
    listed = f"""list_transform(value.{name}, lambda each: '"' || {escaped} || '"')"""
    return f"""'{{' || array_to_string({listed}, ',') || '}}' AS {name}"""


_COMPUTED = f"""
SELECT value.profile_id, value.calculated_at, value.next_change_at, marked.values_version, marked.mark,
       {", ".join(copy_expression(each.name, each.type.column_type) for each in table_module.STORED_AGGREGATIONS)}
FROM recomputed AS value
JOIN marked USING (profile_id)
ORDER BY value.profile_id
"""


def _computed(facts: ExportedFacts, marked: pa.Table, at: datetime) -> pa.Table:
    """The columns of `store.COMPUTED`, in the order of the profiles' ids."""
    runner = export.recompute(facts, at)
    try:
        runner.connection.register("marked", marked)
        return runner.connection.sql(_COMPUTED).to_arrow_table()
    finally:
        runner.connection.close()


async def write_values(database: Database, community_id: int, table: pa.Table) -> None:
    """Writes columns of `store.COMPUTED` for the profiles that still bear their marks."""
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

    await commit(database, community_id, work)


# By the database ----------------------------------------------------------------------------------------


async def _refresh(database: Database, community_id: int, marked: pa.Table) -> None:
    """As any write does, where DuckDB can't."""
    profile_ids = [UUID(each) for each in marked["profile_id"].to_pylist()]
    for start in range(0, len(profile_ids), PROFILES_PER_WRITE):
        some = profile_ids[start : start + PROFILES_PER_WRITE]

        async def work(uow: UnitOfWork, some: list[UUID] = some) -> None:
            for row in await uow.fetch(_STILL_MARKED, community_id, some):
                uow.mark_dirty(row["profile_id"], dirty_profiles.cause(row["values_version"]) or "")

        await commit(database, community_id, work)
