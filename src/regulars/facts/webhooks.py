"""Webhooks: where a community wants to be told of changes, and on which condition."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from regulars.facts import given, json_logic
from regulars.facts.refusals import NotFound, Refused
from regulars.facts.resource import Field, Kind, Resource
from regulars.facts.table import Row, Table, differing
from regulars.facts.writing import Writing

LONGEST_URL = 2048
_SECRET_BYTES = 24

Url = Annotated[str, msgspec.Meta(max_length=LONGEST_URL)] | msgspec.UnsetType | None
Retries = Annotated[int, msgspec.Meta(ge=0, le=1_000)] | msgspec.UnsetType | None


class WebhookIn(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as it comes in. What is absent stays as it is."""

    trigger: given.Text = UNSET
    url: Url = UNSET
    namespace: given.Text = UNSET
    user_id: given.Id = UNSET
    is_active: given.Flag = UNSET
    retry_daily: Retries = UNSET
    retry_hourly: Retries = UNSET
    queue: given.Text = UNSET
    condition: Any = UNSET


_TRIGGER = "`aggregation.changed`, `profile.*`, `transaction.*`, or any other."
_CONDITION = "JSON Logic over `{profile, aggregations, old, new}`; null is always."

WEBHOOKS = Resource(
    "webhook",
    "webhooks AS r",
    (
        # Shown as it is, filtered as a text.
        Field("condition", Kind.STRING, "r.condition::text", shown=False),
        Field("id", Kind.INTEGER),
        Field("trigger", Kind.STRING, meaning=_TRIGGER),
        Field("url", Kind.STRING),
        Field("namespace", Kind.STRING),
        Field("user_id", Kind.INTEGER),
        Field("is_active", Kind.BOOLEAN),
        Field("retry_daily", Kind.INTEGER),
        Field("retry_hourly", Kind.INTEGER),
        Field("queue", Kind.STRING),
        Field("condition", Kind.OBJECT, meaning=_CONDITION),
        Field("created_at", Kind.TIME),
        Field("updated_at", Kind.TIME),
    ),
)

_TABLE = Table(
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
    unique={},
    soft=False,
)

_NEW: Row = {**dict.fromkeys(_TABLE.columns), "is_active": True}


def http_url(value: str) -> str:
    """An address that can be called. Raises ValueError."""
    refusal = ValueError("must be an address that starts with https:// or http://")
    if not value.isprintable() or " " in value:
        raise refusal
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise refusal from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise refusal
    return value


def _trigger(value: str) -> str:
    if not given.text(value).strip():
        raise ValueError("must not be empty")
    return value


def _condition(value: object) -> object:
    return json_logic.condition(given.json(value))


def _checked(webhook: WebhookIn) -> dict[str, Any]:
    reading = given.Reading()
    reading.read("trigger", webhook.trigger, _trigger)
    reading.read("url", webhook.url, http_url)
    reading.read("namespace", webhook.namespace, given.text)
    reading.read("queue", webhook.queue, given.text)
    reading.read("user_id", webhook.user_id, int)
    reading.read("is_active", webhook.is_active, bool, empty=True)
    reading.read("retry_daily", webhook.retry_daily, int)
    reading.read("retry_hourly", webhook.retry_hourly, int)
    reading.read("condition", webhook.condition, _condition)
    for name in ("trigger", "url"):
        if name in reading.columns and reading.columns[name] is None:
            reading.errors[name] = "must not be null"
    return reading.done()


@dataclass(frozen=True, slots=True)
class Made:
    """A webhook that was made, and its secret, which is never shown again."""

    id: int
    secret: str


def _as_bytea(secret: bytes) -> str:
    return f"\\x{secret.hex()}"


async def create(writing: Writing, webhook: WebhookIn) -> Made:
    """Makes a webhook and the secret that signs what it sends. Raises Refused."""
    columns = _checked(webhook)
    if missing := {name: "is required" for name in ("trigger", "url") if name not in columns}:
        raise Refused(missing)
    secret = secrets.token_bytes(_SECRET_BYTES)
    made = await _TABLE.insert_one(writing, {**_NEW, **columns, "secret": _as_bytea(secret)})
    return Made(made, f"whsec_{base64.b64encode(secret).decode()}")


async def update(writing: Writing, webhook_id: int, webhook: WebhookIn) -> None:
    """Changes what is given of a webhook; its secret stays. Raises Refused and NotFound."""
    columns = _checked(webhook)
    found = await _TABLE.locked(writing, "id = $2", webhook_id)
    if not found:
        raise NotFound(f"There is no webhook {webhook_id}.")
    before: Mapping[str, Any] = found[0]
    after = {**before, **columns}
    if differing(before, after):
        await _TABLE.update(writing, [{**after, "secret": _as_bytea(before["secret"])}])


async def delete(writing: Writing, webhook_id: int) -> None:
    """Takes a webhook away. Raises NotFound."""
    if not await _TABLE.delete(writing, "id = $2", webhook_id):
        raise NotFound(f"There is no webhook {webhook_id}.")
