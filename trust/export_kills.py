"""Processes killed while they write exports: every export ends complete or failed, is announced once, and leaves nothing."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil

from regulars.exports.formats import FORMATS_BY_CODE
from trust.clubs import Club, create_club
from trust.kill_targets import workers
from trust.run import Run
from trust.server import command, environment, free_port
from trust.supervisor import Supervisor

KILLS_AT_FULL_SIZE = 100
MEMBERS_AT_FULL_SIZE = 50_000
WORKER_TIMEOUT = 2.0
PATIENCE = 300.0
"""Time after the last kill within which every export must have ended, and within which a request must be answered."""

TARGETS = {"server": 1, "process of the server": 3, "worker": 3}
"""What is killed, and how often relative to the others."""

FORMATS = tuple(FORMATS_BY_CODE)
COMPRESSIONS = (None, "gzip", "zstd")
SETTINGS = {
    "worker_timeout_seconds": WORKER_TIMEOUT,
    "webhook_allowed_networks": "127.0.0.0/8",
    "reporting_burst": 1_000_000,
    "log_level": "warning",
}


class Receiver:
    """Receives the requests that exports send when they end."""

    def __init__(self) -> None:
        self.messages: dict[str, Counter[str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/exports"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        messages = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                found = messages.setdefault(body["data"]["id"], Counter())
                found[f"{body['type']} {self.headers['webhook-id']}"] += 1
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                return

        return Handler

    def close(self) -> None:
        """Stops receiving."""
        self._server.shutdown()
        self._server.server_close()


@dataclass
class JobWorker:
    """A `regulars worker` that is started again when it ends."""

    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    def ensure_running(self) -> None:
        """Starts it, unless it runs."""
        if self.process is None or self.process.poll() is not None:
            with (self.folder / "worker.log").open("ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "regulars", "worker"],
                    cwd=self.folder,
                    env=environment(self.folder, **SETTINGS),
                    stdout=log,
                    stderr=log,
                )

    def stop(self) -> None:
        """Stops it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass
