"""Deliveries arrive: signed, in order for each profile, with the values that they promise."""

import hashlib
import hmac
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from structlog.testing import capture_logs

from clubs import Club
from regulars.jobs.refresh_due import refresh_community
from regulars.model import events
from regulars.model.events import EVENT_TYPES, Event
from regulars.webhooks import matching
from regulars.webhooks.dispatcher import WebhookDispatcher
from webhook_receiver import Receiver
from webhooks.webhook_calls import WEBHOOKS_URL, buy, create_profile, deliver, deliveries, listen, post

CROSSING = {"and": [{"<": [{"var": "old.spend_12m"}, 1000]}, {">=": [{"var": "new.spend_12m"}, 1000]}]}


async def test_a_profile_is_delivered_with_its_values(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    await listen(club, receiver, "profile.created")
    profile_id = await create_profile(club, first_name="Ada", email="ada@example.com")
    await deliver(club, dispatcher)
    (got,) = receiver.received
    assert got.json["type"] == "profile.created"
    assert got.json["timestamp"] == "2026-11-01T00:00:00.000Z"
    assert got.json["id"] == got.id
    shown = (await club.http.get(f"/api/v3/profiles/{profile_id}")).json()["data"]
    values = (await club.http.get(f"/api/v3/profiles/{profile_id}/aggregations")).json()["data"]
    assert got.json["data"] == shown | {"aggregations": values}


async def test_a_transaction_is_delivered_with_the_values_of_its_profile(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    await listen(club, receiver, "transaction.*")
    profile_id = await create_profile(club)
    transaction_id, anonymous = await buy(club, profile_id), await buy(club, None)
    await deliver(club, dispatcher)
    by_id = {each.json["data"]["id"]: each.json["data"] for each in receiver.received}
    shown = (await club.http.get(f"/api/v3/transactions/{transaction_id}")).json()["data"]
    values = (await club.http.get(f"/api/v3/profiles/{profile_id}/aggregations")).json()["data"]
    assert by_id[transaction_id] == shown | {"aggregations": values}
    assert by_id[anonymous]["aggregations"] is None


async def test_a_change_has_the_old_and_new_values(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    await listen(club, receiver, "aggregation.changed")
    shop = await post(club, "/api/v3/locations", {"external_id": "1", "name": "Oslo", "country": "NOR"})
    profile_id = await create_profile(club)
    await buy(club, profile_id, 99.95, location_id=shop["id"])
    await deliver(club, dispatcher)
    created, bought = [each.json["data"] for each in receiver.received]
    assert created["cause"] == "profile.created"
    assert set(created["old"].values()) == {None}
    assert (bought["cause"], bought["profile_id"]) == ("transaction.created", profile_id)
    assert (bought["old"]["spend_12m"], bought["new"]["spend_12m"]) == (0, 99.95)
    assert bought["old"].keys() == bought["new"].keys()
    # Every kind of value is as the API shows it: amounts, times, percentages, locations.
    assert {name: bought["aggregations"][name] for name in bought["new"]} == bought["new"]


async def test_a_change_by_the_clock_is_delivered(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    await listen(club, receiver, "aggregation.changed")
    await buy(club, await create_profile(club))
    await deliver(club, dispatcher)
    receiver.received.clear()
    club.clock.advance(days=400)
    await refresh_community(club.database, club.community.id, lambda: False)
    await deliver(club, dispatcher)
    (got,) = receiver.received
    assert got.json["data"]["cause"] == "clock"
    assert (got.json["data"]["old"]["spend_12m_now"], got.json["data"]["new"]["spend_12m_now"]) == (100, 0)
    assert "spend_12m" not in got.json["data"]["new"]


async def test_a_condition_selects_a_crossing(club: Club, receiver: Receiver, dispatcher: WebhookDispatcher) -> None:
    await listen(club, receiver, "aggregation.changed", condition=CROSSING)
    profile_id = await create_profile(club)
    for total in (600, 500, 700):
        await buy(club, profile_id, total)
    await deliver(club, dispatcher)
    assert [each.json["data"]["new"]["spend_12m"] for each in receiver.received] == [1100]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"==": [{"var": "first_name"}, "Ada"]}, True),
        ({"==": [{"var": "profile.first_name"}, "Ada"]}, True),
        ({"in": [{"var": "aggregations.dimension_join"}, ["JN"]]}, True),
        ({"not_in": [{"var": "profile.gender"}, ["female"]]}, False),
        ({"==": [{"var": "type"}, "profile.created"]}, True),
        (False, False),
        (
            {"reduce": [{"var": "identities"}, {"cat": [{"var": "accumulator"}, {"var": "accumulator"}]}, "x" * 200]},
            False,
        ),
    ],
)
async def test_a_condition_reads_the_profile_and_its_values(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher, condition: Any, expected: bool
) -> None:
    await listen(club, receiver, "profile.created", condition=condition)
    cards = [{"handle": "card", "identifier": str(number)} for number in range(12)]
    await create_profile(club, first_name="Ada", gender="female", identities=cards)
    await deliver(club, dispatcher)
    assert bool(receiver.received) is expected


