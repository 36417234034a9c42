"""SendGrid: batches of events. ECDSA signs the time and the body.

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
    from_unix_time,
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
    type: str | None = None
    email: str | None = None


def _public_key(text: str) -> ec.EllipticCurvePublicKey:
    invalid = ValueError("must be the verification key of the Event Webhook, as SendGrid shows it")
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error):
        raise invalid from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise invalid
    return key


def _validate_key(text: str) -> str:
    _public_key(text)
    return text


def _is_signed_by(key: str, signature: bytes, content: bytes) -> bool:
    try:
        _public_key(key).verify(signature, content, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _parse_event(content: msgspec.Raw) -> ProviderEvent | ValidationError:
    try:
        event = decode(content, _Event)
        # SendGrid puts custom fields beside its own.
        custom_fields = decode(content, dict[str, Any])
        at = from_unix_time(event.timestamp, "timestamp")
    except ValidationError as error:
        return error
    return ProviderEvent(
        event.sg_event_id,
        event.event,
        at,
        event.sg_message_id,
        custom_fields,
        is_automated=bool(event.sg_machine_open),
        # The other type, `blocked`, is temporary.
        is_hard_bounce=event.event == "bounce" and event.type != "blocked",
        recipient=event.email,
    )


async def _parse(request: WebhookRequest, config: ProviderConfig, client: HttpsClient) -> ParsedWebhook:
    timestamp = request.headers.get(TIMESTAMP.lower(), "")
    try:
        signature = base64.b64decode(request.headers.get(SIGNATURE.lower(), ""), validate=True)
    except ValueError:
        signature = b""
    if not signature or not timestamp:
        raise UntrustedRequestError(f"{SIGNATURE} or {TIMESTAMP} is missing: have SendGrid sign its Event Webhook.")
    content = timestamp.encode() + request.body
    if not any(_is_signed_by(key, signature, content) for key in config.signing_keys):
        raise UntrustedRequestError("The signature does not match any key that is set for SendGrid.")
    check_age(parse_signature_time(timestamp), request.received_at)
    return ParsedWebhook([_parse_event(each) for each in decode_body(request.body, list[msgspec.Raw])])


SENDGRID = Provider(
    name="sendgrid",
    title="SendGrid",
    key_description="the verification key of the signed Event Webhook",
    event_types=EVENT_TYPES,
    field_paths={"external_id": "sg_event_id", "dispatch": "sg_message_id", "at": "timestamp"},
    validate_key=_validate_key,
    parse=_parse,
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
