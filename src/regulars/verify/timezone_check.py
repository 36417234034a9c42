"""Compares the time zone rules of PostgreSQL and DuckDB, which each ship their own version of the tz database."""

from datetime import datetime, timedelta

import pyarrow as pa

from regulars.offline.engines.duckdb import DuckDBEngine
from regulars.storage.database import Scope
from regulars.verify.export import TEXT, export_query

_HORIZON = timedelta(days=2 * 366)
"""Values depend on no later instants."""

# The step of 31 hours visits all hours of the day and misses only changes that last a few days.
_LOCAL_TIMES = """
SELECT zone, at, at AT TIME ZONE zone AS local
FROM (
    SELECT timezone AS zone FROM communities WHERE id = $1
    UNION
    SELECT timezone FROM locations WHERE community_id = $1 AND timezone IS NOT NULL
) AS used
CROSS JOIN generate_series('1970-01-01Z'::timestamptz, $2::timestamptz, '1 day 7 hours') AS at
"""

_COLUMNS = {"zone": TEXT, "at": pa.timestamp("us", "UTC"), "local": pa.timestamp("us")}

_DIFFERING = """
SELECT zone, min("at"), arg_min("local", "at"), arg_min(local_time("at", zone), "at")
FROM local_times
WHERE local_time("at", zone) <> "local"
GROUP BY zone
ORDER BY zone
"""


async def timezone_differences(scope: Scope) -> list[tuple[str, datetime, datetime, datetime]]:
    """Time zones of a community with different rules, with the first instant at which they differ.

    Returns the zone, the instant in UTC, and the local times of PostgreSQL and DuckDB.
    """
    local_times = await export_query(scope, _LOCAL_TIMES, (scope.community_id, scope.now + _HORIZON), _COLUMNS)
    engine = DuckDBEngine()
    engine.connection.register("local_times", local_times)
    zones = [(zone, at, in_postgresql, in_duckdb) for zone, at, in_postgresql, in_duckdb in engine.fetch(_DIFFERING)]
    engine.connection.close()
    return zones
