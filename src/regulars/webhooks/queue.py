"""The queue of undelivered deliveries: leases of webhooks, due deliveries, and the outcomes of attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from regulars.storage.database import Scope
from regulars.webhooks.client import Attempt

LEASE_SECONDS = 15
"""Time after which another process may take a webhook over. It is longer than an attempt."""

MAX_PER_KEY = 10
"""Maximum number of deliveries with the same ordering key that are fetched together."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how the deliveries of a webhook are sent."""

    url: str
    secrets: tuple[bytes, ...]
    consecutive_failures: int = 0


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A delivery that is to be sent now."""

    id: int
    event_id: UUID
    event_type: str
    ordering_key: UUID
    body: str
    attempts: int
    first_attempt_at: datetime | None
    due_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an attempt, and when the delivery is due again if it failed."""

    delivery: DueDelivery
    attempt: Attempt
    at: datetime
    due_at: datetime | None


# Leases are timed by the clock of the database, which all processes share.
_LEASE = """
INSERT INTO webhook_leases AS lease (community_id, webhook_id, owner, expires_at)
SELECT $1, webhook.id, $3, now() + $4::interval
FROM webhooks AS webhook
WHERE webhook.community_id = $1 AND webhook.id = $2 AND webhook.is_active
ON CONFLICT (community_id, webhook_id) DO UPDATE
SET owner = excluded.owner, expires_at = excluded.expires_at
WHERE lease.owner IS NULL OR lease.owner = excluded.owner OR lease.expires_at <= now()
RETURNING lease.consecutive_failures, lease.paused_until
"""

_TARGET = """
SELECT url, secret,
       CASE WHEN previous_secret_expires_at > $3 THEN previous_secret END AS previous_secret
FROM webhooks
WHERE community_id = $1 AND id = $2
"""

_RELEASE = "UPDATE webhook_leases SET owner = NULL WHERE community_id = $1 AND webhook_id = $2 AND owner = $3"


async def lease(scope: Scope, webhook_id: int, owner: UUID) -> Target | None:
    """Leases an active webhook, or extends its lease; None if it is inactive, paused, or another process has it."""
    state = await scope.fetchrow(_LEASE, scope.community_id, webhook_id, owner, timedelta(seconds=LEASE_SECONDS))
    if state is None or (state["paused_until"] is not None and state["paused_until"] > scope.now):
        return None
    return await fetch_target(scope, webhook_id, state["consecutive_failures"])


async def fetch_target(scope: Scope, webhook_id: int, consecutive_failures: int = 0) -> Target | None:
    """Where the deliveries of a webhook are sent, and its live secrets; None if it does not exist."""
    row = await scope.fetchrow(_TARGET, scope.community_id, webhook_id, scope.now)
    if row is None:
        return None
    secrets = (row["secret"],) if row["previous_secret"] is None else (row["secret"], row["previous_secret"])
    return Target(row["url"], secrets, consecutive_failures)


async def release(scope: Scope, webhook_id: int, owner: UUID) -> None:
    """Ends the lease of a webhook."""
    await scope.execute(_RELEASE, scope.community_id, webhook_id, owner)


_SET_FAILURES = """
UPDATE webhook_leases
SET consecutive_failures = $3, paused_until = $4
WHERE community_id = $1 AND webhook_id = $2
"""


async def set_failures(scope: Scope, webhook_id: int, failures: int, paused_until: datetime | None) -> None:
    """Stores how many attempts of a webhook have failed since the last success, and its pause."""
    await scope.execute(_SET_FAILURES, scope.community_id, webhook_id, failures, paused_until)


# Due deliveries -----------------------------------------------------------------------------------------

# The first deliveries of each key that has a due one. A key is sent in order, so a failed delivery, which is due later,
# holds the following ones back.
_DUE = """
WITH due AS MATERIALIZED (
    SELECT ordering_key, due_at, id
    FROM webhook_deliveries
    WHERE community_id = $1 AND webhook_id = $2 AND due_at <= $3 AND NOT ordering_key = ANY ($4)
    ORDER BY due_at, id
    LIMIT $5
)
SELECT first.*
FROM (SELECT DISTINCT ordering_key FROM due) AS key
CROSS JOIN LATERAL (
    SELECT id, event_id, event_type, ordering_key, body, attempts, first_attempt_at, due_at, created_at
    FROM webhook_deliveries AS delivery
    WHERE delivery.community_id = $1
      AND delivery.webhook_id = $2
      AND delivery.ordering_key = key.ordering_key
      AND delivery.due_at IS NOT NULL
    ORDER BY delivery.id
    LIMIT $6
) AS first
ORDER BY first.id
"""

_POSTPONE = """
UPDATE webhook_deliveries AS delivery
SET due_at = blocked.due_at
FROM unnest($3::uuid[], $4::timestamptz[]) AS blocked (ordering_key, due_at)
WHERE delivery.community_id = $1
  AND delivery.webhook_id = $2
  AND delivery.ordering_key = blocked.ordering_key
  AND delivery.due_at < blocked.due_at
"""

_RESUME = """
UPDATE webhook_deliveries AS delivery
SET due_at = $4
WHERE delivery.community_id = $1
  AND delivery.webhook_id = $2
  AND delivery.ordering_key = ANY ($3)
  AND delivery.due_at > $4
"""


