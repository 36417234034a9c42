"""Segments over files: by the filters that the server evaluates, on DuckDB; on Spark see tests/engines/test_segment.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import regulars
from offline.test_report import AT, MEMBERSHIPS, PROFILES
from regulars.cli import run
from regulars.offline.errors import InputNotFoundError
from regulars.query.errors import InvalidParametersError

WOMEN = {"type": "equal", "field": "gender", "value": "female"}
NORDIC_OR_OLD = {
    "type": "or",
    "operations": [
        {"type": "in", "field": "country", "value": ["FI"]},
        {"type": "equal", "field": "age", "value": "75-79"},
    ],
}
PURCHASES = pa.table(
    {
        "external_id": ["1", "2", "3"],
        "profile": ["A", "A", "C"],
        "transacted_at": ["2026-10-01T12:00:00Z", "2026-10-02T12:00:00Z", "2026-10-03T12:00:00Z"],
        "total": ["100.50", "10", "20"],
    }
)
SPENDERS = {"type": "greater_than", "field": "aggregations.spend_12m", "value": 20}


def members_of(segment: Any, **options: Any) -> dict[str, bool]:
    """Whether each member is in a segment."""
    result = regulars.compute_segment(segment, PROFILES, memberships=MEMBERSHIPS, as_of=AT, **options)
    return {each["profile"]: each["in_segment"] for each in result["records"]}


@pytest.mark.slow
def test_each_member_is_in_a_segment_or_not() -> None:
    assert members_of(WOMEN) == {"A": True, "C": False}
    assert members_of({"name": "women", "filter": WOMEN}) == {"A": True, "C": False}
    assert members_of(json.dumps({"type": "not", "operation": WOMEN})) == {"A": False, "C": True}
    assert members_of(NORDIC_OR_OLD) == {"A": True, "C": True}
    assert members_of(SPENDERS, transactions=PURCHASES) == {"A": True, "C": False}


def test_the_command_writes_the_members(tmp_path: Path) -> None:
    (tmp_path / "profiles.csv").write_text("external_id,gender,joined_at\nA,female,2026-01-01\nB,male,2026-01-01\n")
    (tmp_path / "women.json").write_text(json.dumps({"name": "women", "filter": WOMEN}))
    options = ["--profiles", str(tmp_path / "profiles.csv"), "-o", str(tmp_path / "out.csv")]
    assert run(["compute", "--segment", str(tmp_path / "women.json"), *options]) == 0
    assert (tmp_path / "out.csv").read_text().splitlines() == ["profile,in_segment", "A,true", "B,false"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--segment", "{}"], "--segment requires --profiles"),
        (["--segment", "{", "--profiles", "p.csv"], "not valid JSON"),
        (["--segment", "missing.json", "--profiles", "p.csv"], "neither JSON nor a file"),
        (
            ["--segment", '{"type": "equal", "field": "hair", "value": 1}', "--profiles", "p.csv"],
            "Unknown field 'hair'",
        ),
        (["--segment", '{"filter": null}', "--profiles", "p.csv"], "has no filter"),
    ],
)
def test_invalid_calls_are_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compute", *arguments, "-o", str(tmp_path / "out.csv")]) == 2
    assert message in capsys.readouterr().err


def test_what_files_lack_is_an_error() -> None:
    with pytest.raises(InputNotFoundError, match="transactions is required"):
        members_of(SPENDERS)
    with pytest.raises(InputNotFoundError, match="Unknown engine"):
        members_of(WOMEN, engine="pandas")
    with pytest.raises(InvalidParametersError, match="Unknown segment"):
        members_of({"type": "in_segment", "segment": "women"})
