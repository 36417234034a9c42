"""Deletes counts that an erasure reduced to 0: the name of such a group may identify the erased member."""

from collections.abc import Iterable

from regulars.rollups import snapshots
from regulars.storage.database import Database

_HAS_ERASED = "SELECT EXISTS (SELECT FROM members WHERE community_id = $1 AND member_id IS NULL)"


async def delete(database: Database, community_id: int, statements: Iterable[str]) -> int:
    """Runs statements that delete counts of 0, if there was an erasure within the last two days; returns how many."""
    deleted = 0
    async with database.write_transaction(community_id) as scope:
        if await scope.fetchval(_HAS_ERASED, community_id):
            # No other writer may use a row that is being deleted.
            await snapshots.lock(scope)
            for statement in statements:
                status = await scope.execute(statement, community_id)
                deleted += int(status.rpartition(" ")[2])
    return deleted
