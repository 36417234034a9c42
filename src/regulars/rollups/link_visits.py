"""Keeps true what is counted of visits of links, in the transaction of the visits and of whatever becomes of profiles.

Visitors have numbers, and a bucket holds those of its visits: so the different ones among any links and buckets are
counted by joining numbers, whichever are asked for. A community's visits have one writer at a time.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.resources import files
from uuid import UUID

from regulars.rollups import partitions
from regulars.rollups.intervals import ALL_INTERVALS
from regulars.storage.array_literals import array_literal
from regulars.storage.database import Database, Scope

NO_VISITOR = UUID(int=0)
"""Stands for the visitor of a visit that names none."""

SEGMENT_SIZE = 256
"""So many visits of a bucket share a row. One that grows is written anew with each batch that adds to it; in a row of
its own a visit takes many times the room."""

_STEPS = [interval.code for interval in ALL_INTERVALS]

_TELL = (files("regulars.rollups") / "tell_visits.sql").read_text()
_CHANGE = (files("regulars.rollups") / "change_visitors.sql").read_text()
_REBUILD = (files("regulars.rollups") / "rebuild_links.sql").read_text()

_ALONE = "SELECT pg_advisory_xact_lock(hashtext('regulars.visits'), $1)"

_ZONE = """
INSERT INTO link_zones (community_id, zone)
SELECT id, timezone
FROM communities
WHERE id = $1 AND NOT EXISTS (SELECT FROM link_zones WHERE community_id = $1)
ON CONFLICT DO NOTHING
"""

_NUMBERS = "SELECT key, number FROM link_visitors WHERE community_id = $1 AND key = ANY ($2)"

_RENAME = "UPDATE link_visitors SET key = $3 WHERE community_id = $1 AND key = $2"

# What a link says may tell who visited it.
_DROP_UNVISITED = """
DELETE FROM links AS l
WHERE l.community_id = $1 AND l.id = ANY ($2)
  AND NOT EXISTS (
      SELECT FROM link_rollups AS k WHERE k.community_id = $1 AND k.step = '1mo' AND k.link_id = l.id
  )
"""

_IS_ANOTHER = """
SELECT c.timezone
FROM communities AS c
JOIN link_zones AS z ON z.community_id = c.id
WHERE c.id = $1 AND z.zone <> c.timezone
"""


@dataclass(frozen=True, slots=True)
class LinkVisitBatch:
    """Columns of visits: digests of their own ids, links by id, instants, who visited, and whether as a profile."""

    event_keys: Sequence[UUID]
    link_ids: Sequence[int]
    visited_at: Sequence[datetime]
    visitor_keys: Sequence[UUID]
    visitor_is_profile: Sequence[bool]


async def lock_writer(scope: Scope) -> None:
    """Holds until the end of the transaction that nobody else changes the community's visits, or whose they are."""
    await scope.fetchval(_ALONE, scope.community_id)


async def record(scope: Scope, visits: LinkVisitBatch) -> set[int]:
    """Keeps and counts visits; gives the places of those that were not there yet.

    The caller is alone at it since an earlier statement.
    """
    await scope.execute(_ZONE, scope.community_id)
    rows = await scope.fetch(
        _TELL,
        scope.community_id,
        array_literal(visits.event_keys),
        array_literal(visits.link_ids),
        array_literal(visits.visited_at),
        array_literal(visits.visitor_keys),
        array_literal(visits.visitor_is_profile),
        _STEPS,
        partitions.retention_starts(scope.now),
        SEGMENT_SIZE,
    )
    return {row["place"] - 1 for row in rows}


async def erase(scope: Scope, profile_ids: Collection[UUID]) -> None:
    """Takes visitors, and all their visits, out of whatever is counted."""
    await lock_writer(scope)
    numbers = await _numbers(scope, profile_ids)
    await _change(scope, dict.fromkeys(numbers.values(), 0))


async def reassign(scope: Scope, merged: Mapping[UUID, UUID]) -> None:
    """Visits of profiles are visits of those that they were merged into."""
    await lock_writer(scope)
    for source_id, destination_id in merged.items():
        numbers = await _numbers(scope, (source_id, destination_id))
        if len(numbers) == 2:
            await _change(scope, {numbers[source_id]: numbers[destination_id]})
        elif source_id in numbers:
            await scope.execute(_RENAME, scope.community_id, source_id, destination_id)


async def _numbers(scope: Scope, profile_ids: Collection[UUID]) -> dict[UUID, int]:
    rows = await scope.fetch(_NUMBERS, scope.community_id, sorted(profile_ids))
    return {row["key"]: row["number"] for row in rows}


async def _change(scope: Scope, numbers: Mapping[int, int]) -> None:
    if not numbers:
        return
    rows = await scope.fetch(_CHANGE, scope.community_id, list(numbers), list(numbers.values()), _STEPS)
    await scope.execute(_DROP_UNVISITED, scope.community_id, [row["link_id"] for row in rows])


async def rebuild_if_stale(database: Database, community_id: int) -> int:
    """Makes all buckets anew where the community's zone is another one by now; gives 1 then, else 0."""
    async with database.read_transaction(community_id) as scope:
        zone = await scope.fetchval(_IS_ANOTHER, community_id)
    if zone is None:
        return 0
    return await partitions.with_partitions(database, partial(_rebuild, database, community_id, zone))


async def _rebuild(database: Database, community_id: int, zone: str) -> int:
    async with database.write_transaction(community_id) as scope:
        await lock_writer(scope)
        await scope.execute("DELETE FROM link_rollups WHERE community_id = $1", community_id)
        await scope.execute(_REBUILD, community_id, zone, _STEPS, partitions.retention_starts(scope.now), SEGMENT_SIZE)
        await scope.execute("UPDATE link_zones SET zone = $2 WHERE community_id = $1", community_id, zone)
    return 1
