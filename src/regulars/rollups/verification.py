"""Verification of rollups: what is stored in buckets is compared with the same buckets, recomputed from the facts."""

from collections.abc import Sequence
from typing import Any

from regulars.rollups import partitions
from regulars.rollups.intervals import ALL_INTERVALS, Interval
from regulars.storage import sql_files
from regulars.storage.database import Scope

_BUCKET_TOTALS = sql_files.load("regulars.rollups", "bucket_totals")


def load(package: str, name: str, **parts: str) -> str:
    """A statement that verifies rollups of community $1, as `sql_files.load`; it may include `bucket_totals`."""
    return sql_files.load(package, name, bucket_totals=_BUCKET_TOTALS, **parts)


async def find_discrepancies(
    scope: Scope, statement: str, timezone: str, *values: object, intervals: Sequence[Interval] = ALL_INTERVALS
) -> Sequence[Any]:
    """Returns the rows of a statement that verifies rollups of some intervals, bucketed in a time zone.

    Its parameters are the community, the granularities, the first retained bucket of each, the time zone, and `values`.
    """
    retention_starts = [partitions.retention_start(interval, scope.now) for interval in intervals]
    return await scope.fetch(
        statement, scope.community_id, [interval.code for interval in intervals], retention_starts, timezone, *values
    )
