"""The embedded server: started by the first, shared, and stopped by the last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from regulars.storage import embedded

USER = """
import sys
from pathlib import Path
from regulars.storage import embedded

with embedded.running(Path(sys.argv[1])) as urls:
    print(urls[1], flush=True)
    sys.stdin.readline()
"""


def start(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A process that uses the server of a folder until it is told to leave, and the app's URL."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def leave(process: subprocess.Popen[str]) -> None:
    """Tells a process to leave, and waits until it has."""
    process.communicate("\n", timeout=60)
    assert process.returncode == 0


def answers(url: str) -> bool:
    """Whether a server is there."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def test_two_processes_share_a_folder_and_the_last_stops_the_server(data_folder: Path) -> None:
    (first, url), (second, same) = start(data_folder), start(data_folder)
    assert url == same
    leave(first)
    assert answers(url)
    leave(second)
    assert not answers(url)


def test_what_was_written_is_there_the_next_time(data_folder: Path) -> None:
    for expected in (0, 1):
        with embedded.running(data_folder / "new" / "folder") as (owner, app):
            with psycopg.connect(owner, autocommit=True) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
                assert connection.execute("SELECT count(*) FROM kept").fetchone() == (expected,)
                connection.execute("INSERT INTO kept VALUES (1)")
            with psycopg.connect(app) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT * FROM kept")