async def fetch_due(
    scope: Scope, webhook_id: int, keys_in_progress: Sequence[UUID], limit: int
) -> list[list[DueDelivery]]:
    """The due deliveries of a webhook by ordering key, each list in the order in which it must be sent."""
    rows = await scope.fetch(
        _DUE, scope.community_id, webhook_id, scope.now, list(keys_in_progress), limit, MAX_PER_KEY
    )
    by_key: dict[UUID, list[DueDelivery]] = {}
    for row in rows:
        by_key.setdefault(row["ordering_key"], []).append(DueDelivery(**row))
    due, blocked = [], {}
    for key, deliveries in by_key.items():
        if deliveries[0].due_at > scope.now:
            blocked[key] = deliveries[0].due_at
        else:
            due.append(deliveries)
    if blocked:
        # So that they are not found again before the delivery that holds them back.
        await scope.execute(_POSTPONE, scope.community_id, webhook_id, list(blocked), list(blocked.values()))
    return due


# Outcomes -----------------------------------------------------------------------------------------------

_RECORD = """
UPDATE webhook_deliveries AS delivery
SET status = CASE WHEN outcome.due_at IS NULL THEN 'delivered' ELSE 'pending' END,
    attempts = delivery.attempts + 1,
    due_at = outcome.due_at,
    first_attempt_at = coalesce(delivery.first_attempt_at, outcome.at),
    last_attempt_at = outcome.at,
    response_status = outcome.status,
    response_excerpt = outcome.excerpt,
    error = outcome.error
FROM unnest($2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::int[], $6::text[], $7::text[])
    AS outcome (id, at, due_at, status, excerpt, error)
WHERE delivery.community_id = $1 AND delivery.id = outcome.id AND delivery.due_at IS NOT NULL
"""


async def record(scope: Scope, webhook_id: int, outcomes: Sequence[Outcome]) -> None:
    """Records the outcomes of attempts. A failed delivery holds the following ones of its key back, until it is
    delivered.
    """
    await scope.execute(
        _RECORD,
        scope.community_id,
        [each.delivery.id for each in outcomes],
        [each.at for each in outcomes],
        [each.due_at for each in outcomes],
        [each.attempt.status for each in outcomes],
        [each.attempt.excerpt or None for each in outcomes],
        [each.attempt.error or None for each in outcomes],
    )
    failed = {each.delivery.ordering_key: each.due_at for each in outcomes if each.due_at is not None}
    if failed:
        await scope.execute(_POSTPONE, scope.community_id, webhook_id, list(failed), list(failed.values()))
    resumed = [each.delivery.ordering_key for each in outcomes if each.due_at is None and each.delivery.attempts]
    if resumed:
        await scope.execute(_RESUME, scope.community_id, webhook_id, resumed, scope.now)


_DISABLE = """
UPDATE webhooks
SET is_active = false, disabled_at = $3, disabled_reason = $4, updated_at = $3
WHERE community_id = $1 AND id = $2 AND is_active
"""


async def disable(scope: Scope, webhook_id: int, reason: str) -> None:
    """Disables a webhook. Its undelivered deliveries are sent once it is active again."""
    await scope.execute(_DISABLE, scope.community_id, webhook_id, scope.now, reason)


# Webhooks with work -------------------------------------------------------------------------------------

_WITH_DUE = """
SELECT webhook.id
FROM webhooks AS webhook
LEFT JOIN webhook_leases AS lease ON lease.community_id = $1 AND lease.webhook_id = webhook.id
WHERE webhook.community_id = $1
  AND webhook.is_active
  AND (lease.paused_until IS NULL OR lease.paused_until <= $2)
  AND (lease.owner IS NULL OR lease.owner = $3 OR lease.expires_at <= now())
  AND EXISTS (
      SELECT
      FROM webhook_deliveries AS delivery
      WHERE delivery.community_id = $1 AND delivery.webhook_id = webhook.id AND delivery.due_at <= $2
  )
"""


async def webhooks_with_due(scope: Scope, owner: UUID) -> list[int]:
    """The webhooks that have due deliveries which this process may send."""
    return [row["id"] for row in await scope.fetch(_WITH_DUE, scope.community_id, scope.now, owner)]


# Retention ----------------------------------------------------------------------------------------------

RETENTION_BATCH = 5_000

# Ids grow with time, so the oldest come first. An active webhook loses nothing that is undelivered, so the next batch begins
# behind the last delivery of this one, whether or not it was deleted.
_EXPIRE = """
WITH oldest AS MATERIALIZED (
    SELECT id, webhook_id, due_at
    FROM (
        SELECT id, webhook_id, due_at, created_at
        FROM webhook_deliveries
        WHERE community_id = $1 AND id > $2
        ORDER BY id
        LIMIT $4
    ) AS batch
    WHERE created_at < $3
),
deleted AS (
    DELETE FROM webhook_deliveries
    WHERE community_id = $1
      AND id = ANY (
          ARRAY(
              SELECT oldest.id
              FROM oldest
              JOIN webhooks AS webhook ON webhook.community_id = $1 AND webhook.id = oldest.webhook_id
              WHERE oldest.due_at IS NULL OR NOT webhook.is_active
          )
      )
    RETURNING id
)
SELECT (SELECT count(*) FROM deleted) AS deleted, (SELECT max(id) FROM oldest) AS last_id
"""


async def delete_expired(scope: Scope, created_before: datetime, after_id: int) -> tuple[int, int | None]:
    """Deletes expired ones of the next RETENTION_BATCH deliveries behind an id.

    Returns their number, and the last id that is older than `created_before`; None if there is none.
    """
    (row,) = await scope.fetch(_EXPIRE, scope.community_id, after_id, created_before, RETENTION_BATCH)
    return row["deleted"], row["last_id"]
