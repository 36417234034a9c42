"""Events of Amazon SES, in messages of Amazon SNS that a certificate signs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ingest.provider_client import (
    CERTIFICATE_URL,
    CONFIRMATION_URL,
    REGION,
    SNS,
    TOPIC,
    ProviderClient,
    certificate,
    error_paths,
    outcome_counts,
    sns_signature,
    status_and_message,
)
from loading.file_loader import FileLoader
from regulars.ingest.providers.http_client import FAILURE_TTL_SECONDS
from regulars.ingest.providers.ses import SES, VALIDATION_MESSAGE

KARI, OLA = {"emailAddress": "kari@example.com"}, {"emailAddress": "Ola@example.com"}
NEWS_LEFT = {"topicName": "news", "subscriptionStatus": "OptOut"}
NEWS_SUBSCRIBED = {"topicName": "news", "subscriptionStatus": "OptIn"}

KINDS: list[tuple[str, dict[str, Any], str]] = [
    ("Send", {}, "transmitted"),
    ("Delivery", {"recipients": ["kari@example.com"]}, "delivered"),
    ("Reject", {"reason": "Bad content"}, "failed"),
    ("Rendering Failure", {"errorMessage": "Attribute 'name' is not present"}, "failed"),
    ("Bounce", {"bounceType": "Permanent", "bouncedRecipients": [KARI]}, "bounced"),
    ("Open", {"ipAddress": "192.0.2.1", "userAgent": "Mozilla/5.0"}, "opened"),
    ("Click", {"link": "https://club.example"}, "clicked"),
    ("Subscription", {"newTopicPreferences": {"unsubscribeAll": True}}, "unsubscribed"),
    (
        "Subscription",
        {
            "newTopicPreferences": {"unsubscribeAll": False, "topicSubscriptionStatus": [NEWS_LEFT]},
            "oldTopicPreferences": {"unsubscribeAll": False, "topicSubscriptionStatus": [NEWS_SUBSCRIBED]},
        },
        "unsubscribed",
    ),
    ("Complaint", {"complainedRecipients": [KARI], "complaintFeedbackType": "abuse"}, "complained"),
    ("Complaint", {"complainedRecipients": [KARI], "complaintFeedbackType": None}, "complained"),
]

OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("DeliveryDelay", {"delayType": "MailboxFull", "delayedRecipients": [KARI]}),
    (
        "Subscription",
        {
            "newTopicPreferences": {"unsubscribeAll": False, "topicSubscriptionStatus": [NEWS_SUBSCRIBED]},
            "oldTopicPreferences": {"unsubscribeAll": True},
        },
    ),
    ("Something new", {}),
    ("Complaint", {"complainedRecipients": [KARI], "complaintFeedbackType": "not-spam"}),
    ("Complaint", {"complainedRecipients": [KARI], "complaintFeedbackType": "Not-Spam"}),
]


@pytest.fixture
async def ses(provider_client: ProviderClient) -> ProviderClient:
    """SES is set up."""
    await provider_client.set_up("ses", "arn:aws:sns:eu-west-1:123456789012:other", TOPIC)
    return provider_client


async def test_each_event_type_is_mapped_to_ours(ses: ProviderClient, load: FileLoader) -> None:
    await load.profiles("C1")
    mail = {"tags": {"regulars_sending": ["autumn"], "regulars_profile": ["C1"], "empty": []}}
    for kind, detail, _ in KINDS:
        answer = await ses.ses(kind, mail, **detail)
        assert (answer.status_code, outcome_counts(answer)) == (200, {"accepted": 1}), kind
    assert sorted(await ses.stored_events()) == sorted(("autumn", event, "C1") for _, _, event in KINDS)
    assert await ses.count_dispatches() == 1
    assert ses.internet.requested == [CERTIFICATE_URL]


async def test_an_event_has_its_own_time_else_that_of_the_mail(ses: ProviderClient) -> None:
    at = "2026-10-31T12:00:00.250Z"
    await ses.ses("Open", timestamp=at)
    await ses.ses("Send")
    await ses.ses("Send", {"timestamp": None, "messageId": "m2"})
    assert await ses.event_times() == [
        datetime(2026, 10, 31, 12, 0, 0, 250_000, UTC),
        datetime(2026, 10, 31, 23, 58, tzinfo=UTC),
        datetime(2026, 10, 31, 23, 59, 55, tzinfo=UTC),
    ]


@pytest.mark.parametrize(("kind", "detail"), OTHERS)
async def test_other_event_types_are_counted(ses: ProviderClient, kind: str, detail: dict[str, Any]) -> None:
    answer = await ses.ses(kind, **detail)
    assert (answer.status_code, outcome_counts(answer)) == (200, {"ignored": 1})


async def test_a_mail_without_sending_is_counted(ses: ProviderClient) -> None:
    assert outcome_counts(await ses.ses("Open", {"tags": None})) == {"no_sending": 1}
    notification = {"notificationType": "Bounce", "mail": {"messageId": "m"}, "bounce": {"bouncedRecipients": [KARI]}}
    assert outcome_counts(await ses.sns(ses.envelope(json.dumps(notification)))) == {"no_sending": 1}


async def test_each_affected_recipient_is_an_event(ses: ProviderClient) -> None:
    answer = await ses.ses("Bounce", bouncedRecipients=[KARI, OLA])
    assert outcome_counts(answer) == {"accepted": 2}
    assert await ses.count_dispatches() == 1


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_repeated_message_is_unchanged(ses: ProviderClient, version: str) -> None:
    envelope = ses.envelope(json.dumps(ses.ses_event("Open")), SignatureVersion=version)
    for expected in ({"accepted": 1}, {"unchanged": 1}):
        answer = await ses.sns(envelope)
        assert (answer.status_code, outcome_counts(answer)) == (200, expected)
    del envelope["Subject"]
    assert outcome_counts(await ses.sns(envelope)) == {"unchanged": 1}


# Subscriptions --------------------------------------------------------------------------------------------------


def subscription(ses: ProviderClient, **fields: Any) -> dict[str, Any]:
    """A message that requests the confirmation of a subscription."""
    confirmation = {
        "Type": "SubscriptionConfirmation",
        "Token": "2336412f37",
        "SubscribeURL": CONFIRMATION_URL,
        "Subject": None,
    }
    return ses.envelope("You have chosen to subscribe to the topic.", **{**confirmation, **fields})


async def test_a_subscription_of_the_topic_is_confirmed(ses: ProviderClient) -> None:
    assert status_and_message(await ses.sns(subscription(ses))) == (200, "The subscription is confirmed.")
    assert ses.internet.requested == [CERTIFICATE_URL, CONFIRMATION_URL]


async def test_a_failed_confirmation_is_retried_by_sns(ses: ProviderClient) -> None:
    del ses.internet.pages[CONFIRMATION_URL]
    assert status_and_message(await ses.sns(subscription(ses))) == (503, f"{CONFIRMATION_URL} does not respond.")


@pytest.mark.parametrize(
    "url",
    [
        None,
        f"{SNS}/?Action=Unsubscribe",
        f"{SNS}/?Action=ConfirmSubscription&Action=DeleteTopic",
        "https://elsewhere.example/?Action=ConfirmSubscription",
        f"https://sns.{REGION}.amazonaws.com.elsewhere.example/?Action=ConfirmSubscription",
        f"https://sns.{REGION}.amazonaws.com:8080/?Action=ConfirmSubscription",
        f"https://sns.{REGION}.amazonaws.com@elsewhere.example/?Action=ConfirmSubscription",
        f"http://sns.{REGION}.amazonaws.com/?Action=ConfirmSubscription",
        "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
        f"{SNS}/?Action=ConfirmSubscription\r\nHost: elsewhere.example",
        f"{SNS}/?Action=ConfirmSubscription HTTP/1.1",
    ],
)
async def test_only_confirmation_links_of_sns_are_fetched(ses: ProviderClient, url: str | None) -> None:
    answer = await ses.sns(subscription(ses, SubscribeURL=url))
    assert answer.status_code == 401
    assert "SubscribeURL is not a confirmation at" in answer.json()["message"]
    assert ses.internet.requested == [CERTIFICATE_URL]


async def test_notices_of_sns_and_ses_are_acknowledged(ses: ProviderClient) -> None:
    ended = subscription(ses, Type="UnsubscribeConfirmation")
    assert status_and_message(await ses.sns(ended)) == (200, "The subscription has ended: SNS sends no more events.")
    assert status_and_message(await ses.sns(ses.envelope(VALIDATION_MESSAGE))) == (200, "SES publishes to this topic.")


# Signatures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"Message": '{"eventType": "Open", "mail": {}}'},
        {"MessageId": "other"},
        {"Subject": "other"},
        {"Subject": None},
        {"Timestamp": "2026-11-01T00:00:00.000Z"},
        {"SignatureVersion": "1"},
        {"Signature": "AAAA"},
        {"Signature": "no base64!"},
        {"Type": "SubscriptionConfirmation", "SubscribeURL": CONFIRMATION_URL, "Token": "t"},
    ],
)
async def test_a_changed_message_is_rejected(ses: ProviderClient, fields: dict[str, Any]) -> None:
    answer = await ses.sns(ses.envelope(json.dumps(ses.ses_event("Open"))), **fields)
    assert status_and_message(answer) == (401, "The signature does not match the certificate that the message names.")
    assert await ses.stored_events() == []
    assert ses.internet.requested == [CERTIFICATE_URL]


@pytest.mark.parametrize(
    "fields",
    [
        {"TopicArn": f"arn:aws:sns:{REGION}:999999999999:mail"},
        {"Type": "Other"},
        {"SignatureVersion": "3"},
        {"Timestamp": "soon"},
        {"Timestamp": "2026-10-30T22:59:59.000Z"},
        {"Timestamp": "2026-11-01T00:05:01.000Z"},
    ],
)
async def test_messages_of_other_topics_types_and_times_are_rejected(
    ses: ProviderClient, fields: dict[str, Any]
) -> None:
    answer = await ses.sns(ses.envelope(json.dumps(ses.ses_event("Open")), **fields))
    assert answer.status_code == 401
    assert await ses.stored_events() == []


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE_URL.replace("https", "http"),
        CERTIFICATE_URL.replace(REGION, "us-east-1"),
        CERTIFICATE_URL.replace(f"sns.{REGION}", "sns.s3"),
        CERTIFICATE_URL.replace(f"sns.{REGION}", f"bucket.sns.{REGION}"),
        CERTIFICATE_URL.replace("amazonaws.com", "amazonaws.com.elsewhere.example"),
        CERTIFICATE_URL.replace("amazonaws.com", "amazonaws.com:444"),
        CERTIFICATE_URL.replace("https://", "https://sns@"),
        CERTIFICATE_URL.replace(".com/", ".com/../"),
        CERTIFICATE_URL.replace(".com/", ".com/x/"),
        f"{CERTIFICATE_URL}?x",
        f"{CERTIFICATE_URL}#x",
        f"{SNS}/other.pem",
        f"{SNS}/SimpleNotificationService-.pem",
        "file:///etc/passwd",
        "",
    ],
)
async def test_certificates_are_fetched_from_sns_only(ses: ProviderClient, url: str) -> None:
    answer = await ses.sns(ses.envelope(json.dumps(ses.ses_event("Open")), SigningCertURL=url))
    assert status_and_message(answer) == (
        401,
        f"SigningCertURL is not a certificate at {SNS}.",
    )
    assert ses.internet.requested == []


@pytest.mark.parametrize(
    "validity", [{"until": datetime(2026, 10, 31, tzinfo=UTC)}, {"since": datetime(2026, 11, 2, tzinfo=UTC)}]
)
async def test_a_certificate_must_be_valid_now(ses: ProviderClient, validity: dict[str, Any]) -> None:
    ses.internet.pages[CERTIFICATE_URL] = certificate(**validity)
    answer = await ses.ses("Open")
    assert (answer.status_code, "is not valid now" in answer.json()["message"]) == (401, True)


async def test_a_certificate_of_another_kind_of_key_signs_nothing(ses: ProviderClient) -> None:
    ses.internet.pages[CERTIFICATE_URL] = certificate(ec.generate_private_key(ec.SECP256R1()))
    assert (await ses.ses("Open")).status_code == 401


async def test_an_unavailable_certificate_is_fetched_again_later(ses: ProviderClient) -> None:
    page = ses.internet.pages.pop(CERTIFICATE_URL)
    assert status_and_message(await ses.ses("Open")) == (503, f"{CERTIFICATE_URL} does not respond.")
    ses.internet.now += FAILURE_TTL_SECONDS
    ses.internet.pages[CERTIFICATE_URL] = b"<html/>"
    assert status_and_message(await ses.ses("Open")) == (503, f"{CERTIFICATE_URL} is not a certificate.")
    ses.internet.now += FAILURE_TTL_SECONDS
    ses.internet.pages[CERTIFICATE_URL] = page
    assert outcome_counts(await ses.ses("Open")) == {"accepted": 1}
    assert outcome_counts(await ses.ses("Open")) == {"accepted": 1}
    assert ses.internet.requested == [CERTIFICATE_URL] * 3


async def test_a_message_may_be_twenty_five_hours_old(ses: ProviderClient) -> None:
    for step in (timedelta(hours=25), -timedelta(minutes=5)):
        at = (ses.club.clock() - step).isoformat(timespec="milliseconds")
        assert outcome_counts(await ses.sns(ses.envelope(json.dumps(ses.ses_event("Open")), Timestamp=at))) == {
            "accepted": 1
        }


# Rejections --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ("not JSON", ""),
        ("[]", ""),
        ("{}", "mail"),
        ('{"eventType": "Open"}', "mail"),
        ('{"mail": {}}', "eventType"),
        ('{"mail": {}, "eventType": 5}', "eventType"),
        ('{"mail": {"timestamp": "soon"}, "eventType": "Send"}', "timestamp"),
        ('{"mail": {"tags": {"regulars_sending": "autumn"}}, "eventType": "Send"}', "mail.tags...."),
        ('{"mail": {"tags": {"regulars_sending": ["a"]}}, "eventType": "Send"}', "mail.messageId"),
        (
            '{"mail": {}, "eventType": "Bounce", "bounce": {"bouncedRecipients": [{}]}}',
            "bounce.bouncedRecipients.0.emailAddress",
        ),
        ('{"mail": {}, "eventType": "Delivery", "delivery": {"recipients": [5]}}', "delivery.recipients.0"),
        ('{"mail": {}, "eventType": "Delivery", "delivery": []}', "delivery"),
    ],
)
async def test_an_invalid_event_is_rejected_by_path(ses: ProviderClient, message: str, path: str) -> None:
    answer = await ses.sns(ses.envelope(message))
    assert answer.status_code == 422
    assert next(iter(error_paths(answer)), "") == path


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"\xff", b"[" * 100_000], ids=lambda body: str(body[:4]))
async def test_a_body_that_is_not_a_message_is_rejected(ses: ProviderClient, body: bytes) -> None:
    answer = await ses.post("ses", body, {"Content-Type": "text/plain"})
    assert answer.status_code == (422 if body[:1] == b"[" or body == b"{}" else 400)
    assert ses.internet.requested == []


async def test_an_unknown_member_is_counted_and_reported_and_the_webhook_is_not_repeated(ses: ProviderClient) -> None:
    answer = await ses.ses("Open", {"tags": {"regulars_sending": ["autumn"], "regulars_profile": ["C9"]}})
    assert (answer.status_code, outcome_counts(answer)) == (200, {"unknown_profile": 1})
    assert answer.json()["rejections"][0]["errors"] == {"regulars_profile": ["There is no profile C9"]}


def test_only_a_topic_can_be_set() -> None:
    for topic in (TOPIC, "arn:aws-us-gov:sns:us-gov-west-1:123456789012:mail.fifo"):
        assert SES.validate_key(topic) == topic
    for other in (
        "",
        "mail",
        "arn:aws:sqs:eu-north-1:123456789012:mail",
        "arn:aws:sns:s3:123456789012:mail",
        "arn:aws:sns:s3-us-west-2:123456789012:mail",
        "arn:aws:sns:eu-north-1:123:mail",
        f"{TOPIC}\n",
    ):
        with pytest.raises(ValueError, match="must be the ARN"):
            SES.validate_key(other)


def test_the_tests_sign_the_documented_fields() -> None:
    envelope = {"Type": "Notification", "Message": "m", "MessageId": "1", "Timestamp": "t", "TopicArn": "a"}
    without_subject = sns_signature({**envelope, "SignatureVersion": "2"})
    assert without_subject != sns_signature({**envelope, "SignatureVersion": "2", "Subject": "s"})
