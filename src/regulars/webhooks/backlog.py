"""What waits for delivery, and which webhooks are disabled, over all communities."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from regulars.storage.database import Database, Scope

MAX_COUNTED_DELIVERIES = 10_000
"""Maximum number of undelivered deliveries that are counted per community."""

_BACKLOG = """
SELECT
    (
        SELECT count(*)
        FROM (SELECT FROM webhook_deliveries WHERE community_id = $1 AND due_at IS NOT NULL LIMIT $2) AS undelivered
    ) AS undelivered,
    (SELECT count(*) FROM webhooks WHERE community_id = $1 AND disabled_at IS NOT NULL) AS disabled
"""

_DISABLED = """
SELECT id, disabled_at, disabled_reason
FROM webhooks
WHERE community_id = $1 AND disabled_at IS NOT NULL
ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class WebhookBacklog:
    """The number of undelivered deliveries, and of webhooks that were disabled because their deliveries failed."""

    undelivered: int
    disabled: int


@dataclass(frozen=True, slots=True)
class DisabledWebhook:
    """A webhook that was disabled because its deliveries failed."""

    community: str
    id: int
    disabled_at: datetime
    reason: str


async def measure(database: Database) -> WebhookBacklog:
    """Measures the backlog of all communities, with at most MAX_COUNTED_DELIVERIES per community."""
    undelivered = disabled = 0
    for community in await _communities(database):
        async with database.read_transaction(community["id"]) as scope:
            found = await measure_community(scope)
        undelivered += found.undelivered
        disabled += found.disabled
    return WebhookBacklog(undelivered, disabled)


async def measure_community(scope: Scope) -> WebhookBacklog:
    """Measures the backlog of one community as `measure` does."""
    return WebhookBacklog(**await scope.fetchrow(_BACKLOG, scope.community_id, MAX_COUNTED_DELIVERIES))


async def list_disabled(database: Database) -> list[DisabledWebhook]:
    """The disabled webhooks of all communities."""
    found = []
    for community in await _communities(database):
        async with database.read_transaction(community["id"]) as scope:
            rows = await scope.fetch(_DISABLED, scope.community_id)
        found += [
            DisabledWebhook(community["slug"], row["id"], row["disabled_at"], row["disabled_reason"]) for row in rows
        ]
    return found


async def _communities(database: Database) -> list[Any]:
    async with database.unscoped_connection() as connection:
        rows: list[Any] = await connection.fetch("SELECT id, slug FROM communities ORDER BY slug")
        return rows
