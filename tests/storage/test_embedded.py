"""The embedded server: started by the first, shared, and stopped by the last."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from regulars.storage import embedded, postmaster
from regulars.storage.embedded import DataFolderError
from regulars.storage.postmaster import PostgresStartError, Postmaster

USER = """
import os
import sys
from pathlib import Path
import psycopg
from regulars.storage import embedded, postmaster

if len(sys.argv) > 2:
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
with embedded.run_server(Path(sys.argv[1])) as urls:
    print(urls[1], flush=True)
    sys.stdin.readline()
"""


def start(folder: Path, *user_id: int) -> tuple[subprocess.Popen[str], str]:
    """A process that uses the server of a folder, as a user, until it is released, and the app's URL."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(folder), *map(str, user_id)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def leave(process: subprocess.Popen[str]) -> None:
    """Stops a process and waits for its end."""
    process.communicate("\n", timeout=60)
    assert process.returncode == 0


def answers(url: str) -> bool:
    """Whether a server is there."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def test_a_server_that_does_not_stop_is_killed(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postmaster, "STOP_TIMEOUT_SECONDS", 1)
    with embedded.run_server(data_folder) as urls:
        server = Postmaster(data_folder / "postgresql")
        process = server.process()
        assert process is not None
        assert answers(urls[1])
        process.suspend()
    assert server.process() is None
    with embedded.run_server(data_folder) as urls:
        assert answers(urls[1])


def test_two_processes_share_a_directory_and_the_last_stops_the_server(data_folder: Path) -> None:
    (first, url), (second, same) = start(data_folder), start(data_folder)
    assert url == same
    leave(first)
    assert answers(url)
    leave(second)
    assert not answers(url)


def test_data_survives_a_restart(data_folder: Path) -> None:
    for expected in (0, 1):
        with embedded.run_server(data_folder / "new" / "folder") as (owner, app):
            with psycopg.connect(owner, autocommit=True) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS numbers (n int)")
                assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (expected,)
                connection.execute("INSERT INTO numbers VALUES (1)")
            with psycopg.connect(app) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT * FROM numbers")


def test_a_killed_user_does_not_keep_the_server_running(data_folder: Path) -> None:
    killed, url = start(data_folder)
    killed.kill()
    killed.communicate(timeout=60)
    assert answers(url)
    last, same = start(data_folder)
    assert same == url
    leave(last)
    assert not answers(url)


def test_a_process_can_use_a_directory_twice(data_folder: Path) -> None:
    with embedded.run_server(data_folder) as (_, url):
        with embedded.run_server(data_folder) as (_, same):
            assert same == url
        assert answers(url)
    assert not answers(url)


def test_a_pid_file_with_the_pid_of_another_program_is_ignored(data_folder: Path) -> None:
    with embedded.run_server(data_folder):
        stale = (data_folder / "postgresql/postmaster.pid").read_text().splitlines()
    stale[0] = str(os.getpid())
    for file in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (data_folder / "postgresql" / file).write_text("\n".join(stale) + "\n")
    with embedded.run_server(data_folder) as (_, url):
        assert answers(url)
    assert not answers(url)


def test_a_killed_server_is_restarted_at_the_same_address(data_folder: Path) -> None:
    with embedded.run_server(data_folder) as (owner, app):
        postmaster = Postmaster(data_folder / "postgresql")
        first = postmaster.process()
        assert first is not None
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("CREATE TABLE numbers AS SELECT 1 AS n")
            # A session at work outlives the postmaster for a while, and its memory with it.
            first.send_signal(signal.SIGKILL)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT pg_sleep(60)")
        deadline = time.monotonic() + 60
        while not answers(app) and time.monotonic() < deadline:
            continue
        with psycopg.connect(owner) as connection:
            assert connection.execute("SELECT n FROM numbers").fetchone() == (1,)
        second = postmaster.process()
        assert second is not None
        assert second.pid != first.pid
    assert not answers(app)


def test_the_reason_of_a_failed_start_is_reported(data_folder: Path) -> None:
    with embedded.run_server(data_folder):
        pass
    control = data_folder / "postgresql/global/pg_control"
    control.rename(control.with_suffix(".away"))
    with (
        pytest.raises(PostgresStartError, match=r"does not start \(.+\): see .*postgresql/log"),
        embedded.run_server(data_folder),
    ):
        pass
    assert Postmaster(data_folder / "postgresql").process() is None


# Whose folder it is -----------------------------------------------------------------------------------------

OTHER_USER = 65534
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process as another user")


@pytest.fixture
def folder_of_other_user() -> Iterator[Path]:
    """A folder that belongs to a user without any rights."""
    with tempfile.TemporaryDirectory(prefix="regulars-test-") as folder:
        os.chown(folder, OTHER_USER, OTHER_USER)
        yield Path(folder)


@only_root
def test_two_users_of_a_machine_run_separate_servers(data_folder: Path, folder_of_other_user: Path) -> None:
    (first, url), (second, other) = start(data_folder), start(folder_of_other_user, OTHER_USER)
    assert (answers(url), answers(other)) == (True, True)
    assert (folder_of_other_user / "postgresql/PG_VERSION").stat().st_uid == OTHER_USER
    leave(second)
    leave(first)
    with (
        pytest.raises(DataFolderError, match=f"belongs to the user {pwd.getpwuid(OTHER_USER).pw_name}"),
        embedded.run_server(folder_of_other_user),
    ):
        pass


@only_root
def test_a_directory_without_access_is_reported(data_folder: Path) -> None:
    data_folder.chmod(0o755)
    process = subprocess.run(
        [sys.executable, "-c", USER, str(data_folder), str(OTHER_USER)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert "can't write to the data directory" in process.stderr.splitlines()[-1]
    assert "which belongs to root" in process.stderr.splitlines()[-1]


@pytest.mark.parametrize("below", ["", "below"])
def test_a_file_as_data_directory_is_rejected(below: str, data_folder: Path) -> None:
    (data_folder / "file").touch()
    with (
        pytest.raises(DataFolderError, match="is a file" if not below else "can't be created"),
        embedded.run_server(data_folder / "file" / below),
    ):
        pass
