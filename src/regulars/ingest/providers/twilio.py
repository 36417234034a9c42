"""Twilio: the status of a message, signed by HMAC over the address that is called and what is sent.

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

MIN_KEY_LENGTH = 16
MAX_PARAMETERS = 200

Parameters = Sequence[tuple[str, str]]


def _checked_key(text: str) -> str:
    if len(text) < MIN_KEY_LENGTH or not text.isascii() or not text.isprintable():
        raise ValueError("must be the auth token of the account, as Twilio shows it")
    return text


def _parameters(text: str) -> Parameters:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise MalformedBodyError(f"The parameters can't be read: {error}.") from None


def _signed_text(url: str, parameters: Parameters) -> str:
    # A parameter that comes twice with one value is signed once.
    return url + "".join(f"{name}{value}" for name, value in sorted(set(parameters)))


def _signature(key: str, text: str) -> bytes:
    # SHA-1 is what Twilio signs by; in an HMAC it is not broken.
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha1).digest())


def _is_signed(given: bytes, keys: Iterable[str], urls: Iterable[str], parameters: Parameters) -> bool:
    texts = [_signed_text(url, parameters) for url in urls]
    return any(hmac.compare_digest(_signature(key, text), given) for key in keys for text in texts)


async def _read(delivery: WebhookRequest, setup: ProviderConfig, outside: HttpsClient) -> ParsedWebhook:
    asked = _parameters(delivery.query)
    is_form = delivery.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM_MEDIA_TYPE
    sent = _parameters(_text(delivery.body)) if is_form else ()
    query = f"?{delivery.query}" if delivery.query else ""
    urls = [f"{url}{query}" for url in ((setup.url,) if setup.url else delivery.urls)]
    given = delivery.headers.get(SIGNATURE.lower(), "").encode()
    if not _is_signed(given, setup.keys, urls, sent):
        raise UntrustedRequestError(
            f"{SIGNATURE} is not by a token that is set for Twilio, or not for this address: "
            "behind a proxy, set REGULARS_PUBLIC_URL, or the address that Twilio calls by --url."
        )
    named: dict[str, Any] = dict(asked)
    if is_form:
        named |= dict(sent)
    else:
        _check_body(delivery.body, named.get("bodySHA256", ""))
        named |= decode_body(delivery.body, dict[str, Any])
    kind = str(named.get("MessageStatus") or named.get("SmsStatus") or "")
    if not kind:
        raise field_error("MessageStatus", "is required")
    message = str(named.get("MessageSid") or named.get("SmsSid") or "") or None
    # A status comes without a time of its own; and once, whatever it is called on the way.
    event_id = message and f"{message} {EVENT_TYPES.get(kind, kind)}"
    return ParsedWebhook([ProviderEvent(event_id, kind, delivery.received_at, message, named)])


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"The parameters can't be read: {error}.") from None


def _check_body(body: bytes, digest: str) -> None:
    if not hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), digest.lower().encode()):
        raise UntrustedRequestError("bodySHA256 in the address is not the digest of the body.")


TWILIO = Provider(
    name="twilio",
    title="Twilio",
    key_description="the auth token of the account",
    event_types=EVENT_TYPES,
    field_paths={"external_id": "MessageSid", "dispatch": "MessageSid"},
    validate_key=_checked_key,
    parse=_read,
    media_type=FORM_MEDIA_TYPE,
    example={"MessageSid": "SM0123456789abcdef0123456789abcdef", "MessageStatus": "delivered", "To": "+4790000000"},
)
"""The declaration."""
