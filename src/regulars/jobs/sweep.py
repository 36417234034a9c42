"""Recomputes the profiles whose values are due: by the clock, or because a fact that many share has changed."""

from collections.abc import Callable

import structlog

from regulars.facts.writing import Writing
from regulars.ingest.commit import commit
from regulars.storage.database import Database

PROFILES_AT_ONCE = 500

_log = structlog.get_logger("regulars.sweep")

_DUE = """
SELECT profile_id
FROM aggregations
WHERE community_id = $1 AND next_change_at <= $2
ORDER BY next_change_at
LIMIT $3
"""

_OUTDATED = """
SELECT profile_id
FROM aggregations
WHERE community_id = $1
  AND values_epoch < (SELECT values_epoch FROM epochs WHERE community_id = $1)
  AND (next_change_at > $2 OR next_change_at IS NULL)
ORDER BY values_epoch
LIMIT $3
"""

# One process sweeps a community at a time; the lock ends with the transaction, so poolers may stand between.
_ALONE = "SELECT pg_try_advisory_xact_lock(hashtext('regulars.sweep'), $1)"


async def sweep(database: Database, stopping: Callable[[], bool]) -> int:
    """Visits what is due now in every community, and nothing else; gives how many profiles that were.

    What goes wrong in one community is logged, and keeps none of the others waiting.
    """
    async with database.unscoped() as connection:
        community_ids = [row["id"] for row in await connection.fetch("SELECT id FROM communities ORDER BY id")]
    swept = 0
    for community_id in community_ids:
        try:
            swept += await sweep_community(database, community_id, stopping)
        except Exception:
            _log.exception("sweep.failed", community=community_id)
    return swept


async def sweep_community(database: Database, community_id: int, stopping: Callable[[], bool]) -> int:
    """Visits what is due now in one community; gives how many profiles that were."""
    swept = 0
    while not stopping():
        found = await commit(database, community_id, _part)
        swept += found
        if found < PROFILES_AT_ONCE:
            break
    return swept


async def _part(writing: Writing) -> int:
    if not await writing.fetchval(_ALONE, writing.community_id):
        return 0
    due = await writing.fetch(_DUE, writing.community_id, writing.now, PROFILES_AT_ONCE)
    writing.touch_all((row["profile_id"] for row in due), "clock")
    room = PROFILES_AT_ONCE - len(due)
    outdated = await writing.fetch(_OUTDATED, writing.community_id, writing.now, room) if room else []
    writing.touch_all((row["profile_id"] for row in outdated), "shared fact")
    return len(writing.touched)
