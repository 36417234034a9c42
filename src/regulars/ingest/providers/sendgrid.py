"""SendGrid: batches of events, signed by ECDSA over the time and the body.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
"""

import base64
import binascii
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from regulars.core.errors import ValidationError
from regulars.ingest.providers.http_client import HttpsClient
from regulars.ingest.providers.provider import (
    ParsedWebhook,
    Provider,
    ProviderEvent,
    UntrustedRequestError,
    WebhookRequest,
    check_age,
    decode,
    decode_body,
    from_epoch,
    parse_signature_time,
)
from regulars.model.providers import ProviderConfig

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"

EVENT_TYPES = {
    "processed": "transmitted",
    "delivered": "delivered",
    "dropped": "failed",
    "bounce": "bounced",
    "open": "opened",
    "click": "clicked",
    "unsubscribe": "unsubscribed",
    "group_unsubscribe": "unsubscribed",
    "spamreport": "complained",
}


class _Event(msgspec.Struct, frozen=True):
    event: str
    timestamp: float | None = None
    sg_event_id: str | None = None
    sg_message_id: str | None = None
    sg_machine_open: bool | None = None


def _public_key(text: str) -> ec.EllipticCurvePublicKey:
    refusal = ValueError("must be the verification key of the Event Webhook, as SendGrid shows it")
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error):
        raise refusal from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise refusal
    return key


def _checked_key(text: str) -> str:
    _public_key(text)
    return text


def _signed_by(key: str, signature: bytes, signed: bytes) -> bool:
    try:
        _public_key(key).verify(signature, signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _told(content: msgspec.Raw) -> ProviderEvent | ValidationError:
    try:
        event = decode(content, _Event)
        named = decode(content, dict[str, Any])
        at = from_epoch(event.timestamp, "timestamp")
    except ValidationError as refused:
        return refused
    is_machine = bool(event.sg_machine_open)
    return ProviderEvent(event.sg_event_id, event.event, at, event.sg_message_id, named, is_machine)


async def _read(delivery: WebhookRequest, setup: ProviderConfig, outside: HttpsClient) -> ParsedWebhook:
    timestamp = delivery.headers.get(TIMESTAMP.lower(), "")
    try:
        signature = base64.b64decode(delivery.headers.get(SIGNATURE.lower(), ""), validate=True)
    except ValueError:
        signature = b""
    if not signature or not timestamp:
        raise UntrustedRequestError(f"{SIGNATURE} or {TIMESTAMP} is missing: have SendGrid sign its Event Webhook.")
    signed = timestamp.encode() + delivery.body
    if not any(_signed_by(key, signature, signed) for key in setup.keys):
        raise UntrustedRequestError("The signature is not by a key that is set for SendGrid.")
    check_age(parse_signature_time(timestamp), delivery.received_at)
    return ParsedWebhook([_told(each) for each in decode_body(delivery.body, list[msgspec.Raw])])


SENDGRID = Provider(
    name="sendgrid",
    title="SendGrid",
    key_description="the verification key of the signed Event Webhook",
    event_types=EVENT_TYPES,
    field_paths={"external_id": "sg_event_id", "dispatch": "sg_message_id", "at": "timestamp"},
    validate_key=_checked_key,
    parse=_read,
    example=[
        {
            "event": "delivered",
            "email": "kari@example.com",
            "timestamp": 1793350802,
            "sg_event_id": "ZGVsaXZlcmVkLTAtMQ",
            "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
            "regulars_sending": "autumn",
            "regulars_profile": "C1",
        }
    ],
)
"""The declaration."""
