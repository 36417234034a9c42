"""Keeps the partitions of feeds that grow: makes those to come, drops those past their time."""

from datetime import date, timedelta

from regulars.storage.database import Database

DAYS_AHEAD = 3
PARTITIONED_TABLES = ("outbox", "idempotency_keys", "commit_markers")


async def ensure_day_partitions(database: Database, day: date) -> None:
    """Makes the partitions of one day where they are missing."""
    async with database.unscoped_connection() as connection:
        for feed in PARTITIONED_TABLES:
            await connection.execute("SELECT ensure_partition($1, $2)", feed, day)


async def maintain_partitions(database: Database, outbox_retention_days: int) -> int:
    """Makes partitions for the days to come and drops expired ones; gives how many were dropped."""
    today = database.clock().date()
    dropped = 0
    for ahead in range(-1, DAYS_AHEAD + 1):
        await ensure_day_partitions(database, today + timedelta(days=ahead))
    async with database.unscoped_connection() as connection:
        for feed, days in zip(PARTITIONED_TABLES, (outbox_retention_days, 1, 1), strict=True):
            dropped += await connection.fetchval("SELECT drop_partitions($1, $2)", feed, today - timedelta(days=days))
    return dropped
