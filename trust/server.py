"""Runs `regulars serve` with its embedded PostgreSQL."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from regulars.storage import embedded

_ROOT = Path(__file__).parents[1]
_COMMAND = (sys.executable, "-m", "regulars")
STOP_SECONDS = 30


def create_empty_store(data: Path) -> None:
    """Leaves the data folder of a new server empty, so that the server creates its database."""


prepare_store: Callable[[Path], None] = create_empty_store
"""What happens to a data folder before a server starts with it. Short tests copy a migrated database into it."""


@dataclass(frozen=True)
class RunningServer:
    """A running server: its URL, process, and the folder of its data and log."""

    url: str
    process: "subprocess.Popen[str]"
    folder: Path

    @property
    def owner_url(self) -> str:
        """The URL of its database as the owner of the tables, a superuser."""
        return database_url(self.folder, "postgres")

    @property
    def app_url(self) -> str:
        """The URL of its database as the role that the server itself uses."""
        return database_url(self.folder, embedded.APP_ROLE)

    @property
    def log(self) -> str:
        """Returns the log so far."""
        return (self.folder / "server.log").read_text()

    def postmaster(self) -> int:
        """Returns the process id of its PostgreSQL. Raises FileNotFoundError if it is not running."""
        return int(_pid_file(self.folder).read_text().split()[0])


def _pid_file(folder: Path) -> Path:
    return folder / "data/postgresql/postmaster.pid"


def database_url(folder: Path, role: str) -> str:
    """Returns the URL of the PostgreSQL in a folder. Raises FileNotFoundError if it is not running."""
    socket_folder = _pid_file(folder).read_text().splitlines()[4].strip()
    return f"postgresql://{role}@/{embedded.DATABASE_NAME}?host={socket_folder.replace('/', '%2F')}"


def environment(folder: Path, **settings: object) -> dict[str, str]:
    """The variables of a command that works on a server's folder, with settings by name (`pool_max_size=16`)."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("REGULARS_")}
    (folder / "temporary").mkdir(parents=True, exist_ok=True)
    return {
        **own,
        "PYTHONPATH": str(_ROOT / "src"),
        "TMPDIR": str(folder / "temporary"),
        "REGULARS_DATA_DIR": str(folder / "data"),
        "REGULARS_REFRESH_INTERVAL_SECONDS": "0.5",
        "REGULARS_LOG_FORMAT": "json",
        **{f"REGULARS_{name.upper()}": str(value) for name, value in settings.items()},
    }


def command(folder: Path, *arguments: str, seconds: float = 300, **settings: object) -> str:
    """Runs a command of the product on a server's folder; gives what it prints.

    Raises RuntimeError with the end of its output where it fails.
    """
    done = subprocess.run(
        [*_COMMAND, *arguments],
        cwd=folder,
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    if done.returncode:
        raise RuntimeError(f"`regulars {' '.join(arguments)}` ended with {done.returncode}: {_end(done)}")
    return done.stdout.strip()


def _end(done: "subprocess.CompletedProcess[str]") -> str:
    return (done.stdout + done.stderr)[-2_000:]


def start(folder: Path, *, port: int = 0, workers: int = 1, **settings: object) -> RunningServer:
    """Starts a server with its data in a folder and returns when it answers.

    Raises RuntimeError with the end of its log where it does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    prepare_store(folder / "data")
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [*_COMMAND, "serve", "--port", str(port), "--workers", str(workers)],
            cwd=folder,
            env=environment(folder, **settings),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"listening at (http://[^\s,]+)", line):
            return RunningServer(found[1], process, folder)
    process.stdout.close()
    process.wait()
    raise RuntimeError(f"the server did not come up: {(folder / 'server.log').read_text()[-2_000:]}")


def stop(server: RunningServer, number: int = signal.SIGTERM) -> int:
    """Ends a server by a signal and returns its exit code.

    Raises subprocess.TimeoutExpired where it takes more than STOP_SECONDS.
    """
    if server.process.poll() is None:
        server.process.send_signal(number)
    code = server.process.wait(STOP_SECONDS)
    if server.process.stdout is not None:
        server.process.stdout.close()
    return code


@contextmanager
def serving(folder: Path, *, port: int = 0, workers: int = 1, **settings: object) -> Iterator[RunningServer]:
    """A server that runs as long as the block, with settings by name (`pool_max_size=16`)."""
    running = start(folder, port=port, workers=workers, **settings)
    try:
        yield running
    finally:
        try:
            stop(running)
        except subprocess.TimeoutExpired:
            running.process.kill()
            stop(running)


def free_port() -> int:
    """Returns a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def connect(url: str) -> "psycopg.Connection[tuple[object, ...]]":
    """A connection to a server's database that commits each statement by itself."""
    return psycopg.connect(url, autocommit=True)
