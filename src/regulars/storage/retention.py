"""Keeps the partitions of feeds that grow: makes those to come, drops those past their time."""

from datetime import date, timedelta

from regulars.storage.database import Database

AHEAD = 3
FEEDS = ("outbox", "idempotency_keys", "commit_markers")


async def keep_day(database: Database, day: date) -> None:
    """Makes the partitions of one day where they are missing."""
    async with database.unscoped() as connection:
        for feed in FEEDS:
            await connection.execute("SELECT keep_partition($1, $2)", feed, day)


async def keep(database: Database, outbox_days: int) -> int:
    """Makes partitions for the days to come and drops expired ones; gives how many were dropped."""
    today = database.clock().date()
    dropped = 0
    for ahead in range(-1, AHEAD + 1):
        await keep_day(database, today + timedelta(days=ahead))
    async with database.unscoped() as connection:
        for feed, days in zip(FEEDS, (outbox_days, 1, 1), strict=True):
            dropped += await connection.fetchval("SELECT drop_partitions($1, $2)", feed, today - timedelta(days=days))
    return dropped
