"""Runs `regulars serve` with its own processes and database."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

import migrated_store
from regulars.auth import tokens
from regulars.clock import system_clock
from regulars.model import community as communities
from regulars.model.community import Community, NewCommunity
from regulars.storage import embedded
from regulars.storage.database import Database

REGULARS = Path(sys.executable).parent / "regulars"


@dataclass(frozen=True)
class ServerProcess:
    """The URL of a server, the URL of its database with the app's role, and its process id."""

    url: str
    database_url: str
    process_id: int


@contextmanager
def run_server(folder: Path, *, workers: int, settings: Mapping[str, str] | None = None) -> Iterator[ServerProcess]:
    """Runs a server with its data in a folder during the block; it must exit with code 0."""
    migrated_store.copy_to(folder / "data")
    log = (folder / "log").open("wb")
    command = [str(REGULARS), "serve", "--port", "0", "--data-dir", str(folder / "data"), "--workers", str(workers)]
    with log, embedded.run_server(folder / "data") as (_, database_url):
        environment = {**os.environ, **(settings or {})}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        try:
            yield ServerProcess(_address(process, folder / "log"), database_url, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        assert process.returncode == 0, (folder / "log").read_text()


def _address(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"listening at (http://\S+?),? ", line):
            return found[1]
    raise AssertionError(log.read_text())


# Every load is treated as a large one, so that the tests are short.
_LOAD = """
import sys
from regulars.cli import main
from regulars.loading import load_job
load_job.EAGER_REFRESH_ROWS = 0
sys.exit(main())
"""


async def start_load(data: Path, entity: str, path: Path, *options: str, rows: int) -> asyncio.subprocess.Process:
    """Starts `regulars load` into the community `club`, with commits of some rows."""
    command = ["load", entity, str(path), "--community", "club", "--data-dir", str(data), *options]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", _LOAD, *command),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "REGULARS_COMMIT_MAX_ROWS": str(rows)},
    )


def metrics_folder(worker: psutil.Process) -> Path:
    """Returns the folder of the shared counters of a server."""
    (path,) = (Path(each.path) for each in worker.memory_maps() if "regulars-metrics-" in each.path)
    return path.parent.parent


async def community_with_token(database_url: str) -> tuple[Community, str]:
    """Creates a community in Norway and a token, and returns both."""
    async with Database(database_url, 1) as database, database.unscoped_connection() as connection:
        now = system_clock()
        new = NewCommunity(slug="club", name="Club", country="NO", timezone="Europe/Oslo", currency="NOK")
        community = await communities.create(connection, new, now)
        new_token = tokens.NewToken(community.organization_id, "writers", community_id=community.id)
        return community, await tokens.create(connection, new_token, now)
