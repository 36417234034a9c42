"""Matches stored events with the webhooks that listen to them, and creates the deliveries."""

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import structlog

from regulars.core import money
from regulars.core.json_logic_evaluation import ConditionTooComplexError, evaluate, is_true
from regulars.model.events import matches
from regulars.storage.database import Database, Scope
from regulars.storage.errors import is_system_error
from regulars.webhooks.payloads import Payload, PayloadBuilder, StoredEvent, message_id

BATCH_EVENTS = 500
"""Maximum number of events that are matched in one transaction."""

MATCH_SECONDS = 1.0
"""Time after which further events wait for the next transaction, so that slow conditions of one community do not delay the
others.
"""

# One process matches the events of a community at a time, so deliveries are numbered in the order of their events. The
# lock ends with the transaction, so it works behind poolers.
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('regulars.webhook_events'), $1)"

_WEBHOOKS = """
SELECT id, trigger, namespace, condition
FROM webhooks
WHERE community_id = $1 AND is_active
ORDER BY id
"""

# The oldest events first: the events of a profile are numbered in the order of their commits.
_EVENTS = """
SELECT id, event_id, type, occurred_at, profile_id, subject_id, data, namespace
FROM webhook_events
WHERE community_id = $1
ORDER BY id
LIMIT $2
"""

_DELETE_EVENTS = "DELETE FROM webhook_events WHERE community_id = $1 AND id = ANY ($2)"

_INSERT_DELIVERIES = """
INSERT INTO webhook_deliveries (
    community_id, webhook_id, event_id, event_type, occurred_at, profile_id, transaction_id, ordering_key, body, status,
    due_at, error, created_at
)
SELECT $1, webhook_id, event_id, event_type, occurred_at, profile_id, transaction_id, ordering_key, body,
       CASE WHEN error IS NULL THEN 'pending' ELSE 'failed' END, CASE WHEN error IS NULL THEN $2::timestamptz END, error, $2
FROM unnest(
    $3::bigint[], $4::uuid[], $5::text[], $6::timestamptz[], $7::uuid[], $8::bigint[], $9::uuid[], $10::text[],
    $11::text[]
) WITH ORDINALITY AS delivery (
    webhook_id, event_id, event_type, occurred_at, profile_id, transaction_id, ordering_key, body, error, position
)
ORDER BY position
"""

_log = structlog.get_logger("regulars.webhooks")
_decoder = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class _Listener:
    """An active webhook: what it listens to."""

    id: int
    trigger: str
    namespace: str | None
    condition: Any
    has_condition: bool

    def listens_to(self, event: StoredEvent) -> bool:
        """Whether its trigger selects an event of another caller."""
        is_own = self.namespace is not None and self.namespace == event.namespace
        return not is_own and matches(self.trigger, event.type)


@dataclass(frozen=True, slots=True)
class MatchedEvents:
    """The number of events matched, the webhooks that got deliveries, and whether there may be more events."""

    events: int
    webhook_ids: frozenset[int] = frozenset()
    has_more: bool = False


async def match_events(database: Database, community_id: int) -> MatchedEvents:
    """Matches the oldest events of a community, at most BATCH_EVENTS; none while another process does."""
    async with database.write_transaction(community_id) as scope:
        if not await scope.fetchval(_TRY_LOCK, community_id):
            return MatchedEvents(0)
        events = [StoredEvent(**row) for row in await scope.fetch(_EVENTS, community_id, BATCH_EVENTS)]
        if not events:
            return MatchedEvents(0)
        listeners = [_listener(row) for row in await scope.fetch(_WEBHOOKS, community_id)]
        matched, deliveries = await _match(events, listeners, await _payloads(scope, events, listeners))
        if deliveries:
            await _insert(scope, deliveries)
        await scope.execute(_DELETE_EVENTS, community_id, [each.id for each in events[:matched]])
        webhook_ids = frozenset(webhook_id for webhook_id, _, _ in deliveries)
        return MatchedEvents(matched, webhook_ids, matched < len(events) or len(events) == BATCH_EVENTS)


def _listener(row: Any) -> _Listener:
    condition = None if row["condition"] is None else _decoder.decode(row["condition"])
    return _Listener(row["id"], row["trigger"], row["namespace"], condition, condition is not None)


