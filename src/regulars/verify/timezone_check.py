"""Whether the store and DuckDB mean the same by a time zone, for each brings rules of its own, of its own age."""

from datetime import datetime, timedelta

import pyarrow as pa

from regulars.offline.engines.duckdb import DuckDBEngine
from regulars.storage.database import Scope
from regulars.verify.export import TEXT, export_query

_AHEAD = timedelta(days=2 * 366)
"""No value looks further into the future."""

# At other hours of other days, so that no change of the clocks is missed but one of a few days.
_LOCAL_TIMES = """
SELECT zone, at, at AT TIME ZONE zone AS local
FROM (
    SELECT timezone AS zone FROM communities WHERE id = $1
    UNION
    SELECT timezone FROM locations WHERE community_id = $1 AND timezone IS NOT NULL
) AS named
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
    """Each zone of a community that has other rules in DuckDB, with the first instant at which that shows: the zone,
    the instant in UTC, and the local times that the store and DuckDB make of it.
    """
    found = await export_query(scope, _LOCAL_TIMES, (scope.community_id, scope.now + _AHEAD), _COLUMNS)
    runner = DuckDBEngine()
    runner.connection.register("local_times", found)
    zones = [(zone, at, stored, engines) for zone, at, stored, engines in runner.rows(_DIFFERING)]
    runner.connection.close()
    return zones
