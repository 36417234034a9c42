"""The events of one profile in one timeline, latest first: memberships, transactions, messages, offers and visits of links."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from regulars.core.timestamps import parse_timestamp
from regulars.storage import sql_files
from regulars.storage.database import Scope

_KeyType = type[int] | type[UUID]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of events. `time` and `keys` are the columns that its statement sorts by; `columns` are those of an event."""

    name: str
    time: str
    keys: Mapping[str, _KeyType]
    columns: tuple[str, ...]

    def statement(self, operator: str) -> str:
        """The statement of a page: events before (`<`) the time of a cursor, also at it (`<=`), or before its position
        (`()`).
        """
        if operator == "()":
            parameters = ", ".join(f"${n}" for n in range(4, 5 + len(self.keys)))
            condition = f"({', '.join((self.time, *self.keys))}) < ({parameters})"
        else:
            condition = f"{self.time} {operator} $4"
        return _load(self.name, condition)


@cache
def _load(kind: str, condition: str) -> str:
    prefix = "" if kind == "message" else "AND "
    return sql_files.load("regulars.facts", f"timeline/{kind}", before=f"{prefix}{condition}")


KINDS = (
    Kind("membership", "occurred_at", {"id": int}, ("id", "optin_channel", "optin_subchannel")),
    Kind(
        "transaction",
        "transacted_at",
        {"id": int},
        ("id", "external_id", "receipt_ref", "amount", "location_id", "items_count", "item_names"),
    ),
    Kind(
        "message",
        "at",
        {"id": int},
        (
            *("id", "sending_id", "sending_external_id", "reporting_id", "channel"),
            *("delivered_at", "opened_at", "clicked_at", "failed_at", "unsubscribed_at"),
        ),
    ),
    Kind(
        "offer",
        "occurred_at",
        {"offer_id": int, "event_key_hash": UUID},
        ("offer_id", "offer_external_id", "location_id", "transaction_external_id"),
    ),
    Kind(
        "visit",
        "visited_at",
        {"visit_key_hash": UUID},
        ("link_id", "source_type", "sending_id", "offer_external_id"),
    ),
)
"""The kinds of events. Of events of the same instant, those of an earlier kind are older."""

KIND_NAMES = tuple(each.name for each in KINDS)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position after an event: its time, kind and key. Without a kind it is before all events of that time."""

    at: datetime
    kind: str = ""
    key: tuple[int | UUID, ...] = ()

    def __str__(self) -> str:
        """Returns the text that `parse_cursor` reads."""
        time = self.at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return "~".join((time, *([self.kind] if self.kind else []), *map(str, self.key)))


def parse_cursor(text: str) -> Cursor:
    """Reads the text of a cursor, or a time. Raises ValueError."""
    time, *rest = text.split("~")
    at = parse_timestamp(time)
    if not rest:
        return Cursor(at)
    kind = next((each for each in KINDS if each.name == rest[0]), None)
    if kind is None or len(rest) != 1 + len(kind.keys):
        raise ValueError("must be a time, or the position that a page of the timeline ended with")
    return Cursor(
        at, kind.name, tuple(_key(type_, each) for type_, each in zip(kind.keys.values(), rest[1:], strict=True))
    )


def _key(key_type: _KeyType, text: str) -> int | UUID:
    if key_type is int and len(text) > 18:
        raise ValueError("must be a time, or the position that a page of the timeline ended with")
    return key_type(text)


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """An event: its time, kind and type, a title if it has one, and what else is known of it by name."""

    at: datetime
    kind: str
    type: str
    title: str | None
    fields: Mapping[str, Any]
    key: tuple[int | UUID, ...] = field(repr=False)

    @property
    def cursor(self) -> Cursor:
        """The position after the event."""
        return Cursor(self.at, self.kind, self.key)


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """Events, latest first, and the position that the next page begins at; None after the last one."""

    events: Sequence[TimelineEvent]
    next_cursor: Cursor | None


async def read(scope: Scope, profile_id: UUID, cursor: Cursor, limit: int, kinds: Sequence[str]) -> TimelinePage:
    """The latest `limit` events of these kinds before a position."""
    place = KIND_NAMES.index(cursor.kind) if cursor.kind else len(KINDS)
    found: list[tuple[datetime, int, tuple[Any, ...], TimelineEvent]] = []
    for rank, kind in enumerate(KINDS):
        if kind.name not in kinds:
            continue
        # Events of later kinds at the time of the cursor have been read already, those of earlier ones have not.
        is_same = rank == place
        statement = kind.statement("()" if is_same else "<" if rank > place or not cursor.kind else "<=")
        values = (cursor.at, *cursor.key) if is_same else (cursor.at,)
        for row in await scope.fetch(statement, scope.community_id, profile_id, limit + 1, *values):
            key = tuple(key_type(str(row[name])) for name, key_type in kind.keys.items())
            fields = {name: row[name] for name in kind.columns}
            event = TimelineEvent(row["at"], kind.name, row["type"], row.get("title"), fields, key)
            found.append((event.at, rank, key, event))
    found.sort(key=lambda each: each[:3], reverse=True)
    events = [each[3] for each in found[:limit]]
    return TimelinePage(events, events[-1].cursor if len(found) > limit else None)
