"""Batches of SendGrid: verified, mapped, stored if valid, reported if not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ingest.provider_client import ProviderClient, ec_key, outcome_counts, status_and_message, verification_key
from loading.file_loader import FileLoader
from regulars.ingest.providers.sendgrid import SENDGRID

KINDS = {
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


@pytest.fixture
async def sendgrid(provider_client: ProviderClient) -> ProviderClient:
    """SendGrid is set up."""
    await provider_client.set_up("sendgrid", verification_key())
    return provider_client


async def test_each_event_type_is_mapped_to_ours(sendgrid: ProviderClient, load: FileLoader) -> None:
    await load.profiles("C1")
    answer = await sendgrid.sendgrid([sendgrid.sendgrid_event(kind, regulars_profile="C1") for kind in KINDS])
    assert (answer.status_code, outcome_counts(answer)) == (200, {"accepted": len(KINDS)})
    events = await sendgrid.stored_events()
    assert sorted(events) == sorted(("autumn", event, "C1") for event in KINDS.values())
    assert await sendgrid.count_dispatches() == 1
    assert set(await sendgrid.event_times()) == {datetime(2026, 10, 31, 23, 59, tzinfo=UTC)}


async def test_repeated_events_are_unchanged(sendgrid: ProviderClient) -> None:
    batch = [sendgrid.sendgrid_event("delivered"), sendgrid.sendgrid_event("open")]
    assert outcome_counts(await sendgrid.sendgrid(batch)) == {"accepted": 2}
    again = await sendgrid.sendgrid(batch, signed_at=sendgrid.now - 10)
    assert (again.status_code, outcome_counts(again)) == (200, {"unchanged": 2})
    more = await sendgrid.sendgrid([*batch, sendgrid.sendgrid_event("open"), batch[0]])
    assert outcome_counts(more) == {"accepted": 1, "unchanged": 3}
    assert len(await sendgrid.stored_events()) == 3


async def test_other_types_automated_opens_and_mails_without_sending_are_counted(
    sendgrid: ProviderClient,
) -> None:
    event = sendgrid.sendgrid_event
    answer = await sendgrid.sendgrid(
        [
            event("deferred"),
            event("group_resubscribe"),
            {"event": "account_status_change", "type": "compliance_suspend", "timestamp": sendgrid.now},
            event("open", sg_machine_open=True),
            event("open", sg_machine_open=False),
            event("delivered", regulars_sending=None),
            event("delivered", regulars_sending=""),
        ]
    )
    assert answer.status_code == 200
    assert outcome_counts(answer) == {"ignored": 3, "automated": 1, "accepted": 1, "no_sending": 2}
    assert await sendgrid.stored_events() == [("autumn", "opened", None)]
    metrics = (await sendgrid.club.http.get("/metrics")).text
    assert 'regulars_provider_events_total{outcome="ignored",provider="sendgrid"} 3.0' in metrics
    assert 'regulars_provider_events_total{outcome="automated",provider="sendgrid"} 1.0' in metrics


async def test_valid_events_of_a_batch_are_stored_and_invalid_ones_reported_by_index(
    sendgrid: ProviderClient, load: FileLoader
) -> None:
    await load.profiles("C1")
    event = sendgrid.sendgrid_event
    invalid: dict[int, tuple[Any, str]] = {
        1: (event("open", regulars_profile="C9"), "regulars_profile"),
        2: (event("open", timestamp="soon"), "timestamp"),
        3: (event("open", timestamp=-(10**15)), "timestamp"),
        4: (event("open", timestamp=None), "timestamp"),
        5: (event("open", sg_event_id=None), "sg_event_id"),
        6: (event("open", sg_message_id="x" * 256), "sg_message_id"),
        7: (event("open", sg_message_id=None), "sg_message_id"),
        8: (event("open", regulars_sending=["autumn"]), "regulars_sending"),
        9: (event("open", regulars_sending=True), "regulars_sending"),
        10: (event("open", regulars_sending="a\0"), "regulars_sending"),
        11: (event("open", timestamp=sendgrid.now + 2 * 86_400), "timestamp"),
        12: ({"sg_event_id": "1"}, "event"),
        13: ("open", ""),
        14: (None, ""),
        15: (event("open", sg_event_id="x" * 256), "sg_event_id"),
    }
    batch = [event("delivered", regulars_profile="C1"), *(each for each, _ in invalid.values())]
    batch.append(event("click", regulars_sending=4711))
    answer = await sendgrid.sendgrid(batch)
    assert answer.status_code == 200
    assert outcome_counts(answer) == {"accepted": 2, "unknown_profile": 1, "rejected": len(invalid) - 1}
    rejections = {each["index"]: each for each in answer.json()["rejections"]}
    assert {index: next(iter(each["errors"]), "") for index, each in rejections.items()} == {
        index: path for index, (_, path) in invalid.items()
    }
    assert rejections[1]["reason"] == "regulars_profile There is no profile C9."
    assert await sendgrid.stored_events() == [("4711", "clicked", None), ("autumn", "delivered", "C1")]


async def test_a_batch_without_valid_events_is_rejected(sendgrid: ProviderClient) -> None:
    answer = await sendgrid.sendgrid([sendgrid.sendgrid_event("open", timestamp="soon")])
    assert (answer.status_code, outcome_counts(answer)) == (422, {"rejected": 1})
    assert await sendgrid.stored_events() == []


async def test_an_empty_batch_is_accepted(sendgrid: ProviderClient) -> None:
    answer = await sendgrid.sendgrid([])
    assert (answer.status_code, outcome_counts(answer)) == (200, {})


async def test_an_event_that_is_not_utf_8_is_reported_and_the_others_are_stored(sendgrid: ProviderClient) -> None:
    body = (
        b'[{"event": "open", "timestamp": %d, "sg_event_id": "1", "sg_message_id": "m", "regulars_sending": "\xff"},'
        b' {"event": "open", "timestamp": %d, "sg_event_id": "2", "sg_message_id": "m", "regulars_sending": "a"}]'
    ) % (sendgrid.now, sendgrid.now)
    answer = await sendgrid.sendgrid(body)
    assert (answer.status_code, outcome_counts(answer)) == (200, {"accepted": 1, "rejected": 1})
    assert "The body is not JSON" in answer.json()["rejections"][0]["reason"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{}", b'"open"', b"null", b"\xff\xfe", b"[" * 100_000, rb'["\ud800"]', b"[1,]"],
    ids=lambda body: str(body[:8]),
)
async def test_a_body_that_is_not_a_batch_is_rejected(sendgrid: ProviderClient, body: bytes) -> None:
    answer = await sendgrid.sendgrid(body)
    assert answer.status_code == (422 if body[:1] in (b"{", b'"', b"n") else 400)
    assert answer.json()["message"]
    assert await sendgrid.stored_events() == []


# Who sends it ---------------------------------------------------------------------------------------------------

NOT_BY_ITS_KEY = (401, "The signature does not match any key that is set for SendGrid.")


async def test_a_signature_by_another_key_is_rejected(sendgrid: ProviderClient) -> None:
    batch = [sendgrid.sendgrid_event("open")]
    other = ec.generate_private_key(ec.SECP256R1())
    assert status_and_message(await sendgrid.sendgrid(batch, key=other)) == NOT_BY_ITS_KEY
    for signature in ("AAAA", "MEUCIQ=="):
        answer = await sendgrid.sendgrid(batch, **{"X-Twilio-Email-Event-Webhook-Signature": signature})
        assert status_and_message(answer) == NOT_BY_ITS_KEY
    later = {"X-Twilio-Email-Event-Webhook-Timestamp": str(sendgrid.now + 1)}
    assert status_and_message(await sendgrid.sendgrid(batch, **later)) == NOT_BY_ITS_KEY
    assert await sendgrid.stored_events() == []


async def test_a_request_without_signature_is_rejected(sendgrid: ProviderClient) -> None:
    for name in ("Signature", "Timestamp"):
        for value in ("", "no base64!")[: 1 if name == "Timestamp" else 2]:
            answer = await sendgrid.sendgrid([], **{f"X-Twilio-Email-Event-Webhook-{name}": value})
            assert answer.status_code == 401
            assert "is missing: have SendGrid sign" in answer.json()["message"]


async def test_one_of_several_keys_is_enough(provider_client: ProviderClient) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    await provider_client.set_up("sendgrid", verification_key(other), verification_key())
    for key in (other, ec_key()):
        assert outcome_counts(await provider_client.sendgrid([provider_client.sendgrid_event("open")], key=key)) == {
            "accepted": 1
        }


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (-25 * 3600 - 1, "more than 25 hours old"),
        (301, "more than 5 minutes in the future"),
        ("1793350802.5", "not a Unix time"),
        ("-1", "not a Unix time"),
        ("9" * 11, "not a Unix time"),
    ],
)
async def test_a_replay_and_a_wrong_clock_are_rejected(
    sendgrid: ProviderClient, seconds: int | str, message: str
) -> None:
    signed_at = seconds if isinstance(seconds, str) else sendgrid.now + seconds
    answer = await sendgrid.sendgrid([sendgrid.sendgrid_event("open")], signed_at=signed_at)
    assert answer.status_code == 401
    assert message in answer.json()["message"]
    assert await sendgrid.stored_events() == []


async def test_an_event_that_was_retried_for_a_day_is_accepted(sendgrid: ProviderClient) -> None:
    for seconds in (-25 * 3600, 300):
        event = sendgrid.sendgrid_event("open")
        assert outcome_counts(await sendgrid.sendgrid([event], signed_at=sendgrid.now + seconds)) == {"accepted": 1}


def test_only_a_key_of_p_256_can_be_set() -> None:
    assert SENDGRID.validate_key(verification_key()) == verification_key()
    for key in (
        "",
        "no key",
        "AAAA",
        verification_key(ec.generate_private_key(ec.SECP384R1())),
        verification_key(rsa.generate_private_key(65537, 2048)),
    ):
        with pytest.raises(ValueError, match="must be the verification key"):
            SENDGRID.validate_key(key)
