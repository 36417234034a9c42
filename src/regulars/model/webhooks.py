"""Webhooks: subscriptions of a community to changes, with an optional condition."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from regulars.core import json_logic, validation
from regulars.core.errors import NotFoundError, ValidationError
from regulars.core.field_type import FieldType
from regulars.model.repository import EntityTable, Row, changed_columns
from regulars.model.resource import Resource, ResourceField
from regulars.model.unit_of_work import UnitOfWork

MAX_URL_LENGTH = 2048
_SECRET_BYTES = 24
MAX_PREVIOUS_VALID_SECONDS = 7 * 86_400
"""Longest time for which a previous secret signs as well."""

WebhookUrl = Annotated[str, msgspec.Meta(max_length=MAX_URL_LENGTH)] | msgspec.UnsetType | None
Retry = bool | Annotated[int, msgspec.Meta(ge=0, le=1_000)] | msgspec.UnsetType | None
"""Whether deliveries are repeated, or how often."""

_FLAG_CODES = {True: -1, False: -2}
"""How the column of a Retry stores a Boolean, beside counts from 0."""


class WebhookIn(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a webhook in a request. Absent fields are unchanged."""

    trigger: validation.Text = UNSET
    url: WebhookUrl = UNSET
    namespace: validation.Text = UNSET
    user_id: validation.Id = UNSET
    is_active: validation.Bool = UNSET
    retry_daily: Retry = UNSET
    retry_hourly: Retry = UNSET
    queue: validation.Text = UNSET
    condition: Any = UNSET


_TRIGGER = "A type of event, a group such as `profile.*`, or `*`."
_CONDITION = "JSON Logic over `{profile, aggregations, old, new}`; null is always."
_NAMESPACE = "Events of callers that send this `X-Namespace` are not delivered."
_STORED_ONLY = (
    "True, false or a number. Stored and returned, without effect: failed deliveries are repeated for three days."
)
_DISABLED = "When it was disabled because its deliveries failed; null if it was not."


def _retry_fields(name: str) -> tuple[ResourceField, ResourceField]:
    """The field of a Retry, and the number that it is filtered and sorted by: 1 for true, 0 for false."""
    true, false = _FLAG_CODES[True], _FLAG_CODES[False]
    number = f"CASE r.{name} WHEN {true} THEN 1 WHEN {false} THEN 0 ELSE r.{name} END"
    shown = f"CASE r.{name} WHEN {true} THEN 'true' WHEN {false} THEN 'false' ELSE to_jsonb(r.{name}) END"
    return (
        ResourceField(name, FieldType.INTEGER, number, is_visible=False),
        ResourceField(name, FieldType.FLAG_OR_COUNT, shown, description=_STORED_ONLY),
    )


WEBHOOKS = Resource(
    "webhook",
    "webhooks AS r",
    (
        # Filtered as a text; the visible field follows.
        ResourceField("condition", FieldType.STRING, "r.condition::text", is_visible=False),
        ResourceField("id", FieldType.INTEGER),
        ResourceField("trigger", FieldType.STRING, description=_TRIGGER),
        ResourceField("url", FieldType.STRING),
        ResourceField("namespace", FieldType.STRING, description=_NAMESPACE),
        ResourceField("user_id", FieldType.INTEGER),
        ResourceField("is_active", FieldType.BOOLEAN),
        *_retry_fields("retry_daily"),
        *_retry_fields("retry_hourly"),
        ResourceField("queue", FieldType.STRING),
        ResourceField("condition", FieldType.OBJECT, description=_CONDITION),
        ResourceField("disabled_at", FieldType.TIMESTAMP, description=_DISABLED),
        ResourceField("disabled_reason", FieldType.STRING),
        ResourceField("created_at", FieldType.TIMESTAMP),
        ResourceField("updated_at", FieldType.TIMESTAMP),
    ),
)

_TABLE = EntityTable(
    "webhooks",
    {
        "trigger": "text",
        "url": "text",
        "namespace": "text",
        "user_id": "bigint",
        "is_active": "boolean",
        "retry_daily": "int",
        "retry_hourly": "int",
        "queue": "text",
        "condition": "jsonb",
        "secret": "bytea",
    },
    unique_fields={},
    is_soft_deleted=False,
)

_NEW: Row = {**dict.fromkeys(_TABLE.columns), "is_active": True}


def validate_url(value: str) -> str:
    """Validates an HTTP URL. Raises ValueError."""
    invalid = ValueError("must be an address that starts with https:// or http://")
    if not value.isprintable() or " " in value:
        raise invalid
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise invalid from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise invalid
    return value


def _retry_code(value: bool | int) -> int:
    return _FLAG_CODES[value] if isinstance(value, bool) else value


def _trigger(value: str) -> str:
    if not validation.check_text(value).strip():
        raise ValueError("must not be empty")
    return value


def _condition(value: object) -> object:
    return json_logic.check_condition(validation.check_json(value))


