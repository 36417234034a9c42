"""Folders for data that does not fit into memory: those of a process that was killed are removed."""

import subprocess
import tempfile
from pathlib import Path

import duckdb
import pytest

from regulars.storage import spill_folders


def test_only_folders_of_processes_that_ended_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    own = spill_folders.spill_folder()
    stale = own.with_name(own.name.replace(f"-{own.name.split('-')[2]}-", f"-{ended.pid}-"))
    foreign = tmp_path / "regulars-spill-of-another-kind"
    for each in (own, stale, foreign):
        each.mkdir()
        (each / "data").touch()
    spill_folders.remove_stale()
    assert sorted(tmp_path.iterdir()) == sorted([own, foreign])


def test_duckdb_removes_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with duckdb.connect() as connection:
        connection.execute(f"SET temp_directory = '{spill_folders.spill_folder()}'; SET memory_limit = '30MB'")
        connection.execute("CREATE TABLE numbers AS SELECT range AS number, random() AS other FROM range(5_000_000)")
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
