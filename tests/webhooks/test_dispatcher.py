"""The delivery of a process: it goes on after errors, and treats communities fairly."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from clubs import Club
from regulars.model import events
from regulars.model.events import Event
from regulars.settings import SettingError, Settings
from regulars.storage.database import Scope
from regulars.webhooks import dispatcher as dispatcher_module
from regulars.webhooks import queue, worker
from regulars.webhooks.client import WebhookClient
from regulars.webhooks.dispatcher import WebhookDispatcher, allowed_networks
from regulars.webhooks.matching import match_events
from webhook_receiver import OK, Received, Receiver, Writer, http_response
from webhooks.webhook_calls import buy, create_profile, deliver, deliveries, listen, webhook


async def record(club: Club, *recorded: Event) -> None:
    async with club.database.write_transaction(club.community.id) as scope:
        await events.store(scope, recorded)


def test_the_setting_of_networks_is_checked() -> None:
    with pytest.raises(SettingError, match="webhook_allowed_networks is 'here'"):
        allowed_networks(Settings(webhook_allowed_networks="here"))


async def test_the_poll_finds_events_and_deliveries_that_other_processes_left(
    club: Club, other_club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    for each in (club, other_club):
        await listen(each, receiver, "profile.*")
        await create_profile(each)
    events.take_announced()
    await dispatcher._poll(lambda: False)
    await dispatcher.finish()
    assert len(receiver.received) == 2
    await create_profile(club)
    await dispatcher._poll(lambda: True)
    assert len(receiver.received) == 2


async def test_an_error_of_one_community_does_not_stop_the_others(
    club: Club,
    other_club: Club,
    receiver: Receiver,
    dispatcher: WebhookDispatcher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for each in (club, other_club):
        await listen(each, receiver, "profile.*")
        await create_profile(each)

    async def failing(database: Any, community_id: int) -> Any:
        if community_id == club.community.id:
            raise RuntimeError("it fails")
        return await match_events(database, community_id)

    monkeypatch.setattr(dispatcher_module, "match_events", failing)
    await dispatcher._poll(lambda: False)
    await dispatcher.finish()
    assert len(receiver.received) == 1


async def test_a_community_with_many_events_lets_others_go_first(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.webhooks.matching.BATCH_EVENTS", 2)
    await listen(club, receiver, "export.*")
    await record(club, *(Event("export.completed", subject_id=str(number), data={}) for number in range(3)))
    events.take_announced()
    await dispatcher.match(club.community.id)
    assert events.has_announced()
    await dispatcher.finish()
    assert len(receiver.received) == 2
    stopping = asyncio.Event()
    running = asyncio.create_task(dispatcher.run(stopping))
    await receiver.wait_for(3)
    stopping.set()
    await running


async def test_slow_conditions_let_other_communities_go_first(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.webhooks.matching.MATCH_SECONDS", 0)
    await listen(club, receiver, "export.*", condition={"==": [{"var": "type"}, "export.completed"]})
    await record(club, *(Event("export.completed", subject_id=str(number), data={}) for number in range(3)))
    found = [await match_events(club.database, club.community.id) for _ in range(4)]
    assert [(each.events, each.has_more) for each in found] == [(1, True), (1, True), (1, False), (0, False)]
    await deliver(club, dispatcher)
    assert len(receiver.received) == 3


async def test_a_process_serves_requests_between_conditions(
    club: Club, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await listen(club, receiver, "export.*", condition=True)
    await record(club, *(Event("export.completed", subject_id=str(number), data={}) for number in range(3)))
    turns = 0

    async def request() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    evaluated: list[int] = []
    monkeypatch.setattr("regulars.webhooks.matching.evaluate", lambda *arguments: evaluated.append(turns))
    requests = asyncio.create_task(request())
    await match_events(club.database, club.community.id)
    requests.cancel()
    assert len(set(evaluated)) == 3


async def test_outcomes_are_recorded_once_the_database_is_back(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MAX_WAIT_SECONDS", 0.01)
    made = await listen(club, receiver, "profile.*")
    await create_profile(club)
    record_outcomes, failures = queue.record, iter(range(2))

    async def failing(*arguments: Any) -> None:
        if next(failures, None) is not None:
            raise OSError("the database is away")
        await record_outcomes(*arguments)

    monkeypatch.setattr(queue, "record", failing)
    await deliver(club, dispatcher)
    assert len(receiver.received) == 1
    (found,) = await deliveries(club, made["id"])
    assert found["status"] == "delivered"


async def test_a_worker_that_fails_is_replaced(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await listen(club, receiver, "profile.*")
    await create_profile(club)

    async def failing(*arguments: Any) -> None:
        raise RuntimeError("it fails")

    with monkeypatch.context() as patched:
        patched.setattr(queue, "release", failing)
        await deliver(club, dispatcher)
    await create_profile(club)
    await deliver(club, dispatcher)
    assert len(receiver.received) == 2


async def test_a_delivery_that_comes_while_the_worker_ends_is_sent(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await listen(club, receiver, "profile.*")
    await create_profile(club)
    release, released = queue.release, asyncio.Event()

    async def slow(scope: Scope, webhook_id: int, owner: UUID) -> None:
        if not released.is_set():
            released.set()
            await create_profile(club)
            await dispatcher.match(club.community.id)
        await release(scope, webhook_id, owner)

    monkeypatch.setattr(queue, "release", slow)
    await deliver(club, dispatcher)
    assert len(receiver.received) == 2


async def test_a_stop_finishes_running_attempts_only(club: Club, receiver: Receiver, client: WebhookClient) -> None:
    proceed = asyncio.Event()

    async def slow(request: Received, writer: Writer) -> bytes:
        await proceed.wait()
        return OK

    receiver.respond = slow
    made = await listen(club, receiver, "transaction.created")
    profile_id = await create_profile(club)
    for total in (1, 2, 3):
        await buy(club, profile_id, total)
    stopped = WebhookDispatcher(club.database, client)
    await stopped.dispatch(club.community.id)
    await receiver.wait_for(1)
    closing = asyncio.create_task(stopped.close())
    await asyncio.sleep(0)
    proceed.set()
    await closing
    assert [each["status"] for each in await deliveries(club, made["id"])] == ["delivered", "pending", "pending"]
    await stopped.dispatch(club.community.id)
    assert len(receiver.received) == 1


async def test_a_receiver_that_recovers_is_no_longer_probed(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    receiver.respond = lambda request, writer: http_response(500)
    made = await listen(club, receiver, "profile.created")
    for _ in range(25):
        await create_profile(club)
    await deliver(club, dispatcher)
    attempted = len(receiver.received)
    assert worker.PAUSE_AFTER_FAILURES <= attempted < 25
    club.clock.advance(seconds=7)
    await deliver(club, dispatcher)
    assert len(receiver.received) == attempted + 1
    receiver.respond = lambda request, writer: OK
    club.clock.advance(minutes=2)
    await deliver(club, dispatcher)
    assert {each["status"] for each in await deliveries(club, made["id"])} == {"delivered"}
    assert (await webhook(club, made["id"]))["is_active"]


async def test_an_attempt_does_not_start_near_the_end_of_the_lease(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LEASE_SECONDS", 0)
    await listen(club, receiver, "profile.*")
    await create_profile(club)
    fetch_due, fetches, fetched = queue.fetch_due, iter(range(2)), asyncio.Event()

    async def counted(*arguments: Any) -> Any:
        if next(fetches, None) is None:
            fetched.set()
        return await fetch_due(*arguments)

    monkeypatch.setattr(queue, "fetch_due", counted)
    await dispatcher.dispatch(club.community.id)
    await fetched.wait()
    await dispatcher.close()
    assert receiver.received == []


async def test_events_of_unusual_content_are_delivered(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    await listen(club, receiver, "*")
    profile_id = UUID(await create_profile(club))
    await deliver(club, dispatcher)
    receiver.received.clear()
    changes: dict[str, Sequence[Any]] = {"gone": [1, 2], "spend_discount_rate": [None, 12.5], "store_join": [None, 7]}
    await record(
        club,
        Event("export.failed"),
        Event("export.completed", data={"rows": 1}),
        Event("transaction.updated", subject_id="1"),
        Event("profile.updated", UUID(int=1)),
        Event(events.AGGREGATION_CHANGED, profile_id, data={"cause": "clock", "changes": changes}),
    )
    await deliver(club, dispatcher)
    found = {each.json["type"]: each.json["data"] for each in receiver.received}
    assert (found["export.failed"], found["export.completed"]) == ({}, {"rows": 1})
    assert found.keys() == {"export.failed", "export.completed", "aggregation.changed"}
    assert found["aggregation.changed"]["new"]["store_join"] == {"id": 7}
