"""What is kept by bucket of time: room for buckets to come, and none for those past their term."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import TypeVar

import asyncpg

from regulars.rollups.intervals import ALL_INTERVALS, Interval
from regulars.storage.database import Database
from regulars.storage.errors import is_missing_partition

T = TypeVar("T")

PARTITION_UNITS = {Interval.MINUTES_5: "day", Interval.HOUR: "month", Interval.DAY: "year"}
"""What a partition holds of each interval whose buckets are dropped in time."""

_SLACK = timedelta(days=2)
"""A bucket begins up to so much earlier than its term says, by its own width and the zone."""

_AHEAD = timedelta(days=3)


BUCKETS_IN_RANGE = """k.community_id = $community AND k.granularity = $interval
  AND k.bucket >= (SELECT min(start) FROM unnest($starts) AS begins (start))
  AND k.bucket <= (SELECT max(start) FROM unnest($starts) AS begins (start))
  AND k.count <> 0"""
"""Of rollups `k` those in the buckets that a timeseries asks for."""


def retention_start(interval: Interval, now: datetime) -> datetime | None:
    """Buckets that begin before this are past their term in every zone; None where none ever are."""
    return None if interval.retention is None else now - interval.retention - _SLACK


def retention_starts(now: datetime) -> list[datetime | None]:
    """The same of every interval, in their order."""
    return [retention_start(interval, now) for interval in ALL_INTERVALS]


async def ensure(database: Database) -> int:
    """Makes the partitions that are needed now and soon, and drops expired ones; gives how many were dropped."""
    now = database.clock()
    dropped = 0
    async with database.unscoped_connection() as connection:
        for interval, unit in PARTITION_UNITS.items():
            dropped += await connection.fetchval(
                "SELECT ensure_rollup_partitions($1, $2, $3, $4)",
                interval.code,
                unit,
                retention_start(interval, now),
                now + _AHEAD,
            )
    return dropped


async def with_partitions(database: Database, work: Callable[[], Awaitable[T]]) -> T:
    """Does what writes into rollups; where it lacks a partition, once more after they are made.

    Retention makes them ahead of time; where it could not, whoever writes does.
    """
    try:
        return await work()
    except asyncpg.CheckViolationError as error:
        if not is_missing_partition(error):
            raise
    await ensure(database)
    return await work()


async def delete_expired_buckets(database: Database, community_id: int, tables: Iterable[str]) -> None:
    """Deletes expired buckets of a community from rollup tables: those in partitions that are not dropped yet."""
    async with database.write_transaction(community_id) as scope:
        for interval in PARTITION_UNITS:
            for table in tables:
                await scope.execute(
                    f"DELETE FROM {table} WHERE community_id = $1 AND granularity = $2 AND bucket < $3",
                    community_id,
                    interval.code,
                    retention_start(interval, scope.now),
                )
