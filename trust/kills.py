"""Processes killed during mixed writes: every acknowledged write is stored exactly once, and nothing else."""

import asyncio
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from trust.clubs import Club, create_club
from trust.kill_targets import COMMIT_DELAY, KILLS, TARGET_GONE_ERRORS, Kill, slow_commits
from trust.ledger import Ledger, differences, merge
from trust.processes import processes_in
from trust.run import Run
from trust.server import command, connect, free_port
from trust.supervisor import Supervisor
from trust.writers import Writer, find_spend_mismatches, replay_requests, single

KILLS_AT_FULL_SIZE = 200
KILLS_OF_A_ROUND = 50
WRITERS = 8
SHARED_PROFILES = 12
SERVER_WORKERS = 2
PATIENCE = 20.0
"""Time after a kill within which a write must be acknowledged without intervention."""
REPEATED = 300
"""Number of requests that are repeated at the end of a round."""


class Round(msgspec.Struct, kw_only=True):
    """The results of one round of kills."""

    kills: dict[str, int] = {}
    survived: dict[str, int] = {}
    seconds: dict[str, list[float]] = {}
    acknowledged: dict[str, int] = {}
    answers: dict[str, int] = {}
    differences: list[str] = []
    violations: list[str] = []
    unrepeated: list[str] = []
    compared: int = 0
    repeated: int = 0
    verified: str = ""
    verify_differences: int = 0
    stop_seconds: float = 0.0
    stop_code: int = 0
    leftovers: list[str] = []


def run(run: Run) -> None:
    """Runs rounds of kills, each on a new database. An aborted run continues after its last complete round."""
    kills = run.scaled_count(KILLS_AT_FULL_SIZE, 2)
    run.describe(
        f"{kills} kills, in rounds of {min(kills, KILLS_OF_A_ROUND)} each on a new database. `regulars serve "
        f"--workers {SERVER_WORKERS}` runs with its embedded PostgreSQL under a supervisor that restarts it when "
        f"its process ends. {WRITERS} clients write transactions (single, batch.json, imports), change, move and "
        "delete them, create, merge, delete and purge profiles and import events of sendings; a client repeats a "
        "request with the same Idempotency-Key until it gets a response. Half of the transactions have no "
        "external id, so that only the key prevents them from being stored twice. Every commit is delayed by "
        f"{COMMIT_DELAY // 1000} ms."
    )
    run.describe(
        f"A kill counts as survived if a new write is acknowledged within {PATIENCE:g} s without intervention. "
        f"After a round every acknowledged write is compared with the database, {REPEATED} requests are repeated, "
        "and `regulars verify` recomputes every value and count."
    )
    plan = planned(kills, run.random)
    rounds: list[Round] = run.progress(Round)
    for number, part in enumerate(plan):
        if number < len(rounds):
            continue
        run.log(f"  round {number + 1} of {len(plan)}: {len(part)} kills")
        found = asyncio.run(_round(run, number, part))
        rounds.append(found)
        run.save_progress(rounds)
    _record(run, rounds)


def planned(kills: int, draw: random.Random) -> list[list[Kill]]:
    """Returns the kills of each round: the same number of each kind, in random order."""
    drawn = (
        [KILLS[number % len(KILLS)] for number in range(kills)] if kills >= len(KILLS) else draw.sample(KILLS, kills)
    )
    draw.shuffle(drawn)
    return [drawn[start : start + KILLS_OF_A_ROUND] for start in range(0, kills, KILLS_OF_A_ROUND)]


@dataclass
class _Scene:
    """The state of a running round."""

    run: Run
    supervisor: Supervisor
    club: Club
    draw: random.Random
    probe: Writer
    found: Round


