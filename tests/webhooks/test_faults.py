"""Receivers that fail: deliveries are repeated under the same id, in order, and hold up nothing else."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from clubs import Club
from regulars.model import events
from regulars.model.events import Event
from regulars.webhooks import client as client_module
from regulars.webhooks import queue, worker
from regulars.webhooks.client import WebhookClient
from regulars.webhooks.dispatcher import WebhookDispatcher
from regulars.webhooks.matching import match_events
from webhook_receiver import OK, Received, Receiver, Respond, Writer, http_response, receiving
from webhooks.webhook_calls import WEBHOOKS_URL, buy, create_profile, deliver, deliveries, listen, webhook


def fail_first(count: int) -> Respond:
    """Answers the first requests with status 500."""
    remaining = iter(range(count))
    return lambda request, writer: OK if next(remaining, None) is None else http_response(500, b"try later")


def totals(receiver: Receiver, profile_id: str) -> list[int]:
    """The totals of the transactions of a profile, in the order of their arrival."""
    data = [each.json["data"] for each in receiver.received]
    return [each["total"] for each in data if each["profile_id"] == profile_id]


async def test_a_failed_delivery_is_repeated_under_the_same_id(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    receiver.respond = fail_first(1)
    made = await listen(club, receiver, "profile.*")
    await create_profile(club)
    await deliver(club, dispatcher)
    (failed,) = await deliveries(club, made["id"])
    assert (failed["status"], failed["attempts"], failed["response_status"]) == ("pending", 1, 500)
    assert (failed["response_excerpt"], failed["error"]) == ("try later", "The receiver responds with status 500.")
    await deliver(club, dispatcher)
    assert len(receiver.received) == 1
    club.clock.advance(seconds=6)
    await deliver(club, dispatcher)
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 6
    (delivered,) = await deliveries(club, made["id"])
    assert (delivered["status"], delivered["attempts"], delivered["next_attempt_at"]) == ("delivered", 2, None)


async def test_a_failed_delivery_holds_back_its_profile_only(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    failing = await create_profile(club)
    other = await create_profile(club)
    receiver.respond = lambda request, writer: (
        http_response(500) if request.json["data"]["profile_id"] == failing else OK
    )
    await listen(club, receiver, "transaction.created")
    sent = [await buy(club, profile_id, total) for total in (1, 2, 3) for profile_id in (failing, other)]
    await deliver(club, dispatcher)
    assert (totals(receiver, failing), totals(receiver, other)) == ([1], [1, 2, 3])
    receiver.respond = lambda request, writer: OK
    receiver.received.clear()
    # A later event waits, too.
    sent.append(await buy(club, failing, 4))
    await deliver(club, dispatcher)
    assert receiver.received == []
    club.clock.advance(seconds=7)
    await deliver(club, dispatcher)
    await deliver(club, dispatcher)
    assert [each.json["data"]["total"] for each in receiver.received] == [1, 2, 3, 4]


async def test_a_receiver_that_fails_for_a_day_gets_everything_in_order(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    receiver.respond = lambda request, writer: http_response(500)
    made = await listen(club, receiver, "transaction.created")
    profiles = [await create_profile(club) for _ in range(3)]
    for hour in range(25):
        await buy(club, profiles[hour % 3], hour + 1)
        await deliver(club, dispatcher)
        club.clock.advance(hours=1)
    assert (await webhook(club, made["id"]))["is_active"]
    # A failing receiver is not flooded: it gets a few attempts an hour.
    assert len(receiver.received) < 75
    receiver.respond = lambda request, writer: OK
    receiver.received.clear()
    for _ in range(14):
        club.clock.advance(hours=1)
        await deliver(club, dispatcher)
    assert [totals(receiver, each) for each in profiles] == [list(range(first, 26, 3)) for first in (1, 2, 3)]
    assert {each["status"] for each in await deliveries(club, made["id"])} == {"delivered"}


async def test_after_three_days_the_webhook_is_disabled_and_continues_once_it_is_active(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    receiver.respond = lambda request, writer: http_response(503)
    made = await listen(club, receiver, "transaction.created")
    profile_id = await create_profile(club)
    for total in (1, 2):
        await buy(club, profile_id, total)
    for _ in range(13):
        await deliver(club, dispatcher)
        club.clock.advance(hours=7)
    found = await webhook(club, made["id"])
    assert found["is_active"] is False
    assert found["disabled_at"] > "2026-11-04"
    assert "failed for 3 days. The receiver responds with status 503." in found["disabled_reason"]
    # Nothing is recorded or sent while it is disabled.
    await buy(club, profile_id, 3)
    receiver.respond = lambda request, writer: OK
    receiver.received.clear()
    await deliver(club, dispatcher)
    assert receiver.received == []
    active = (await club.http.put(f"{WEBHOOKS_URL}/{made['id']}", json={"is_active": True})).json()["data"]
    assert (active["disabled_at"], active["disabled_reason"]) == (None, None)
    await deliver(club, dispatcher)
    assert [each.json["data"]["total"] for each in receiver.received] == [1, 2]


async def test_a_receiver_that_is_gone_is_disabled_immediately(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    receiver.respond = lambda request, writer: http_response(410)
    made = await listen(club, receiver, "profile.*")
    await create_profile(club)
    await deliver(club, dispatcher)
    assert "410" in (await webhook(club, made["id"]))["disabled_reason"]


@pytest.mark.parametrize(("retry_after", "seconds"), [("120", 120), ("0", 1), ("99999999", 43_200)])
async def test_the_receiver_may_name_the_time_of_the_next_attempt(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher, retry_after: str, seconds: int
) -> None:
    receiver.respond = lambda request, writer: http_response(429, b"", **{"Retry-After": retry_after})
    made = await listen(club, receiver, "profile.*")
    await create_profile(club)
    await deliver(club, dispatcher)
    (failed,) = await deliveries(club, made["id"])
    expected = club.clock.at + timedelta(seconds=seconds)
    assert failed["next_attempt_at"] == expected.strftime("%Y-%m-%d %H:%M:%S")


async def test_a_retry_after_beyond_all_dates_has_the_usual_delay(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    header = {"Retry-After": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}
    receiver.respond = lambda request, writer: http_response(503, b"", **header)
    made = await listen(club, receiver, "profile.*")
    await create_profile(club)
    for _ in range(2):
        await deliver(club, dispatcher)
    assert len(receiver.received) == 1
    (failed,) = await deliveries(club, made["id"])
    assert (failed["status"], failed["attempts"], failed["response_status"]) == ("pending", 1, 503)


@pytest.mark.parametrize("failing", ["client", "Retry-After"])
async def test_an_attempt_that_fails_unexpectedly_is_repeated_with_a_delay(
    club: Club,
    receiver: Receiver,
    client: WebhookClient,
    dispatcher: WebhookDispatcher,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("it fails \udcff\0")

    receiver.respond = lambda request, writer: http_response(503)
    made = await listen(club, receiver, "profile.*")
    await create_profile(club)
    if failing == "client":
        monkeypatch.setattr(client, "_send", fail)
    else:
        monkeypatch.setattr(worker, "parse_retry_after", fail)
    for attempts in (1, 2):
        for _ in range(2):
            await deliver(club, dispatcher)
        (failed,) = await deliveries(club, made["id"])
        assert (failed["status"], failed["attempts"]) == ("pending", attempts)
        assert failed["error"].startswith("RuntimeError: it fails")
        club.clock.advance(seconds=7)


async def test_a_cancelled_attempt_has_no_outcome(
    club: Club, receiver: Receiver, client: WebhookClient, dispatcher: WebhookDispatcher
) -> None:
    never = asyncio.Event()

    async def hang(request: Received, writer: Writer) -> None:
        await never.wait()

    receiver.respond = hang
    async with asyncio.timeout(20):
        sending = asyncio.create_task(client.send(receiver.url, {}, b"{}"))
        await receiver.wait_for(1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    never.set()


async def test_a_redirect_is_not_followed(club: Club, receiver: Receiver, dispatcher: WebhookDispatcher) -> None:
    async with receiving() as target:
        receiver.respond = lambda request, writer: http_response(307, Location=target.url)
        made = await listen(club, receiver, "profile.*")
        await create_profile(club)
        await deliver(club, dispatcher)
        assert target.connections == 0
    (failed,) = await deliveries(club, made["id"])
    assert "redirect (307)" in failed["error"]


async def test_a_receiver_that_closes_the_connection_fails(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    receiver.respond = lambda request, writer: None
    made = await listen(club, receiver, "profile.*")
    await create_profile(club)
    await deliver(club, dispatcher)
    (failed,) = await deliveries(club, made["id"])
    assert (failed["status"], failed["response_status"]) == ("pending", None)
    assert "ServerDisconnectedError" in failed["error"]


async def test_a_receiver_that_does_not_listen_fails(club: Club, dispatcher: WebhookDispatcher) -> None:
    async with receiving() as closed:
        pass
    made = await listen(club, closed, "profile.*")
    await create_profile(club)
    await deliver(club, dispatcher)
    (failed,) = await deliveries(club, made["id"])
    assert "Connect" in failed["error"]


async def test_a_response_of_two_gigabytes_is_cut_off(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    written = 0

    async def flood(request: Received, writer: Writer) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            written += 65_536

    receiver.respond = flood
    made = await listen(club, receiver, "profile.*")
    await create_profile(club)
    await deliver(club, dispatcher)
    (delivered,) = await deliveries(club, made["id"])
    # The status is what counts. What the kernel had buffered was sent as well.
    assert (delivered["status"], len(delivered["response_excerpt"])) == ("delivered", 1_024)
    assert written < 20_000_000


@pytest.mark.slow
async def test_a_receiver_that_hangs_delays_no_other_webhook(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "TIMEOUT_SECONDS", 0.4)
    released = asyncio.Event()

    async def hang(request: Received, writer: Writer) -> None:
        await released.wait()

    async with AsyncExitStack() as stack:
        hanging = await stack.enter_async_context(receiving(hang))
        slow = [await listen(club, hanging, "profile.*") for _ in range(3)]
        await listen(club, receiver, "profile.*")
        for _ in range(20):
            await create_profile(club)
        await dispatcher.dispatch(club.community.id)
        await receiver.wait_for(20)
        assert all(each["status"] == "pending" for each in await deliveries(club, slow[0]["id"]))
        await dispatcher.finish()
        (first, *_) = await deliveries(club, slow[0]["id"], attempts=1)
        assert first["error"] == "No response within 0 seconds."
        released.set()


async def test_a_response_that_drips_counts_by_its_status(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "TIMEOUT_SECONDS", 0.5)

    def drip(beginning: bytes) -> Respond:
        async def respond(request: Received, writer: Writer) -> None:
            writer.write(beginning)
            for _ in range(40):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)

        return respond

    made = await listen(club, receiver, "profile.*")
    for beginning in (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Slow: "):
        receiver.respond = drip(beginning)
        await create_profile(club)
        await deliver(club, dispatcher)
    assert [each["status"] for each in await deliveries(club, made["id"])] == ["delivered", "pending"]


# Several processes ------------------------------------------------------------------------------------


async def test_a_delivery_is_sent_again_if_the_process_dies_before_it_is_recorded(
    club: Club, receiver: Receiver, client: WebhookClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await listen(club, receiver, "profile.*")
    await create_profile(club)
    killed = WebhookDispatcher(club.database, client)
    monkeypatch.setattr(queue, "record", lambda *arguments: asyncio.Event().wait())
    await killed.dispatch(club.community.id)
    await receiver.wait_for(1)
    monkeypatch.undo()
    for _, task in killed._workers.values():
        task.cancel()
    await asyncio.sleep(0)
    successor = WebhookDispatcher(club.database, client)
    await deliver(club, successor)
    assert len(receiver.received) == 1, "the lease of the other process has not ended"
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute("UPDATE webhook_leases SET expires_at = now() WHERE community_id = $1", club.community.id)
    await deliver(club, successor)
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)
    (delivered,) = await deliveries(club, made["id"])
    assert delivered["status"] == "delivered"


async def test_two_processes_send_each_delivery_once(club: Club, receiver: Receiver, client: WebhookClient) -> None:
    await listen(club, receiver, "transaction.created")
    profiles = [await create_profile(club) for _ in range(5)]
    for total in range(60):
        await buy(club, profiles[total % 5], total + 1)
    both = [WebhookDispatcher(club.database, client) for _ in range(2)]
    for _ in range(20):
        await asyncio.gather(*(deliver(club, each) for each in both))
    assert [totals(receiver, each) for each in profiles] == [list(range(first, 61, 5)) for first in range(1, 6)]


async def test_one_process_matches_the_events_of_a_community_at_a_time(club: Club, receiver: Receiver) -> None:
    await listen(club, receiver, "profile.*")
    await create_profile(club)
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.fetchval("SELECT pg_advisory_xact_lock(hashtext('regulars.webhook_events'), $1)", club.community.id)
        assert (await match_events(club.database, club.community.id)).events == 0
    assert (await match_events(club.database, club.community.id)).events == 1
    assert (await match_events(club.database, club.community.id)).events == 0


async def test_an_event_whose_payload_cant_be_built_does_not_hold_up_the_others(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    made = await listen(club, receiver, "*", condition={"==": [{"var": "type"}, "transaction.created"]})
    profile_id = await create_profile(club)
    totals_sent = [1, 2, 3]
    for total in totals_sent:
        await buy(club, profile_id, total)
        async with club.database.write_transaction(club.community.id) as scope:
            # As if an earlier release had stored it differently.
            await events.store(scope, [Event("aggregation.changed", UUID(profile_id), None, {"before": 1})])
    await deliver(club, dispatcher)
    assert totals(receiver, profile_id) == totals_sent
    failed = [each for each in await deliveries(club, made["id"]) if each["status"] == "failed"]
    assert [(each["event_type"], each["payload"], each["next_attempt_at"]) for each in failed] == [
        ("aggregation.changed", None, None)
    ] * 3
    assert failed[0]["error"].startswith("The payload can't be built: KeyError.")


_ACCUMULATOR = {"var": "accumulator"}
TOO_COMPLEX = [
    {"cat": [{"reduce": [[0] * 40, [_ACCUMULATOR, _ACCUMULATOR], "x"]}]},
    {"cat": [{"reduce": [[0] * 700, [_ACCUMULATOR], "x"]}]},
]
"""A text of 2^40 parts, and one of a list that is nested 700 deep."""


@pytest.mark.parametrize("condition", TOO_COMPLEX, ids=["shared", "deep"])
async def test_a_condition_that_is_too_complex_is_not_met_and_stops_no_other_webhook(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher, condition: Any
) -> None:
    limited = await listen(club, receiver, "profile.*", condition=condition)
    other = await listen(club, receiver, "profile.*")
    await create_profile(club)
    await deliver(club, dispatcher)
    assert await deliveries(club, limited["id"]) == []
    assert [each["status"] for each in await deliveries(club, other["id"])] == ["delivered"]


async def test_an_error_of_the_database_fails_no_payload(
    club: Club, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await listen(club, receiver, "profile.*")
    await create_profile(club)

    async def fail(*arguments: object) -> dict[UUID, object]:
        raise asyncpg.QueryCanceledError("canceling statement due to statement timeout")

    with monkeypatch.context() as patched:
        patched.setattr("regulars.webhooks.payloads.read_current", fail)
        with pytest.raises(asyncpg.QueryCanceledError):
            await match_events(club.database, club.community.id)
    await match_events(club.database, club.community.id)
    assert [each["status"] for each in await deliveries(club, made["id"])] == ["pending"]
