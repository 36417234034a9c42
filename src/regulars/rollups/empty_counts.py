"""Deletes groups and buckets whose count fell to 0 by a purge: their names may have been the purged member's alone."""

from regulars.rollups import snapshots
from regulars.storage.database import Database

_PURGED = "SELECT EXISTS (SELECT FROM members WHERE community_id = $1 AND member_id IS NULL)"

# A group that had members before keeps its history, and with it its count of 0.
_EMPTIED = (
    "DELETE FROM group_rollups WHERE community_id = $1 AND n = 0",
    "DELETE FROM balance_rollups WHERE community_id = $1 AND n = 0",
    "DELETE FROM snapshot_rollups WHERE community_id = $1 AND n = 0",
    "DELETE FROM recipient_rollups WHERE community_id = $1 AND n = 0",
    """
    DELETE FROM group_counts AS counted
    WHERE community_id = $1 AND members_count = 0
        AND (grouping_type, grouping_value) NOT IN (
            SELECT grouping_type, grouping_value FROM group_rollups WHERE community_id = $1
            UNION ALL
            SELECT grouping_type, grouping_value FROM group_deltas WHERE community_id = $1
        )
    """,
    """
    DELETE FROM snapshot_counts AS counted
    WHERE community_id = $1 AND members_count = 0
        AND alike NOT IN (
            SELECT alike FROM snapshot_rollups WHERE community_id = $1
            UNION ALL
            SELECT alike FROM snapshot_members WHERE community_id = $1
        )
    """,
)


async def delete(database: Database, community_id: int) -> int:
    """Deletes counts of 0 in a community with a purge within the last two days; returns how many."""
    deleted = 0
    async with database.write_transaction(community_id) as scope:
        if await scope.fetchval(_PURGED, community_id):
            # No other writer may use a row that is being deleted.
            await snapshots.lock(scope)
            for statement in _EMPTIED:
                status = await scope.execute(statement, community_id)
                deleted += int(status.rpartition(" ")[2])
    return deleted