async def _round(run: Run, number: int, kills: list[Kill]) -> Round:
    folder, found = run.folder / f"round-{number}", Round()
    supervisor = Supervisor(folder, free_port(), workers=SERVER_WORKERS)
    draw, seed = random.Random(f"{run.seed}-{number}"), run.seed + number
    try:
        club = await asyncio.to_thread(create_club, supervisor.server)
        headers = {"Authorization": f"Bearer {club.token}"}
        limits = httpx.Limits(max_connections=WRITERS + 2)
        async with httpx.AsyncClient(
            base_url=supervisor.server.url, headers=headers, timeout=10, limits=limits
        ) as http:
            shared = [await _profile(http) for _ in range(SHARED_PROFILES)]
            slow_commits(supervisor.server)
            probe = Writer(http, "probe", seed, shared)
            scene = _Scene(run, supervisor, club, draw, probe, found)
            writers = [Writer(http, f"w{each}", seed, shared) for each in range(WRITERS)]
            stop = asyncio.Event()
            writing = [asyncio.create_task(each.write(stop.is_set)) for each in writers]
            for place, kill in enumerate(kills):
                await asyncio.sleep(draw.uniform(0.2, 1.2))
                await _kill(scene, place, kill)
            stop.set()
            await asyncio.gather(*writing)
            await asyncio.to_thread(supervisor.wait, PATIENCE)
            ledger = merge(each.ledger for each in [*writers, probe])
            await _compare(scene, http, ledger, shared)
    finally:
        found.stop_code, found.stop_seconds = await asyncio.to_thread(supervisor.stop)
    found.leftovers = await asyncio.to_thread(_leftovers, folder)
    return found


