"""The log of deliveries over HTTP: listed, sent again, tested, and expired."""

import asyncio
from typing import Any

import pytest

from clubs import Club
from regulars.core.public_addresses import parse_networks
from regulars.webhooks.client import WebhookClient
from regulars.webhooks.dispatcher import WebhookDispatcher, delete_expired
from webhook_receiver import OK, Receiver, http_response
from webhooks.webhook_calls import WEBHOOKS_URL, buy, create_profile, deliver, deliveries, listen, post


async def test_the_log_shows_each_delivery(club: Club, receiver: Receiver, dispatcher: WebhookDispatcher) -> None:
    made = await listen(club, receiver, "profile.created")
    profile_id = await create_profile(club)
    await deliver(club, dispatcher)
    (found,) = await deliveries(club, made["id"])
    (got,) = receiver.received
    assert found == {
        "id": found["id"],
        "webhook_id": made["id"],
        "event_id": got.id,
        "event_type": "profile.created",
        "occurred_at": "2026-11-01 00:00:00",
        "profile_id": profile_id,
        "status": "delivered",
        "attempts": 1,
        "first_attempt_at": "2026-11-01 00:00:00",
        "last_attempt_at": "2026-11-01 00:00:00",
        "next_attempt_at": None,
        "response_status": 200,
        "response_excerpt": "ok",
        "error": None,
        "payload": got.json,
        "created_at": "2026-11-01 00:00:00",
    }
    path = f"{WEBHOOKS_URL}/{made['id']}/deliveries/{found['id']}"
    assert (await club.http.get(path)).json()["data"] == found
    assert await deliveries(club, made["id"], status="pending") == []


async def test_unknown_webhooks_and_deliveries_are_not_found(club: Club, receiver: Receiver) -> None:
    made = (await listen(club, receiver, "profile.created"))["id"]
    for method, path in (
        ("GET", "/1/deliveries"),
        ("GET", f"/{made}/deliveries/1"),
        ("POST", f"/{made}/deliveries/1/resend"),
        ("POST", "/1/deliveries/1/resend"),
        ("POST", "/1/deliveries/resend"),
        ("POST", "/1/test"),
        ("POST", "/1/rotate-secret"),
    ):
        response = await club.http.request(method, f"{WEBHOOKS_URL}{path}", json={} if method == "POST" else None)
        assert response.status_code == 404, path


async def test_a_delivery_is_sent_again_under_its_id(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    made = await listen(club, receiver, "profile.created")
    await create_profile(club)
    await deliver(club, dispatcher)
    (found,) = await deliveries(club, made["id"])
    path = f"{WEBHOOKS_URL}/{made['id']}/deliveries/{found['id']}/resend"
    assert (await post(club, path, None))["status"] == "pending"
    await deliver(club, dispatcher)
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)
    (found,) = await deliveries(club, made["id"])
    assert (found["status"], found["attempts"]) == ("delivered", 2)


async def test_a_range_is_sent_again(club: Club, receiver: Receiver, dispatcher: WebhookDispatcher) -> None:
    made = await listen(club, receiver, "profile.created")
    profile_ids = []
    for _ in range(4):
        profile_ids.append(await create_profile(club))
        club.clock.advance(hours=1)
    await deliver(club, dispatcher)
    receiver.received.clear()
    path = f"{WEBHOOKS_URL}/{made['id']}/deliveries/resend"
    selected = {"from": "2026-11-01 01:00:00", "to": "2026-11-01 03:00:00", "status": "delivered"}
    assert await post(club, path, selected) == {"deliveries": 2}
    assert await post(club, path, {"status": "failed"}) == {"deliveries": 0}
    await deliver(club, dispatcher)
    assert [each.json["data"]["id"] for each in receiver.received] == profile_ids[1:3]
    assert await post(club, path, {}) == {"deliveries": 4}


@pytest.mark.parametrize(
    ("body", "path"), [({"from": "yesterday"}, "from"), ({"to": "1"}, "to"), ({"status": "lost"}, "status")]
)
async def test_an_invalid_range_is_rejected(club: Club, receiver: Receiver, body: Any, path: str) -> None:
    made = await listen(club, receiver, "profile.created")
    response = await club.http.post(f"{WEBHOOKS_URL}/{made['id']}/deliveries/resend", json=body)
    assert (response.status_code, path in response.text) == (422, True)


