"""The payloads of events, and the data that conditions of webhooks are evaluated over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from regulars.aggregations import serialization
from regulars.aggregations.reader import ProfileValues, read_current
from regulars.aggregations.table import STORED_AGGREGATIONS
from regulars.core.field_type import FieldType
from regulars.core.timestamps import parse_timestamp
from regulars.model.events import AGGREGATION_CHANGED
from regulars.model.locations import EMBEDDED_LOCATIONS
from regulars.model.profiles.profiles import PROFILES
from regulars.model.transactions.schema import TRANSACTIONS
from regulars.storage.database import Scope

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it was stored with its fact."""

    id: int
    event_id: UUID
    type: str
    occurred_at: datetime
    profile_id: UUID | None
    subject_id: str | None
    data: bytes | None
    namespace: str | None


@dataclass(frozen=True, slots=True)
class Payload:
    """The payload of an event, and the data that conditions are evaluated over; or why it has no body."""

    body: str | None
    variables: Mapping[str, Any]
    error: str | None = None


def message_id(event_id: UUID) -> str:
    """The id of an event as receivers see it."""
    return f"evt_{event_id.hex}"


def envelope(event_id: UUID, event_type: str, occurred_at: datetime, data: object) -> str:
    """The body of a delivery."""
    timestamp = occurred_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _encoder.encode(
        {"id": message_id(event_id), "type": event_type, "timestamp": timestamp, "data": data}
    ).decode()


@dataclass(slots=True)
class _Subjects:
    """The resources that events are about, as they are now."""

    profiles: Mapping[Any, dict[str, Any]] = field(default_factory=dict)
    values: Mapping[UUID, ProfileValues] = field(default_factory=dict)
    transactions: Mapping[Any, dict[str, Any]] = field(default_factory=dict)
    changes: Mapping[int, "_Changes"] = field(default_factory=dict)

    def aggregations(self, profile_id: UUID | None) -> dict[str, Any] | None:
        """The values of a profile, or None."""
        values = self.values.get(profile_id) if profile_id is not None else None
        return None if values is None else values.values()


@dataclass(frozen=True, slots=True)
class _Changes:
    """The changed values of a profile: their cause, and the serialized values before and after."""

    cause: str
    old: dict[str, Any]
    new: dict[str, Any]


class PayloadBuilder:
    """Builds the payloads of some events in one transaction."""

    def __init__(self, scope: Scope, minor_digits: int) -> None:
        self._scope = scope
        self._minor_digits = minor_digits

    async def build(self, events: Sequence[StoredEvent], *, with_profiles: bool) -> dict[int, Payload]:
        """The payloads by the id of the event, without those of subjects that no longer exist.

        `with_profiles` says that conditions need the profiles.
        """
        subjects = await self._subjects(events, with_profiles)
        payloads = {}
        for event in events:
            data = _data(event, subjects)
            if data is not None:
                body = envelope(event.event_id, event.type, event.occurred_at, data)
                variables = _variables(event, subjects) if with_profiles else {}
                payloads[event.id] = Payload(body, variables)
        return payloads

    async def _subjects(self, events: Sequence[StoredEvent], with_profiles: bool) -> _Subjects:
        subjects = _Subjects()
        ids = {each.profile_id for each in events if each.profile_id and (with_profiles or _is_profile(each))}
        if ids:
            subjects.profiles = await PROFILES.fetch_many(self._scope, list(ids))
        if owners := {each.profile_id for each in events if each.profile_id and _has_values(each)}:
            subjects.values = await read_current(self._scope, list(owners), self._scope.now)
        if numbers := sorted({int(each.subject_id) for each in events if _is_transaction(each) and each.subject_id}):
            subjects.transactions = await TRANSACTIONS.fetch_many(self._scope, numbers)
        subjects.changes = await self._changes([each for each in events if each.type == AGGREGATION_CHANGED])
        return subjects

    async def _changes(self, events: Sequence[StoredEvent]) -> dict[int, _Changes]:
        decoded = {each.id: _decoder.decode(each.data or b"{}") for each in events}
        rows = {
            event_id: tuple(_row(data["changes"], position) for position in (0, 1))
            for event_id, data in decoded.items()
        }
        ids = serialization.location_ids(row for pair in rows.values() for row in pair)
        found = await EMBEDDED_LOCATIONS.fetch_many(self._scope, sorted(ids)) if ids else {}
        # A location may have been deleted since; its id is shown then.
        locations = {each: msgspec.Raw(_encoder.encode(found.get(each, {"id": each}))) for each in ids}
        return {
            event_id: _Changes(
                decoded[event_id]["cause"],
                *(
                    _changed(
                        serialization.serialize(row, self._scope.now, self._minor_digits, locations), decoded[event_id]
                    )
                    for row in pair
                ),
            )
            for event_id, pair in rows.items()
        }


