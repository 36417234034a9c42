"""Work that is done for each community: what goes wrong in one keeps none of the others waiting."""

from collections.abc import Awaitable, Callable, Iterable

import structlog

from regulars.storage.database import Database

_log = structlog.get_logger("regulars.jobs")


async def list_ids(database: Database) -> list[int]:
    """All communities."""
    async with database.unscoped_connection() as connection:
        return [row["id"] for row in await connection.fetch("SELECT id FROM communities ORDER BY id")]


async def run_for_each(
    name: str,
    community_ids: Iterable[int],
    work: Callable[[int], Awaitable[int]],
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Does some work for communities, one after the other, until all are done or it must stop; gives the sum of what
    it gave.
    """
    done = 0
    for community_id in community_ids:
        if stopping():
            break
        try:
            done += await work(community_id)
        except Exception:
            _log.exception(f"{name}.failed", community=community_id)
    return done
