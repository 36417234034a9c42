"""Events of offers, such as views and uses, and everything that is counted of them.

An event has an id of its own, so that recording it again changes nothing. Recording locks the row of the offer, so the
counters of an offer have a single writer, and a batch updates each counter once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec
from msgspec import UNSET

from regulars.core import timestamps, validation
from regulars.facts import offers, timed_events
from regulars.facts.columns import Columns
from regulars.facts.fact_type import FactType, RowOutcome, RowSchema, in_community_timezone
from regulars.facts.timed_events import ProfileIds
from regulars.model import locations, placeholders
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import event_statements, partitions, profile_lock, timezones, verification
from regulars.rollups.intervals import GRANULARITIES
from regulars.storage import sql_files
from regulars.storage.array_literals import array_literal
from regulars.storage.database import Scope

EVENT_TYPES = ("seen", "clicked", "granted", "used")
"""What can happen to an offer, in its usual order."""

EVENT_TYPE_CODES = {name: code for code, name in enumerate(EVENT_TYPES, 1)}
"""The number that is stored for an event type."""


# Rows -------------------------------------------------------------------------------------------------------


class OfferEventIn(msgspec.Struct, frozen=True, kw_only=True):
    """An event as input.

    `offer` is the external id of an offer, which may be created later. `profile` is the external id or the id of a
    profile. `location` is the id or the external id of the store where it happened. `transaction` is the external id of
    the transaction in which the offer was used.
    """

    external_id: validation.Code = UNSET
    offer: validation.Code = UNSET
    event: validation.Text = UNSET
    at: validation.Text = UNSET
    profile: validation.Code = UNSET
    transaction: validation.Code = UNSET
    location: validation.Code = UNSET


@dataclass(frozen=True, slots=True)
class OfferEventRow:
    """A validated event. `event_key` is a hash of its external id."""

    event_key: UUID
    offer: str
    event_type: int
    occurred_at: datetime
    profile: str | None
    transaction: str | None
    location: str | None


def validate(event: OfferEventIn, timezone: str) -> OfferEventRow:
    """Validates an event; a timestamp without an offset is in `timezone`. Raises ValidationError by path."""
    reader = validation.FieldReader()
    for name in ("external_id", "offer", "profile", "transaction", "location"):
        reader.read(name, getattr(event, name), validation.check_code)
    reader.read("event", event.event, partial(validation.code_of, codes=EVENT_TYPE_CODES))
    reader.read("at", event.at, partial(timestamps.parse_in_timezone, zone=timezone))
    reader.require("external_id", "offer", "event", "at")
    columns = reader.columns
    if columns.get("transaction") is not None and columns.get("event") not in (None, EVENT_TYPE_CODES["used"]):
        reader.errors["transaction"] = "goes with the event used"
    reader.result()
    return OfferEventRow(
        validation.hash_key(columns["external_id"]),
        columns["offer"],
        columns["event"],
        columns["at"],
        columns.get("profile"),
        columns.get("transaction"),
        columns.get("location"),
    )


# Recording --------------------------------------------------------------------------------------------------

_NAME = "offer_events"

_NO_LOCATION = 0
"""Stands for the location of an event without one."""

_PARTS = {
    "community": event_statements.COMMUNITY,
    "input": event_statements.input_rows(
        {
            "offer_id": "bigint",
            "event_key_hash": "uuid",
            "event_type": "smallint",
            "occurred_at": "timestamptz",
            "profile_id": "uuid",
            "location_id": "bigint",
            "transaction_external_id": "text",
        },
        nullable="profile_id",
    ),
    "add_counters": event_statements.change_counters(EVENT_TYPES, "+"),
    "subtract_counters": event_statements.change_counters(EVENT_TYPES, "-"),
    "event_counts": event_statements.event_counts(EVENT_TYPES),
}
_DELTAS = ("event_deltas",)

_RECORD = sql_files.load(
    "regulars.facts", "offer_events_record", **_PARTS, buckets=event_statements.buckets(_DELTAS, 9)
)
_ERASE = sql_files.load("regulars.facts", "offer_events_erase", **_PARTS, buckets=event_statements.buckets(_DELTAS, 3))
_REBUILD = sql_files.load(
    "regulars.facts", "offer_events_rebuild", buckets=event_statements.buckets(_DELTAS, 3, timezone="$2")
)
_VERIFY = verification.load("regulars.facts", "offer_events_verify")

_LOCK = """
SELECT FROM offers WHERE community_id = $1 AND id = ANY ($2::text::bigint[]) ORDER BY id FOR NO KEY UPDATE
"""

_LOCK_ALL = "SELECT FROM offers WHERE community_id = $1 ORDER BY id FOR NO KEY UPDATE"

_OFFERS_OF_PROFILES = """
SELECT DISTINCT offer_id FROM offer_events WHERE community_id = $1 AND profile_id = ANY ($2)
"""

_REASSIGN = "UPDATE offer_events SET profile_id = $3 WHERE community_id = $1 AND profile_id = $2"


async def write_many(uow: UnitOfWork, rows: Sequence[OfferEventRow]) -> list[RowOutcome]:
    """Stores and counts events, and returns an outcome per row. An event that is stored already changes nothing."""
    return await timed_events.write_events(uow, rows, _record)


async def _record(uow: UnitOfWork, rows: Sequence[OfferEventRow], profile_ids: ProfileIds) -> set[int]:
    stores = {row.location for row in rows if row.location is not None}
    location_ids = await locations.resolve_ids(uow, stores, create_missing=True)
    offer_ids = await placeholders.get_or_create_ids(uow, offers.TABLE.name, {row.offer for row in rows})
    await timezones.ensure(uow, _NAME)
    await _lock(uow, set(offer_ids.values()))
    new = await uow.fetch(
        _RECORD,
        uow.community_id,
        array_literal([offer_ids[row.offer] for row in rows]),
        array_literal([row.event_key for row in rows]),
        array_literal([row.event_type for row in rows]),
        array_literal([row.occurred_at for row in rows]),
        array_literal([profile_ids[row.profile] for row in rows]),
        array_literal([_NO_LOCATION if row.location is None else location_ids[row.location] for row in rows]),
        array_literal([row.transaction for row in rows]),
        GRANULARITIES,
        partitions.retention_starts(uow.now),
    )
    return {row["row_no"] - 1 for row in new}


async def _lock(scope: Scope, offer_ids: Collection[int]) -> None:
    await scope.execute(_LOCK, scope.community_id, array_literal(sorted(offer_ids)))


async def erase(scope: Scope, profile_ids: Collection[UUID]) -> None:
    """Deletes the events of profiles and subtracts them from everything that is counted."""
    await profile_lock.lock_identities_exclusive(scope)
    rows = await scope.fetch(_OFFERS_OF_PROFILES, scope.community_id, sorted(profile_ids))
    if rows:
        await _lock(scope, [row["offer_id"] for row in rows])
        retention = partitions.retention_starts(scope.now)
        await scope.execute(_ERASE, scope.community_id, sorted(profile_ids), GRANULARITIES, retention)


async def reassign(scope: Scope, merged: Mapping[UUID, UUID]) -> None:
    """Makes the events of merged profiles those of the profiles that they were merged into. No count changes."""
    await profile_lock.lock_identities_exclusive(scope)
    for source_id, destination_id in merged.items():
        await scope.execute(_REASSIGN, scope.community_id, source_id, destination_id)


async def _rebuild(scope: Scope, timezone: str) -> None:
    await scope.execute(_LOCK_ALL, scope.community_id)
    await scope.execute("DELETE FROM offer_rollups WHERE community_id = $1", scope.community_id)
    await scope.execute(_REBUILD, scope.community_id, timezone, GRANULARITIES, partitions.retention_starts(scope.now))


rebuild_if_stale = partial(timezones.rebuild_if_changed, fact_type=_NAME, rebuild=_rebuild)
"""Rebuilds all rollups if the community's time zone has changed, and returns 1 then, else 0."""


OFFER_EVENTS = FactType(
    name=_NAME,
    description="What happens to offers: members see, click, are granted and use them.",
    schema=RowSchema(
        Columns(OfferEventIn, (("external_id",), ("offer",), ("event",), ("at",)), {}, times=("at",)),
        in_community_timezone(validate),
    ),
    write=write_many,
    erase=erase,
    reassign=reassign,
    rebuild=rebuild_if_stale,
    rollup_tables=("offer_rollups",),
    verify=partial(timed_events.find_discrepancies, _VERIFY, _NAME),
)
