"""Daily partitions of append-only tables: created in advance, dropped after their retention time."""

from datetime import date, timedelta

from regulars.storage.database import Database

DAYS_AHEAD = 3
PARTITIONED_TABLES = ("outbox", "idempotency_keys", "commit_markers")


async def ensure_day_partitions(database: Database, day: date) -> None:
    """Creates the partitions of one day that do not exist yet."""
    async with database.unscoped_connection() as connection:
        for table in PARTITIONED_TABLES:
            await connection.execute("SELECT ensure_partition($1, $2)", table, day)


async def maintain_partitions(database: Database, outbox_retention_days: int) -> int:
    """Creates the partitions of the next days and drops expired ones; returns the number of dropped ones."""
    today = database.clock().date()
    dropped = 0
    for offset in range(-1, DAYS_AHEAD + 1):
        await ensure_day_partitions(database, today + timedelta(days=offset))
    async with database.unscoped_connection() as connection:
        for table, days in zip(PARTITIONED_TABLES, (outbox_retention_days, 1, 1), strict=True):
            dropped += await connection.fetchval("SELECT drop_partitions($1, $2)", table, today - timedelta(days=days))
    return dropped
