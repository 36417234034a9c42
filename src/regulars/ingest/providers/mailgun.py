"""Mailgun: an event at a time, whose time and token are signed by HMAC, and not the event.

https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
"""

import hashlib
import hmac
from typing import Any

import msgspec

from regulars.ingest.providers.http_client import HttpsClient
from regulars.ingest.providers.provider import (
    ParsedWebhook,
    Provider,
    ProviderEvent,
    ReplayToken,
    UntrustedRequestError,
    WebhookRequest,
    check_age,
    decode,
    decode_body,
    from_epoch,
    parse_signature_time,
)
from regulars.model.providers import ProviderConfig

EVENT_TYPES = {
    "accepted": "transmitted",
    "delivered": "delivered",
    "rejected": "failed",
    "failed suppressed": "failed",
    "failed permanent": "bounced",
    "opened": "opened",
    "clicked": "clicked",
    "unsubscribed": "unsubscribed",
    "complained": "complained",
}
"""`failed` is told apart by its severity, and by whether Mailgun tried at all."""

MIN_KEY_LENGTH = 16


class _Signature(msgspec.Struct, frozen=True, rename={"parent": "parent-signature"}):
    timestamp: str | int
    token: str
    signature: str
    parent: str | None = None


class _Body(msgspec.Struct, frozen=True, rename={"data": "event-data"}):
    signature: _Signature
    data: msgspec.Raw


class _Headers(msgspec.Struct, frozen=True, rename={"message_id": "message-id"}):
    message_id: str | None = None


class _Message(msgspec.Struct, frozen=True):
    headers: _Headers | None = None


class _Client(msgspec.Struct, frozen=True):
    bot: str | None = None


class _Event(msgspec.Struct, frozen=True, rename={"variables": "user-variables", "client": "client-info"}):
    event: str
    id: str | None = None
    timestamp: float | None = None
    severity: str | None = None
    reason: str | None = None
    recipient: str | None = None
    message: _Message | None = None
    variables: Any = None
    client: _Client | None = None

    @property
    def kind(self) -> str:
        """Its kind as EVENTS has it."""
        if self.event != "failed":
            return self.event
        is_suppressed = (self.reason or "").startswith("suppress-")
        return "failed suppressed" if is_suppressed else f"failed {self.severity}"

    @property
    def message_id(self) -> str | None:
        """The message to one recipient: those of a batch have one id together."""
        found = self.message and self.message.headers and self.message.headers.message_id
        return f"{found} {(self.recipient or '').lower()}" if found else None


def _checked_key(text: str) -> str:
    if len(text) < MIN_KEY_LENGTH or not text.isascii() or not text.isprintable():
        raise ValueError("must be the HTTP webhook signing key, as Mailgun shows it")
    return text


def _signed_by(key: str, given: _Signature) -> bool:
    wanted = hmac.new(key.encode(), f"{given.timestamp}{given.token}".encode(), hashlib.sha256).hexdigest().encode()
    # Of a subaccount's event, the account that it belongs to signs too.
    return any(hmac.compare_digest(wanted, each.encode()) for each in (given.signature, given.parent or ""))


async def _read(delivery: WebhookRequest, setup: ProviderConfig, outside: HttpsClient) -> ParsedWebhook:
    body = decode_body(delivery.body, _Body)
    keys = tuple(key for key in setup.keys if _signed_by(key, body.signature))
    if not keys:
        raise UntrustedRequestError("The signature is not by a key that is set for Mailgun.")
    check_age(parse_signature_time(str(body.signature.timestamp)), delivery.received_at)
    event = decode(body.data, _Event)
    told = ProviderEvent(
        event.id,
        event.kind,
        from_epoch(event.timestamp, "timestamp"),
        event.message_id,
        event.variables if isinstance(event.variables, dict) else {},
        bool(event.client and event.client.bot),
    )
    # The same event may be written otherwise when it comes again.
    content = msgspec.json.encode(decode(body.data, dict[str, Any]), order="deterministic")
    return ParsedWebhook([told], ReplayToken(body.signature.token, content, keys))


MAILGUN = Provider(
    name="mailgun",
    title="Mailgun",
    key_description="the HTTP webhook signing key",
    event_types=EVENT_TYPES,
    field_paths={"external_id": "id", "dispatch": "message.headers.message-id", "at": "timestamp"},
    validate_key=_checked_key,
    parse=_read,
    # The one status after which Mailgun does not try again for hours.
    rejection_status=406,
    example={
        "signature": {
            "timestamp": "1793350802",
            "token": "e0b5477167110d68991efc6b9f89f0a11066af27834600e123",
            "signature": "12d99f5a15355c180971bed7494d578b093c958f57766f3fe750761baed12345",
        },
        "event-data": {
            "event": "delivered",
            "id": "CPgfbmQMTCKtHW6uIWtuVe",
            "timestamp": 1793350802.5,
            "recipient": "kari@example.com",
            "message": {"headers": {"message-id": "20261030090000.1.42@club.example"}},
            "user-variables": {"regulars_sending": "autumn", "regulars_profile": "C1"},
        },
    },
)
"""The declaration."""
