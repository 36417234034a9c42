"""Runs work for each community. An error in one community does not affect the others."""

from collections.abc import Awaitable, Callable, Iterable

import structlog

from regulars.storage.database import Database

_log = structlog.get_logger("regulars.jobs")


async def list_ids(database: Database) -> list[int]:
    """Returns the ids of all communities."""
    async with database.unscoped_connection() as connection:
        return [row["id"] for row in await connection.fetch("SELECT id FROM communities ORDER BY id")]


async def run_for_each(
    name: str,
    community_ids: Iterable[int],
    work: Callable[[int], Awaitable[int]],
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Runs `work` for one community after the other until all are done or `stopping` returns True.

    Returns the sum of the results. Errors are logged.
    """
    total = 0
    for community_id in community_ids:
        if stopping():
            break
        try:
            total += await work(community_id)
        except Exception:
            _log.exception(f"{name}.failed", community=community_id)
    return total