class Scene:
    """The processes of a run, and the exports that were requested."""

    run: Run
    supervisor: Supervisor
    club: Club
    worker: JobWorker
    receiver: Receiver
    draw: random.Random
    members: int
    http: httpx.Client
    requested: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Sends a request until it is answered."""
        headers = {"Authorization": f"Bearer {self.club.report_token}", "X-Customer": "all=all"}
        until = time.monotonic() + PATIENCE
        while True:
            with suppress(httpx.HTTPError):
                url = f"http://127.0.0.1:{self.supervisor.port}/v1/reporting/{path}"
                answer = self.http.request(
                    method, url, headers={**headers, **more.get("headers", {})}, json=more.get("json")
                )
                if answer.status_code < 500 or time.monotonic() > until:
                    return answer
            if time.monotonic() > until:
                raise TimeoutError("the server does not answer")
            time.sleep(0.1)


def run(run: Run) -> None:
    """Kills processes at random moments while exports are written, and then compares files, states and messages."""
    kills = run.scaled_count(KILLS_AT_FULL_SIZE, 2)
    members = run.scaled_count(MEMBERS_AT_FULL_SIZE, 2_000)
    run.describe(
        f"{kills} kills (SIGKILL) at random moments of the server, one of its two processes or a `regulars worker` beside "
        f"it, while exports of {members:,} members in all formats are written, some of which are cancelled. Killed "
        f"processes are started again; a process counts as dead after {WORKER_TIMEOUT:g} s without a heartbeat. Every "
        "export sends a signed request to a local receiver when it ends."
    )
    receiver = Receiver()
    supervisor = Supervisor(run.folder / "server", free_port(), workers=2, **SETTINGS)
    worker = JobWorker(supervisor.folder)
    http = httpx.Client()
    try:
        club = create_club(supervisor.server)
        _load_members(supervisor.folder, club, members)
        scene = Scene(run, supervisor, club, worker, receiver, run.random, members, http)
        for number in range(kills):
            _round(scene, number)
        worker.ensure_running()
        found = _wait_until_ended(scene)
        _record(scene, found)
    finally:
        worker.stop()
        supervisor.stop()
        receiver.close()
        http.close()


def _load_members(folder: Path, club: Club, members: int) -> None:
    file = folder / "profiles.csv"
    with file.open("w") as lines:
        lines.write("external_id,joined_at\n")
        lines.writelines(f"M{number},2026-01-01\n" for number in range(members))
    command(folder, "load", "profiles", str(file), "--community", club.slug)


def _round(scene: Scene, number: int) -> None:
    """Requests exports and kills a process while they are written."""
    scene.worker.ensure_running()
    for place in range(scene.draw.randint(1, 3)):
        body = {
            "report": scene.draw.choice(("members", "member_aggregations")),
            "format": scene.draw.choice(FORMATS),
            "compression": scene.draw.choice(COMPRESSIONS),
            "webhook_url": scene.receiver.url,
        }
        # The same request is repeated until it is answered, so its key makes it one export.
        headers = {"Idempotency-Key": f"{number}-{place}"}
        answer = scene.send("POST", "query/export", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        scene.requested.append(answer.json()["export"]["id"])
    time.sleep(scene.draw.uniform(0.0, 2.0))
    if scene.draw.random() < 0.15:
        export = scene.draw.choice(scene.requested[-3:])
        if scene.send("DELETE", f"exports/{export}").json().get("export", {}).get("status") == "cancelled":
            scene.cancelled.append(export)
    _kill(scene)
    scene.supervisor.wait(PATIENCE)


def _kill(scene: Scene) -> None:
    """Kills a process; one that has just ended with another is waited for."""
    (target,) = scene.draw.choices(tuple(TARGETS), tuple(TARGETS.values()))
    until = time.monotonic() + 60
    while True:
        with suppress(ProcessLookupError, psutil.NoSuchProcess, IndexError):
            os.kill(_process(scene, target), signal.SIGKILL)
            break
        if time.monotonic() > until:
            raise TimeoutError(f"there is no {target} to kill")
        time.sleep(0.1)
    scene.kills[target] += 1
    scene.run.log(f"    {sum(scene.kills.values())}. {target}")


def _process(scene: Scene, target: str) -> int:
    if target == "worker":
        scene.worker.ensure_running()
        assert scene.worker.process is not None
        return scene.worker.process.pid
    if target == "server":
        return scene.supervisor.server.process.pid
    return scene.draw.choice(workers(scene.supervisor.server))


def _wait_until_ended(scene: Scene) -> dict[str, dict[str, Any]]:
    """The exports, once all have ended or the patience is over."""
    until = time.monotonic() + PATIENCE
    while True:
        found = {}
        for export in scene.requested:
            answer = scene.send("GET", f"exports/{export}")
            if answer.status_code == 200:
                found[export] = answer.json()["export"]
        waiting = [each for each in found.values() if each["status"] in ("queued", "running")]
        announced = all(
            each["id"] in scene.receiver.messages for each in found.values() if each["status"] in ("done", "failed")
        )
        if (not waiting and announced) or time.monotonic() > until:
            return found
        errors = Counter(each["error"] for each in waiting)
        scene.run.log(f"  {len(waiting)} of {len(found)} exports have not ended: {dict(errors)}")
        time.sleep(2)


def _record(scene: Scene, found: dict[str, dict[str, Any]]) -> None:
    run = scene.run
    statuses = Counter(each["status"] for each in found.values())
    folder = scene.supervisor.folder / "data" / "exports"
    files = {each.name: each for each in folder.rglob("*") if each.is_file()}
    done = [each for each in found.values() if each["status"] == "done"]
    for target, count in sorted(scene.kills.items()):
        run.figure(f"kills of a {target}", count)
    run.figure("exports", len(scene.requested))
    for status, count in sorted(statuses.items()):
        run.figure(f"exports that are {status}", count)
    run.figure("exports that took more than one attempt", sum(each["attempts"] > 1 for each in found.values()))
    ended = ("done", "failed", "cancelled")
    run.check_none(
        "every export ends",
        [each["id"] for each in found.values() if each["status"] not in ended],
        len(found),
        "exports",
    )
    run.check_none(
        "a failed export says why",
        [each["id"] for each in found.values() if (each["status"] == "failed") != bool(each["error"])],
        len(found),
        "exports",
    )
    run.check_none(
        "the file of an export that is done is complete",
        [each["id"] for each in done if not _is_complete(each, files, scene.members)],
        len(done),
        "exports",
    )
    names = {each["file_name"] for each in done}
    run.check_none("no other file remains", sorted(set(files) - names), len(files), "files")
    run.check_none(
        "every export that is done or has failed is announced under one id",
        [export for export, each in found.items() if not _is_announced(scene, each)],
        len(found),
        "exports",
    )


def _is_complete(export: dict[str, Any], files: dict[str, Path], rows: int) -> bool:
    file = files.get(export["file_name"])
    if file is None or export["rows"] != rows:
        return False
    return bool(hashlib.sha256(file.read_bytes()).hexdigest() == export["sha256"])


def _is_announced(scene: Scene, export: dict[str, Any]) -> bool:
    expected = {"done": "export.completed", "failed": "export.failed"}.get(export["status"])
    messages = scene.receiver.messages.get(export["id"], Counter())
    if expected is None:
        return not messages
    return [each.partition(" ")[0] for each in messages] == [expected]
