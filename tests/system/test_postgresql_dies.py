"""A server whose embedded PostgreSQL dies: it goes on, or ends and says why."""

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
from system.test_serve import TIMEOUT, serving


def kill(postmaster: Postmaster) -> int:
    """Kills the server of a cluster; gives the number that its process had."""
    process = postmaster.process()
    assert process is not None
    process.send_signal(signal.SIGKILL)
    return int(process.pid)


def is_healthy(address: str) -> bool:
    """Whether the server answers, and its database."""
    try:
        return httpx.get(f"{address}/api/health", timeout=TIMEOUT).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def test_a_server_survives_a_restart_of_its_database_and_exits_if_that_fails() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="regulars-test-") as folder,
        serving(Path(folder), "--workers", "2") as served,
    ):
        postmaster = Postmaster(Path(folder) / "postgresql")
        killed = kill(postmaster)
        deadline = time.monotonic() + TIMEOUT
        while (process := postmaster.process()) is None or process.pid == killed or not is_healthy(served.address):
            assert time.monotonic() < deadline
            assert served.process.poll() is None, (Path(folder) / "stderr").read_text()
        control = Path(folder) / "postgresql/global/pg_control"
        control.rename(control.with_suffix(".away"))
        kill(postmaster)
        assert served.process.wait(TIMEOUT) == 1
        last = (Path(folder) / "stderr").read_text()
        assert "The embedded PostgreSQL does not start (could not open file" in last


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["token", "list", "--organization", "x"], ["worker"]])
def test_a_file_as_data_folder_is_a_usage_error(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    assert cli.run([*command, "--data", str(file)]) == 2
    said = capsys.readouterr().err
    assert said == f"regulars: {os.path.realpath(file)} is a file: --data (REGULARS_DATA) names a folder.\n"