def _checked(webhook: WebhookIn) -> dict[str, Any]:
    reader = validation.FieldReader()
    reader.read("trigger", webhook.trigger, _trigger)
    reader.read("url", webhook.url, validate_url)
    reader.read("namespace", webhook.namespace, validation.check_text)
    reader.read("queue", webhook.queue, validation.check_text)
    reader.read("user_id", webhook.user_id, int)
    reader.read("is_active", webhook.is_active, bool, null_value=True)
    reader.read("retry_daily", webhook.retry_daily, _retry_code)
    reader.read("retry_hourly", webhook.retry_hourly, _retry_code)
    reader.read("condition", webhook.condition, _condition)
    for name in ("trigger", "url"):
        if name in reader.columns and reader.columns[name] is None:
            reader.errors[name] = "must not be null"
    return reader.result()


@dataclass(frozen=True, slots=True)
class CreatedWebhook:
    """A created webhook and its secret, which is shown only once."""

    id: int
    secret: str


def secret_text(secret: bytes) -> str:
    """A secret as clients see it."""
    return f"whsec_{base64.b64encode(secret).decode()}"


def _as_bytea(secret: bytes) -> str:
    return f"\\x{secret.hex()}"


async def create(uow: UnitOfWork, webhook: WebhookIn) -> CreatedWebhook:
    """Creates a webhook and the secret that signs its payloads. Raises ValidationError."""
    columns = _checked(webhook)
    if missing := {name: "is required" for name in ("trigger", "url") if name not in columns}:
        raise ValidationError(missing)
    secret = secrets.token_bytes(_SECRET_BYTES)
    webhook_id = await _TABLE.insert_one(uow, {**_NEW, **columns, "secret": _as_bytea(secret)})
    return CreatedWebhook(webhook_id, secret_text(secret))


async def update(uow: UnitOfWork, webhook_id: int, webhook: WebhookIn) -> None:
    """Updates a webhook; its secret stays. One that becomes active continues with what is undelivered.

    Raises ValidationError and NotFoundError."""
    columns = _checked(webhook)
    found = await _TABLE.lock_rows(uow, "id = $2", webhook_id)
    if not found:
        raise NotFoundError(f"There is no webhook {webhook_id}.")
    before: Mapping[str, Any] = found[0]
    after = {**before, **columns}
    if changed_columns(before, after):
        await _TABLE.update(uow, [{**after, "secret": _as_bytea(before["secret"])}])
    if after["is_active"] and not before["is_active"]:
        for statement in (_CLEAR_DISABLED, _SEND_UNDELIVERED, _CLEAR_PAUSE):
            await uow.execute(statement, uow.community_id, webhook_id, *([uow.now] if "$3" in statement else []))


_CLEAR_DISABLED = """
UPDATE webhooks SET disabled_at = NULL, disabled_reason = NULL WHERE community_id = $1 AND id = $2
"""

# The three days of each undelivered delivery begin again.
_SEND_UNDELIVERED = """
UPDATE webhook_deliveries
SET due_at = $3, first_attempt_at = NULL
WHERE community_id = $1 AND webhook_id = $2 AND due_at IS NOT NULL
"""

_CLEAR_PAUSE = """
UPDATE webhook_leases
SET consecutive_failures = 0, paused_until = NULL
WHERE community_id = $1 AND webhook_id = $2
"""


class RotationIn(msgspec.Struct, frozen=True, kw_only=True):
    """How long the previous secret signs as well, in seconds."""

    previous_valid_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_PREVIOUS_VALID_SECONDS)] = 86_400


_ROTATE = """
UPDATE webhooks
SET previous_secret = secret, previous_secret_expires_at = $3, secret = $4, updated_at = $5
WHERE community_id = $1 AND id = $2
"""


async def rotate_secret(uow: UnitOfWork, webhook_id: int, rotation: RotationIn) -> CreatedWebhook:
    """Replaces the secret; the previous one signs as well for some time. Raises NotFoundError."""
    secret = secrets.token_bytes(_SECRET_BYTES)
    expires_at = uow.now + timedelta(seconds=rotation.previous_valid_seconds)
    status = await uow.execute(_ROTATE, uow.community_id, webhook_id, expires_at, secret, uow.now)
    if status == "UPDATE 0":
        raise NotFoundError(f"There is no webhook {webhook_id}.")
    return CreatedWebhook(webhook_id, secret_text(secret))


async def delete(uow: UnitOfWork, webhook_id: int) -> None:
    """Deletes a webhook with its log and its undelivered deliveries. Raises NotFoundError."""
    if not await _TABLE.delete(uow, "id = $2", webhook_id):
        raise NotFoundError(f"There is no webhook {webhook_id}.")
    for table in ("webhook_deliveries", "webhook_leases"):
        await uow.execute(
            f"DELETE FROM {table} WHERE community_id = $1 AND webhook_id = $2", uow.community_id, webhook_id
        )
