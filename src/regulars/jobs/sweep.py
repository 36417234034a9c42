"""Recomputes the profiles whose values are due: by the clock, or because a fact that many share has changed.

With them go those whose membership begins or ends by the clock, and those that no commit has derived yet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from regulars.aggregations import marks
from regulars.aggregations.store import SHARED_FACT
from regulars.facts.writing import Writing
from regulars.ingest.commit import commit
from regulars.jobs import communities
from regulars.storage.database import Database

PROFILES_AT_ONCE = 500

_DUE = """
SELECT profile_id, next_change_at, values_epoch
FROM aggregations
WHERE community_id = $1 AND next_change_at <= $2
ORDER BY next_change_at
LIMIT $3
"""

# What a load has marked is left to it for as long as it is under way.
_OUTDATED = """
SELECT profile_id, next_change_at, values_epoch
FROM aggregations
WHERE community_id = $1
  AND values_epoch < (SELECT values_epoch FROM epochs WHERE community_id = $1)
  AND values_epoch >= $4
  AND (next_change_at > $2 OR next_change_at IS NULL)
ORDER BY values_epoch
LIMIT $3
"""

_DUE_MEMBERS = """
SELECT profile_id
FROM members
WHERE community_id = $1 AND next_change_at <= $2
ORDER BY next_change_at
LIMIT $3
"""

# The mark of how far they are derived moves with them.
_NOT_DERIVED = """
WITH mark AS (
    SELECT derived_up_to FROM fold_marks WHERE community_id = $1 AND derived_up_to IS NOT NULL
),
found AS MATERIALIZED (
    SELECT profile_id
    FROM profiles
    WHERE community_id = $1 AND profile_id > (SELECT derived_up_to FROM mark)
    ORDER BY profile_id
    LIMIT $2
),
moved AS (
    UPDATE fold_marks
    SET derived_up_to = (SELECT profile_id FROM found ORDER BY profile_id DESC LIMIT 1)
    WHERE community_id = $1 AND derived_up_to IS NOT NULL
)
SELECT profile_id FROM found
"""

_WAITING = f"""
SELECT count(*) AS profiles, min(next_change_at) FILTER (WHERE next_change_at <= $2) AS oldest
FROM (({_DUE}) UNION ALL ({_OUTDATED})) AS waiting
"""

COUNTED = 10_000
"""So many profiles of a community are counted at most for each reason: whoever waits for more need not know."""

# One process sweeps a community at a time; the lock ends with the transaction, so poolers may stand between.
_ALONE = "SELECT pg_try_advisory_xact_lock(hashtext('regulars.sweep'), $1)"


async def sweep(
    database: Database, stopping: Callable[[], bool], observe: Callable[[int], None] = lambda profiles: None
) -> int:
    """Visits what is due now in every community, and nothing else; gives how many profiles that were.

    What goes wrong in one community is logged, and keeps none of the others waiting. `observe` is told of the
    profiles of each part once it is committed.
    """
    return await communities.each(
        "sweep",
        await communities.ids(database),
        lambda community_id: sweep_community(database, community_id, stopping, observe),
        stopping,
    )


async def sweep_community(
    database: Database,
    community_id: int,
    stopping: Callable[[], bool],
    observe: Callable[[int], None] = lambda profiles: None,
) -> int:
    """Visits what is due now in one community; gives how many profiles that were."""
    swept = 0
    while not stopping():
        found = await commit(database, community_id, _part)
        swept += found
        observe(found)
        if found < PROFILES_AT_ONCE:
            break
    return swept


async def _part(writing: Writing) -> int:
    if not await writing.fetchval(_ALONE, writing.community_id):
        return 0
    due = await writing.fetch(_DUE, writing.community_id, writing.now, PROFILES_AT_ONCE)
    _touch(writing, due, "clock")
    if room := PROFILES_AT_ONCE - len(due):
        least = marks.LEAST if await writing.fetchval(marks.ABANDONED, writing.community_id) else 0
        outdated = await writing.fetch(_OUTDATED, writing.community_id, writing.now, room, least)
        _touch(writing, outdated, SHARED_FACT)
    for row in await writing.fetch(_DUE_MEMBERS, writing.community_id, writing.now, PROFILES_AT_ONCE):
        writing.members.add(row["profile_id"])
    for row in await writing.fetch(_NOT_DERIVED, writing.community_id, PROFILES_AT_ONCE):
        writing.members.add(row["profile_id"])
    return max(len(writing.touched), len(writing.members))


def _touch(writing: Writing, rows: Sequence[Any], cause: str) -> None:
    for row in rows:
        writing.touch(row["profile_id"], marks.cause(row["values_epoch"]) or cause)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the sweep has before it: how many profiles, and for how long the first of them has been due by the clock."""

    profiles: int
    oldest_seconds: float


async def waiting(database: Database) -> Waiting:
    """What is due now in all communities; of one that has much, COUNTED profiles for each reason."""
    profiles, oldest_seconds = 0, 0.0
    for community_id in await communities.ids(database):
        async with database.reading(community_id) as scope:
            found = await scope.fetchrow(_WAITING, community_id, scope.now, COUNTED, marks.LEAST)
        profiles += found["profiles"]
        if found["oldest"] is not None:
            oldest_seconds = max(oldest_seconds, (scope.now - found["oldest"]).total_seconds())
    return Waiting(profiles, oldest_seconds)
