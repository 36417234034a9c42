"""By which zone's clock the buckets of a community were made: another one has them made anew."""

from collections.abc import Awaitable, Callable

from regulars.rollups import partitions
from regulars.storage.database import Database, Scope

RebuildBuckets = Callable[[Scope, str], Awaitable[None]]
"""Makes all buckets of a community anew by a zone's clock."""


async def ensure(scope: Scope, table: str) -> None:
    """Keeps in a table of zones, before there is a bucket, which zone's clock they are made by."""
    await scope.execute(
        f"""
        INSERT INTO {table} (community_id, zone)
        SELECT id, timezone
        FROM communities
        WHERE id = $1 AND NOT EXISTS (SELECT FROM {table} WHERE community_id = $1)
        ON CONFLICT DO NOTHING
        """,
        scope.community_id,
    )


async def rebuild_if_changed(database: Database, community_id: int, table: str, remake: RebuildBuckets) -> int:
    """Has buckets made anew where the community's zone is another one by now; gives 1 then, else 0."""
    async with database.read_transaction(community_id) as scope:
        zone = await scope.fetchval(
            f"""
            SELECT c.timezone
            FROM communities AS c
            JOIN {table} AS z ON z.community_id = c.id
            WHERE c.id = $1 AND z.zone <> c.timezone
            """,
            community_id,
        )
    if zone is None:
        return 0

    async def work() -> int:
        async with database.write_transaction(community_id) as scope:
            await remake(scope, zone)
            await scope.execute(f"UPDATE {table} SET zone = $2 WHERE community_id = $1", community_id, zone)
        return 1

    return await partitions.with_partitions(database, work)
