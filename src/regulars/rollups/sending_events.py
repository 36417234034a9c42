"""Keeps true what is counted of sendings, in the transaction of the events and of whatever becomes of recipients.

Unlike the counts of members it is counted at once: what tells events of a sending holds its row, so that each sending
has one writer at a time, and a batch changes each number once.
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

_STEPS = [interval.code for interval in ALL_INTERVALS]
_ZONES = "sending_zones"

_TELL = (files("regulars.rollups") / "tell_events.sql").read_text()
_FORGET = (files("regulars.rollups") / "forget_recipients.sql").read_text()
_MOVE = (files("regulars.rollups") / "move_recipients.sql").read_text()
_REBUILD = (files("regulars.rollups") / "rebuild_sendings.sql").read_text()

_LOCK = """
SELECT FROM sendings WHERE community_id = $1 AND id = ANY ($2::text::bigint[]) ORDER BY id FOR NO KEY UPDATE
"""

_SENDINGS_OF = """
SELECT DISTINCT sending_id FROM sending_dispatches WHERE community_id = $1 AND profile_id = ANY ($2)
"""

# By index, each kind of event apart.
_SPAN = """
UPDATE sendings AS kept
SET first_at = span.first_at, last_at = span.last_at
FROM (
    SELECT wanted.id, min(of_event.first_at) AS first_at, max(of_event.last_at) AS last_at
    FROM unnest($2::bigint[]) AS wanted (id)
    CROSS JOIN generate_series(1, 9) AS events (event)
    CROSS JOIN LATERAL (
        SELECT min(at) AS first_at, max(at) AS last_at
        FROM sending_events
        WHERE community_id = $1 AND sending_id = wanted.id AND event = CAST(events.event AS smallint)
    ) AS of_event
    GROUP BY wanted.id
) AS span
WHERE kept.community_id = $1 AND kept.id = span.id
"""


@dataclass(frozen=True, slots=True)
class SendingEventBatch:
    """Columns of events: sendings by id, digests of their dispatches and of their own ids, codes, instants, and
    recipients.
    """

    sending_ids: Sequence[int]
    dispatch_keys: Sequence[UUID]
    event_keys: Sequence[UUID]
    event_types: Sequence[int]
    occurred_at: Sequence[datetime]
    profile_ids: Sequence[UUID]


async def record(scope: Scope, events: SendingEventBatch) -> set[int]:
    """Keeps and counts events; gives the places of those that were not there yet.

    The caller has people staying since an earlier statement.
    """
    await timezones.ensure(scope, _ZONES)
    await _lock(scope, set(events.sending_ids))
    rows = await scope.fetch(
        _TELL,
        scope.community_id,
        array_literal(events.sending_ids),
        array_literal(events.dispatch_keys),
        array_literal(events.event_keys),
        array_literal(events.event_types),
        array_literal(events.occurred_at),
        array_literal(events.profile_ids),
        _STEPS,
        partitions.retention_starts(scope.now),
    )
    return {row["place"] - 1 for row in rows}


async def _lock(scope: Scope, sending_ids: Collection[int]) -> None:
    await scope.execute(_LOCK, scope.community_id, array_literal(sorted(sending_ids)))


async def _held(scope: Scope, profile_ids: Collection[UUID]) -> list[int]:
    """The sendings that went to profiles, held, as nobody tells events of them any more."""
    await profile_lock.lock_identities_exclusive(scope)
    rows = await scope.fetch(_SENDINGS_OF, scope.community_id, sorted(profile_ids))
    sending_ids = sorted(row["sending_id"] for row in rows)
    await _lock(scope, sending_ids)
    return sending_ids


async def erase(scope: Scope, profile_ids: Collection[UUID]) -> None:
    """Takes recipients, and all that was sent to them, out of whatever is counted."""
    if not await _held(scope, profile_ids):
        return
    steps, firsts = _STEPS, partitions.retention_starts(scope.now)
    rows = await scope.fetch(_FORGET, scope.community_id, sorted(profile_ids), steps, firsts)
    await scope.execute(_SPAN, scope.community_id, [row["sending_id"] for row in rows])


async def reassign(scope: Scope, merged: Mapping[UUID, UUID]) -> None:
    """What was sent to profiles was sent to those that they were merged into."""
    if await _held(scope, merged):
        for source_id, destination_id in merged.items():
            steps, firsts = _STEPS, partitions.retention_starts(scope.now)
            await scope.execute(_MOVE, scope.community_id, source_id, destination_id, steps, firsts)


async def rebuild_if_stale(database: Database, community_id: int) -> int:
    """Makes all buckets anew where the community's zone is another one by now; gives 1 then, else 0."""
    return await timezones.rebuild_if_changed(database, community_id, _ZONES, _rebuild)


async def _rebuild(scope: Scope, zone: str) -> None:
    community_id = scope.community_id
    await scope.execute("SELECT FROM sendings WHERE community_id = $1 ORDER BY id FOR NO KEY UPDATE", community_id)
    for table in ("sending_rollups", "recipient_rollups"):
        await scope.execute(f"DELETE FROM {table} WHERE community_id = $1", community_id)
    await scope.execute(_REBUILD, community_id, zone, _STEPS, partitions.retention_starts(scope.now))
