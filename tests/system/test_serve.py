"""`regulars serve` as a process: stopped and killed while it handles requests."""

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

import migrated_store
from system.server_process import metrics_folder

REGULARS = [sys.executable, "-m", "regulars"]
TIMEOUT = 60


def environment(data: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("REGULARS_")}
    return {**own, "REGULARS_DATA_DIR": str(data), "REGULARS_REFRESH_INTERVAL_SECONDS": "0.2", **(more or {})}


def run(data: Path, *arguments: str) -> str:
    """Runs a command, which must succeed, and returns its output."""
    done = subprocess.run(
        [*REGULARS, *arguments], env=environment(data), cwd=data, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class RunningServer:
    """A running server."""

    def __init__(self, process: "subprocess.Popen[str]", address: str) -> None:
        self.process = process
        self.address = address

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT)


@contextmanager
def run_server(data: Path, *arguments: str, **settings: str) -> Iterator[RunningServer]:
    """Runs a server with a data directory; settings are REGULARS_* variables."""
    migrated_store.copy_to(data)
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
    """A data directory with one community."""
    with tempfile.TemporaryDirectory(prefix="regulars-test-") as folder:
        migrated_store.copy_to(Path(folder))
        run(
            Path(folder),
            *("community", "create", "--slug", "nord", "--name", "Nord", "--country", "NO"),
            *("--timezone", "Europe/Oslo", "--currency", "NOK"),
        )
        yield Path(folder)


@pytest.fixture(scope="module")
def headers(data: Path) -> dict[str, str]:
    """The header of a token of that community."""
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


class PointsOfSale:
    """Points of sale that post transactions until the server is gone, and record the acknowledged ones."""

    def __init__(self, address: str, headers: Mapping[str, str], profile_id: str, name: str) -> None:
        self.acknowledged: list[str] = []
        self.rejected: list[str] = []
        self._warmed_up = threading.Event()
        self._numbers = itertools.count()
        self._http = httpx.Client(base_url=address, headers=dict(headers), timeout=TIMEOUT)
        self._threads = [threading.Thread(target=self._post, args=(profile_id, name)) for _ in range(6)]

    def __enter__(self) -> "PointsOfSale":
        for thread in self._threads:
            thread.start()
        assert self._warmed_up.wait(TIMEOUT)
        return self

    def __exit__(self, *exception: object) -> None:
        for thread in self._threads:
            thread.join(TIMEOUT)
        self._http.close()

    def _post(self, profile_id: str, name: str) -> None:
        while True:
            external_id = f"{name}-{next(self._numbers)}"
            try:
                answer = self._http.post("/api/v3/transactions", json=sale(profile_id, external_id))
            except httpx.TransportError:
                return
            if answer.status_code == 201:
                self.acknowledged.append(external_id)
            else:
                self.rejected.append(answer.text)
            if len(self.acknowledged) >= 50:
                self._warmed_up.set()


def stored_transactions(address: str, headers: Mapping[str, str], profile_id: str) -> tuple[set[str], int]:
    """Returns the external ids of a profile's transactions, and its shop_count."""
    with httpx.Client(base_url=address, headers=dict(headers), timeout=TIMEOUT) as client:
        found: set[str] = set()
        url: str | None = f"/api/v3/profiles/{profile_id}/transactions?page[size]=500"
        while url is not None:
            page = client.get(url).json()
            found |= {each["external_id"] for each in page["data"]}
            url = page["links"]["next"]
        values = client.get(f"/api/v3/profiles/{profile_id}/aggregations").json()["data"]
    return found, values["shop_count"]


def create_profile(address: str, headers: Mapping[str, str], external_id: str) -> str:
    answer = httpx.post(f"{address}/api/v3/profiles", headers=dict(headers), json={"external_id": external_id})
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["data"]["id"]
    return found


def assert_stored(served: RunningServer, headers: dict[str, str], profile_id: str, written: PointsOfSale) -> None:
    """Each acknowledged transaction is stored, and counted once."""
    stored, shop_count = stored_transactions(served.address, headers, profile_id)
    assert set(written.acknowledged) <= stored
    assert shop_count == len(stored)


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.long), "2"])
def test_acknowledged_writes_survive_a_stop_and_a_kill_during_writes(
    data: Path, headers: dict[str, str], workers: str
) -> None:
    with run_server(data, "--workers", workers) as served:
        stopped = create_profile(served.address, headers, f"stopped-{workers}")
        with PointsOfSale(served.address, headers, stopped, f"stop-{workers}") as written_until_stop:
            assert served.stop(signal.SIGTERM) == 0
    assert written_until_stop.rejected == []
    assert not (data / "postgresql" / "postmaster.pid").exists()

    with run_server(data) as served:
        assert_stored(served, headers, stopped, written_until_stop)
        killed = create_profile(served.address, headers, f"killed-{workers}")
        processes = psutil.Process(served.process.pid).children()
        with PointsOfSale(served.address, headers, killed, f"kill-{workers}") as written_until_kill:
            metrics = metrics_folder(processes[0])
            served.stop(signal.SIGKILL)
            # No worker remains that could use outdated memory, and no shared files.
            assert psutil.wait_procs(processes, TIMEOUT)[1] == []
            assert not metrics.exists()

    with run_server(data) as served:
        assert_stored(served, headers, killed, written_until_kill)
        assert httpx.get(f"{served.address}/api/health").json() == {"status": "ok"}
        # As Control-C does.
        assert served.stop(signal.SIGINT) == 0


def test_a_port_in_use_is_reported_in_one_line(data: Path) -> None:
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


def test_the_worker_runs_jobs_until_it_is_stopped(data: Path) -> None:
    process = subprocess.Popen(
        [*REGULARS, "worker"], env=environment(data), cwd=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"Regulars is running its background jobs.\n"
        process.terminate()
        assert process.wait(TIMEOUT) == 0
