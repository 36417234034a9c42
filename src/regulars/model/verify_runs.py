"""Results of `regulars verify`: how many stored values and counts differ from the facts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from regulars.storage.database import Database, Scope

MAX_NAMES = 50
"""Maximum number of values and counts whose differences are counted by name."""


@dataclass(frozen=True, slots=True)
class VerifyRun:
    """The result of verifying one community. `differences_by_name` are numbers of differences by value or count."""

    started_at: datetime
    finished_at: datetime
    profiles: int
    differences: int
    differences_by_name: Mapping[str, int] = field(default_factory=dict)


async def store(database: Database, community_id: int, run: VerifyRun) -> None:
    """Stores the result of a run."""
    most_frequent = sorted(run.differences_by_name.items(), key=lambda each: -each[1])[:MAX_NAMES]
    async with database.write_transaction(community_id) as scope:
        await scope.execute(
            """
            INSERT INTO verify_runs (
                community_id, started_at, finished_at, profiles, differences, differences_by_name
            )
            VALUES ($1, $2, $3, $4, $5, $6)
            """,
            community_id,
            run.started_at,
            run.finished_at,
            run.profiles,
            run.differences,
            dict(most_frequent),
        )


async def find_latest(scope: Scope) -> VerifyRun | None:
    """Returns the latest run of the community; None if there is none."""
    row = await scope.fetchrow(
        """
        SELECT started_at, finished_at, profiles, differences, differences_by_name
        FROM verify_runs
        WHERE community_id = $1
        ORDER BY finished_at DESC, id DESC
        LIMIT 1
        """,
        scope.community_id,
    )
    if row is None:
        return None
    return VerifyRun(**{**row, "differences_by_name": msgspec.json.decode(row["differences_by_name"])})


async def delete_expired(database: Database, retained_days: int, community_id: int) -> int:
    """Deletes the runs of a community that ended longer ago; returns their number."""
    async with database.write_transaction(community_id) as scope:
        before = scope.now - timedelta(days=retained_days)
        status = await scope.execute(
            "DELETE FROM verify_runs WHERE community_id = $1 AND finished_at < $2", community_id, before
        )
    return int(status.rpartition(" ")[2])