async def test_a_condition_that_fails_holds_up_no_other_webhook(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(condition: object, data: object) -> None:
        raise RuntimeError(condition)

    monkeypatch.setattr(matching, "evaluate", fail)
    await listen(club, receiver, "profile.created", condition={"==": [1, 1]})
    await listen(club, receiver, "profile.*")
    await create_profile(club)
    with capture_logs() as logs:
        await deliver(club, dispatcher)
    assert len(receiver.received) == 1
    assert "webhook.condition_failed" in {each["event"] for each in logs}


async def test_conditions_read_transactions_segments_and_exports(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    for trigger, variable in (("transaction.*", "transaction.total"), ("export.*", "export.rows")):
        await listen(club, receiver, trigger, condition={">": [{"var": variable}, 50]})
    await listen(club, receiver, "segment.*", condition={"==": [{"var": "segment.segment"}, "at-risk"]})
    profile_id = await create_profile(club)
    for total in (40, 60):
        await buy(club, profile_id, total)
    async with club.database.write_transaction(club.community.id) as scope:
        recorded = [Event("export.completed", subject_id=str(rows), data={"rows": rows}) for rows in (40, 60)]
        recorded += [Event("segment.entered", None, name, {"segment": name}) for name in ("loyal", "at-risk")]
        await events.record(scope, recorded)
    await deliver(club, dispatcher)
    deliveries = [each.json["data"] for each in receiver.received]
    assert [each["total"] for each in deliveries if "total" in each] == [60]
    # Only the deliveries of one webhook have an order.
    others = [each for each in deliveries if "total" not in each]
    assert len(others) == 2
    assert {"rows": 60} in others
    assert {"segment": "at-risk"} in others


async def test_a_segment_event_has_the_values_of_the_member(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    await listen(club, receiver, "segment.*")
    profile_id = await create_profile(club)
    async with club.database.write_transaction(club.community.id) as scope:
        await events.record(scope, [Event("segment.left", UUID(profile_id), "at-risk", {"segment": "at-risk"})])
    await deliver(club, dispatcher)
    (got,) = receiver.received
    assert (got.json["data"]["segment"], got.json["data"]["profile_id"]) == ("at-risk", profile_id)
    assert got.json["data"]["aggregations"]["spend_12m"] == 0


async def test_a_merge_names_the_profile_that_was_merged(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    await listen(club, receiver, "profile.merged")
    source, destination = await create_profile(club), await create_profile(club)
    await post(club, "/api/v3/profiles/merge", {"source_profile_id": source, "destination_profile_id": destination})
    await deliver(club, dispatcher)
    (got,) = receiver.received
    assert (got.json["data"]["id"], got.json["data"]["merged_profile_id"]) == (destination, source)


async def test_only_the_deletion_of_what_no_longer_exists_is_delivered(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    await listen(club, receiver, "*")
    profile_id = await create_profile(club, first_name="Ada")
    transaction_id = await buy(club, profile_id)
    await club.http.delete(f"/api/v3/transactions/{transaction_id}")
    await club.http.delete(f"/api/v3/profiles/{profile_id}/purge")
    await deliver(club, dispatcher)
    assert [each.json["data"] for each in receiver.received] == [{"id": profile_id, "is_purged": True}]


async def test_a_caller_does_not_receive_its_own_writes(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    own = await listen(club, receiver, "*", namespace="crm")
    other = await listen(club, receiver, "*", namespace="till")
    await create_profile(club, {"X-Namespace": "crm"})
    await deliver(club, dispatcher)
    assert await deliveries(club, own["id"]) == []
    assert [each["event_type"] for each in await deliveries(club, other["id"])] == [
        "profile.created",
        "aggregation.changed",
    ]


async def test_two_webhooks_get_an_event_under_the_same_id(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    first, second = await listen(club, receiver, "profile.*"), await listen(club, receiver, "*")
    await create_profile(club)
    await deliver(club, dispatcher)
    ids = [{each["event_id"] for each in await deliveries(club, found["id"])} for found in (first, second)]
    assert ids[0] < ids[1]
    assert len(ids[0]) == 1


async def test_the_library_of_standard_webhooks_verifies_a_delivery(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    club.clock.at = datetime.now(UTC)
    secret = (await listen(club, receiver, "profile.*"))["secret"]
    await create_profile(club)
    await deliver(club, dispatcher)
    (got,) = receiver.received
    assert Webhook(secret).verify(got.body, dict(got.headers)) == got.json
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(got.body + b" ", dict(got.headers))
    legacy = hmac.new(secret.encode(), got.body, hashlib.sha256).hexdigest()
    assert got.headers["x-omneo-hmac-sha256"] == legacy


async def test_both_secrets_verify_until_the_previous_one_expires(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    club.clock.at = datetime.now(UTC)
    made = await listen(club, receiver, "profile.*")
    rotated = await post(club, f"{WEBHOOKS_URL}/{made['id']}/rotate-secret", {"previous_valid_seconds": 60})
    assert rotated["secret"] != made["secret"]
    await create_profile(club)
    await deliver(club, dispatcher)
    club.clock.advance(seconds=61)
    await create_profile(club)
    await deliver(club, dispatcher)
    before, after = receiver.received
    for secret in (made["secret"], rotated["secret"]):
        Webhook(secret).verify(before.body, dict(before.headers))
    Webhook(rotated["secret"]).verify(after.body, dict(after.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(made["secret"]).verify(after.body, dict(after.headers))


def test_every_type_of_event_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
    documented = re.findall(r"^\| `(\w+\.\w+)` \|", page, re.MULTILINE)
    assert documented == list(EVENT_TYPES)
