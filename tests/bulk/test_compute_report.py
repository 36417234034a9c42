"""Reports over files: worked cases, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

import regulars
from regulars.bulk.refusals import NotThereError, UnfitError
from regulars.cli import run
from regulars.query.problems import InvalidParametersError

AT = "2026-11-01T00:00:00Z"
PROFILES = pa.table(
    {
        "external_id": ["A", "B", "C"],
        "joined_at": ["2026-01-05T10:00:00Z", "2026-02-05T10:00:00Z", None],
        "created_at": [None, None, "2026-03-01T10:00:00Z"],
        "gender": ["female", "male", None],
        "birth_year": [1990, None, 1950],
        "optin_channel": ["iOS app", "web", None],
        "consents": ['{"sms_marketing": true, "club": false}', None, "{}"],
        "subunit_ids": ["[1, 2, 1]", None, "[2]"],
        "mobile_phone": ["+4791234567", None, None],
        "addresses": ['[{"country": "SE"}, {"iso": "FI", "is_default": true}]', None, '[{"country": "DK"}]'],
        "properties": ['{"language": "no", "E-mail": "a@example.org"}', None, None],
    }
)
LEFT = pa.table({"profile": ["B", "B"], "type": ["out", "out"], "at": ["2026-04-01T10:00:00Z", "2026-05-01T10:00:00Z"]})
SPRING = {"start": "2026-01-01", "end": "2026-05-31", "interval": "1mo"}


def computed(report: str, **asked: Any) -> Any:
    given = {"profiles": PROFILES, "memberships": LEFT, "as_of": AT, **asked}
    return regulars.compute_report(report, **given)


def test_members_are_those_who_came_in_and_did_not_leave() -> None:
    first, second = computed("members")["records"]
    assert (first["optin_platform"], first["country"], first["subunit_ids"]) == ("ios", "FI", [1, 2])
    assert first["properties"] == {"language": "no"}
    assert first["consents"] == {"club": False, "sms_marketing": True}
    assert (second["age"], second["country"], second["created_at"]) == ("75-79", "DK", "2026-03-01T10:00:00.000000Z")


def test_an_instant_of_before_knows_nothing_of_what_came_later() -> None:
    assert computed("members_count", as_of="2026-03-15T00:00:00Z")["records"][0]["members_count"] == 3
    assert computed("members_count", as_of="2026-02-01T00:00:00Z")["records"][0]["members_count"] == 1


def test_who_leaves_twice_leaves_once() -> None:
    (series,) = computed("members_count_history", aggregate_by="total", **SPRING)["series"]
    assert series["values"] == [1, 2, 3, 2, 2]
    (total,) = computed("member_balance", aggregate_by="total", **SPRING)["series"]
    assert total["values"] == [1, 1, 1, -1]


def test_groups_of_whom_nobody_is_left_are_told_with_none() -> None:
    found = computed("members_grouped_count", filter={"type": "equal", "field": "grouping_type", "value": "gender"})
    assert [(row["grouping_value"], row["members_count"]) for row in found["records"]] == [("female", 1), ("male", 0)]


def test_values_may_be_asked_for_with_transactions() -> None:
    sold = pa.table(
        {"external_id": ["T"], "profile": ["A"], "transacted_at": ["2026-10-01T10:00:00Z"], "total": ["79.90"]}
    )
    rich = {"type": "greater_or_equal_to", "field": "aggregations.spend_all", "value": 79.9}
    assert computed("members_count", transactions=sold, filter=rich)["records"][0]["members_count"] == 1
    with pytest.raises(NotThereError, match="transactions are needed"):
        computed("members_count", filter=rich)


def test_properties_that_a_club_calls_personal_stay_out() -> None:
    assert computed("members", personal=["Language"])["records"][0]["properties"] == {}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"profiles": PROFILES.append_column("sms_status", pa.array(["on", None, None]))}, "profiles.sms_status must"),
        ({"memberships": pa.table({"profile": ["X"], "type": ["in"], "at": [AT]})}, "memberships.profile is not among"),
        ({"memberships": pa.table({"profile": ["A"], "type": ["on"], "at": [AT]})}, "memberships.type must be in or"),
        ({"profiles": None}, "profiles are needed"),
        ({"engine": "dask"}, "engine must be duckdb or spark"),
        ({"output": "answer.txt"}, "ends in .json, .csv or .parquet"),
        ({"as_of": pa.table({"profile": ["A"]})}, "as_of must be one instant"),
    ],
)
def test_what_can_not_be_computed_is_told(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UnfitError, match=told):
        computed("members_count", **changes)


def test_a_wrong_request_is_told_as_the_api_tells_it() -> None:
    with pytest.raises(InvalidParametersError, match="The field must be one of"):
        computed("members_count", filter={"type": "equal", "field": "genders", "value": None})
    with pytest.raises(NotThereError, match="no_report is no report: there are members, members_count"):
        computed("no_report")


# The command -----------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "members.parquet"
    pyarrow.parquet.write_table(PROFILES, path)
    return str(path)


def test_a_report_is_written_as_the_file_is_called(file: str, tmp_path: Path) -> None:
    asked = ("--report", "members_count", "--profiles", file, "--query", '{"aggregate_by": "by_subunit"}', "-o")
    expected = [{"subunit": None, "members_count": 1}, {"subunit": 1, "members_count": 1}]
    expected.append({"subunit": 2, "members_count": 2})
    for ending in ("json", "csv", "parquet"):
        assert run(["compute", "--as-of", AT, *asked, str(tmp_path / f"counts.{ending}")]) == 0
    assert json.loads((tmp_path / "counts.json").read_text())["records"] == expected
    assert (tmp_path / "counts.csv").read_text().split() == ["subunit,members_count", ",1", "1,1", "2,2"]
    assert pyarrow.parquet.read_table(tmp_path / "counts.parquet").to_pylist() == expected


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--report", "members_count", "--query", "{"), "--query is no JSON"),
        (("--report", "members_count", "--query", "[]"), "--query must be an object"),
        (("--report", "members_count", "--query", '{"limit": 1}'), "--query has limit"),
        (("--report", "members_count", "--query", '{"aggregate_by": "by_name"}'), "aggregate_by:"),
        (("--report", "members_count", "--pairs", "x.csv"), "--pairs are for values"),
        ((), "Give --transactions"),
        (("--transactions", "x.csv", "--query", '{"interval": "1d"}'), "--memberships and --query are for a report"),
    ],
)
def test_wrong_use_is_told(
    arguments: tuple[str, ...], told: str, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compute", *arguments, "--profiles", file, "-o", str(tmp_path / "x.csv")]) == 2
    assert told in capsys.readouterr().err
