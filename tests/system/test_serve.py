"""A server as it is run: a process of its own, stopped and killed while it works."""

import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from system.server_process import metrics_folder

REGULARS = [sys.executable, "-m", "regulars"]
TIMEOUT = 60


def environment(data: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("REGULARS_")}
    return {**own, "REGULARS_DATA_DIR": str(data), "REGULARS_REFRESH_INTERVAL_SECONDS": "0.2", **(more or {})}


def run(data: Path, *arguments: str) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        [*REGULARS, *arguments], env=environment(data), cwd=data, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class RunningServer:
    """A server that runs."""

    def __init__(self, process: "subprocess.Popen[str]", address: str) -> None:
        self.process = process
        self.address = address

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it by a signal; gives its exit code."""
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT)


@contextmanager
def run_server(data: Path, *arguments: str, **settings: str) -> Iterator[RunningServer]:
    """A server on a data folder; settings are REGULARS_* variables."""
    with (data / "stderr").open("a") as stderr:
        process = subprocess.Popen(
            [*REGULARS, "serve", "--port", "0", *arguments],
            env=environment(data, settings),
            cwd=data,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Regulars is listening at http://"), (data / "stderr").read_text()
        yield RunningServer(process, line.split()[4].rstrip(","))
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(TIMEOUT)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """A data folder with one community."""
    with tempfile.TemporaryDirectory(prefix="regulars-test-") as folder:
        run(
            Path(folder),
            *("community", "create", "--slug", "nord", "--name", "Nord", "--country", "NO"),
            *("--timezone", "Europe/Oslo", "--currency", "NOK"),
        )
        yield Path(folder)


@pytest.fixture(scope="module")
def headers(data: Path) -> dict[str, str]:
    """A token of that community."""
    return {"Authorization": f"Bearer {run(data, 'token', 'create', '--community', 'nord')}"}


def sale(profile_id: str, external_id: str) -> dict[str, Any]:
    return {
        "external_id": external_id,
        "profile_id": profile_id,
        "transacted_at": "2026-10-01 12:00:00",
        "timezone": "UTC",
        "total": 1,
        "items": [],
    }


class Tills:
    """Several tills that post sales until the server is gone, and note which were answered."""

    def __init__(self, address: str, headers: Mapping[str, str], profile_id: str, name: str) -> None:
        self.answered: list[str] = []
        self.refused: list[str] = []
        self._enough = threading.Event()
        self._numbers = itertools.count()
        self._threads = [
            threading.Thread(target=self._post, args=(address, dict(headers), profile_id, name)) for _ in range(6)
        ]

    def __enter__(self) -> "Tills":
        for thread in self._threads:
            thread.start()
        assert self._enough.wait(TIMEOUT)
        return self

    def __exit__(self, *exception: object) -> None:
        for thread in self._threads:
            thread.join(TIMEOUT)

    def _post(self, address: str, headers: dict[str, str], profile_id: str, name: str) -> None:
        with httpx.Client(base_url=address, headers=headers, timeout=TIMEOUT) as client:
            while True:
                external_id = f"{name}-{next(self._numbers)}"
                try:
                    answer = client.post("/api/v3/transactions", json=sale(profile_id, external_id))
                except httpx.TransportError:
                    return
                if answer.status_code == 201:
                    self.answered.append(external_id)
                else:
                    self.refused.append(answer.text)
                if len(self.answered) >= 150:
                    self._enough.set()


def kept(address: str, headers: Mapping[str, str], profile_id: str) -> tuple[set[str], int]:
    """The external ids of a profile's transactions, and its shop_count."""
    with httpx.Client(base_url=address, headers=dict(headers), timeout=TIMEOUT) as client:
        found: set[str] = set()
        url: str | None = f"/api/v3/profiles/{profile_id}/transactions?page[size]=500"
        while url is not None:
            page = client.get(url).json()
            found |= {each["external_id"] for each in page["data"]}
            url = page["links"]["next"]
        values = client.get(f"/api/v3/profiles/{profile_id}/aggregations").json()["data"]
    return found, values["shop_count"]


def make_profile(address: str, headers: Mapping[str, str], external_id: str) -> str:
    answer = httpx.post(f"{address}/api/v3/profiles", headers=dict(headers), json={"external_id": external_id})
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["data"]["id"]
    return found


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_was_answered_is_there_after_a_stop_in_the_middle_of_writes(
    data: Path, headers: dict[str, str], workers: str
) -> None:
    with run_server(data, "--workers", workers) as served:
        profile_id = make_profile(served.address, headers, f"stopped-{workers}")
        with Tills(served.address, headers, profile_id, f"stop-{workers}") as tills:
            assert served.stop(signal.SIGTERM) == 0
    assert tills.refused == []
    assert not (data / "postgresql" / "postmaster.pid").exists()
    with run_server(data) as served:
        there, shop_count = kept(served.address, headers, profile_id)
    assert set(tills.answered) <= there
    assert shop_count == len(there)


def test_what_was_answered_is_there_after_the_server_was_killed(data: Path, headers: dict[str, str]) -> None:
    with run_server(data) as served:
        profile_id = make_profile(served.address, headers, "killed")
        workers = psutil.Process(served.process.pid).children()
        with Tills(served.address, headers, profile_id, "kill") as tills:
            metrics = metrics_folder(workers[0])
            served.stop(signal.SIGKILL)
            # Nobody is left to answer from outdated memory, and nothing that they shared.
            assert psutil.wait_procs(workers, TIMEOUT)[1] == []
            assert not metrics.exists()
    with run_server(data) as served:
        there, shop_count = kept(served.address, headers, profile_id)
    assert set(tills.answered) <= there
    assert shop_count == len(there)


def test_control_c_stops_it_like_any_command(data: Path) -> None:
    with run_server(data) as served:
        assert httpx.get(f"{served.address}/api/health").json() == {"status": "ok"}
        assert served.stop(signal.SIGINT) == 0


def test_a_port_that_is_taken_is_told_in_one_sentence(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*REGULARS, "serve", "--port", port],
            env=environment(data),
            cwd=data,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    assert done.returncode == 2
    assert done.stderr == (
        f"regulars: 127.0.0.1:{port} is not available (Address already in use). Change --host and --port.\n"
    )


def test_jobs_run_alone_until_they_are_stopped(data: Path) -> None:
    process = subprocess.Popen(
        [*REGULARS, "worker"], env=environment(data), cwd=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"Regulars is running its background jobs.\n"
        process.terminate()
        assert process.wait(TIMEOUT) == 0