_NO_VALUES = dict.fromkeys([*(each.name for each in STORED_AGGREGATIONS), "profile_id"])
_TIMES = {each.name for each in STORED_AGGREGATIONS if each.type is FieldType.TIMESTAMP}
_PERCENTAGES = {each.name for each in STORED_AGGREGATIONS if each.type is FieldType.PERCENT}


def _row(changes: Mapping[str, Sequence[Any]], position: int) -> dict[str, Any]:
    """The stored values before (0) or after (1) a change; those that did not change are None."""
    row = dict(_NO_VALUES)
    for name, pair in changes.items():
        # A value of an earlier release may be gone.
        if name in row:
            value = pair[position]
            if value is not None and name in _TIMES:
                value = parse_timestamp(value)
            elif value is not None and name in _PERCENTAGES:
                value = Decimal(value)
            row[name] = value
    return row


def _changed(serialized: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: serialized[name] for name in data["changes"] if name in serialized}


def _is_profile(event: StoredEvent) -> bool:
    return event.type.startswith("profile.") and event.data is None


def _is_transaction(event: StoredEvent) -> bool:
    return event.type.startswith("transaction.") and event.data is None


def _has_values(event: StoredEvent) -> bool:
    return event.type != "profile.deleted"


def _data(event: StoredEvent, subjects: _Subjects) -> dict[str, Any] | None:
    """The data of the payload; None if the subject no longer exists."""
    aggregations = {"aggregations": subjects.aggregations(event.profile_id)}
    if (changes := subjects.changes.get(event.id)) is not None:
        return {
            "profile_id": event.profile_id,
            "cause": changes.cause,
            "old": changes.old,
            "new": changes.new,
            **aggregations,
        }
    if event.data is not None:
        recorded: dict[str, Any] = msgspec.json.decode(event.data)
        if event.profile_id is None or not _has_values(event):
            return recorded
        return {**recorded, "profile_id": event.profile_id, **aggregations}
    if _is_profile(event):
        profile = subjects.profiles.get(event.profile_id)
        merged = {"merged_profile_id": event.subject_id} if event.type == "profile.merged" else {}
        return None if profile is None else {**profile, **merged, **aggregations}
    if _is_transaction(event):
        transaction = subjects.transactions.get(int(event.subject_id or 0))
        return None if transaction is None else {**transaction, **aggregations}
    return {}


def _variables(event: StoredEvent, subjects: _Subjects) -> dict[str, Any]:
    """The data of conditions: the profile at the root and under `profile`, and what the event is about."""
    profile = subjects.profiles.get(event.profile_id) or {}
    changes = subjects.changes.get(event.id)
    recorded = None if event.data is None or changes is not None else msgspec.Raw(event.data)
    transaction = subjects.transactions.get(int(event.subject_id or 0)) if _is_transaction(event) else recorded
    variables = {
        **profile,
        "profile": profile,
        "aggregations": subjects.aggregations(event.profile_id),
        "old": changes and changes.old,
        "new": changes and changes.new,
        "cause": changes and changes.cause,
        "transaction": transaction if event.type.startswith("transaction.") else None,
        "segment": recorded if event.type.startswith("segment.") else None,
        "export": recorded if event.type.startswith("export.") else None,
        "type": event.type,
    }
    decoded: dict[str, Any] = _decoder.decode(_encoder.encode(variables))
    return decoded
