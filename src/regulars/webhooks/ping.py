"""Sends a test event to one webhook, now, and returns the outcome."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from regulars.core.errors import NotFoundError
from regulars.storage.database import Database
from regulars.webhooks import queue
from regulars.webhooks.client import Attempt, WebhookClient
from regulars.webhooks.payloads import envelope, message_id
from regulars.webhooks.signing import signature_headers

EVENT_TYPE = "webhook.test"

_INSERT = """
INSERT INTO webhook_deliveries (
    community_id, webhook_id, event_id, event_type, occurred_at, ordering_key, body, status, attempts,
    first_attempt_at, last_attempt_at, response_status, response_excerpt, error, created_at
)
VALUES ($1, $2, $3, $4, $5, $3, $6, $7, 1, $5, $5, $8, $9, $10, $5)
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Ping:
    """The delivery of a test event, and its outcome. It is not repeated."""

    delivery_id: int
    event_id: UUID
    attempt: Attempt


async def send_ping(database: Database, client: WebhookClient, community_id: int, webhook_id: int) -> Ping:
    """Sends a test event, also to an inactive webhook, and logs it. Raises NotFoundError."""
    async with database.read_transaction(community_id) as scope:
        target = await queue.fetch_target(scope, webhook_id)
    if target is None:
        raise NotFoundError(f"There is no webhook {webhook_id}.")
    event_id, at = uuid4(), database.clock()
    body = envelope(event_id, EVENT_TYPE, at, {"webhook_id": webhook_id})
    headers = signature_headers(target.secrets, message_id(event_id), at, body.encode())
    attempt = await client.send(target.url, headers, body.encode())
    async with database.write_transaction(community_id) as scope:
        delivery_id = await scope.fetchval(
            _INSERT,
            community_id,
            webhook_id,
            event_id,
            EVENT_TYPE,
            at,
            body,
            "delivered" if attempt.is_delivered else "failed",
            attempt.status,
            attempt.excerpt or None,
            attempt.error or None,
        )
    return Ping(delivery_id, event_id, attempt)
