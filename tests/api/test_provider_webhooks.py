"""Webhooks of providers: authentication, responses to errors, and concurrent events."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import structlog

from clubs import Club, send_truncated
from ingest.provider_client import (
    AUTH_TOKEN,
    SIGNING_KEY,
    TOPIC,
    ProviderClient,
    outcome_counts,
    status_and_message,
    verification_key,
)
from regulars.api.providers import ENDPOINTS
from regulars.api.registry import ENDPOINTS as EVERY
from regulars.ingest.providers.registry import PROVIDERS, PROVIDERS_BY_NAME
from regulars.model import providers
from regulars.settings import Settings
from regulars.storage.database import Database
from regulars.web.openapi import openapi_document

KEYS = {"ses": TOPIC, "sendgrid": verification_key(), "mailgun": SIGNING_KEY, "twilio": AUTH_TOKEN}
NAMES = list(PROVIDERS_BY_NAME)


@pytest.fixture
def provided(club: Club) -> ProviderClient:
    """A client that sends the webhooks of providers to the club."""
    return ProviderClient(club)


def test_each_provider_has_its_own_endpoint() -> None:
    assert set(KEYS) == set(PROVIDERS_BY_NAME)
    assert [each.provider for each in ENDPOINTS] == list(PROVIDERS)
    described = openapi_document(EVERY)["paths"]
    for endpoint in ENDPOINTS:
        assert endpoint.provider is not None
        operation = described[endpoint.path]["post"]
        as_json = {"application/json"} if endpoint.provider.name == "ses" else set()
        assert set(operation["requestBody"]["content"]) == {endpoint.provider.media_type} | as_json
        assert set(operation["responses"]) == {
            "200",
            "400",
            "401",
            "408",
            "413",
            "503",
            str(endpoint.provider.rejection_status),
        }
        assert "headers" not in operation["responses"]["200"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_provider_that_is_not_set_up_is_401(provided: ProviderClient, other_club: Club, name: str) -> None:
    other = ProviderClient(other_club)
    await other.set_up(name, KEYS[name])
    answer = await provided.post(name, b"{}", {})
    title = PROVIDERS_BY_NAME[name].title
    expected = (
        401,
        f"{title} is not set up for this community: set its key with `regulars provider set {name} --community SLUG`.",
    )
    assert status_and_message(answer) == expected
    for slug in ("nowhere", "a%20b", "a%2Fb", "é"):
        path = f"/v1/communities/{slug}/providers/{name}"
        answer = await provided.club.http.post(path, content=b"{}", headers={"Authorization": ""})
        assert status_and_message(answer) == expected


async def test_a_removed_provider_is_401(provided: ProviderClient) -> None:
    await provided.set_up("sendgrid", KEYS["sendgrid"])
    assert (await provided.sendgrid([])).status_code == 200
    async with provided.club.database.write_transaction(provided.club.community.id) as scope:
        assert await providers.delete(scope, "sendgrid")
        assert not await providers.delete(scope, "sendgrid")
    assert (await provided.sendgrid([])).status_code == 401


async def test_the_key_of_another_community_is_401(provided: ProviderClient, other_club: Club) -> None:
    other = ProviderClient(other_club)
    await provided.set_up("mailgun", SIGNING_KEY)
    await other.set_up("mailgun", "key-of-the-other-community")
    assert (await other.mailgun(other.mailgun_event("opened"))).status_code == 401
    assert (await provided.mailgun(provided.mailgun_event("opened"))).status_code == 200
    assert (len(await provided.stored_events()), await other.stored_events()) == (1, [])


async def test_other_methods_and_providers_are_not_found(provided: ProviderClient) -> None:
    for name in NAMES:
        assert (await provided.club.http.get(provided.path(name))).status_code == 405
    assert (await provided.post("postmark", b"{}", {})).status_code == 404


@pytest.mark.parametrize("name", NAMES)
async def test_a_body_that_is_too_large_is_413_for_a_provider(provided: ProviderClient, name: str) -> None:
    await provided.set_up(name, KEYS[name])
    provided.club.server.settings = Settings(max_request_bytes=1_000)
    answer = await provided.post(name, b"x" * 1_001, {"Content-Type": PROVIDERS_BY_NAME[name].media_type})
    assert answer.status_code == 413
    assert (
        await provided.post(name, b"x" * 1_000, {"Content-Type": PROVIDERS_BY_NAME[name].media_type})
    ).status_code in (
        400,
        401,
    )


@pytest.mark.parametrize("name", NAMES)
async def test_a_truncated_body_is_400_and_one_log_line(provided: ProviderClient, name: str) -> None:
    await provided.set_up(name, KEYS[name])
    with structlog.testing.capture_logs() as logged:
        answer = await send_truncated(provided.club, "POST", provided.path(name), b'{"signature": ')
    assert status_and_message(answer) == (400, "The body is truncated or malformed after 14 bytes. Send it again.")
    assert [(each["event"], each["log_level"]) for each in logged] == [("request.truncated", "info")]


@pytest.mark.parametrize(
    ("name", "body"),
    [("ses", b"{"), ("mailgun", b'{"signature": '), ("twilio", b"MessageSid=%ff"), ("twilio", b"\xff")],
)
async def test_a_malformed_body_is_400_and_one_log_line(provided: ProviderClient, name: str, body: bytes) -> None:
    await provided.set_up(name, KEYS[name])
    with structlog.testing.capture_logs() as logged:
        answer = await provided.post(name, body, {"Content-Type": PROVIDERS_BY_NAME[name].media_type})
    assert answer.status_code == 400
    assert [(each["event"], each["log_level"]) for each in logged] == [("request.malformed", "info")]


async def test_a_provider_gets_503_while_the_database_is_not_available(provided: ProviderClient) -> None:
    await provided.set_up("sendgrid", KEYS["sendgrid"])
    pool = provided.club.database.pool
    away = Database(provided.club.database.url, 1, provided.club.clock)
    await away.open()
    await away.pool.close()
    provided.club.database.pool = away.pool
    try:
        answer = await provided.sendgrid([])
    finally:
        provided.club.database.pool = pool
    assert status_and_message(answer)[0] == 503
    assert status_and_message(answer)[1].startswith("The database is not available")


async def test_an_unexpected_error_is_logged_and_not_disclosed_to_the_provider(provided: ProviderClient) -> None:
    await provided.set_up("sendgrid", KEYS["sendgrid"])
    await provided.set_up("sendgrid", "no key at all")
    answer = await provided.sendgrid([])
    assert status_and_message(answer) == (500, "Internal server error. It has been logged.")


async def test_concurrent_copies_of_an_event_are_recorded_once(provided: ProviderClient) -> None:
    await provided.set_up("sendgrid", KEYS["sendgrid"])
    await provided.set_up("mailgun", SIGNING_KEY)
    batch = [provided.sendgrid_event("open") for _ in range(20)]
    event = provided.mailgun_event("opened")
    answers = await asyncio.gather(
        *(provided.sendgrid(batch) for _ in range(4)), *(provided.mailgun(event, token="t") for _ in range(4))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert sum(outcome_counts(answer).get("accepted", 0) for answer in answers) == 21
    assert len(await provided.stored_events()) == 21


async def test_one_of_two_concurrent_events_with_the_same_token_is_recorded(provided: ProviderClient) -> None:
    await provided.set_up("mailgun", SIGNING_KEY)
    events = [provided.mailgun_event("opened") for _ in range(4)]
    answers = await asyncio.gather(*(provided.mailgun(event, token="t") for event in events))
    assert sorted(answer.status_code for answer in answers) == [200, 406, 406, 406]
    assert len(await provided.stored_events()) == 1


async def test_events_are_reported_when_their_sending_arrives(provided: ProviderClient) -> None:
    club = provided.club
    await provided.set_up("sendgrid", KEYS["sendgrid"])
    await provided.sendgrid([provided.sendgrid_event("open"), provided.sendgrid_event("delivered")])
    stored = "SELECT is_placeholder, opened_count, delivered_count FROM sendings WHERE community_id = $1"
    assert await provided.rows(stored) == [{"is_placeholder": True, "opened_count": 1, "delivered_count": 1}]
    sending = '{"external_id": "autumn", "channel": "email"}\n'
    headers = {"Content-Type": "application/x-ndjson"}
    await club.http.post("/v1/import/sendings", content=sending, headers=headers)
    assert await provided.rows(stored) == [{"is_placeholder": False, "opened_count": 1, "delivered_count": 1}]


async def test_an_import_and_a_provider_identify_a_dispatch_by_the_same_id(provided: ProviderClient) -> None:
    await provided.set_up("sendgrid", KEYS["sendgrid"])
    event = provided.sendgrid_event("open")
    await provided.sendgrid([event])
    row = (
        f'{{"external_id": "e1", "sending": "autumn", "dispatch": "{event["sg_message_id"]}", '
        '"event": "transmitted", "at": "2026-10-30T09:00:00Z"}\n'
    )
    headers = {"Content-Type": "application/x-ndjson"}
    await provided.club.http.post("/v1/import/sending_events", content=row, headers=headers)
    assert await provided.count_dispatches() == 1


async def test_a_key_is_never_disclosed(provided: ProviderClient) -> None:
    await provided.set_up("mailgun", SIGNING_KEY)
    async with provided.club.database.read_transaction(provided.club.community.id) as scope:
        (found,) = await providers.list_all(scope)
    assert SIGNING_KEY not in repr(found)
    assert replace(found, signing_keys=()).provider == "mailgun"


async def test_events_of_an_erased_member_are_not_recorded_and_those_of_a_merged_one_are_reassigned(
    provided: ProviderClient,
) -> None:
    http = provided.club.http
    await provided.set_up("sendgrid", KEYS["sendgrid"])
    ids = {}
    for name in ("C1", "C2", "C3"):
        ids[name] = (await http.post("/api/v3/profiles", json={"external_id": name})).json()["data"]["id"]
    batch = [provided.sendgrid_event("open", regulars_profile=name, sg_message_id=f"m-{name}") for name in ("C1", "C2")]
    await provided.sendgrid(batch)
    await http.delete(f"/api/v3/profiles/{ids['C1']}/purge")
    body = {"source_profile_id": ids["C2"], "destination_profile_id": ids["C3"]}
    await http.post("/api/v3/profiles/merge", json=body)
    assert outcome_counts(await provided.sendgrid(batch)) == {"unchanged": 1, "unknown_profile": 1}
    later = provided.sendgrid_event("click", regulars_profile="C2", sg_message_id="m-C2")
    assert outcome_counts(await provided.sendgrid([later])) == {"accepted": 1}
    assert await provided.stored_events() == [("autumn", "opened", "C3"), ("autumn", "clicked", "C3")]
