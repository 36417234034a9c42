"""Webhooks while processes are killed: every event arrives under one id, and in order for each profile."""

import asyncio
import os
import random
import time
from collections import Counter
from typing import Any

import httpx

from trust.clubs import create_club
from trust.kill_targets import KILLS, TARGET_GONE_ERRORS, Kill
from trust.run import Run
from trust.server import free_port
from trust.supervisor import Supervisor
from trust.webhook_receiver import Receiver, receiving

KILLS_AT_FULL_SIZE = 100
WRITERS = 6
SERVER_WORKERS = 2
FAILURE_RATE = 0.03
PATIENCE = 120.0
"""Time after the last write within which everything must have arrived: leases of killed processes end, and failed
deliveries are repeated.
"""


def run(run: Run) -> None:
    """Kills processes while purchases are written and their events are delivered."""
    kills = run.scaled_count(KILLS_AT_FULL_SIZE, 2)
    workers = run.scaled_count(SERVER_WORKERS, 1)
    run.describe(
        f"{kills} kills. `regulars serve --workers {workers}` runs with its embedded PostgreSQL under a supervisor "
        f"that restarts it; the next kill follows once a purchase is acknowledged. {WRITERS} clients write purchases, "
        f"each of a profile of its own, one after the other, and repeat a request with the same Idempotency-Key until it "
        f"is answered. A webhook listens to all events. Its receiver verifies each signature with the library of "
        f"Standard Webhooks, and answers {FAILURE_RATE:.0%} of the deliveries with status 500."
    )
    asyncio.run(_run(run, kills, workers))


async def _run(run: Run, kills: int, workers: int) -> None:
    supervisor = Supervisor(
        run.folder / "webhooks", free_port(), workers=workers, webhook_allowed_networks="127.0.0.0/8"
    )
    try:
        club = await asyncio.to_thread(create_club, supervisor.server)
        headers = {"Authorization": f"Bearer {club.token}"}
        async with (
            receiving(random.Random(f"{run.seed}-receiver"), FAILURE_RATE) as receiver,
            httpx.AsyncClient(base_url=supervisor.server.url, headers=headers, timeout=10) as http,
        ):
            made = await http.post("/api/v3/webhooks", json={"trigger": "*", "url": receiver.url})
            receiver.secrets = (made.json()["data"]["secret"],)
            stop = asyncio.Event()
            acknowledged = asyncio.Event()
            writing = [
                asyncio.create_task(_write(http, f"{run.seed}-{each}", stop, acknowledged)) for each in range(WRITERS)
            ]
            draw = random.Random(f"{run.seed}-kills")
            counted: Counter[str] = Counter()
            for place in range(kills):
                acknowledged.clear()
                async with asyncio.timeout(PATIENCE):
                    await acknowledged.wait()
                await asyncio.sleep(draw.uniform(0.3, 2.0))
                kill = KILLS[place % len(KILLS)] if kills >= len(KILLS) else draw.choice(KILLS)
                await asyncio.to_thread(_kill, supervisor, kill, draw)
                counted[kill.name] += 1
                run.log(f"    {place + 1}. {kill.name}: {len(receiver.accepted)} events have arrived")
            stop.set()
            written = dict(await asyncio.gather(*writing))
            expected = sum(len(each) for each in written.values())
            seconds = await _await_arrival(receiver, written, run.scaled_seconds(3.0, 1.0))
            _check(run, receiver, written, expected, seconds)
            run.table("Kills by kind", ("target", "kills"), sorted(counted.items()))
    finally:
        await asyncio.to_thread(supervisor.stop)


def _kill(supervisor: Supervisor, kill: Kill, draw: random.Random) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            process = kill.find_process(supervisor.server, draw)
            if process is not None:
                os.kill(process, kill.signal)
                return
        except (ProcessLookupError, *TARGET_GONE_ERRORS):
            if time.monotonic() > until:
                raise
        time.sleep(0.05)


