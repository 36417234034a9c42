"""The time zone by which the rollups of a fact type are bucketed; they are rebuilt when the community's changes.

That of members is stored with the state of their compaction.
"""

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

_SELECT = """
SELECT coalesce(
    (SELECT timezone FROM rollup_timezones WHERE community_id = $1 AND fact_type = $2), timezone
)
FROM communities
WHERE id = $1
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


async def get(scope: Scope, fact_type: str) -> str:
    """The time zone of the buckets of a fact type: that of the community, or its former one until they are rebuilt."""
    timezone: str = await scope.fetchval(_SELECT, scope.community_id, fact_type)
    return timezone


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


# Members ----------------------------------------------------------------------------------------------------------

_INSERT_OF_MEMBERS = """
INSERT INTO compaction_state AS stored (community_id, timezone)
SELECT id, timezone
FROM communities
WHERE id = $1 AND NOT EXISTS (SELECT FROM compaction_state WHERE community_id = $1 AND timezone IS NOT NULL)
ON CONFLICT (community_id) DO UPDATE
SET timezone = coalesce(stored.timezone, excluded.timezone)
"""

_SELECT_OF_MEMBERS = """
SELECT coalesce((SELECT timezone FROM compaction_state WHERE community_id = $1), timezone)
FROM communities
WHERE id = $1
"""


async def ensure_of_members(scope: Scope) -> str:
    """Stores the community's time zone as that of the buckets of members, before the first one is written.

    Returns the time zone of the buckets. Compaction stores another one when it rebuilds them.
    """
    await scope.execute(_INSERT_OF_MEMBERS, scope.community_id)
    return await get_of_members(scope)


async def get_of_members(scope: Scope) -> str:
    """The time zone of the buckets of members: that of the community, or its former one until they are rebuilt."""
    timezone: str = await scope.fetchval(_SELECT_OF_MEMBERS, scope.community_id)
    return timezone
