"""Targets of kills: the server, its workers, PostgreSQL and its backends."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import psycopg

from trust.server import RunningServer, connect

COMMIT_DELAY = 20_000
"""Delay of every commit in microseconds, so that kills hit commits in progress."""

Find = Callable[[RunningServer, random.Random], int | None]


@dataclass(frozen=True)
class Kill:
    """A kind of kill: the target and the signal."""

    target: str
    signal: signal.Signals
    find_process: Find

    @property
    def name(self) -> str:
        """The name on the page."""
        return f"{self.target}, {self.signal.name}"


def _server(server: RunningServer, draw: random.Random) -> int:
    return server.process.pid


def workers(server: RunningServer) -> list[int]:
    """Returns the process ids of the workers of a server."""
    children = psutil.Process(server.process.pid).children()
    return [each.pid for each in children if "resource_tracker" not in " ".join(each.cmdline())]


def _worker(server: RunningServer, draw: random.Random) -> int | None:
    found = workers(server)
    return draw.choice(found) if found else None


def _postmaster(server: RunningServer, draw: random.Random) -> int:
    return server.postmaster()


_BACKENDS = """
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'client backend' AND usename = 'regulars_app' AND state <> 'idle' AND query !~ 'pg_stat_activity'
ORDER BY pid
"""

_COMMITTING = """
SELECT pid FROM pg_stat_activity
WHERE usename = 'regulars_app' AND state = 'active' AND query ~* '^commit'
ORDER BY pid
"""


def _found(server: RunningServer, draw: random.Random, statement: str) -> int | None:
    until = time.monotonic() + 5
    with connect(server.owner_url) as connection:
        while time.monotonic() < until:
            if rows := connection.execute(statement.encode()).fetchall():
                return int(str(draw.choice(rows)[0]))
    return None


def _backend(server: RunningServer, draw: random.Random) -> int | None:
    return _found(server, draw, _BACKENDS)


def _committing(server: RunningServer, draw: random.Random) -> int | None:
    return _found(server, draw, _COMMITTING)


KILLS = (
    Kill("server", signal.SIGKILL, _server),
    Kill("server", signal.SIGTERM, _server),
    Kill("worker", signal.SIGKILL, _worker),
    Kill("worker", signal.SIGTERM, _worker),
    Kill("postmaster", signal.SIGKILL, _postmaster),
    Kill("postmaster", signal.SIGINT, _postmaster),
    Kill("backend", signal.SIGKILL, _backend),
    Kill("backend", signal.SIGTERM, _backend),
    Kill("backend in COMMIT", signal.SIGKILL, _committing),
    Kill("backend in COMMIT", signal.SIGTERM, _committing),
)


def slow_commits(server: RunningServer) -> None:
    """Delays every commit of a server's database by COMMIT_DELAY."""
    with connect(server.owner_url) as connection:
        connection.execute(f"ALTER SYSTEM SET commit_delay = {COMMIT_DELAY}".encode())
        connection.execute("ALTER SYSTEM SET commit_siblings = 0")
        connection.execute("SELECT pg_reload_conf()")


TARGET_GONE_ERRORS = (psycopg.OperationalError, psycopg.InterfaceError, FileNotFoundError, psutil.NoSuchProcess)
"""Errors of a search for a target while the server or its database is down."""
