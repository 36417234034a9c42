"""Keeps true what is counted of offers, in the transaction of the events and of whatever becomes of members.

It is counted at once: what tells events of an offer holds its row, so that each offer has one writer at a time, and a
batch changes each number once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from uuid import UUID

from regulars.rollups import partitions, profile_lock, timezones
from regulars.rollups.intervals import ALL_INTERVALS
from regulars.storage.array_literals import array_literal
from regulars.storage.database import Database, Scope

NO_LOCATION = 0
"""Stands for the location of an event that names none."""

_STEPS = [interval.code for interval in ALL_INTERVALS]
_ZONES = "offer_zones"

_TELL = (files("regulars.rollups") / "tell_usages.sql").read_text()
_FORGET = (files("regulars.rollups") / "forget_usages.sql").read_text()
_REBUILD = (files("regulars.rollups") / "rebuild_offers.sql").read_text()

_LOCK = """
SELECT FROM offers WHERE community_id = $1 AND id = ANY ($2::text::bigint[]) ORDER BY id FOR NO KEY UPDATE
"""

_OFFERS_OF = """
SELECT DISTINCT offer_id FROM offer_events WHERE community_id = $1 AND profile_id = ANY ($2)
"""

_MOVE = "UPDATE offer_events SET profile_id = $3 WHERE community_id = $1 AND profile_id = $2"


@dataclass(frozen=True, slots=True)
class OfferEventBatch:
    """Columns of events: offers by id, digests of the events' own ids, codes, instants, profiles, locations, and the
    external ids of transactions.
    """

    offer_ids: Sequence[int]
    event_keys: Sequence[UUID]
    event_types: Sequence[int]
    occurred_at: Sequence[datetime]
    profile_ids: Sequence[UUID]
    location_ids: Sequence[int]
    transaction_external_ids: Sequence[str | None]


async def record(scope: Scope, events: OfferEventBatch) -> set[int]:
    """Keeps and counts events; gives the places of those that were not there yet.

    The caller has people staying since an earlier statement.
    """
    await timezones.ensure(scope, _ZONES)
    await _lock(scope, set(events.offer_ids))
    rows = await scope.fetch(
        _TELL,
        scope.community_id,
        array_literal(events.offer_ids),
        array_literal(events.event_keys),
        array_literal(events.event_types),
        array_literal(events.occurred_at),
        array_literal(events.profile_ids),
        array_literal(events.location_ids),
        array_literal(events.transaction_external_ids),
        _STEPS,
        partitions.retention_starts(scope.now),
    )
    return {row["place"] - 1 for row in rows}


async def _lock(scope: Scope, offer_ids: Collection[int]) -> None:
    await scope.execute(_LOCK, scope.community_id, array_literal(sorted(offer_ids)))


async def erase(scope: Scope, profile_ids: Collection[UUID]) -> None:
    """Takes profiles, and all that they did with offers, out of whatever is counted."""
    await profile_lock.lock_identities_exclusive(scope)
    rows = await scope.fetch(_OFFERS_OF, scope.community_id, sorted(profile_ids))
    if rows:
        await _lock(scope, [row["offer_id"] for row in rows])
        steps, firsts = _STEPS, partitions.retention_starts(scope.now)
        await scope.execute(_FORGET, scope.community_id, sorted(profile_ids), steps, firsts)


async def reassign(scope: Scope, merged: Mapping[UUID, UUID]) -> None:
    """What profiles did with offers was done by those that they were merged into: only who is counted changes."""
    await profile_lock.lock_identities_exclusive(scope)
    for source_id, destination_id in merged.items():
        await scope.execute(_MOVE, scope.community_id, source_id, destination_id)


async def rebuild_if_stale(database: Database, community_id: int) -> int:
    """Makes all buckets anew where the community's zone is another one by now; gives 1 then, else 0."""
    return await timezones.rebuild_if_changed(database, community_id, _ZONES, _rebuild)


async def _rebuild(scope: Scope, zone: str) -> None:
    community_id = scope.community_id
    await scope.execute("SELECT FROM offers WHERE community_id = $1 ORDER BY id FOR NO KEY UPDATE", community_id)
    await scope.execute("DELETE FROM offer_rollups WHERE community_id = $1", community_id)
    await scope.execute(_REBUILD, community_id, zone, _STEPS, partitions.retention_starts(scope.now))
