"""The log of webhooks: deliveries as the API shows them, and sending them again."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from regulars.core import validation
from regulars.core.errors import NotFoundError, ValidationError, field_error
from regulars.core.field_type import FieldType
from regulars.core.timestamps import parse_timestamp
from regulars.model.resource import Resource, ResourceField
from regulars.storage.database import Scope

MAX_RESENT = 100_000
"""Maximum number of deliveries that one request sends again."""

WEBHOOK_DELIVERIES = Resource(
    "webhook delivery",
    "webhook_deliveries AS r",
    (
        ResourceField("id", FieldType.INTEGER),
        ResourceField("webhook_id", FieldType.INTEGER),
        ResourceField(
            "event_id",
            FieldType.STRING,
            "'evt_' || replace(r.event_id::text, '-', '')",
            description="The `webhook-id` of the request, the same for each attempt.",
        ),
        ResourceField("event_type", FieldType.STRING),
        ResourceField("occurred_at", FieldType.TIMESTAMP),
        ResourceField("profile_id", FieldType.UUID),
        ResourceField(
            "status",
            FieldType.STRING,
            description="`pending`, `delivered`, or `failed` for a test, or if there is no body to send.",
        ),
        ResourceField("attempts", FieldType.INTEGER),
        ResourceField("first_attempt_at", FieldType.TIMESTAMP),
        ResourceField("last_attempt_at", FieldType.TIMESTAMP),
        ResourceField("next_attempt_at", FieldType.TIMESTAMP, "r.due_at", description="Null once it is delivered."),
        ResourceField("response_status", FieldType.INTEGER, description="Status of the last response."),
        ResourceField("response_excerpt", FieldType.STRING, description="Up to 1,024 characters of the last response."),
        ResourceField("error", FieldType.STRING, description="Why the last attempt failed."),
        ResourceField(
            "payload",
            FieldType.OBJECT,
            "r.body::json",
            description="Null after the profile that it concerns was erased, and if it could not be built.",
        ),
        ResourceField("created_at", FieldType.TIMESTAMP),
    ),
)

Timestamp = Annotated[str, msgspec.Meta(max_length=validation.MAX_TEXT_LENGTH)]


class ResendIn(msgspec.Struct, frozen=True, kw_only=True):
    """The deliveries to send again: those of events from `from` until before `to`, by default all, of a status or any."""

    start: Timestamp | UnsetType = msgspec.field(name="from", default=UNSET)
    to: Timestamp | UnsetType = UNSET
    status: Literal["pending", "delivered", "failed"] | UnsetType = UNSET


_REQUIRE_ACTIVE = "SELECT is_active FROM webhooks WHERE community_id = $1 AND id = $2 FOR SHARE"

_COUNT = """
SELECT count(*)
FROM (
    SELECT
    FROM webhook_deliveries
    WHERE community_id = $1 AND webhook_id = $2 AND body IS NOT NULL AND {condition}
    LIMIT $3
) AS matching
"""

_RESEND = """
UPDATE webhook_deliveries
SET status = 'pending', due_at = $3, first_attempt_at = NULL
WHERE community_id = $1 AND webhook_id = $2 AND body IS NOT NULL AND {condition}
"""


async def require_active(scope: Scope, webhook_id: int) -> None:
    """Raises NotFoundError for an unknown webhook and ValidationError for one that is not active."""
    is_active = await scope.fetchval(_REQUIRE_ACTIVE, scope.community_id, webhook_id)
    if is_active is None:
        raise NotFoundError(f"There is no webhook {webhook_id}.")
    if not is_active:
        raise field_error("is_active", "is false, and nothing is sent to an inactive webhook. Activate it first")


async def resend(scope: Scope, webhook_id: int, delivery_id: int) -> None:
    """Sends a delivery again, under the same id. Raises NotFoundError, and ValidationError if it was erased."""
    await require_active(scope, webhook_id)
    condition = "id = $4"
    statement = _RESEND.format(condition=condition)
    if await scope.execute(statement, scope.community_id, webhook_id, scope.now, delivery_id) == "UPDATE 0":
        delivery = await fetch_one(scope, webhook_id, delivery_id)
        raise ValidationError({"id": f"is of the erased delivery {delivery['id']}: its payload is gone"})


async def resend_range(scope: Scope, webhook_id: int, selection: ResendIn) -> int:
    """Sends the selected deliveries again, each under the same id, and returns their number.

    Raises NotFoundError, and ValidationError if there are more than MAX_RESENT.
    """
    await require_active(scope, webhook_id)
    conditions, values = [], []
    for name, text, operator in (("from", selection.start, ">="), ("to", selection.to, "<")):
        if text is not UNSET:
            values.append(_instant(name, text))
            conditions.append(f"occurred_at {operator} ${3 + len(values)}")
    if selection.status is not UNSET:
        conditions.append(f"status = '{selection.status}'")
    condition = " AND ".join(conditions) or "true"
    count: int = await scope.fetchval(
        _COUNT.format(condition=condition), scope.community_id, webhook_id, MAX_RESENT + 1, *values
    )
    if count > MAX_RESENT:
        raise field_error("from", f"and `to` select more than {MAX_RESENT:,} deliveries: narrow the range")
    await scope.execute(_RESEND.format(condition=condition), scope.community_id, webhook_id, scope.now, *values)
    return count


def _instant(name: str, text: str) -> datetime:
    try:
        return parse_timestamp(text)
    except ValueError as error:
        raise field_error(name, str(error)) from None


async def fetch_one(scope: Scope, webhook_id: int, delivery_id: int) -> dict[str, object]:
    """Returns a delivery of a webhook, serialized. Raises NotFoundError."""
    condition = f"r.id = $2 AND r.webhook_id = {int(webhook_id)}"
    return await WEBHOOK_DELIVERIES.fetch_one(scope, delivery_id, condition)
