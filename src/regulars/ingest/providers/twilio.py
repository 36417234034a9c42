"""Twilio: the status of one message per request. An HMAC signs the called address and the parameters.

https://www.twilio.com/docs/usage/webhooks/webhooks-security
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl

from regulars.core.errors import field_error
from regulars.ingest.providers.http_client import HttpsClient
from regulars.ingest.providers.provider import (
    MalformedBodyError,
    ParsedWebhook,
    Provider,
    ProviderEvent,
    UntrustedRequestError,
    WebhookRequest,
    decode_body,
)
from regulars.model.providers import ProviderConfig

SIGNATURE = "X-Twilio-Signature"
FORM_MEDIA_TYPE = "application/x-www-form-urlencoded"

EVENT_TYPES = {
    "accepted": "scheduled",
    "scheduled": "scheduled",
    "queued": "scheduled",
    "sent": "transmitted",
    "delivered": "delivered",
    "undelivered": "bounced",
    "failed": "failed",
    "canceled": "failed",
    "read": "opened",
}

HARD_BOUNCE_CODES = ("30005", "30006")
"""The error codes of numbers that do not exist or can't receive messages."""

MIN_KEY_LENGTH = 16
MAX_PARAMETERS = 200

Parameters = Sequence[tuple[str, str]]


def _validate_key(text: str) -> str:
    if len(text) < MIN_KEY_LENGTH or not text.isascii() or not text.isprintable():
        raise ValueError("must be the auth token of the account, as Twilio shows it")
    return text


def _parse_parameters(text: str) -> Parameters:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise MalformedBodyError(f"The parameters can't be read: {error}.") from None


def _signed_text(url: str, parameters: Parameters) -> str:
    # Twilio signs a parameter with the same value twice only once.
    return url + "".join(f"{name}{value}" for name, value in sorted(set(parameters)))


def _signature(key: str, text: str) -> bytes:
    # Twilio signs by SHA-1; in an HMAC it is not broken.
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha1).digest())


def _is_signed(signature: bytes, keys: Iterable[str], urls: Iterable[str], parameters: Parameters) -> bool:
    texts = [_signed_text(url, parameters) for url in urls]
    return any(hmac.compare_digest(_signature(key, text), signature) for key in keys for text in texts)


async def _parse(request: WebhookRequest, config: ProviderConfig, client: HttpsClient) -> ParsedWebhook:
    query_parameters = _parse_parameters(request.query)
    is_form = request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM_MEDIA_TYPE
    form_parameters = _parse_parameters(_decode_text(request.body)) if is_form else ()
    query = f"?{request.query}" if request.query else ""
    urls = [f"{url}{query}" for url in ((config.url,) if config.url else request.urls)]
    signature = request.headers.get(SIGNATURE.lower(), "").encode()
    if not _is_signed(signature, config.signing_keys, urls, form_parameters):
        raise UntrustedRequestError(
            f"{SIGNATURE} does not match any token that is set for Twilio, or not this address: "
            "behind a proxy, set REGULARS_PUBLIC_URL, or set the address that Twilio calls with --url."
        )
    fields: dict[str, Any] = dict(query_parameters)
    if is_form:
        fields |= dict(form_parameters)
    else:
        _check_body(request.body, fields.get("bodySHA256", ""))
        fields |= decode_body(request.body, dict[str, Any])
    kind = str(fields.get("MessageStatus") or fields.get("SmsStatus") or "")
    if not kind:
        raise field_error("MessageStatus", "is required")
    message_id = str(fields.get("MessageSid") or fields.get("SmsSid") or "") or None
    # A status has no id and no time of its own: statuses that map to the same event type are one event.
    event_id = message_id and f"{message_id} {EVENT_TYPES.get(kind, kind)}"
    is_hard_bounce = EVENT_TYPES.get(kind) == "bounced" and str(fields.get("ErrorCode")) in HARD_BOUNCE_CODES
    event = ProviderEvent(
        event_id,
        kind,
        request.received_at,
        message_id,
        fields,
        is_hard_bounce=is_hard_bounce,
        # `whatsapp:` precedes the number of a message to that service.
        recipient=str(fields.get("To") or "").removeprefix("whatsapp:") or None,
    )
    return ParsedWebhook([event])


def _decode_text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"The parameters can't be read: {error}.") from None


def _check_body(body: bytes, digest: str) -> None:
    if not hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), digest.lower().encode()):
        raise UntrustedRequestError("bodySHA256 in the address does not match the body.")


TWILIO = Provider(
    name="twilio",
    title="Twilio",
    key_description="the auth token of the account",
    event_types=EVENT_TYPES,
    field_paths={"external_id": "MessageSid", "dispatch": "MessageSid"},
    validate_key=_validate_key,
    parse=_parse,
    media_type=FORM_MEDIA_TYPE,
    channel="sms",
    example={"MessageSid": "SM0123456789abcdef0123456789abcdef", "MessageStatus": "delivered", "To": "+4790000000"},
)