async def _profile(http: httpx.AsyncClient) -> str:
    answer = await http.post("/api/v3/profiles", json={"first_name": "Kari"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["id"])


async def _kill(scene: _Scene, place: int, kill: Kill) -> None:
    await asyncio.to_thread(_killed, scene, kill)
    began = time.monotonic()
    writing = asyncio.create_task(scene.probe.write_once(single))
    done, _ = await asyncio.wait([writing], timeout=PATIENCE)
    if helped := not done:
        scene.run.log(_state(scene.supervisor.folder))
        scene.supervisor.restart()
        await writing
    seconds = time.monotonic() - began
    scene.found.kills[kill.name] = scene.found.kills.get(kill.name, 0) + 1
    if not helped:
        scene.found.survived[kill.name] = scene.found.survived.get(kill.name, 0) + 1
        scene.found.seconds.setdefault(kill.name, []).append(round(seconds, 3))
    outcome = f"writes again after {seconds:.2f} s" + (", by a restart by hand" if helped else "")
    scene.run.log(f"    {place + 1}. {kill.name}: {outcome}")


def _killed(scene: _Scene, kill: Kill) -> None:
    """Kills the target once it exists: it may have ended with the previous kill and be restarting."""
    until = time.monotonic() + 3 * PATIENCE
    while True:
        try:
            process = kill.find_process(scene.supervisor.server, scene.draw)
            if process is not None:
                os.kill(process, kill.signal)
                return
        except (ProcessLookupError, *TARGET_GONE_ERRORS) as error:
            if time.monotonic() > until:
                scene.run.log(_state(scene.supervisor.folder))
                raise RuntimeError(f"there is no {kill.target} to kill") from error
        time.sleep(0.05)


async def _compare(scene: _Scene, http: httpx.AsyncClient, ledger: Ledger, shared: list[str]) -> None:
    found, folder = scene.found, scene.supervisor.folder
    ledger.profiles |= dict.fromkeys(shared, "active")
    with connect(scene.supervisor.server.owner_url) as connection:
        found.differences = differences(ledger, connection, scene.club.id)
    found.differences += await find_spend_mismatches(http, ledger, shared)
    found.compared = len(ledger.sales) + len(ledger.deleted) + sum(ledger.events.values()) + len(ledger.profiles)
    requests = scene.draw.sample(ledger.requests, min(REPEATED, len(ledger.requests)))
    found.unrepeated = await replay_requests(http, requests)
    found.repeated = len(requests)
    try:
        found.verified = await asyncio.to_thread(command, folder, "verify")
    except RuntimeError as error:
        found.verified = str(error)
        found.verify_differences = 1
    found.violations += ledger.violations
    found.acknowledged, found.answers = dict(ledger.acknowledged), dict(ledger.answers)


def _state(folder: Path) -> str:
    """Returns the processes of a folder and the end of the server's log, to debug a server that does not respond."""
    running = [f"  {each.pid} {each.status()} {' '.join(each.cmdline())[:150]}" for each in processes_in(folder)]
    return "\n".join(["processes:", *running, "log:", (folder / "server.log").read_text()[-3_000:]])


def _leftovers(folder: Path) -> list[str]:
    """Returns the processes that remain some seconds after a clean stop."""
    until = time.monotonic() + 5
    while (found := processes_in(folder)) and time.monotonic() < until:
        time.sleep(0.1)
    return [f"{each.pid} {' '.join(each.cmdline())[:80]}" for each in found]


def _record(run: Run, rounds: list[Round]) -> None:
    kills = _summed(each.kills for each in rounds)
    survived = _summed(each.survived for each in rounds)
    seconds: dict[str, list[float]] = {}
    for each in rounds:
        for name, values in each.seconds.items():
            seconds.setdefault(name, []).extend(values)
    acknowledged = _summed(each.acknowledged for each in rounds)
    answers = _summed(each.answers for each in rounds)
    total = sum(kills.values())
    run.figure("kills", total)
    run.figure("kills survived", sum(survived.values()))
    run.figure("requests sent", sum(count for status, count in answers.items() if status != "503 without Retry-After"))
    run.figure("writes acknowledged", sum(acknowledged.values()))
    run.figure("requests repeated after their response", sum(each.repeated for each in rounds))
    every = [each for values in seconds.values() for each in values]
    if every:
        run.figure("time from a kill to the next acknowledged write, median", statistics.median(every), "s")
        run.figure("time from a kill to the next acknowledged write, longest", max(every), "s")
    run.check("every kill is survived", f"{sum(survived.values())} of {total}", sum(survived.values()) == total > 0)
    compared = sum(each.compared for each in rounds)
    run.check_none(
        "every acknowledged write is stored exactly once, and nothing else",
        [text for each in rounds for text in each.differences],
        compared,
        "transactions, events and profiles",
    )
    run.check_none(
        "a repeated request gets the first response, byte for byte",
        [text for each in rounds for text in each.unrepeated],
        sum(each.repeated for each in rounds),
        "requests",
    )
    run.check_none("no valid write is rejected", [text for each in rounds for text in each.violations], total, "kills")
    run.check_none(
        "`regulars verify` finds no differences",
        [each.verified for each in rounds if each.verify_differences],
        len(rounds),
        "rounds",
    )
    faults = sum(count for status, count in answers.items() if status.startswith("5") and status != "503")
    run.check("system errors are answered with 503 and Retry-After only", f"{faults} other 5xx responses", not faults)
    slowest = max(each.stop_seconds for each in rounds)
    clean = all(each.stop_code == 0 and not each.leftovers for each in rounds)
    run.check(
        "at the end, SIGTERM stops the server within 10 s with exit code 0, and no process remains",
        f"{slowest:.1f} s at most, {sum(len(each.leftovers) for each in rounds)} processes left",
        clean and slowest < 10,
    )
    run.table(
        "Kills by kind",
        ("target", "kills", "survived", "next write, median s", "longest s"),
        [
            (name, count, survived.get(name, 0), *_spread(seconds.get(name, [])))
            for name, count in sorted(kills.items())
        ],
    )
    run.table("Acknowledged writes by kind", ("write", "number"), sorted(acknowledged.items()))
    run.table("Responses by status", ("status", "number"), sorted(answers.items()))


def _spread(values: list[float]) -> tuple[str, str]:
    return (f"{statistics.median(values):.2f}", f"{max(values):.2f}") if values else ("", "")


def _summed(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for each in counts:
        found.update(each)
    return dict(found)
