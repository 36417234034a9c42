"""Statuses of Twilio, signed over the address that it calls."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from clubs import START
from ingest.provider_client import AUTH_TOKEN, ProviderClient, error_paths, outcome_counts, twilio_signature
from loading.file_loader import FileLoader
from regulars.core.errors import ValidationError
from regulars.ingest.providers.http_client import HttpsClient
from regulars.ingest.providers.provider import WebhookRequest
from regulars.ingest.providers.twilio import TWILIO
from regulars.model.providers import ProviderConfig
from regulars.settings import Settings
from regulars.web.public_address import PublicAddress

SID = "SM0123456789abcdef0123456789abcdef"
STATUSES = {
    "accepted": "scheduled",
    "sent": "transmitted",
    "delivered": "delivered",
    "undelivered": "bounced",
    "failed": "failed",
    "read": "opened",
}


def status(name: str, sid: str = SID, **more: str) -> dict[str, str]:
    """The parameters of a status."""
    return {"MessageSid": sid, "SmsSid": sid, "MessageStatus": name, "SmsStatus": name, "To": "+4790000000", **more}


@pytest.fixture
async def twilio(provider_client: ProviderClient) -> ProviderClient:
    """Twilio is set up."""
    await provider_client.set_up("twilio", AUTH_TOKEN)
    return provider_client


async def test_each_status_is_mapped_to_an_event_at_the_time_of_the_request(
    twilio: ProviderClient, load: FileLoader
) -> None:
    await load.profiles("C1")
    for name in STATUSES:
        answer = await twilio.twilio(status(name), query="regulars_sending=autumn&regulars_profile=C1")
        assert (answer.status_code, outcome_counts(answer)) == (200, {"accepted": 1})
    assert sorted(await twilio.stored_events()) == sorted(("autumn", event, "C1") for event in STATUSES.values())
    assert await twilio.count_dispatches() == 1
    assert set(await twilio.event_times()) == {datetime(2026, 11, 1, tzinfo=UTC)}


async def test_a_repeated_status_is_unchanged(twilio: ProviderClient) -> None:
    assert outcome_counts(await twilio.twilio(status("delivered"))) == {"accepted": 1}
    twilio.club.clock.advance(hours=3)
    again = await twilio.twilio(status("delivered"))
    assert (again.status_code, outcome_counts(again)) == (200, {"unchanged": 1})
    assert await twilio.event_times() == [START]


async def test_statuses_with_the_same_event_type_are_one_event(twilio: ProviderClient) -> None:
    for name in ("scheduled", "accepted", "queued", "failed", "canceled"):
        assert (await twilio.twilio(status(name))).status_code == 200
    assert await twilio.stored_events() == [("autumn", "scheduled", None), ("autumn", "failed", None)]


async def test_other_statuses_and_messages_without_sending_are_counted(twilio: ProviderClient) -> None:
    assert outcome_counts(await twilio.twilio(status("sending"))) == {"ignored": 1}
    assert outcome_counts(await twilio.twilio(status("partially_delivered"))) == {"ignored": 1}
    assert outcome_counts(await twilio.twilio(status("delivered"), query="")) == {"no_sending": 1}
    assert await twilio.stored_events() == []


async def test_custom_fields_may_be_form_parameters_and_older_parameter_names_work(twilio: ProviderClient) -> None:
    older = {"SmsSid": SID, "SmsStatus": "sent", "regulars_sending": "spring", "Body": ""}
    assert outcome_counts(await twilio.twilio(older, query="")) == {"accepted": 1}
    assert await twilio.stored_events() == [("spring", "transmitted", None)]


async def test_a_body_in_json_is_signed_by_its_digest(twilio: ProviderClient) -> None:
    body = json.dumps({"MessageSid": SID, "MessageStatus": "delivered", "regulars_sending": "autumn"}).encode()
    query = f"bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = twilio_signature(f"http://test{twilio.path('twilio')}?{query}", "")
    headers = {"Content-Type": "application/json", "X-Twilio-Signature": signature}
    assert outcome_counts(await twilio.post("twilio", body, headers, query)) == {"accepted": 1}
    for other in (body.replace(b"delivered", b"failed"), b""):
        answer = await twilio.post("twilio", other, headers, query)
        assert (answer.status_code, "bodySHA256" in answer.json()["message"]) == (401, True)


async def test_a_body_in_json_without_its_digest_is_rejected(twilio: ProviderClient) -> None:
    signature = twilio_signature(f"http://test{twilio.path('twilio')}", "")
    headers = {"Content-Type": "application/json", "X-Twilio-Signature": signature}
    answer = await twilio.post("twilio", b"{}", headers)
    assert (answer.status_code, "bodySHA256" in answer.json()["message"]) == (401, True)


# Its signature --------------------------------------------------------------------------------------------------


async def test_the_signature_equals_that_of_the_documentation() -> None:
    parameters = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
    }
    delivery = WebhookRequest(
        ("https://mycompany.com/myapp.php",), "foo=1&bar=2", headers, urlencode(parameters).encode(), START
    )
    # It is of a call, and no message has a status in it.
    with pytest.raises(ValidationError, match="MessageStatus: is required"):
        await TWILIO.parse(delivery, ProviderConfig("twilio", ("12345",)), HttpsClient())


@pytest.mark.parametrize("address", ["http://test", "https://test", "https://test:443", "http://test:80"])
async def test_a_proxy_may_terminate_tls_and_twilio_may_sign_the_port(twilio: ProviderClient, address: str) -> None:
    assert outcome_counts(await twilio.twilio(status("sent"), address=address)) == {"accepted": 1}


@pytest.mark.parametrize(
    ("settings", "headers", "accepted", "rejected"),
    [
        ({}, {}, "https://test", "https://hooks.example"),
        ({"trusted_proxies": "10.0.0.0/8"}, {}, "https://test", "https://hooks.example"),
        ({"trusted_proxies": "127.0.0.0/8"}, {}, "https://hooks.example:8443", "https://test"),
        ({"trusted_proxies": "127.0.0.0/8"}, {}, "https://hooks.example", "http://hooks.example"),
        ({"public_url": "https://club.example"}, {}, "https://club.example:443", "https://hooks.example"),
        ({"public_url": "https://club.example/api/"}, {}, "https://club.example/api", "https://club.example"),
        (
            {"public_url": "https://club.example"},
            {"Host": "club.example"},
            "https://club.example",
            "http://club.example",
        ),
    ],
)
async def test_the_signed_address_follows_settings_and_trusted_proxies(
    twilio: ProviderClient, settings: dict[str, Any], headers: dict[str, str], accepted: str, rejected: str
) -> None:
    twilio.club.server.public_address = PublicAddress(Settings(**settings))
    forwarded = {"X-Forwarded-Host": "hooks.example:8443", "X-Forwarded-Proto": "https", **headers}
    assert (await twilio.twilio(status("sent"), address=rejected, **forwarded)).status_code == 401
    assert outcome_counts(await twilio.twilio(status("sent"), address=accepted, **forwarded)) == {"accepted": 1}


async def test_a_configured_address_excludes_all_others(provider_client: ProviderClient) -> None:
    await provider_client.set_up("twilio", AUTH_TOKEN, url="https://hooks.example/twilio/nord")
    parameters = status("sent")
    text = "".join(f"{name}{value}" for name, value in sorted(parameters.items()))
    query = "regulars_sending=autumn"
    for url, code in (
        ("https://hooks.example/twilio/nord", 200),
        (f"http://test{provider_client.path('twilio')}", 401),
    ):
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": twilio_signature(f"{url}?{query}", text),
        }
        answer = await provider_client.post("twilio", urlencode(parameters).encode(), headers, query)
        assert answer.status_code == code


async def test_repeated_parameters_are_signed_as_twilio_does(twilio: ProviderClient) -> None:
    pairs = [*status("sent").items(), ("MediaUrl", "b"), ("MediaUrl", "a"), ("MediaUrl", "b"), ("Empty", "")]
    assert outcome_counts(await twilio.twilio(pairs)) == {"accepted": 1}


async def test_a_changed_request_is_rejected(twilio: ProviderClient) -> None:
    for answer in (
        await twilio.twilio(status("sent"), token="fedcba98765432100123456789abcdef"),
        await twilio.twilio(status("sent"), address="https://elsewhere.example"),
        await twilio.twilio(status("sent"), **{"X-Twilio-Signature": ""}),
        await twilio.twilio(status("sent"), **{"X-Twilio-Signature": "AAAA"}),
    ):
        assert answer.status_code == 401
        assert "X-Twilio-Signature does not match any token that is set" in answer.json()["message"]
    assert await twilio.stored_events() == []


async def test_one_of_two_tokens_is_enough(provider_client: ProviderClient) -> None:
    await provider_client.set_up("twilio", "fedcba98765432100123456789abcdef", AUTH_TOKEN)
    assert outcome_counts(await provider_client.twilio(status("sent"))) == {"accepted": 1}


# Rejections --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({}, "MessageStatus"),
        ({"MessageSid": SID}, "MessageStatus"),
        ({"MessageStatus": "sent"}, "MessageSid"),
        ({"MessageSid": "x" * 256, "MessageStatus": "sent"}, "MessageSid"),
        ({"MessageSid": "\0", "MessageStatus": "sent"}, "MessageSid"),
    ],
)
async def test_an_invalid_status_is_rejected(twilio: ProviderClient, parameters: dict[str, str], path: str) -> None:
    answer = await twilio.twilio(parameters)
    assert (answer.status_code, error_paths(answer)) == (422, [path])


async def test_a_status_of_an_unknown_member_is_received_so_that_it_is_not_sent_again(twilio: ProviderClient) -> None:
    answer = await twilio.twilio({**status("sent"), "regulars_profile": "C9"})
    assert (answer.status_code, error_paths(answer)) == (200, ["regulars_profile"])


@pytest.mark.parametrize(
    ("body", "query"),
    [(b"\xff\xfe", ""), (b"a=%ff", ""), (b"", "a=%ff"), (b"&".join([b"a=1"] * 201), ""), (b"", "a=1&" * 201)],
    ids=["bytes", "form", "query", "many", "many-in-query"],
)
async def test_malformed_parameters_are_rejected(twilio: ProviderClient, body: bytes, query: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": "AAAA"}
    answer = await twilio.post("twilio", body, headers, query)
    assert answer.status_code == 400
    assert "can't be read" in answer.json()["message"]


def test_only_a_plausible_token_can_be_set() -> None:
    assert TWILIO.validate_key(AUTH_TOKEN) == AUTH_TOKEN
    for other in ("", "short", "é" * 32, "a" * 16 + "\x7f"):
        with pytest.raises(ValueError, match="must be the auth token"):
            TWILIO.validate_key(other)
