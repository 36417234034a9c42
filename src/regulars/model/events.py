"""Events that webhooks listen to: stored in the transaction of their fact, if an active webhook listens to them.

A unit of work collects events (`UnitOfWork.record_event`), and its commit stores them. `record` does so in any other
write transaction. `aggregation.changed` follows from the outbox rows of a commit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from regulars.storage.database import Scope

AGGREGATION_CHANGED = "aggregation.changed"

EVENT_TYPES: Mapping[str, str] = {
    AGGREGATION_CHANGED: "Values of a profile changed: by a fact, or because time passed.",
    "profile.created": "A profile was created.",
    "profile.updated": "A profile, or one of its identities or addresses, changed.",
    "profile.deleted": "A profile was deleted or purged.",
    "profile.merged": "Another profile was merged into this one.",
    "profile.depersonalised": "The data that identify the member were deleted.",
    "transaction.created": "A transaction was created.",
    "transaction.updated": "A transaction or one of its items changed, or it was attached to a profile or detached.",
    "transaction.deleted": "A transaction was deleted.",
    "segment.entered": "A member entered a segment.",
    "segment.left": "A member left a segment.",
    "export.completed": "An export is complete and can be downloaded.",
    "export.failed": "An export failed.",
    "webhook.test": "A test of one webhook, sent on request.",
}
"""All types of events, each with a sentence."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a profile, or to the subject with an id: a transaction, a segment, an export.

    `data` is the payload; None for `profile.*` and `transaction.*`, whose payload is the profile or transaction as it
    is when the event is matched with webhooks. `namespace` is that of the caller.
    """

    type: str
    profile_id: UUID | None = None
    subject_id: str | None = None
    data: Mapping[str, Any] | None = None
    namespace: str | None = None


def matches(trigger: str, event_type: str) -> bool:
    """Whether a trigger selects a type of event: its name, a group of names such as `profile.*`, or `*` for all."""
    return trigger in (event_type, "*") or (trigger.endswith(".*") and event_type.startswith(trigger[:-1]))


@lru_cache(maxsize=1_024)
def is_listened_to(triggers: tuple[str, ...], event_type: str) -> bool:
    """Whether any of the triggers selects a type of event."""
    return any(matches(each, event_type) for each in triggers)


TRIGGERS_SQL = "ARRAY(SELECT DISTINCT trigger FROM webhooks WHERE community_id = $1 AND is_active ORDER BY trigger)"
"""SQL expression of the triggers of the active webhooks of community $1."""

_INSERT = """
INSERT INTO webhook_events (community_id, type, occurred_at, profile_id, subject_id, data, namespace)
SELECT $1, type, $2, profile_id, subject_id, data::json, namespace
FROM unnest($3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[])
    WITH ORDINALITY AS event (type, profile_id, subject_id, data, namespace, position)
ORDER BY position
"""

_encoder = msgspec.json.Encoder(decimal_format="number")


async def store(scope: Scope, events: Sequence[Event]) -> None:
    """Stores events in their order, whether or not a webhook listens to them."""
    await scope.execute(
        _INSERT,
        scope.community_id,
        scope.now,
        [each.type for each in events],
        [each.profile_id for each in events],
        [each.subject_id for each in events],
        [None if each.data is None else _encoder.encode(each.data).decode() for each in events],
        [each.namespace for each in events],
    )


async def record(scope: Scope, events: Iterable[Event]) -> None:
    """Stores those events that an active webhook listens to, in a write transaction that is no unit of work."""
    triggers = tuple(await scope.fetchval(f"SELECT {TRIGGERS_SQL}", scope.community_id))
    if listened_to := [each for each in events if is_listened_to(triggers, each.type)]:
        await store(scope, listened_to)
        announce(scope.community_id)


# The rows of a commit have its transaction id. A row without changes only says that a replica must read the profile.
_STORE_CHANGES = f"""
INSERT INTO webhook_events (community_id, type, occurred_at, profile_id, data, namespace)
SELECT $1, '{AGGREGATION_CHANGED}', changed.changed_at, changed.profile_id,
       json_build_object('cause', changed.reason, 'changes', changed.changes), caller.namespace
FROM outbox AS changed
LEFT JOIN unnest($2::uuid[], $3::text[]) AS caller (profile_id, namespace) ON caller.profile_id = changed.profile_id
WHERE changed.community_id = $1
  AND changed.recorded_xid = pg_current_xact_id()
  AND changed.changes::text <> '{{}}'
ORDER BY changed.id
"""


async def store_changes(scope: Scope, namespaces: Mapping[UUID, str]) -> None:
    """Stores an `aggregation.changed` for each outbox row of the running transaction.

    `namespaces` are those of the callers, by the profile that they changed.
    """
    await scope.execute(_STORE_CHANGES, scope.community_id, list(namespaces), list(namespaces.values()))


_DELETE_EVENTS = """
DELETE FROM webhook_events
WHERE community_id = $1 AND profile_id = ANY ($2) AND type <> 'profile.deleted'
"""

_DELETE_UNDELIVERED = """
DELETE FROM webhook_deliveries
WHERE community_id = $1 AND {condition} AND due_at IS NOT NULL AND event_type <> 'profile.deleted'
"""

_BLANK_LOG = """
UPDATE webhook_deliveries
SET profile_id = NULL, transaction_id = NULL, ordering_key = event_id, body = NULL, response_excerpt = NULL
WHERE community_id = $1 AND {condition} AND due_at IS NULL
"""


async def erase(scope: Scope, profile_ids: Sequence[UUID], transaction_ids: Sequence[int]) -> None:
    """Deletes the stored events and undelivered deliveries of profiles that are being erased, and blanks their log, also
    that of their transactions from before they had a profile.

    A deletion that is not delivered yet stays; the erasure itself is an event of its own.
    """
    await scope.execute(_DELETE_EVENTS, scope.community_id, list(profile_ids))
    for condition, ids in (("profile_id = ANY ($2)", profile_ids), ("transaction_id = ANY ($2)", transaction_ids)):
        for statement in (_DELETE_UNDELIVERED, _BLANK_LOG):
            await scope.execute(statement.format(condition=condition), scope.community_id, list(ids))


# In-process notification ----------------------------------------------------------------------------------

_announced: set[int] = set()


def announce(community_id: int) -> None:
    """Notes that this process has stored events of a community, so that its delivery need not wait
    for the next poll.
    """
    _announced.add(community_id)


def has_announced() -> bool:
    """Whether there are announced communities."""
    return bool(_announced)


def take_announced() -> set[int]:
    """The communities announced since the last call."""
    announced = set(_announced)
    _announced.clear()
    return announced
