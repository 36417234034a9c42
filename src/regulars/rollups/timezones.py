"""The time zone by which the rollups of a fact type are bucketed; they are rebuilt when the community's changes."""

from collections.abc import Awaitable, Callable

from regulars.rollups import partitions
from regulars.storage.database import Database, Scope

RebuildBuckets = Callable[[Scope, str], Awaitable[None]]
"""Rebuilds all buckets of a community in a time zone."""

_INSERT = """
INSERT INTO rollup_timezones (community_id, fact_type, timezone)
SELECT id, $2, timezone
FROM communities
WHERE id = $1 AND NOT EXISTS (SELECT FROM rollup_timezones WHERE community_id = $1 AND fact_type = $2)
ON CONFLICT DO NOTHING
"""

_SELECT_CHANGED = """
SELECT c.timezone
FROM communities AS c
JOIN rollup_timezones AS r ON r.community_id = c.id AND r.fact_type = $2
WHERE c.id = $1 AND r.timezone <> c.timezone
"""

_UPDATE = "UPDATE rollup_timezones SET timezone = $3 WHERE community_id = $1 AND fact_type = $2"


async def ensure(scope: Scope, fact_type: str) -> None:
    """Stores the community's time zone as that of the buckets of a fact type, before the first one is written."""
    await scope.execute(_INSERT, scope.community_id, fact_type)


async def rebuild_if_changed(database: Database, community_id: int, fact_type: str, rebuild: RebuildBuckets) -> int:
    """Rebuilds the buckets of a fact type if the community's time zone has changed, and returns 1 then, else 0."""
    async with database.read_transaction(community_id) as scope:
        timezone = await scope.fetchval(_SELECT_CHANGED, community_id, fact_type)
    if timezone is None:
        return 0

    async def work() -> int:
        async with database.write_transaction(community_id) as scope:
            await rebuild(scope, timezone)
            await scope.execute(_UPDATE, community_id, fact_type, timezone)
        return 1

    return await partitions.with_partitions(database, work)
