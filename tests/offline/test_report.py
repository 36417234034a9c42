"""Reports over files: worked cases, and what is refused."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

import regulars
from regulars.cli import run
from regulars.offline.errors import InputNotFoundError, InvalidInputError
from regulars.query.errors import InvalidParametersError

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
    with pytest.raises(InputNotFoundError, match="transactions are needed"):
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
    with pytest.raises(InvalidInputError, match=told):
        computed("members_count", **changes)


def test_a_wrong_request_is_told_as_the_api_tells_it() -> None:
    with pytest.raises(InvalidParametersError, match="Unknown field"):
        computed("members_count", filter={"type": "equal", "field": "genders", "value": None})
    with pytest.raises(InputNotFoundError, match="no_report is no report: there are members, members_count"):
        computed("no_report")


# Purchases -------------------------------------------------------------------------------------------------

YEAR = {"start": "2026-01-01", "end": "2027-01-01"}
SOLD = pa.table(
    {
        "external_id": ["T1", "T2", "T3", "T4", "T5", "T6"],
        "profile": ["A", "A", None, "B", "A", "A"],
        "transacted_at": [
            *("2026-03-01T10:00:00Z", "2026-03-02T10:00:00Z", "2026-03-02T11:00:00Z", "2026-03-02T12:00:00Z"),
            *("2026-03-03T10:00:00Z", "2026-11-02T10:00:00Z"),
        ],
        "total": ["100", "-40", "50.01", "0", "7", "1"],
        "is_void": [False, False, False, False, True, False],
        "location": ["S1", None, "S1", "S2", "S1", "S1"],
        "systems": ["", "web", "pos,web", "", "", ""],
    }
)
PLACES = pa.table({"external_id": ["S1", "S2"], "type": ["store", "online"]})


def asked(report: str, by: str | None, **more: Any) -> Any:
    given = {"transactions": SOLD, "profiles": PROFILES, "locations": PLACES, "as_of": AT, **more}
    return regulars.compute_report(report, aggregate_by=by, **given)


def sold(by: str | None = None, **more: Any) -> dict[Any, tuple[Any, ...]]:
    """By label what was sold in a year: sales, net amount, members, average value."""
    found = asked("transactions_stats", by, **YEAR, **more)["statistics"]
    return {next(iter(each["label"].values()), None): _told(each["values"].values()) for each in found}


def over_time(metric: str, **more: Any) -> dict[str, Any]:
    """One series by its buckets."""
    found = asked("transactions_history", None, **more)
    (values,) = (each["values"] for each in found["series"] if each["label"] == {"metric": metric})
    return dict(zip(found["time_buckets"], values, strict=True))


def _told(values: Any) -> tuple[Any, ...]:
    return tuple(None if each is None else str(each) for each in values)


def bought_at(*instants: str, **more: Any) -> pa.Table:
    """A purchase of A at each of some instants."""
    number = len(instants)
    known = {"external_id": [f"T{place}" for place in range(number)], "profile": ["A"] * number}
    return pa.table({**known, "transacted_at": list(instants), "total": ["1"] * number, **more})


def test_sales_count_returns_lower_the_amount_and_whoever_is_anonymous_is_no_member() -> None:
    # Neither what is void nor what comes later.
    assert sold() == {None: ("2", "110.01", "2", "55.00")}
    assert sold("community_id", community_id=7) == {7: ("2", "110.01", "2", "55.00")}
    assert sold("gender") == {
        "female": ("1", "60.00", "1", "60.00"),
        "male": ("0", "0.00", "1", None),
        None: ("1", "50.01", "0", "50.01"),
    }
    assert over_time("net_amount", interval="1d", start="2026-03-01", end="2026-03-05") == {
        "2026-03-01T00:00:00.000+00:00": 100,
        "2026-03-02T00:00:00.000+00:00": Decimal("10.01"),
    }


def test_locations_are_external_ids_and_channels_those_of_the_systems_else_of_the_location() -> None:
    assert list(sold("location")) == ["S1", "S2", None]
    assert sold("channel", filter={"type": "in", "field": "location", "value": ["S1", None]}) == {
        "CM": ("1", "50.01", "0", "50.01"),
        "CF": ("1", "100.00", "1", "100.00"),
        "CO": ("0", "-40.00", "1", None),
    }


def test_a_buyer_is_counted_as_of_the_instant_of_the_purchase_and_what_is_bought_then_counts_together() -> None:
    born = {"birth_year": [1996], "birth_month": [2], "birth_day": [28]}
    profiles = pa.table({"external_id": ["A"], "joined_at": ["2025-11-29T10:00:00Z"], **born})
    given = {"transactions": bought_at("2026-02-27T23:30:00Z", "2026-02-27T23:30:00Z", "2026-03-02T10:00:00Z")}
    given |= {"profiles": profiles, "locations": None}

    def sales(by: str, zone: str) -> dict[Any, Any]:
        return {label: values[0] for label, values in sold(by, timezone=zone, **given).items()}

    assert sales("dimension_frequency", "UTC") == {"F2": "2", "FH": "1"}
    assert sales("age", "UTC") == {"25-29": "2", "30-34": "1"}
    assert sales("dimension_join", "UTC") == {"JN": "2", "JC": "1"}
    # There it is the day after, the birthday.
    assert sales("age", "Europe/Oslo") == {"30-34": "3"}
    assert sales("dimension_join", "Europe/Oslo") == {"JC": "3"}


def test_brands_have_what_was_paid_for_their_lines_at_the_rate() -> None:
    items = [
        {"brand": "A", "price_sell": 10, "quantity": 2},
        {"brand": "B", "price_sell": "0.05"},
        {"sku": "S", "brand": "B", "price_sell": 1, "quantity": -1},
        {"price_sell": 3},
        {"brand": "C", "price_sell": 3, "is_void": True},
    ]
    # Twice the same row is once.
    twice = {"currency": ["EUR"] * 2, "currency_rate": ["10.1"] * 2, "items": [json.dumps(items)] * 2}
    bought = bought_at(AT, AT, **twice).set_column(0, "external_id", pa.array(["T", "T"]))
    given = {"transactions": bought, "locations": None, "currency": "NOK"}
    products = pa.table({"external_id": ["P"], "sku": ["S"], "brand": ["A"]})
    expected = {
        "A": ("1", "191.90", "1", "191.90"),
        "B": ("1", "0.50", "1", "0.50"),
        None: ("1", "30.30", "1", "30.30"),
    }
    assert sold("brand", products=products, **given) == expected
    assert sold(**given) == {None: ("1", "10.10", "1", "10.10")}


def test_lines_in_rows_are_lines_of_one_purchase() -> None:
    rows = {"brand": ["A", "B", "A"], "price_sell": ["5", "2", "1"], "quantity": [1, 1, 3]}
    bought = bought_at(AT, AT, AT, **rows).set_column(0, "external_id", pa.array(["T1", "T1", "T2"]))
    found = sold("brand", transactions=bought, locations=None)
    assert found == {"A": ("2", "8.00", "1", "4.00"), "B": ("1", "2.00", "1", "2.00")}
    assert sold(transactions=bought, locations=None) == {None: ("2", "2.00", "1", "1.00")}


def test_an_hour_that_comes_twice_is_two_buckets_of_an_hour_and_in_one_of_a_day() -> None:
    given = {"transactions": bought_at("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"), "timezone": "Europe/Oslo"}
    given |= {"start": "2026-10-25", "end": "2026-10-25T12:00:00", "locations": None}
    twice = {"2026-10-25T02:00:00.000+02:00": 1, "2026-10-25T02:00:00.000+01:00": 1}
    assert over_time("transactions", interval="1h", **given) == twice
    assert over_time("transactions", interval="1d", **given) == {"2026-10-25T00:00:00.000+02:00": 2}


def test_a_day_that_goes_on_after_the_next_one_began_is_one_bucket() -> None:
    # A minute after midnight the clocks were put back to 23:01.
    instants = ("2009-11-01T02:30:30Z", "2009-11-01T03:00:00Z", "2009-11-01T03:30:30Z")
    given = {"transactions": bought_at(*instants), "timezone": "America/St_Johns", "locations": None}
    given |= {"as_of": "2009-11-02T00:00:00Z", "interval": "1d"}
    first, second = "2009-10-31T00:00:00.000-02:30", "2009-11-01T00:00:00.000-02:30"
    assert over_time("transactions", start="2009-10-31", end="2009-11-01T12:00:00", **given) == {first: 1, second: 2}
    assert over_time("transactions", start="2009-10-31", end="2009-10-31", **given) == {first: 1}
    assert over_time("transactions", start="2009-11-01T12:00:00", end="2009-11-01T12:00:00", **given) == {second: 2}


def test_purchases_alone_tell_nothing_of_their_buyers() -> None:
    given = {"profiles": None, "locations": None}
    every = ("2", "110.01", "2", "55.00")
    for field in ("gender", "age", "dimension_join"):
        assert sold(field, **given) == {None: every}
    assert list(sold("dimension_recency", **given)) == ["R0", "RC", None]


def test_columns_that_no_field_asked_for_is_made_of_are_not_read() -> None:
    wrong = pa.array(["on"] * 3)
    profiles = PROFILES.append_column("sms_status", wrong).set_column(4, "birth_year", wrong)
    assert list(sold("gender", profiles=profiles)) == ["female", "male", None]
    with pytest.raises(InvalidInputError, match="birth_year must be a whole number"):
        sold("age", profiles=profiles)


def test_what_purchases_lack_is_told() -> None:
    with pytest.raises(InputNotFoundError, match="transactions are needed: the report is about them"):
        sold(transactions=None)
    with pytest.raises(InvalidInputError, match="transactions have no lines"):
        sold("brand")
    stranger = SOLD.set_column(1, "profile", pa.array(["X"] * 6))
    with pytest.raises(InvalidInputError, match="is not among the profiles"):
        sold(transactions=stranger)
    with pytest.raises(InvalidParametersError, match="Must be a string"):
        sold(filter={"type": "equal", "field": "location", "value": 1})


# The command -----------------------------------------------------------------------------------------------

WITHIN = '{"from": "2026-03-01", "to": "2026-04-01"}'


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


def test_a_report_of_transactions_needs_no_profiles(tmp_path: Path) -> None:
    path, sales = tmp_path / "out.csv", tmp_path / "sales.parquet"
    pyarrow.parquet.write_table(SOLD, sales)
    query = '{"from": "2026-03-01", "to": "2026-04-01", "aggregate_by": "dimension_frequency"}'
    asked = ("--report", "transactions_stats", "--transactions", str(sales), "--query", query)
    assert run(["compute", "--as-of", AT, *asked, "-o", str(path)]) == 0
    header = "dimension_frequency,transactions,net_amount,members,average_value"
    assert path.read_text().split() == [header, "F0,0,0.00,1,", "F1,1,60.00,1,60.00", ",1,50.01,0,50.01"]


def test_a_cut_answer_is_not_written_where_nothing_tells_that_it_is_cut(tmp_path: Path) -> None:
    days = [f"2026-{month:02}-{day:02}" for month in (3, 4, 5, 6) for day in range(1, 31)]
    shops = pa.array([f"S{place % 3}" for place in range(3 * len(days))])
    bought = bought_at(*(day for day in days for _ in range(3)), location=shops)
    more = {"transactions": bought, "locations": None, "interval": "1d", "start": "2026-03-01", "end": "2026-06-30"}
    with pytest.raises(InvalidInputError, match="cut to 1,000 values"):
        asked("transactions_history", "location", output=tmp_path / "days.csv", **more)
    assert not (tmp_path / "days.csv").exists()
    asked("transactions_history", "location", output=tmp_path / "days.json", **more)
    told = json.loads((tmp_path / "days.json").read_text())
    assert (told["truncated"], told["data_points"]) == (True, 1000)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--report", "members_count", "--query", "{"), "--query is no JSON"),
        (("--report", "members_count", "--query", "[]"), "--query must be an object"),
        (("--report", "members_count", "--query", '{"limit": 1}'), "--query has limit"),
        (("--report", "members_count", "--query", '{"aggregate_by": "by_name"}'), "aggregate_by:"),
        (("--report", "members_count", "--pairs", "x.csv"), "--pairs are for values"),
        (("--report", "transactions_stats"), "Missing parameter 'from'"),
        (("--report", "transactions_stats", "--query", WITHIN), "transactions are needed"),
        ((), "Give --transactions"),
        (("--transactions", "x.csv", "--query", '{"interval": "1d"}'), "--memberships and --query are for a report"),
    ],
)
def test_wrong_use_is_told(
    arguments: tuple[str, ...], told: str, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compute", *arguments, "--profiles", file, "-o", str(tmp_path / "x.csv")]) == 2
    assert told in capsys.readouterr().err
