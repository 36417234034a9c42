"""Signatures of payloads after Standard Webhooks, and of the older header."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

from regulars.model.webhooks import secret_text

LEGACY_HEADER = "X-Omneo-Hmac-SHA256"
"""The header of older receivers: the hexadecimal HMAC of the body."""


def signature_headers(secrets: Sequence[bytes], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers that authenticate a payload, sent at an instant.

    Each live secret signs it, the current one first, so that receivers may verify it by either. The older header is
    signed by the current secret, in the text form in which it was shown.
    """
    timestamp = str(int(at.timestamp()))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    signatures = (base64.b64encode(hmac.digest(each, signed, hashlib.sha256)).decode() for each in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
        LEGACY_HEADER: hmac.digest(secret_text(secrets[0]).encode(), body, hashlib.sha256).hex(),
    }
