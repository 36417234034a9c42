"""Crashes of the embedded PostgreSQL: the server continues, or exits with the reason."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import httpx
import pytest

from regulars import cli
from regulars.storage.postmaster import Postmaster
from system.test_serve import TIMEOUT, run_server


def kill(postmaster: Postmaster) -> None:
    """Kills the server of a cluster."""
    process = postmaster.process()
    assert process is not None
    process.send_signal(signal.SIGKILL)


def is_healthy(address: str) -> bool:
    """Whether the server and its database are available."""
    try:
        return httpx.get(f"{address}/api/health", timeout=TIMEOUT).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def test_a_server_survives_a_restart_of_its_database_and_exits_if_that_fails() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="regulars-test-") as folder,
        run_server(Path(folder), "--workers", "2") as served,
    ):
        postmaster, log = Postmaster(Path(folder) / "postgresql"), Path(folder) / "stderr"
        kill(postmaster)
        deadline = time.monotonic() + TIMEOUT
        # The restart must be over, or the second kill would meet a server that is still starting.
        while "postgresql.restarted" not in log.read_text() or not is_healthy(served.address):
            assert time.monotonic() < deadline
            assert served.process.poll() is None, log.read_text()
            time.sleep(0.05)
        control = Path(folder) / "postgresql/global/pg_control"
        control.rename(control.with_suffix(".away"))
        kill(postmaster)
        assert served.process.wait(TIMEOUT) == 1
        assert "The embedded PostgreSQL does not start (could not open file" in log.read_text()


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["token", "list", "--organization", "x"], ["worker"]])
def test_a_file_as_data_folder_is_a_usage_error(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    assert cli.run([*command, "--data-dir", str(file)]) == 2
    said = capsys.readouterr().err
    assert (
        said == f"regulars: {os.path.realpath(file)} is a file. --data-dir (REGULARS_DATA_DIR) must be a directory.\n"
    )
