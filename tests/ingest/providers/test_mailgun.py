"""Mailgun: events, signatures over a token, and tokens that are valid for one event."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clubs import Club
from ingest.provider_client import SIGNING_KEY, ProviderClient, error_paths, outcome_counts, status_and_message
from loading.file_loader import FileLoader
from regulars.core.validation import hash_key
from regulars.ingest.providers.mailgun import MAILGUN

KINDS: list[tuple[str, dict[str, Any], str]] = [
    ("accepted", {}, "transmitted"),
    ("delivered", {}, "delivered"),
    ("rejected", {}, "failed"),
    ("failed", {"severity": "permanent", "reason": "suppress-bounce"}, "failed"),
    ("failed", {"severity": "permanent", "reason": "bounce"}, "bounced"),
    ("opened", {"client-info": {"client-type": "browser", "bot": ""}}, "opened"),
    ("clicked", {"url": "https://club.example"}, "clicked"),
    ("unsubscribed", {}, "unsubscribed"),
    ("complained", {}, "complained"),
]

OTHERS: list[tuple[str, dict[str, Any], str]] = [
    ("failed", {"severity": "temporary", "reason": "generic"}, "ignored"),
    ("stored", {}, "ignored"),
    ("opened", {"client-info": {"bot": "apple"}}, "automated"),
    ("clicked", {"client-info": {"bot": "generic"}}, "automated"),
    ("delivered", {"user-variables": {}}, "no_sending"),
    ("delivered", {"user-variables": []}, "no_sending"),
    ("delivered", {"user-variables": None}, "no_sending"),
]


@pytest.fixture
async def mailgun(provider_client: ProviderClient) -> ProviderClient:
    """Mailgun is set up."""
    await provider_client.set_up("mailgun", SIGNING_KEY)
    return provider_client


async def test_each_event_type_is_mapped_to_ours(mailgun: ProviderClient, load: FileLoader) -> None:
    await load.profiles("C1")
    named = {"user-variables": {"regulars_sending": "autumn", "regulars_profile": "C1"}}
    for kind, fields, _ in KINDS:
        answer = await mailgun.mailgun(mailgun.mailgun_event(kind, **named, **fields))
        assert (answer.status_code, outcome_counts(answer)) == (200, {"accepted": 1}), kind
    assert sorted(await mailgun.stored_events()) == sorted(("autumn", event, "C1") for _, _, event in KINDS)
    assert await mailgun.count_dispatches() == 1
    assert set(await mailgun.event_times()) == {datetime(2026, 10, 31, 23, 58, 59, 750_000, UTC)}


@pytest.mark.parametrize(("kind", "fields", "outcome"), OTHERS)
async def test_other_events_are_counted_and_not_stored(
    mailgun: ProviderClient, kind: str, fields: dict[str, Any], outcome: str
) -> None:
    answer = await mailgun.mailgun(mailgun.mailgun_event(kind, **fields))
    assert (answer.status_code, outcome_counts(answer)) == (200, {outcome: 1})
    assert await mailgun.stored_events() == []


async def test_mails_of_one_batch_share_an_id_and_are_one_dispatch_each(mailgun: ProviderClient) -> None:
    for recipient in ("kari@example.com", "ola@example.com", "Ola@example.com"):
        await mailgun.mailgun(mailgun.mailgun_event("delivered", recipient=recipient))
    assert await mailgun.count_dispatches() == 2


async def test_a_custom_field_may_carry_the_dispatch(mailgun: ProviderClient) -> None:
    for number, message in (("1", "m1"), ("1", "m2"), ("2", "m3")):
        variables = {"regulars_sending": "autumn", "regulars_dispatch": number}
        headers = {"headers": {"message-id": message}}
        await mailgun.mailgun(mailgun.mailgun_event("opened", message=headers, **{"user-variables": variables}))
    assert await mailgun.count_dispatches() == 2


async def test_custom_fields_can_have_other_names(provider_client: ProviderClient, load: FileLoader) -> None:
    await load.profiles("C1")
    await provider_client.set_up(
        "mailgun", SIGNING_KEY, sending_field="campaign", profile_field="member", dispatch_field="mail"
    )
    variables = {"campaign": 12, "member": "C1", "mail": "x", "regulars_sending": "other"}
    answer = await provider_client.mailgun(provider_client.mailgun_event("opened", **{"user-variables": variables}))
    assert outcome_counts(answer) == {"accepted": 1}
    assert await provider_client.stored_events() == [("12", "opened", "C1")]
    variables["member"] = "C2"
    answer = await provider_client.mailgun(provider_client.mailgun_event("opened", **{"user-variables": variables}))
    assert answer.json()["rejections"][0]["errors"] == {"member": ["There is no profile C2"]}


async def test_the_parent_account_of_a_subaccount_may_sign(mailgun: ProviderClient) -> None:
    signature = mailgun.mailgun_signature(token="t")
    own = mailgun.mailgun_signature(token="t", key="key-of-the-subaccount")["signature"]
    body = {
        "signature": {**signature, "signature": own, "parent-signature": signature["signature"]},
        "event-data": mailgun.mailgun_event("opened"),
    }
    answer = await mailgun.post("mailgun", json.dumps(body).encode(), {})
    assert outcome_counts(answer) == {"accepted": 1}


# Tokens ---------------------------------------------------------------------------------------------------------


async def test_a_repeated_event_with_its_token_is_unchanged(mailgun: ProviderClient) -> None:
    event = mailgun.mailgun_event("opened")
    for expected in ({"accepted": 1}, {"unchanged": 1}):
        answer = await mailgun.mailgun(event, token="t")
        assert (answer.status_code, outcome_counts(answer)) == (200, expected)
    in_another_order = dict(reversed(event.items()))
    assert outcome_counts(await mailgun.mailgun(in_another_order, token="t")) == {"unchanged": 1}
    assert outcome_counts(await mailgun.mailgun(event)) == {"unchanged": 1}


async def test_a_token_with_another_event_is_rejected(mailgun: ProviderClient) -> None:
    await mailgun.mailgun(mailgun.mailgun_event("delivered"), token="t")
    answer = await mailgun.mailgun(mailgun.mailgun_event("opened"), token="t")
    assert (answer.status_code, answer.json()["errors"]) == (
        406,
        {"signature.token": ["was used with another event: this request is a replay"]},
    )
    assert await mailgun.stored_events() == [("autumn", "delivered", None)]


async def test_a_token_is_stored_as_long_as_its_signature_is_accepted(mailgun: ProviderClient) -> None:
    own = "key-of-this-test-alone"
    await mailgun.set_up("mailgun", own)
    await mailgun.mailgun(mailgun.mailgun_event("opened"), token="t", signed_at=mailgun.now + 300, key=own)
    mailgun.club.clock.at += timedelta(hours=25, minutes=5)
    old: dict[str, Any] = {"token": "t", "signed_at": mailgun.now - 25 * 3600, "key": own}
    answer = await mailgun.mailgun(mailgun.mailgun_event("opened"), **old)
    assert answer.status_code == 406
    assert await used(mailgun, own) == 1
    mailgun.club.clock.advance(minutes=6)
    assert (await mailgun.mailgun(mailgun.mailgun_event("opened"), **old)).status_code == 401
    await mailgun.mailgun(mailgun.mailgun_event("opened"), token="u", key=own)
    assert await used(mailgun, own) == 1


async def used(provider_client: ProviderClient, key: str) -> int:
    """How many tokens of a key are stored."""
    async with provider_client.club.database.unscoped_connection() as connection:
        found: int = await connection.fetchval(
            "SELECT count(*) FROM webhook_replay_guard WHERE key_hash = $1", hash_key(key)
        )
        return found


async def test_a_token_is_valid_in_one_of_the_communities_that_share_a_key(
    mailgun: ProviderClient, other_club: Club
) -> None:
    other = ProviderClient(other_club)
    other.tokens = mailgun.tokens
    await other.set_up("mailgun", "key-of-the-other-community", SIGNING_KEY)
    event = mailgun.mailgun_event("opened")
    assert outcome_counts(await mailgun.mailgun(event, token="t")) == {"accepted": 1}
    for replayed in (event, mailgun.mailgun_event("opened")):
        answer = await other.mailgun(replayed, token="t")
        assert (answer.status_code, error_paths(answer)) == (406, ["signature.token"])
    assert await other.stored_events() == []
    assert outcome_counts(await mailgun.mailgun(event, token="t")) == {"unchanged": 1}


async def test_communities_without_a_common_key_may_have_the_same_token(
    mailgun: ProviderClient, other_club: Club
) -> None:
    other, key = ProviderClient(other_club), "key-of-the-other-community"
    other.tokens = mailgun.tokens
    await other.set_up("mailgun", key)
    await mailgun.mailgun(mailgun.mailgun_event("opened"), token="t")
    assert outcome_counts(await other.mailgun(other.mailgun_event("opened"), token="t", key=key)) == {"accepted": 1}


async def test_a_token_that_two_keys_have_signed_is_consumed_for_both(
    mailgun: ProviderClient, other_club: Club
) -> None:
    other, key = ProviderClient(other_club), "key-of-the-subaccount"
    await mailgun.set_up("mailgun", key, SIGNING_KEY)
    await other.set_up("mailgun", SIGNING_KEY)
    signature = mailgun.mailgun_signature(token="t")
    by_both = {
        **mailgun.mailgun_signature(token="t", key=key),
        "parent-signature": signature["signature"],
    }
    body = json.dumps({"signature": by_both, "event-data": mailgun.mailgun_event("opened")}).encode()
    assert outcome_counts(await mailgun.post("mailgun", body, {})) == {"accepted": 1}
    assert (await other.post("mailgun", body, {})).status_code == 406


# Rejections --------------------------------------------------------------------------------------------------


async def test_a_signature_by_another_key_is_rejected(mailgun: ProviderClient) -> None:
    answer = await mailgun.mailgun(mailgun.mailgun_event("opened"), key="key-fedcba9876543210")
    assert status_and_message(answer) == (401, "The signature does not match any key that is set for Mailgun.")
    assert await mailgun.stored_events() == []


@pytest.mark.parametrize(
    ("signed_at", "message"),
    [
        (1_793_491_200 - 25 * 3600 - 1, "more than 25 hours old"),
        (1_793_491_200 + 301, "more than 5 minutes in the future"),
        ("soon", "not a Unix time"),
    ],
)
async def test_a_replay_and_a_wrong_clock_are_rejected(
    mailgun: ProviderClient, signed_at: int | str, message: str
) -> None:
    assert mailgun.now == 1_793_491_200
    answer = await mailgun.mailgun(mailgun.mailgun_event("opened"), signed_at=signed_at)
    assert answer.status_code == 401
    assert message in answer.json()["message"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"id": None}, "id"),
        ({"id": 5}, "id"),
        ({"timestamp": None}, "timestamp"),
        ({"timestamp": 1e300}, "timestamp"),
        ({"timestamp": "soon"}, "timestamp"),
        ({"message": None}, "message.headers.message-id"),
        ({"message": {"headers": {}}}, "message.headers.message-id"),
        ({"message": {"headers": {"message-id": "x" * 256}}}, "message.headers.message-id"),
        ({"user-variables": {"regulars_sending": {"a": 1}}}, "regulars_sending"),
        ({"user-variables": {"regulars_sending": "a", "regulars_profile": [1]}}, "regulars_profile"),
        ({"event": None}, "event"),
    ],
)
async def test_an_invalid_event_gets_the_status_that_ends_retries(
    mailgun: ProviderClient, fields: dict[str, Any], path: str
) -> None:
    answer = await mailgun.mailgun({**mailgun.mailgun_event("opened"), **fields})
    assert answer.status_code == 406
    assert error_paths(answer) == [path]
    assert await mailgun.stored_events() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"event=opened&token=t",
        b"[]",
        b"{}",
        b'{"signature": {"timestamp": 1, "token": "t", "signature": "s"}}',
        b'{"signature": {"timestamp": 1.5, "token": "t", "signature": "s"}, "event-data": {}}',
        b"\xff",
        b"[" * 100_000,
    ],
    ids=lambda body: str(body[:30]),
)
async def test_a_malformed_body_is_rejected(mailgun: ProviderClient, body: bytes) -> None:
    answer = await mailgun.post("mailgun", body, {})
    assert answer.status_code == (406 if body[:1] in (b"[", b"{") else 400)
    assert answer.json()["message"]


async def test_a_signature_with_non_ascii_letters_is_rejected(mailgun: ProviderClient) -> None:
    signature = {**mailgun.mailgun_signature(), "signature": "é" * 64}
    body = json.dumps({"signature": signature, "event-data": {}}).encode()
    assert (await mailgun.post("mailgun", body, {})).status_code == 401


def test_only_a_plausible_key_can_be_set() -> None:
    assert MAILGUN.validate_key(SIGNING_KEY) == SIGNING_KEY
    for other in ("", "short", "é" * 32, "a" * 16 + "\t"):
        with pytest.raises(ValueError, match="must be the HTTP webhook signing key"):
            MAILGUN.validate_key(other)
