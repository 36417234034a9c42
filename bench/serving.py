"""A server under measurement: granian in processes of its own, with the product's application."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from bench.place import Place, Store

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Served:
    """A server that answers on a port of this machine."""

    port: int
    process: int

    @property
    def workers(self) -> list[int]:
        """The processes that answer requests."""
        return [each for each in processes.children(self.process) if each != self.process]

    def cpu_seconds(self) -> float:
        """CPU that the server has used so far."""
        return processes.cpu_seconds(self.process)


@contextmanager
def serving(place: Place, store: Store, workers: int = 1, **settings: str) -> Iterator[Served]:
    """Serves a database until the block ends, with settings by name (`connections="16"`).

    Raises RuntimeError with the end of its log where it does not come up.
    """
    port = _free_port()
    variables = {f"REGULARS_{name.upper()}": value for name, value in settings.items()}
    log = place.folder / f"server-{port}.log"
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--no-ws"]
    command += ["--workers", str(workers), "--host", "127.0.0.1", "--port", str(port), "bench.served:app"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=_ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(_ROOT), str(_ROOT / "src")]),
                "TMPDIR": str(place.folder),
                "REGULARS_DATABASE_URL": store.app_url,
                "REGULARS_WORKERS": str(workers),
                "REGULARS_LOG_LEVEL": "warning",
                **variables,
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _await_answer(process, port, log)
        yield Served(port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_answer(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
    raise RuntimeError(f"the server did not come up:\n{log.read_text()[-4000:]}")
