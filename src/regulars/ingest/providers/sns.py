"""Amazon SNS: messages of topics, signed by certificates of SNS.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

import base64
import re
from collections.abc import Collection
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from regulars.core import timestamps
from regulars.ingest.providers.http_client import HttpsClient
from regulars.ingest.providers.provider import UntrustedRequestError, check_age, decode_body

NOTIFICATION, SUBSCRIPTION_CONFIRMATION, UNSUBSCRIBE_CONFIRMATION = (
    "Notification",
    "SubscriptionConfirmation",
    "UnsubscribeConfirmation",
)

_HASHES: dict[str, HashAlgorithm] = {
    # The default of a topic.
    "1": SHA1(),  # noqa: S303
    "2": SHA256(),
}

# The region restricts the host: `sns.s3.amazonaws.com`, for example, is a bucket that anybody could own.
_TOPIC = re.compile(r"arn:(?:aws|aws-us-gov):sns:([a-z]{2,3}(?:-[a-z]+)+-[0-9]{1,2}):[0-9]{12}:[A-Za-z0-9_.-]{1,260}")
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem")


class Envelope(
    msgspec.Struct,
    frozen=True,
    rename={
        "type": "Type", "message_id": "MessageId", "topic": "TopicArn", "message": "Message", "timestamp": "Timestamp",
        "version": "SignatureVersion", "signature": "Signature", "certificate_url": "SigningCertURL",
        "subject": "Subject", "token": "Token", "subscribe_url": "SubscribeURL",
    },
):  # fmt: skip
    """The envelope of a message of SNS."""

    type: str
    message_id: str
    topic: str
    message: str
    timestamp: str
    version: str
    signature: str
    certificate_url: str
    subject: str | None = None
    token: str | None = None
    subscribe_url: str | None = None

    @property
    def signed_content(self) -> bytes:
        """The fields that SNS signs, concatenated as SNS does."""
        parts = {
            "Message": self.message,
            "MessageId": self.message_id,
            "Subject": self.subject if self.type == NOTIFICATION else None,
            "SubscribeURL": None if self.type == NOTIFICATION else self.subscribe_url,
            "Timestamp": self.timestamp,
            "Token": None if self.type == NOTIFICATION else self.token,
            "TopicArn": self.topic,
            "Type": self.type,
        }
        return "".join(f"{name}\n{value}\n" for name, value in parts.items() if value is not None).encode()


def validate_topic(text: str) -> str:
    """Returns the ARN of a topic. Raises ValueError for any other text."""
    if not _TOPIC.fullmatch(text):
        raise ValueError("must be the ARN of the topic: arn:aws:sns:REGION:ACCOUNT:NAME")
    return text


def _host(topic: str) -> str:
    match = _TOPIC.fullmatch(topic)
    assert match is not None, topic  # noqa: S101
    return f"sns.{match[1]}.amazonaws.com"


def _is_at(url: str, host: str) -> bool:
    """Whether an address is an HTTPS URL of the host without user, port or whitespace."""
    return url.startswith(f"https://{host}/") and url.isascii() and url.isprintable() and " " not in url


async def verify_envelope(body: bytes, topics: Collection[str], now: datetime, client: HttpsClient) -> Envelope:
    """Verifies and decodes a message of one of these topics.

    A valid signature is not enough, because anybody may have a topic at SNS. Raises MalformedBodyError,
    ValidationError, UntrustedRequestError, and UpstreamUnavailableError.
    """
    envelope = decode_body(body, Envelope)
    if envelope.topic not in topics:
        raise UntrustedRequestError("The topic of the message is not set for Amazon SES.")
    if envelope.type not in (NOTIFICATION, SUBSCRIPTION_CONFIRMATION, UNSUBSCRIBE_CONFIRMATION):
        raise UntrustedRequestError(
            f"Unknown message type {envelope.type!r}. Allowed: {NOTIFICATION}, {SUBSCRIPTION_CONFIRMATION}, "
            f"{UNSUBSCRIBE_CONFIRMATION}."
        )
    try:
        signed_at = timestamps.parse_timestamp(envelope.timestamp)
    except ValueError:
        raise UntrustedRequestError("The Timestamp of the message is not a valid time.") from None
    check_age(signed_at, now)
    await _check_signature(envelope, now, client)
    return envelope


async def _check_signature(envelope: Envelope, now: datetime, client: HttpsClient) -> None:
    url = envelope.certificate_url
    host = _host(envelope.topic)
    if not _is_at(url, host) or not _CERTIFICATE.fullmatch(url.removeprefix(f"https://{host}")):
        raise UntrustedRequestError(f"SigningCertURL is not a certificate at https://{host}.")
    if envelope.version not in _HASHES:
        raise UntrustedRequestError(f"Unknown SignatureVersion {envelope.version!r}. Allowed: {', '.join(_HASHES)}.")
    certificate = await client.certificate(url)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise UntrustedRequestError(
            "The certificate is not valid now: it has expired, or the clock of this server is wrong."
        )
    key = certificate.public_key()
    try:
        if not isinstance(key, rsa.RSAPublicKey):
            raise InvalidSignature
        signature = base64.b64decode(envelope.signature, validate=True)
        key.verify(signature, envelope.signed_content, padding.PKCS1v15(), _HASHES[envelope.version])
    except (InvalidSignature, ValueError):
        raise UntrustedRequestError("The signature does not match the certificate that the message names.") from None


async def confirm_subscription(envelope: Envelope, client: HttpsClient) -> None:
    """Confirms a subscription. Raises UntrustedRequestError and UpstreamUnavailableError."""
    url = envelope.subscribe_url or ""
    host = _host(envelope.topic)
    if not _is_at(url, host) or parse_qs(urlsplit(url).query).get("Action") != ["ConfirmSubscription"]:
        raise UntrustedRequestError(f"SubscribeURL is not a confirmation at https://{host}.")
    await client.fetch(url)
