"""Amazon SES: events of e-mails, published to a topic of Amazon SNS.

https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from regulars.core import timestamps
from regulars.core.errors import ValidationError, field_error
from regulars.ingest.providers import sns
from regulars.ingest.providers.http_client import HttpsClient
from regulars.ingest.providers.provider import ParsedWebhook, Provider, ProviderEvent, WebhookRequest, decode
from regulars.model.providers import ProviderConfig

EVENT_TYPES = {
    "Send": "transmitted",
    "Delivery": "delivered",
    "Reject": "failed",
    "Rendering Failure": "failed",
    "Bounce": "bounced",
    "Open": "opened",
    "Click": "clicked",
    "Subscription opt-out": "unsubscribed",
    "Complaint": "complained",
}
"""`Subscription` is an opt-out if a member has left a topic by it. A `Complaint` of the type `not-spam` says that a message
is not spam, so it is none.
"""

VALIDATION_MESSAGE = "Successfully validated SNS topic for Amazon SES event publishing."
"""The text that SES publishes when a topic is configured."""


class _Recipient(msgspec.Struct, frozen=True, rename="camel"):
    email_address: str


class _Topic(msgspec.Struct, frozen=True, rename="camel"):
    topic_name: str = ""
    subscription_status: str = ""


class _Preferences(msgspec.Struct, frozen=True, rename="camel"):
    unsubscribe_all: bool = False
    topic_subscription_status: Sequence[_Topic] = ()

    @property
    def opted_out(self) -> set[str]:
        """The topics that a member has left; the empty name stands for all topics."""
        names = {each.topic_name for each in self.topic_subscription_status if each.subscription_status == "OptOut"}
        return names | {""} if self.unsubscribe_all else names


_NO_PREFERENCES = _Preferences()


class _Detail(msgspec.Struct, frozen=True, rename="camel"):
    """The details of an event of one type."""

    timestamp: str | None = None
    bounced_recipients: Sequence[_Recipient] = ()
    complained_recipients: Sequence[_Recipient] = ()
    recipients: Sequence[str] = ()
    bounce_type: str | None = None
    complaint_feedback_type: str | None = None
    new_topic_preferences: _Preferences = _NO_PREFERENCES
    old_topic_preferences: _Preferences = _NO_PREFERENCES

    @property
    def addresses(self) -> list[str]:
        """The addresses of the recipients, if the event names them."""
        return [each.email_address for each in (*self.bounced_recipients, *self.complained_recipients)] or list(
            self.recipients
        )


class _Mail(msgspec.Struct, frozen=True, rename="camel"):
    message_id: str | None = None
    timestamp: str | None = None
    tags: Mapping[str, Sequence[Any]] | None = None
    destination: Sequence[str] = ()


class _Record(msgspec.Struct, frozen=True, rename="camel"):
    mail: _Mail
    event_type: str | None = None
    notification_type: str | None = None


async def _parse(request: WebhookRequest, config: ProviderConfig, client: HttpsClient) -> ParsedWebhook:
    envelope = await sns.verify_envelope(request.body, config.signing_keys, request.received_at, client)
    if envelope.type == sns.SUBSCRIPTION_CONFIRMATION:
        await sns.confirm_subscription(envelope, client)
        return ParsedWebhook(notice="The subscription is confirmed.")
    if envelope.type == sns.UNSUBSCRIBE_CONFIRMATION:
        return ParsedWebhook(notice="The subscription has ended: SNS sends no more events.")
    if envelope.message == VALIDATION_MESSAGE:
        return ParsedWebhook(notice="SES publishes to this topic.")
    return ParsedWebhook(_parse_events(envelope))


def _parse_events(envelope: sns.Envelope) -> list[ProviderEvent]:
    record = decode(envelope.message, _Record)
    kind = record.event_type or record.notification_type
    if kind is None:
        raise field_error("eventType", "is required")
    detail = _detail(envelope.message, "failure" if kind == "Rendering Failure" else kind[:1].lower() + kind[1:])
    if kind == "Subscription" and detail.new_topic_preferences.opted_out - detail.old_topic_preferences.opted_out:
        kind = "Subscription opt-out"
    if kind == "Complaint" and (detail.complaint_feedback_type or "").lower() == "not-spam":
        kind = "Complaint not-spam"
    try:
        at = timestamps.parse_timestamp(detail.timestamp or record.mail.timestamp or envelope.timestamp)
    except ValueError as error:
        raise field_error("timestamp", str(error)) from None
    tags = {name: values[0] for name, values in (record.mail.tags or {}).items() if values}
    is_hard_bounce = kind == "Bounce" and detail.bounce_type == "Permanent"
    # SES does not say which of several recipients opened or clicked: the event is then one of the message.
    addresses: Sequence[str | None] = detail.addresses or [None]
    # The address that bounced may be one that the mail was forwarded to.
    sent_to = record.mail.destination[0] if len(record.mail.destination) == 1 else None
    return [
        ProviderEvent(
            f"{envelope.message_id} {address.lower()}" if address is not None else envelope.message_id,
            kind,
            at,
            record.mail.message_id,
            tags,
            is_hard_bounce=is_hard_bounce,
            recipient=sent_to or address,
        )
        for address in addresses
    ]


def _detail(record: str, name: str) -> _Detail:
    content = decode(record, dict[str, msgspec.Raw]).get(name)
    try:
        return _Detail() if content is None else decode(content, _Detail)
    except ValidationError as error:
        raise error.with_prefix(name) from None


SES = Provider(
    name="ses",
    title="Amazon SES",
    key_description="the ARN of the SNS topic that SES publishes to",
    event_types=EVENT_TYPES,
    field_paths={"external_id": "MessageId", "dispatch": "mail.messageId", "at": "timestamp"},
    validate_key=sns.validate_topic,
    parse=_parse,
    # SNS sends JSON with this content type.
    media_type="text/plain",
    example={
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:eu-north-1:123456789012:mail",
        "Message": '{"eventType": "Delivery", "mail": {"messageId": "0100", "tags": {"regulars_sending": ["autumn"]}}}',
        "Timestamp": "2026-10-30T09:00:02.000Z",
        "SignatureVersion": "2",
        "Signature": "...",
        "SigningCertURL": "https://sns.eu-north-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
    },
)
