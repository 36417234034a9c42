"""Events of the dispatches of sendings, such as deliveries and opens, and everything that is counted of them.

An event has an id of its own, so that recording it again changes nothing. Recording locks the row of the sending, so
the counters of a sending have a single writer, and a batch updates each counter once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec
from msgspec import UNSET

from regulars.core import timestamps, validation
from regulars.facts import timed_events
from regulars.facts.columns import Columns
from regulars.facts.fact_type import FactType, RowOutcome, RowSchema, in_community_timezone
from regulars.facts.timed_events import ProfileIds
from regulars.model import placeholders
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import event_statements, partitions, profile_lock, timezones, verification
from regulars.rollups.intervals import GRANULARITIES
from regulars.storage import sql_files
from regulars.storage.array_literals import array_literal
from regulars.storage.database import Scope

EVENT_TYPES = (
    "scheduled", "transmitted", "delivered", "failed", "opened", "clicked", "bounced", "unsubscribed", "complained",
)  # fmt: skip
"""What can happen to a dispatch, in its usual order."""

EVENT_TYPE_CODES = {name: code for code, name in enumerate(EVENT_TYPES, 1)}
"""The number that is stored for an event type."""


DISPATCH_SETS = {
    10: ("delivered", "opened", "clicked"),
    11: ("opened", "clicked"),
    12: ("delivered", "opened", "clicked", "unsubscribed"),
}
"""Sets of event types by a number: dispatches with any of them are counted as those of a single type are. Who opens or
clicks has received the message, also where no delivery was reported, and who clicks has opened it."""


def _mask(types: Sequence[str]) -> int:
    return sum(1 << EVENT_TYPE_CODES[each] for each in types)


COUNTED_MASKS = {
    0: 1,
    **{code: 1 << code for code in EVENT_TYPE_CODES.values()},
    **{number: _mask(types) for number, types in DISPATCH_SETS.items()},
}
"""The bits of event masks of all that dispatches are counted by: any event (0), each type, and each set of types."""

COUNTED_TYPES = f"""
counted_types (event_type, mask) AS (
    VALUES {", ".join(f"({number}, {mask})" for number, mask in COUNTED_MASKS.items())}
),
"""
"""A CTE of them."""

# Rows -------------------------------------------------------------------------------------------------------


class SendingEventIn(msgspec.Struct, frozen=True, kw_only=True):
    """An event as input.

    `sending` is the external id of a sending, which may be created later. `profile` is the external id or the id of the
    recipient. Without `dispatch`, the recipient has one dispatch in the sending.
    """

    external_id: validation.Code = UNSET
    sending: validation.Code = UNSET
    dispatch: validation.Code = UNSET
    profile: validation.Code = UNSET
    event: validation.Text = UNSET
    at: validation.Text = UNSET


@dataclass(frozen=True, slots=True)
class SendingEventRow:
    """A validated event. `event_key` and `dispatch_key` are hashes of the external ids; without one of a dispatch, the id
    of the recipient is its key."""

    event_key: UUID
    sending: str
    dispatch_key: UUID | None
    profile: str | None
    event_type: int
    occurred_at: datetime


def validate(event: SendingEventIn, timezone: str) -> SendingEventRow:
    """Validates an event; a timestamp without an offset is in `timezone`. Raises ValidationError by path."""
    reader = validation.FieldReader()
    for name in ("external_id", "sending", "dispatch", "profile"):
        reader.read(name, getattr(event, name), validation.check_code)
    reader.read("event", event.event, partial(validation.code_of, codes=EVENT_TYPE_CODES))
    reader.read("at", event.at, partial(timestamps.parse_in_timezone, zone=timezone))
    reader.require("external_id", "sending", "event", "at")
    columns = reader.columns
    dispatch, profile = columns.get("dispatch"), columns.get("profile")
    if dispatch is None and profile is None and not reader.errors:
        reader.errors["dispatch"] = "is required, or else a profile"
    reader.result()
    return SendingEventRow(
        validation.hash_key(columns["external_id"]),
        columns["sending"],
        None if dispatch is None else validation.hash_key(f"dispatch {dispatch}"),
        profile,
        columns["event"],
        columns["at"],
    )


# Recording --------------------------------------------------------------------------------------------------

_NAME = "sending_events"

UNIQUE_COUNTERS = {
    "unique_opened": (("opened",),),
    "unique_clicked": (("clicked",),),
    "unique_delivered": (DISPATCH_SETS[10],),
    "unique_engaged": (DISPATCH_SETS[11],),
    "unique_bounced": (("bounced",),),
    "unique_unsubscribed": (("unsubscribed",), DISPATCH_SETS[10]),
}
"""Counters of dispatches that have an event of each of these sets of types."""

_COUNTERS = ("dispatches", "members", "new", *UNIQUE_COUNTERS, *EVENT_TYPES)
"""The counters of a sending, each a column with the suffix _count."""


def _count_dispatches(mask: str, sets: Sequence[Sequence[str]]) -> str:
    """SQL of the number of dispatches with an event of each set, by the column of their masks."""
    conditions = " AND ".join(f"{mask} & {_mask(types)} <> 0" for types in sets)
    return f"count(*) FILTER (WHERE {conditions})"


_PARTS = {
    "community": event_statements.COMMUNITY,
    "input": event_statements.input_rows(
        {
            "sending_id": "bigint",
            "dispatch_key_hash": "uuid",
            "event_key_hash": "uuid",
            "event_type": "smallint",
            "occurred_at": "timestamptz",
            "profile_id": "uuid",
        },
        nullable="profile_id",
    ),
    "counted_types": COUNTED_TYPES,
    "unique_deltas": ",\n".join(
        f"{_count_dispatches('new_event_mask', sets)} - {_count_dispatches('event_mask', sets)} AS {name}"
        for name, sets in UNIQUE_COUNTERS.items()
    ),
    "unique_counts": ",\n".join(
        f"{_count_dispatches('event_mask', sets)} AS {name}" for name, sets in UNIQUE_COUNTERS.items()
    ),
    "no_unique_deltas": ", ".join(f"0 AS {name}" for name in UNIQUE_COUNTERS),
    "summed_unique_deltas": ",\n".join(f"sum({name}) AS {name}" for name in UNIQUE_COUNTERS),
    "recomputed_unique_counts": "\nUNION ALL\n".join(
        f"SELECT sending_id, '{name}_count', {_count_dispatches('event_mask', sets)}\n"
        "FROM recomputed_dispatches\nGROUP BY sending_id"
        for name, sets in UNIQUE_COUNTERS.items()
    ),
    "stored_unique_counts": ",\n".join(f"('{name}_count', {name}_count)" for name in UNIQUE_COUNTERS),
    "add_counters": event_statements.change_counters(_COUNTERS, "+"),
    "subtract_counters": event_statements.change_counters(_COUNTERS, "-"),
    "event_counts": event_statements.event_counts(EVENT_TYPES),
    "summed_event_counts": event_statements.event_counts(EVENT_TYPES, "sum(events)"),
}
_DELTAS = ("event_deltas", "recipient_deltas")

_RECORD = sql_files.load(
    "regulars.facts", "sending_events_record", **_PARTS, buckets=event_statements.buckets(_DELTAS, 8)
)
_ERASE = sql_files.load(
    "regulars.facts", "sending_events_erase", **_PARTS, buckets=event_statements.buckets(_DELTAS, 3)
)
_REASSIGN = sql_files.load("regulars.facts", "sending_events_reassign", **_PARTS)
_REBUILD = sql_files.load(
    "regulars.facts", "sending_events_rebuild", buckets=event_statements.buckets(_DELTAS, 3, timezone="$2")
)
_VERIFY = verification.load("regulars.facts", "sending_events_verify", **_PARTS)

# Of the dispatches to a recipient in a sending that have any of some keys, the first one stays: by it the recipient counts.
_SUPERSEDED_EVENTS = """
SELECT
    dispatch.id, dispatch.profile_id, event.sending_id, event.event_key_hash, event.event_type, event.occurred_at