async def _write(
    http: httpx.AsyncClient, name: str, stop: asyncio.Event, acknowledged: asyncio.Event
) -> tuple[str, list[int]]:
    """Writes purchases of a new profile until `stop` is set; returns the profile and the ids of its purchases."""
    profile_id = (await _post(http, "/api/v3/profiles", {"first_name": name}, f"{name}-profile"))["id"]
    written: list[int] = []
    while not stop.is_set():
        number = len(written) + 1
        body = {
            "profile_id": profile_id,
            "transacted_at": "2026-01-02 03:04:05",
            "timezone": "UTC",
            "total": number,
            "items": [],
        }
        written.append((await _post(http, "/api/v3/transactions", body, f"{name}-{number}"))["id"])
        acknowledged.set()
        await asyncio.sleep(0.02)
    return profile_id, written


async def _post(http: httpx.AsyncClient, path: str, body: object, key: str) -> dict[str, Any]:
    """Sends a request until it is answered, and returns the data of the response."""
    while True:
        try:
            response = await http.post(path, json=body, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            await asyncio.sleep(0.1)
            continue
        if response.status_code == 201:
            found: dict[str, Any] = response.json()["data"]
            return found
        assert response.status_code in (500, 503), response.text
        await asyncio.sleep(0.1)


def _arrived(receiver: Receiver) -> dict[str, list[int]]:
    """The ids of the purchases that have arrived, by profile, in the order of their first acceptance."""
    arrived: dict[str, list[int]] = {}
    for event in receiver.events():
        if event["type"] == "transaction.created":
            arrived.setdefault(event["data"]["profile_id"], []).append(event["data"]["id"])
    return arrived


async def _await_arrival(receiver: Receiver, written: dict[str, list[int]], settling: float) -> float:
    """Waits until everything has arrived, at most PATIENCE; returns the seconds."""
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        arrived = _arrived(receiver)
        if all(len(arrived.get(profile_id, ())) >= len(ids) for profile_id, ids in written.items()):
            break
        await asyncio.sleep(0.5)
    # A purchase without a response may have been stored, and changes of values follow their purchase.
    await asyncio.sleep(settling)
    return time.monotonic() - began - settling


def _check(run: Run, receiver: Receiver, written: dict[str, list[int]], expected: int, seconds: float) -> None:
    arrived = _arrived(receiver)
    run.figure("purchases acknowledged", expected)
    run.figure("requests received", receiver.requests)
    run.figure("of these answered with status 500", receiver.failures)
    run.figure("of these repeated after they were accepted", receiver.repeated)
    run.figure("time from the last write to the last arrival", seconds, "s")
    missing = [
        str(purchase) for profile_id, ids in written.items() for purchase in set(ids) - set(arrived.get(profile_id, ()))
    ]
    run.check_none("every acknowledged purchase arrives", missing, expected, "purchases")
    twice = [str(purchase) for ids in arrived.values() for purchase, count in Counter(ids).items() if count > 1]
    run.check_none("no purchase arrives under two ids", twice, expected, "purchases")
    disordered = [profile_id for profile_id, ids in written.items() if arrived.get(profile_id, [])[: len(ids)] != ids]
    run.check_none(
        "the purchases of a profile arrive in the order of their commits", disordered, len(written), "profiles"
    )
    run.check_none(
        "each change of values begins where the one before it ended", _broken_chains(receiver), expected, "changes"
    )
    run.check_none(
        "every request has a valid signature and the first payload of its id",
        receiver.violations,
        receiver.requests,
        "requests",
    )


def _broken_chains(receiver: Receiver) -> list[str]:
    last: dict[str, object] = {}
    broken = []
    for event in receiver.events():
        if event["type"] == "aggregation.changed" and "spend_all" in event["data"]["new"]:
            data = event["data"]
            if data["profile_id"] in last and last[data["profile_id"]] != data["old"]["spend_all"]:
                broken.append(event["id"])
            last[data["profile_id"]] = data["new"]["spend_all"]
    return broken
