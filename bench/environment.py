"""Environment of a benchmark: an embedded PostgreSQL server in a temporary folder, with databases and communities."""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from regulars.auth import tokens
from regulars.auth.permits import REPORTING
from regulars.bootstrap import schema_statements
from regulars.clock import system_clock
from regulars.model import community as communities
from regulars.model.community import NewCommunity
from regulars.storage import embedded, retention
from regulars.storage.database import SESSION_SETTINGS, Database
from regulars.storage.migrate import migrate, role_of

ZONE = "Europe/Oslo"

_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


@dataclass(frozen=True)
class BenchClub:
    """A community with a token of the Profile API and one of the Reporting API."""

    id: int
    token: str
    reporting_token: str


@dataclass(frozen=True)
class BenchDatabase:
    """A migrated database, with the URLs of its owner and of the application."""

    owner_url: str
    app_url: str

    def create_club(self, slug: str) -> BenchClub:
        """Creates a community in Norway with its tokens."""
        return asyncio.run(_create_club(self.app_url, slug))

    @contextmanager
    def owner_connection(self) -> Iterator[psycopg.Connection]:
        """A connection of the owner, who bypasses row-level security, in autocommit mode."""
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            yield connection

    @contextmanager
    def app_connection(self, club: BenchClub) -> Iterator[psycopg.Connection]:
        """A connection of the application to one community; parameters are $1, $2, ..."""
        options = " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items() if name != "timezone")
        with psycopg.connect(
            self.app_url, autocommit=True, options=f"{options} -c TimeZone=UTC", cursor_factory=psycopg.RawCursor
        ) as connection:
            connection.execute(f"SET regulars.community_id = '{club.id}'".encode())
            yield connection

    def vacuum(self, *tables: str) -> None:
        """Vacuums, analyzes and checkpoints, so that a benchmark does not include the cost of seeding."""
        with self.owner_connection() as connection:
            for table in tables:
                connection.execute(f"VACUUM (FREEZE, ANALYZE) {table}".encode())
            connection.execute("CHECKPOINT")


async def _create_club(url: str, slug: str) -> BenchClub:
    async with Database(url, 2) as database:
        await retention.maintain_partitions(database, 7)
        async with database.unscoped_connection() as connection:
            new = NewCommunity(slug=slug, name=slug, country="NO", timezone=ZONE, currency="NOK")
            community = await communities.create(connection, new, system_clock())
            token = tokens.NewToken(community.organization_id, "bench", community_id=community.id)
            reporting = tokens.NewToken(community.organization_id, "bench reporting", permits=(REPORTING,))
            return BenchClub(
                community.id,
                await tokens.create(connection, token, system_clock()),
                await tokens.create(connection, reporting, system_clock()),
            )


@dataclass
class BenchEnvironment:
    """A running embedded server. Everything in its folder is removed with it."""

    folder: Path
    _running: ExitStack = field(default_factory=ExitStack)
    owner_url: str = ""
    app_url: str = ""

    def start(self) -> None:
        """Starts the server."""
        urls = self._running.enter_context(embedded.run_server(self.folder / "data"))
        self.owner_url, self.app_url = urls

    def stop(self) -> None:
        """Stops the server; its data stay."""
        self._running.close()

    @property
    def postmaster_pid(self) -> int:
        """Process ID of the postmaster."""
        return int((self.folder / "data/postgresql/postmaster.pid").read_text().split()[0])

    def database(self, name: str = embedded.DATABASE_NAME) -> BenchDatabase:
        """A database with the current schema; created if it does not exist."""
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0".encode())
        database = BenchDatabase(
            *(url.replace(f"/{embedded.DATABASE_NAME}?", f"/{name}?") for url in (self.owner_url, self.app_url))
        )
        migrate(database.owner_url, role_of(database.app_url), schema_statements())
        return database

    def restart_cold(self) -> bool:
        """Restarts the server with empty caches; returns whether the caches of the machine were dropped too."""
        self.stop()
        os.sync()
        try:
            _DROP_CACHES.write_text("3")
            dropped = True
        except OSError:
            dropped = False
        self.start()
        return dropped


@contextmanager
def bench_environment() -> Iterator[BenchEnvironment]:
    """An environment for the duration of the block. REGULARS_BENCH_FOLDER selects the disk."""
    parent = os.environ.get("REGULARS_BENCH_FOLDER")
    with tempfile.TemporaryDirectory(prefix="regulars-bench-", dir=parent) as folder:
        environment = BenchEnvironment(Path(folder))
        environment.start()
        try:
            yield environment
        finally:
            environment.stop()


def fetch_one(connection: psycopg.Connection, statement: str, values: list[Any] | None = None) -> tuple[Any, ...]:
    """The single row of a statement."""
    row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None, statement
    return row


def wait_for_autovacuum(connection: psycopg.Connection, seconds: float = 60.0) -> None:
    """Waits until autovacuum is idle, so that it does not disturb the measurement."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        working = fetch_one(
            connection, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'"
        )
        if not working[0]:
            return
        time.sleep(0.5)
