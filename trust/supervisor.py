"""Restarts a server on the same port when it ends, as a service manager does."""

import signal
import subprocess
import threading
import time
from pathlib import Path

from trust import server
from trust.server import RunningServer

RETRY_SECONDS = 0.3


class Supervisor:
    """A server that is restarted whenever its process ends."""

    def __init__(self, folder: Path, port: int, *, workers: int, **settings: object) -> None:
        self.folder = folder
        self.port = port
        self.workers = workers
        self.settings = settings
        self.restarts = 0
        self.exits: list[int] = []
        """The exit code of each process that ended."""
        self.running = server.start(folder, port=port, workers=workers, **settings)
        self._stopped = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._watching.start()

    def _watch(self) -> None:
        while not self._stopped.wait(0.02):
            if self.running.process.poll() is None:
                continue
            self.exits.append(server.stop(self.running))
            while not self._stopped.is_set():
                try:
                    self.running = server.start(self.folder, port=self.port, workers=self.workers, **self.settings)
                except RuntimeError:
                    # Such as a port or data that a process which is about to end still holds.
                    self._stopped.wait(RETRY_SECONDS)
                else:
                    self.restarts += 1
                    break

    def wait(self, seconds: float) -> None:
        """Waits until the server runs again. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while self.running.process.poll() is not None:
            if time.monotonic() > until:
                raise TimeoutError(f"the server is not running again after {seconds:.0f} s")
            time.sleep(0.05)

    def restart(self) -> None:
        """Kills the server, as an operator would if it does not respond."""
        self.running.process.kill()

    def stop(self) -> tuple[int, float]:
        """Stops the server with SIGTERM; returns its exit code and the seconds that it took."""
        self._stopped.set()
        self._watching.join(60)
        began = time.monotonic()
        try:
            code = server.stop(self.running, signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self.running.process.kill()
            code = server.stop(self.running)
        return code, time.monotonic() - began

    @property
    def server(self) -> RunningServer:
        """The running server."""
        return self.running
