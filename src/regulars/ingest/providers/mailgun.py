"""Mailgun: one event per request. An HMAC signs a time and a token, not the event.

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
    from_unix_time,
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
"""`failed` is subdivided by severity, and by whether Mailgun tried to deliver."""

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
        """The key in EVENT_TYPES."""
        if self.event != "failed":
            return self.event
        is_suppressed = (self.reason or "").startswith("suppress-")
        return "failed suppressed" if is_suppressed else f"failed {self.severity}"

    @property
    def message_id(self) -> str | None:
        """The id of the message to one recipient; all messages of a batch share the message-id header."""
        message_id = self.message and self.message.headers and self.message.headers.message_id
        return f"{message_id} {(self.recipient or '').lower()}" if message_id else None


def _validate_key(text: str) -> str:
    if len(text) < MIN_KEY_LENGTH or not text.isascii() or not text.isprintable():
        raise ValueError("must be the HTTP webhook signing key, as Mailgun shows it")
    return text


def _is_signed_by(key: str, signature: _Signature) -> bool:
    message = f"{signature.timestamp}{signature.token}".encode()
    expected = hmac.new(key.encode(), message, hashlib.sha256).hexdigest().encode()
    # The parent account also signs an event of a subaccount.
    return any(hmac.compare_digest(expected, each.encode()) for each in (signature.signature, signature.parent or ""))


async def _parse(request: WebhookRequest, config: ProviderConfig, client: HttpsClient) -> ParsedWebhook:
    body = decode_body(request.body, _Body)
    keys = tuple(key for key in config.signing_keys if _is_signed_by(key, body.signature))
    if not keys:
        raise UntrustedRequestError("The signature does not match any key that is set for Mailgun.")
    check_age(parse_signature_time(str(body.signature.timestamp)), request.received_at)
    event = decode(body.data, _Event)
    provider_event = ProviderEvent(
        event.id,
        event.kind,
        from_unix_time(event.timestamp, "timestamp"),
        event.message_id,
        event.variables if isinstance(event.variables, dict) else {},
        is_automated=bool(event.client and event.client.bot),
        is_hard_bounce=event.kind == "failed permanent",
        recipient=event.recipient,
    )
    # A retry may encode the same event differently.
    content = msgspec.json.encode(decode(body.data, dict[str, Any]), order="deterministic")
    return ParsedWebhook([provider_event], ReplayToken(body.signature.token, content, keys))


MAILGUN = Provider(
    name="mailgun",
    title="Mailgun",
    key_description="the HTTP webhook signing key",
    event_types=EVENT_TYPES,
    field_paths={"external_id": "id", "dispatch": "message.headers.message-id", "at": "timestamp"},
    validate_key=_validate_key,
    parse=_parse,
    # The only error status after which Mailgun does not retry for hours.
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