FROM (
    SELECT
        stored.id, stored.profile_id,
        row_number() OVER (
            PARTITION BY stored.sending_id, stored.profile_id ORDER BY stored.transmitted_at, stored.id
        ) AS place
    FROM unnest($2::uuid[], $3::uuid[]) AS named (profile_id, dispatch_key_hash)
    JOIN sending_dispatches AS stored
        ON stored.community_id = $1
        AND stored.profile_id = named.profile_id
        AND stored.dispatch_key_hash = named.dispatch_key_hash
) AS dispatch
JOIN sending_events AS event ON event.community_id = $1 AND event.dispatch_id = dispatch.id
WHERE dispatch.place > 1
"""

_SET_KEYS = """
UPDATE sending_dispatches AS stored
SET dispatch_key_hash = stored.profile_id
FROM unnest($2::uuid[], $3::uuid[]) AS named (profile_id, dispatch_key_hash)
WHERE stored.community_id = $1
  AND stored.profile_id = named.profile_id
  AND stored.dispatch_key_hash = named.dispatch_key_hash
  AND stored.dispatch_key_hash <> stored.profile_id
"""

_LOCK = """
SELECT FROM sendings WHERE community_id = $1 AND id = ANY ($2::text::bigint[]) ORDER BY id FOR NO KEY UPDATE
"""

_LOCK_ALL = "SELECT FROM sendings WHERE community_id = $1 ORDER BY id FOR NO KEY UPDATE"

_SENDINGS_TO_PROFILES = """
SELECT DISTINCT sending_id FROM sending_dispatches WHERE community_id = $1 AND profile_id = ANY ($2)
"""

# Each event type by itself, so that an index answers it.
_UPDATE_EVENT_RANGE = """
UPDATE sendings AS stored
SET first_event_at = span.first_event_at, last_event_at = span.last_event_at
FROM (
    SELECT
        requested.id, min(of_type.first_event_at) AS first_event_at, max(of_type.last_event_at) AS last_event_at
    FROM unnest($2::bigint[]) AS requested (id)
    CROSS JOIN generate_series(1, 9) AS types (event_type)
    CROSS JOIN LATERAL (
        SELECT min(occurred_at) AS first_event_at, max(occurred_at) AS last_event_at
        FROM sending_events
        WHERE community_id = $1 AND sending_id = requested.id AND event_type = CAST(types.event_type AS smallint)
    ) AS of_type
    GROUP BY requested.id
) AS span
WHERE stored.community_id = $1 AND stored.id = span.id
"""


async def write_many(uow: UnitOfWork, rows: Sequence[SendingEventRow]) -> list[RowOutcome]:
    """Stores and counts events, and returns an outcome per row. An event that is stored already changes nothing."""
    return await timed_events.write_events(uow, rows, _record)


async def _record(uow: UnitOfWork, rows: Sequence[SendingEventRow], profile_ids: ProfileIds) -> set[int]:
    sending_ids = await placeholders.get_or_create_ids(uow, "sendings", {row.sending for row in rows})
    await timezones.ensure(uow, _NAME)
    await _lock(uow, set(sending_ids.values()))
    events = [
        (
            sending_ids[row.sending],
            row.dispatch_key or profile_ids[row.profile],
            row.event_key,
            row.event_type,
            row.occurred_at,
            profile_ids[row.profile],
        )
        for row in rows
    ]
    return await _store(uow, events)


async def _store(scope: Scope, events: Sequence[tuple[object, ...]]) -> set[int]:
    """Stores and counts events, in the columns of `input`; returns the indexes of those that are new."""
    columns = [array_literal(values) for values in zip(*events, strict=True)]
    retention = partitions.retention_starts(scope.now)
    new = await scope.fetch(_RECORD, scope.community_id, *columns, GRANULARITIES, retention)
    return {row["row_no"] - 1 for row in new}


async def dispatch_keys(scope: Scope, rows: Sequence[SendingEventRow]) -> list[UUID]:
    """The keys of the dispatches of stored events."""
    names = {row.profile for row in rows if row.dispatch_key is None}
    profile_ids = await timed_events.resolve_profiles(scope, names)
    return [row.dispatch_key or profile_ids[row.profile] for row in rows]


async def _lock(scope: Scope, sending_ids: Collection[int]) -> None:
    await scope.execute(_LOCK, scope.community_id, array_literal(sorted(sending_ids)))


async def erase(scope: Scope, profile_ids: Collection[UUID]) -> None:
    """Deletes the dispatches to profiles with their events, and subtracts them from everything that is counted."""
    if not await _lock_sendings_to(scope, profile_ids):
        return
    await _update_event_range(scope, await _delete(scope, profile_ids))


async def _delete(
    scope: Scope, profile_ids: Collection[UUID], dispatch_ids: Collection[int] | None = None
) -> Collection[int]:
    """Deletes all dispatches to profiles, or superseded ones; returns the ids of their sendings."""
    retention = partitions.retention_starts(scope.now)
    ids = None if dispatch_ids is None else sorted(dispatch_ids)
    rows = await scope.fetch(_ERASE, scope.community_id, sorted(profile_ids), GRANULARITIES, retention, ids)
    return [row["sending_id"] for row in rows]


async def _update_event_range(scope: Scope, sending_ids: Collection[int]) -> None:
    await scope.execute(_UPDATE_EVENT_RANGE, scope.community_id, sorted(sending_ids))


async def reassign(scope: Scope, merged: Mapping[UUID, UUID]) -> None:
    """Makes the profiles that others were merged into the recipients of their dispatches.

    Of two dispatches without an id in a sending, to the merged profile and to the other one, one is left.
    """
    if not await _lock_sendings_to(scope, merged):
        return
    retention = partitions.retention_starts(scope.now)
    for source_id, destination_id in merged.items():
        await scope.execute(_REASSIGN, scope.community_id, source_id, destination_id, GRANULARITIES, retention)
        await _unite(scope, [(destination_id, source_id), (destination_id, destination_id)])


async def restate_keys(scope: Scope, former_keys: Collection[tuple[UUID, UUID]]) -> None:
    """Gives dispatches the id of their recipient as the key. Of several to one recipient in a sending, one is left.

    `former_keys` are pairs of a recipient and a key that one of its dispatches may have.
    """
    profile_ids = {profile_id for profile_id, _ in former_keys}
    if await _lock_sendings_to(scope, profile_ids):
        await _unite(scope, {*former_keys, *((each, each) for each in profile_ids)})


async def _unite(scope: Scope, keys: Collection[tuple[UUID, UUID]]) -> None:
    """Makes one dispatch of those to a recipient in a sending that have any of its keys: with the recipient's id as the key.

    Events with the same id are one event then, as if they had been recorded under this key.
    """
    named = [list(column) for column in zip(*keys, strict=True)]
    superseded = await scope.fetch(_SUPERSEDED_EVENTS, scope.community_id, *named)
    if superseded:
        await _delete(scope, {row["profile_id"] for row in superseded}, {row["id"] for row in superseded})
    await scope.execute(_SET_KEYS, scope.community_id, *named)
    if superseded:
        columns = ("sending_id", "profile_id", "event_key_hash", "event_type", "occurred_at", "profile_id")
        await _store(scope, [tuple(row[each] for each in columns) for row in superseded])
        await _update_event_range(scope, {row["sending_id"] for row in superseded})


async def _lock_sendings_to(scope: Scope, profile_ids: Collection[UUID]) -> list[int]:
    """Locks the sendings that went to profiles, and returns their ids."""
    await profile_lock.lock_identities_exclusive(scope)
    rows = await scope.fetch(_SENDINGS_TO_PROFILES, scope.community_id, sorted(profile_ids))
    sending_ids = sorted(row["sending_id"] for row in rows)
    await _lock(scope, sending_ids)
    return sending_ids


async def _rebuild(scope: Scope, timezone: str) -> None:
    await scope.execute(_LOCK_ALL, scope.community_id)
    for table in ("sending_rollups", "recipient_rollups"):
        await scope.execute(f"DELETE FROM {table} WHERE community_id = $1", scope.community_id)
    await scope.execute(_REBUILD, scope.community_id, timezone, GRANULARITIES, partitions.retention_starts(scope.now))


rebuild_if_stale = partial(timezones.rebuild_if_changed, fact_type=_NAME, rebuild=_rebuild)
"""Rebuilds all rollups if the community's time zone has changed, and returns 1 then, else 0."""


SENDING_EVENTS = FactType(
    name=_NAME,
    description="What happens to the dispatches of sendings: deliveries, opens, clicks, complaints.",
    schema=RowSchema(
        Columns(
            SendingEventIn,
            (("external_id",), ("sending",), ("dispatch", "profile"), ("event",), ("at",)),
            {},
            times=("at",),
        ),
        in_community_timezone(validate),
    ),
    write=write_many,
    erase=erase,
    reassign=reassign,
    rebuild=rebuild_if_stale,
    rollup_tables=("sending_rollups", "recipient_rollups"),
    empty_counts=("DELETE FROM recipient_rollups WHERE community_id = $1 AND count = 0",),
    verify=partial(timed_events.find_discrepancies, _VERIFY, _NAME),
)
