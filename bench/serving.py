"""Runs a server under measurement: granian processes with the application of the product."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from bench.environment import BenchDatabase, BenchEnvironment

UNLIMITED_REPORTS = {"reporting_burst": "1000000000", "reporting_rate_per_second": "1000000"}
"""Settings with which the rate limits of the Reporting API do not decide the figures."""

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class RunningServer:
    """A server on a port of this machine."""

    port: int
    process: int

    @property
    def workers(self) -> list[int]:
        """The processes that handle requests."""
        return [each for each in processes.child_processes(self.process) if each != self.process]

    def cpu_seconds(self) -> float:
        """CPU that the server has used so far."""
        return processes.cpu_seconds(self.process)


@contextmanager
def serve(
    environment: BenchEnvironment, store: BenchDatabase, workers: int = 1, **settings: str
) -> Iterator[RunningServer]:
    """Serves a database for the duration of the block, with settings by name (`connections="16"`).

    Raises RuntimeError with the end of its log if it does not start.
    """
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--no-ws"]
    command += ["--workers", str(workers), "--host", "127.0.0.1", "--port", str(port), "bench.application:create"]
    variables = {
        "PYTHONPATH": os.pathsep.join([str(_ROOT), str(_ROOT / "src")]),
        "TMPDIR": str(environment.folder),
        "REGULARS_DATABASE_URL": store.app_url,
        "REGULARS_WORKERS": str(workers),
        "REGULARS_LOG_LEVEL": "warning",
        **{f"REGULARS_{name.upper()}": value for name, value in settings.items()},
    }
    with run_server(command, port, environment.folder / f"server-{port}.log", variables, "/api/health") as server:
        yield server


@contextmanager
def run_server(
    command: Sequence[str], port: int, log: Path, variables: Mapping[str, str], health: str
) -> Iterator[RunningServer]:
    """Runs a server for the duration of the block, which starts when the server responds at the path `health`.

    Raises RuntimeError with the end of its log if it does not start.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=_ROOT, env={**os.environ, **variables}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _await_health(process, f"http://127.0.0.1:{port}{health}", log)
        yield RunningServer(port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_health(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - of this machine
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
    raise RuntimeError(f"the server did not start:\n{log.read_text()[-4000:]}")
