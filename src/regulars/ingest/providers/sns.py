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
    # Version 1 is what a topic signs by until it is told otherwise.
    "1": SHA1(),  # noqa: S303
    "2": SHA256(),
}

# Not any host: `sns.s3.amazonaws.com` is a bucket that anybody may have had.
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
    """A message as SNS wraps it."""

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
        """What of it is signed, as SNS puts it together."""
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
    """The ARN of a topic. Raises ValueError."""
    if not _TOPIC.fullmatch(text):
        raise ValueError("must be the ARN of the topic: arn:aws:sns:REGION:ACCOUNT:NAME")
    return text


def _host(topic: str) -> str:
    match = _TOPIC.fullmatch(topic)
    assert match is not None, topic  # noqa: S101
    return f"sns.{match[1]}.amazonaws.com"


def _is_at(url: str, host: str) -> bool:
    """Whether an address is one of a host over HTTPS, and nothing but that."""
    return url.startswith(f"https://{host}/") and url.isascii() and url.isprintable() and " " not in url


async def verify_envelope(body: bytes, topics: Collection[str], now: datetime, outside: HttpsClient) -> Envelope:
    """A message of one of these topics.

    That SNS has signed it says nothing by itself, for anybody may have a topic. Raises MalformedBodyError, Refused,
    Distrusted, and UpstreamUnavailableError.
    """
    envelope = decode_body(body, Envelope)
    if envelope.topic not in topics:
        raise UntrustedRequestError("The message is of a topic that is not set for Amazon SES.")
    if envelope.type not in (NOTIFICATION, SUBSCRIPTION_CONFIRMATION, UNSUBSCRIBE_CONFIRMATION):
        raise UntrustedRequestError(f"There is no type of message {envelope.type!r} in Amazon SNS.")
    try:
        at = timestamps.parse_timestamp(envelope.timestamp)
    except ValueError:
        raise UntrustedRequestError("The Timestamp of the message is no time.") from None
    check_age(at, now)
    await _check_signature(envelope, now, outside)
    return envelope


async def _check_signature(envelope: Envelope, now: datetime, outside: HttpsClient) -> None:
    url = envelope.certificate_url
    host = _host(envelope.topic)
    if not _is_at(url, host) or not _CERTIFICATE.fullmatch(url.removeprefix(f"https://{host}")):
        raise UntrustedRequestError(f"The certificate is not one of https://{host}: nothing is fetched from elsewhere.")
    if envelope.version not in _HASHES:
        raise UntrustedRequestError(
            f"There is no SignatureVersion {envelope.version!r}: have the topic sign by 1 or 2."
        )
    certificate = await outside.certificate(url)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise UntrustedRequestError(
            "The certificate does not hold now: it has ended, or the clock of this server is wrong."
        )
    key = certificate.public_key()
    try:
        if not isinstance(key, rsa.RSAPublicKey):
            raise InvalidSignature
        signature = base64.b64decode(envelope.signature, validate=True)
        key.verify(signature, envelope.signed_content, padding.PKCS1v15(), _HASHES[envelope.version])
    except (InvalidSignature, ValueError):
        raise UntrustedRequestError("The signature is not by the certificate that the message names.") from None


async def confirm_subscription(envelope: Envelope, outside: HttpsClient) -> None:
    """Confirms the subscription that a message asks to confirm. Raises Distrusted and UpstreamUnavailableError."""
    url = envelope.subscribe_url or ""
    host = _host(envelope.topic)
    if not _is_at(url, host) or parse_qs(urlsplit(url).query).get("Action") != ["ConfirmSubscription"]:
        raise UntrustedRequestError(
            f"SubscribeURL is no confirmation at https://{host}: nothing is fetched from elsewhere."
        )
    await outside.fetch(url)
