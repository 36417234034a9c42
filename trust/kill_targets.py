"""What can be killed: the server, the processes that it started, PostgreSQL and its single connections."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import psycopg

from trust.server import RunningServer, connect

COMMIT_DELAY = 20_000
"""Microseconds that every commit waits before it is flushed, so that a kill within one is no matter of luck."""

Find = Callable[[RunningServer, random.Random], int | None]


@dataclass(frozen=True)
class Kill:
    """A kind of kill: what is killed, and by which signal."""

    target: str
    signal: signal.Signals
    find_process: Find

    @property
    def name(self) -> str:
        """How the page calls it."""
        return f"{self.target}, {self.signal.name}"


def _server(server: RunningServer, draw: random.Random) -> int:
    return server.process.pid


def workers(server: RunningServer) -> list[int]:
    """The processes of a server that answer requests."""
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
    """Has every commit of a server's database take COMMIT_DELAY longer."""
    with connect(server.owner_url) as connection:
        connection.execute(f"ALTER SYSTEM SET commit_delay = {COMMIT_DELAY}".encode())
        connection.execute("ALTER SYSTEM SET commit_siblings = 0")
        connection.execute("SELECT pg_reload_conf()")


TARGET_GONE_ERRORS = (psycopg.OperationalError, psycopg.InterfaceError, FileNotFoundError, psutil.NoSuchProcess)
"""What a search for a target raises where the server or its database is just not there."""
