"""`regulars export` and `regulars query --all`: whole results from the shell, without a server."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import polars
import pytest

from cli.conftest import Command
from regulars.exports import export as exports
from regulars.exports.compression import OutputFile

MEMBERS = '{"report": "members"}'


@pytest.fixture
def members(command: Command, slug: str, tmp_path: Path) -> str:
    """A community with 1,200 members, more than a page."""
    lines = (json.dumps({"external_id": f"M{number}", "joined_at": "2026-01-01T00:00:00Z"}) for number in range(1_200))
    (tmp_path / "members.ndjson").write_text("\n".join(lines))
    done = command("load", "profiles", "members.ndjson", "--community", slug)
    assert done.code == 0, done.err
    (tmp_path / "members.ndjson").unlink()
    return slug


def test_the_format_is_that_of_the_extension(command: Command, members: str, tmp_path: Path) -> None:
    done = command("export", MEMBERS, "--customer", members, "-o", "members.parquet")
    size = (tmp_path / "members.parquet").stat().st_size
    assert (done.code, done.err) == (0, "")
    assert done.out == f"1,200 rows written to members.parquet ({size:,} bytes).\n"
    assert polars.read_parquet(tmp_path / "members.parquet").height == 1_200

    assert command("export", MEMBERS, "--customer", members, "-o", "members.csv.gz").code == 0
    text = gzip.decompress((tmp_path / "members.csv.gz").read_bytes()).decode()
    assert len(text.splitlines()) == 1_201

    options = ("--format", "csv", "--compress", "gzip", "--customer-columns", "-o", "members.data")
    assert command("export", MEMBERS, "--customer", members, *options).code == 0
    text = gzip.decompress((tmp_path / "members.data").read_bytes()).decode()
    assert text.startswith("customer_id,customer_name,id,")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["members.csv.gz", "members.data", "members.parquet"]


def test_all_rows_are_printed(members: str, command: Command) -> None:
    for options in (("query", MEMBERS, "--all"), ("export", MEMBERS, "-o", "-", "--format", "csv")):
        done = command(*options, "--customer", members)
        assert done.code == 0
        assert len(done.out.splitlines()) == 1_201
    done = command("query", MEMBERS, "--all", "-o", "ndjson", "--customer", members)
    assert json.loads(done.out.splitlines()[-1])["optin_channel"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("export", MEMBERS, "-o", "members"),
            "The format of 'members' is unknown. Allowed: csv, xlsx, ndjson, parquet",
        ),
        (("export", MEMBERS, "-o", "a.csv", "--format", "pdf"), "--format is 'pdf'. Allowed: csv"),
        (("export", MEMBERS, "-o", "a.csv", "--compress", "zip"), "--compress is 'zip'. Allowed: gzip, zstd."),
        (("export", MEMBERS, "-o", "no/a.csv"), "no/a.csv can't be written: folder no does not exist."),
        (("export", MEMBERS, "-o", "..", "--format", "csv"), ".. can't be written: it is a folder."),
        (("export", '{"report": "members", "limit": 1}', "-o", "a.csv"), "limit: "),
        (("export", "1", "-o", "a.csv"), "The body must be a JSON object, not a number."),
        (("export", MEMBERS, "-o", "a.csv", "--customer", "unknown-club"), "Customer 'unknown-club' not found."),
        (("export", MEMBERS, "-o", "a.csv", "--customer", "id=x"), "X-Customer"),
        (("query", MEMBERS, "--all", "-o", "json"), "-o is 'json'. Allowed with --all: csv, ndjson."),
    ],
)
def test_invalid_options_are_named(
    command: Command, slug: str, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = command(*arguments)
    assert done.code == 2
    assert message in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_the_file_of_before(
    command: Command, members: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "members.csv").write_text("before")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "members.csv")

    monkeypatch.setattr(OutputFile, "write", fail)
    done = command("export", MEMBERS, "--customer", members, "-o", "members.csv")
    assert (done.code, done.err) == (1, "regulars: members.csv can't be written: No space left on device.\n")
    monkeypatch.undo()
    assert (tmp_path / "members.csv").read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["members.csv"]


def test_an_interrupted_export_leaves_no_file(
    command: Command, members: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(exports, "BatchSink", interrupt)
    with pytest.raises(SystemExit, match="130"):
        command("export", MEMBERS, "--customer", members, "-o", "members.csv")
    assert list(tmp_path.iterdir()) == []


def test_progress_goes_to_standard_error(command: Command, members: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regulars.cli.progress._SECONDS_BETWEEN_LINES", 0.0)
    done = command("export", MEMBERS, "--customer", members, "-o", "members.csv")
    assert done.err == "export: 1,200 rows\n"


def test_a_reader_that_stops_early_is_no_error(members: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    export = ["export", MEMBERS, "--customer", members, "-o", "-", "--format", "csv"]
    done = subprocess.run([sys.executable, "-m", "regulars", *export], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")