async def test_a_range_has_a_limit(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.model.webhook_deliveries.MAX_RESENT", 1)
    made = await listen(club, receiver, "profile.created")
    for _ in range(2):
        await create_profile(club)
    await deliver(club, dispatcher)
    response = await club.http.post(f"{WEBHOOKS_URL}/{made['id']}/deliveries/resend", json={})
    assert (response.status_code, "narrow the range" in response.text) == (422, True)


async def test_nothing_is_sent_again_to_an_inactive_webhook(club: Club, receiver: Receiver) -> None:
    made = await listen(club, receiver, "profile.created", is_active=False)
    response = await club.http.post(f"{WEBHOOKS_URL}/{made['id']}/deliveries/resend", json={})
    assert (response.status_code, "Activate it first" in response.text) == (422, True)


async def test_an_erased_payload_is_not_sent_again(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    made = await listen(club, receiver, "profile.*")
    profile_id = await create_profile(club, first_name="Ada")
    await deliver(club, dispatcher)
    await post(club, f"/api/v3/profiles/{profile_id}/depersonalise", None)
    await deliver(club, dispatcher)
    created, erased = await deliveries(club, made["id"])
    assert (created["payload"], created["profile_id"], created["response_excerpt"]) == (None, None, None)
    assert (erased["event_type"], erased["payload"]["data"]["first_name"]) == ("profile.depersonalised", None)
    response = await club.http.post(f"{WEBHOOKS_URL}/{made['id']}/deliveries/{created['id']}/resend")
    assert (response.status_code, "its payload is gone" in response.text) == (422, True)


async def test_a_test_event_is_sent_now(club: Club, receiver: Receiver) -> None:
    club.server._webhook_client = WebhookClient(parse_networks("127.0.0.0/8"))
    made = await listen(club, receiver, "profile.created", is_active=False)
    path = f"{WEBHOOKS_URL}/{made['id']}/test"
    sent = await post(club, path, None)
    (got,) = receiver.received
    assert (got.json["type"], got.json["data"]) == ("webhook.test", {"webhook_id": made["id"]})
    assert (sent["event_id"], sent["is_delivered"], sent["response_status"]) == (got.id, True, 200)
    receiver.respond = lambda request, writer: http_response(404, b"no such hook")
    failed = await post(club, path, None)
    assert (failed["is_delivered"], failed["response_excerpt"]) == (False, "no such hook")
    statuses = [(each["id"], each["status"]) for each in await deliveries(club, made["id"])]
    assert statuses == [(sent["delivery_id"], "delivered"), (failed["delivery_id"], "failed")]
    receiver.respond = lambda request, writer: OK


async def test_a_test_event_is_sent_to_public_addresses_only(club: Club, receiver: Receiver) -> None:
    made = await listen(club, receiver, "profile.created")
    sent = await post(club, f"{WEBHOOKS_URL}/{made['id']}/test", None)
    assert sent["error"] == "127.0.0.1 has no public address."
    assert receiver.connections == 0


async def test_a_deleted_webhook_has_no_deliveries(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    made = await listen(club, receiver, "profile.created")
    await create_profile(club)
    await deliver(club, dispatcher)
    await create_profile(club)
    await club.http.delete(f"{WEBHOOKS_URL}/{made['id']}")
    await deliver(club, dispatcher)
    assert len(receiver.received) == 1
    async with club.database.read_transaction(club.community.id) as scope:
        for table in ("webhook_deliveries", "webhook_leases", "webhook_events"):
            assert await scope.fetchval(f"SELECT count(*) FROM {table} WHERE community_id = $1", club.community.id) == 0


async def test_the_log_expires(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.webhooks.queue.RETENTION_BATCH", 2)
    made = await listen(club, receiver, "profile.created")
    for _ in range(5):
        await create_profile(club)
    await deliver(club, dispatcher)
    club.clock.advance(days=4)
    await create_profile(club)
    await deliver(club, dispatcher)
    club.clock.advance(days=4)
    assert await delete_expired(club.database, 7, club.community.id) == 5
    assert len(await deliveries(club, made["id"])) == 1


async def test_the_loop_delivers_what_its_process_commits(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    await listen(club, receiver, "transaction.created")
    profile_id = await create_profile(club)
    stopping = asyncio.Event()
    running = asyncio.create_task(dispatcher.run(stopping))
    for total in (1, 2, 3):
        await buy(club, profile_id, total)
    await receiver.wait_for(3)
    stopping.set()
    await running
    assert [each.json["data"]["total"] for each in receiver.received] == [1, 2, 3]


async def test_undelivered_deliveries_do_not_keep_the_others_from_expiring(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.webhooks.queue.RETENTION_BATCH", 2)
    receiver.respond = lambda request, writer: http_response(500 if request.path == "/failing" else 200)
    failing = await listen(club, receiver, "profile.created", url=receiver.url.replace("/hook", "/failing"))
    for _ in range(3):
        await create_profile(club)
    await deliver(club, dispatcher)
    made = await listen(club, receiver, "profile.updated")
    profile_id = await create_profile(club)
    for name in ("A", "B", "C"):
        await club.http.put(f"/api/v3/profiles/{profile_id}", json={"first_name": name})
    await deliver(club, dispatcher)
    club.clock.advance(days=8)
    assert await delete_expired(club.database, 7, club.community.id) == 3
    assert await deliveries(club, made["id"]) == []
    assert len(await deliveries(club, failing["id"])) == 4


async def test_an_active_webhook_loses_nothing_undelivered(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    receiver.respond = lambda request, writer: http_response(500)
    made = await listen(club, receiver, "profile.created")
    await create_profile(club)
    await deliver(club, dispatcher)
    club.clock.advance(days=8)
    assert await delete_expired(club.database, 7, club.community.id) == 0
    await club.http.put(f"{WEBHOOKS_URL}/{made['id']}", json={"is_active": False})
    assert await delete_expired(club.database, 7, club.community.id) == 1
