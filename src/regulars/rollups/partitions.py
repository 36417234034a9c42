"""Partitions of rollups: created for the buckets to come, dropped with the buckets that expire."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import TypeVar

import asyncpg

from regulars.rollups.intervals import ALL_INTERVALS, Interval
from regulars.storage.database import Database
from regulars.storage.errors import is_missing_partition

T = TypeVar("T")

PARTITION_UNITS = {Interval.MINUTES_5: "day", Interval.HOUR: "month", Interval.DAY: "year"}
"""The unit of a partition, by interval whose buckets expire."""

_SLACK = timedelta(days=2)
"""A bucket starts up to this much before its retention, by its own width and the time zone."""

_AHEAD = timedelta(days=3)


BUCKETS_IN_RANGE = """k.community_id = $community AND k.granularity = $interval
  AND k.bucket >= (SELECT min(start) FROM unnest($starts) AS begins (start))
  AND k.bucket <= (SELECT max(start) FROM unnest($starts) AS begins (start))
  AND k.count <> 0"""
"""A condition on rollups `k`: those in the buckets of the requested timeseries."""


def retention_start(interval: Interval, now: datetime) -> datetime | None:
    """Buckets that start earlier have expired in every time zone; None if buckets never expire."""
    return None if interval.retention is None else now - interval.retention - _SLACK


def retention_starts(now: datetime) -> list[datetime | None]:
    """The same for all intervals, in their order."""
    return [retention_start(interval, now) for interval in ALL_INTERVALS]


async def ensure(database: Database) -> int:
    """Creates the partitions needed now and soon, and drops expired ones; returns how many were dropped."""
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
    """Runs work that writes into rollups; if a partition is missing, creates it and runs the work again.

    Usually the retention job has created partitions in advance.
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
