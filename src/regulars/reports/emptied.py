"""Groups and buckets that count nobody any more since a purge: they go, for their names may be of the purged member."""

from regulars.reports import snapshots
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


async def drop(database: Database, community_id: int) -> int:
    """Deletes counts of nobody in a community, where somebody was purged within the last two days; gives how many."""
    dropped = 0
    async with database.writing(community_id) as scope:
        if await scope.fetchval(_PURGED, community_id):
            # Nobody counts by a row that goes.
            await snapshots.alone(scope)
            for statement in _EMPTIED:
                status = await scope.execute(statement, community_id)
                dropped += int(status.rpartition(" ")[2])
    return dropped