async def _payloads(scope: Scope, events: Sequence[StoredEvent], listeners: Sequence[_Listener]) -> dict[int, Payload]:
    """The payloads of the events that a webhook listens to, by the id of the event."""
    pairs = [(listener, event) for event in events for listener in listeners if listener.listens_to(event)]
    if not pairs:
        return {}
    currency = await scope.fetchval("SELECT currency FROM communities WHERE id = $1", scope.community_id)
    digits = money.minor_digits(currency)
    needed = {event.id: event for _, event in pairs}
    with_profiles = any(listener.has_condition for listener, _ in pairs)
    return await _build(PayloadBuilder(scope, digits), list(needed.values()), with_profiles=with_profiles)


async def _match(
    events: Sequence[StoredEvent], listeners: Sequence[_Listener], payloads: Mapping[int, Payload]
) -> tuple[int, list[tuple[int, StoredEvent, Payload]]]:
    """The number of events matched before the time was up, at least one, and their deliveries."""
    began = time.monotonic()
    deliveries: list[tuple[int, StoredEvent, Payload]] = []
    for position, event in enumerate(events):
        if position and time.monotonic() - began >= MATCH_SECONDS:
            return position, deliveries
        payload = payloads.get(event.id)
        if payload is None:
            continue
        for listener in listeners:
            if not listener.listens_to(event):
                continue
            if _is_met(listener, payload):
                deliveries.append((listener.id, event, payload))
            if listener.has_condition:
                # A condition may take some milliseconds, in which the process serves no other request.
                await asyncio.sleep(0)
    return len(events), deliveries


async def _build(builder: PayloadBuilder, events: Sequence[StoredEvent], *, with_profiles: bool) -> dict[int, Payload]:
    """The payloads by the id of the event. One that can't be built has an error, and does not hold up the others."""
    try:
        return await builder.build(events, with_profiles=with_profiles)
    except Exception as error:
        if is_system_error(error) or isinstance(error, asyncpg.PostgresError):
            raise
        if len(events) == 1:
            _log.exception("webhook.payload_failed", webhook_event=message_id(events[0].event_id), type=events[0].type)
            reason = f"The payload can't be built: {type(error).__name__}. The log has details: webhook.payload_failed."
            return {events[0].id: Payload(None, {}, reason)}
    middle = len(events) // 2
    return {
        **await _build(builder, events[:middle], with_profiles=with_profiles),
        **await _build(builder, events[middle:], with_profiles=with_profiles),
    }


def _is_met(listener: _Listener, payload: Payload) -> bool:
    if not listener.has_condition or payload.error is not None:
        return True
    try:
        return is_true(evaluate(listener.condition, payload.variables))
    except ConditionTooComplexError as error:
        _log.warning("webhook.condition_too_complex", webhook=listener.id, error=str(error))
    except Exception:
        # An evaluation uses no database, so it would fail again, and the events of the community would never be matched.
        _log.exception("webhook.condition_failed", webhook=listener.id)
    return False


def ordering_key(event: StoredEvent) -> UUID:
    """The key of the deliveries that must be sent in order: of one profile, else of one subject."""
    if event.profile_id is not None:
        return event.profile_id
    if event.subject_id is None:
        return event.event_id
    subject = f"{event.type.partition('.')[0]}:{event.subject_id}"
    return UUID(bytes=hashlib.blake2b(subject.encode(), digest_size=16).digest())


def _unowned_transaction(event: StoredEvent) -> int | None:
    is_unowned = event.profile_id is None and event.type.startswith("transaction.")
    return int(event.subject_id) if is_unowned and event.subject_id else None


async def _insert(scope: Scope, deliveries: Sequence[tuple[int, StoredEvent, Payload]]) -> None:
    await scope.execute(
        _INSERT_DELIVERIES,
        scope.community_id,
        scope.now,
        [webhook_id for webhook_id, _, _ in deliveries],
        [event.event_id for _, event, _ in deliveries],
        [event.type for _, event, _ in deliveries],
        [event.occurred_at for _, event, _ in deliveries],
        [event.profile_id for _, event, _ in deliveries],
        [_unowned_transaction(event) for _, event, _ in deliveries],
        [ordering_key(event) for _, event, _ in deliveries],
        [payload.body for _, _, payload in deliveries],
        [payload.error for _, _, payload in deliveries],
    )
