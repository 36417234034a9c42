"""Property test: every signed request is processed or rejected with a reason, and never partly stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clubs import Club
from hypothesis_settings import property_test
from ingest.provider_client import AUTH_TOKEN, SIGNING_KEY, TOPIC, ProviderClient, outcome_counts, verification_key
from regulars.ingest.providers.registry import PROVIDERS_BY_NAME

_TEXTS = st.text(max_size=20) | st.sampled_from(["autumn", "C1", "\0", "x" * 300, "2026-10-31T09:00:00Z", "1793437202"])
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS
_ANYTHING = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3), max_leaves=6
)


def _objects(kinds: list[str], kind: str, *names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Objects whose fields are there or not, with anything in them, and mostly of a kind that there is."""
    fields: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(names, _ANYTHING)
    return st.fixed_dictionaries({kind: st.sampled_from(kinds) | _ANYTHING}, optional=fields)


_KINDS = {name: [each.split()[0] for each in provider.event_types] for name, provider in PROVIDERS_BY_NAME.items()}
_NAMES = ("regulars_sending", "regulars_profile", "regulars_dispatch")
_SENDGRID = _objects(
    _KINDS["sendgrid"], "event", "timestamp", "sg_event_id", "sg_message_id", "sg_machine_open", *_NAMES
)
_MAILGUN = _objects(
    _KINDS["mailgun"],
    *("event", "id", "timestamp", "severity", "reason", "recipient", "message", "user-variables", "client-info"),
)
_SES = _objects(_KINDS["ses"], "eventType", "mail", "delivery", "bounce", "complaint", "subscription", "open")


@pytest.fixture
async def provider_client(club: Club) -> ProviderClient:
    """All providers are set up."""
    client = ProviderClient(club)
    keys = {"ses": TOPIC, "sendgrid": verification_key(), "mailgun": SIGNING_KEY, "twilio": AUTH_TOKEN}
    for name, key in keys.items():
        await client.set_up(name, key)
    return client


@property_test(25)
@given(
    batch=st.lists(_SENDGRID | _ANYTHING, max_size=5),
    event=_MAILGUN | _ANYTHING,
    record=_SES | _ANYTHING,
    parameters=st.dictionaries(st.sampled_from(["MessageSid", "MessageStatus", *_NAMES]) | _TEXTS, _TEXTS, max_size=4),
)
async def test_any_signed_body_gets_a_regular_response(
    provider_client: ProviderClient, batch: list[Any], event: Any, record: Any, parameters: dict[str, str]
) -> None:
    before = len(await provider_client.stored_events())
    answers = [
        await provider_client.sendgrid(batch),
        await provider_client.mailgun(event),
        await provider_client.sns(provider_client.envelope(json.dumps(record))),
        await provider_client.twilio(parameters),
    ]
    assert all(answer.status_code in (200, 406, 422) for answer in answers), [answer.text for answer in answers]
    accepted = sum(outcome_counts(answer).get("accepted", 0) for answer in answers)
    assert len(await provider_client.stored_events()) == before + accepted
    assert sum(outcome_counts(answers[0]).values()) == len(batch)
