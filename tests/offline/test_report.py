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
MEMBERSHIPS = pa.table(
    {"profile": ["B", "B"], "type": ["out", "out"], "at": ["2026-04-01T10:00:00Z", "2026-05-01T10:00:00Z"]}
)
SPRING = {"start": "2026-01-01", "end": "2026-05-31", "interval": "1mo"}


def member_report(report: str, **options: Any) -> Any:
    return regulars.compute_report(report, **{"profiles": PROFILES, "memberships": MEMBERSHIPS, "as_of": AT, **options})


def test_members_have_joined_and_not_left() -> None:
    first, second = member_report("members")["records"]
    assert (first["optin_platform"], first["country"], first["subunit_ids"]) == ("ios", "FI", [1, 2])
    assert first["properties"] == {"language": "no"}
    assert first["consents"] == {"club": False, "sms_marketing": True}
    assert (second["age"], second["country"], second["created_at"]) == ("75-79", "DK", "2026-03-01T10:00:00.000000Z")


def test_later_events_are_ignored_at_a_past_instant() -> None:
    assert member_report("members_count", as_of="2026-03-15T00:00:00Z")["records"][0]["members_count"] == 3
    assert member_report("members_count", as_of="2026-02-01T00:00:00Z")["records"][0]["members_count"] == 1


def test_a_repeated_leave_counts_once() -> None:
    (series,) = member_report("members_count_history", aggregate_by="total", **SPRING)["series"]
    assert series["values"] == [1, 2, 3, 2, 2]
    (total,) = member_report("member_balance", aggregate_by="total", **SPRING)["series"]
    assert total["values"] == [1, 1, 1, -1]


def test_groups_without_current_members_have_a_count_of_zero() -> None:
    found = member_report(
        "members_grouped_count", filter={"type": "equal", "field": "grouping_type", "value": "gender"}
    )
    assert [(row["grouping_value"], row["members_count"]) for row in found["records"]] == [("female", 1), ("male", 0)]


def test_filters_by_values_need_transactions() -> None:
    sold = pa.table(
        {"external_id": ["T"], "profile": ["A"], "transacted_at": ["2026-10-01T10:00:00Z"], "total": ["79.90"]}
    )
    rich = {"type": "greater_or_equal_to", "field": "aggregations.spend_all", "value": 79.9}
    assert member_report("members_count", transactions=sold, filter=rich)["records"][0]["members_count"] == 1
    with pytest.raises(InputNotFoundError, match="transactions is required"):
        member_report("members_count", filter=rich)


def test_personal_properties_are_excluded() -> None:
    assert member_report("members", personal_properties=["Language"])["records"][0]["properties"] == {}
    written = pa.array(['{"FØDSELS\u2011nummer": 1, "E-mail\\"\\\\\'": 2, "Åre": 3}', None, None])
    profiles = PROFILES.set_column(PROFILES.schema.get_field_index("properties"), "properties", written)
    found = member_report("members", profiles=profiles, personal_properties=["Fødselsnummer"])["records"]
    assert found[0]["properties"] == {"Åre": 3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profiles": PROFILES.append_column("sms_status", pa.array(["on", None, None]))}, "profiles.sms_status must"),
        (
            {"memberships": pa.table({"profile": ["X"], "type": ["in"], "at": [AT]})},
            "memberships.profile does not exist",
        ),
        ({"memberships": pa.table({"profile": ["A"], "type": ["on"], "at": [AT]})}, "memberships.type must be in or"),
        ({"profiles": None}, "profiles is required"),
        ({"engine": "dask"}, "Unknown engine 'dask'"),
        ({"output": "answer.txt"}, "extension .json, .csv or .parquet"),
        ({"as_of": pa.table({"profile": ["A"]})}, "as_of must be a single instant"),
    ],
)
def test_invalid_inputs_are_rejected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        member_report("members_count", **changes)


def test_invalid_requests_have_the_errors_of_the_api() -> None:
    with pytest.raises(InvalidParametersError, match="Unknown field"):
        member_report("members_count", filter={"type": "equal", "field": "genders", "value": None})
    with pytest.raises(InputNotFoundError, match=r"Report 'no_report' is unknown\. Allowed: members, members_count"):
        member_report("no_report")


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
LOCATIONS = pa.table({"external_id": ["S1", "S2"], "type": ["store", "online"]})


def transaction_report(report: str, by: str | None, **more: Any) -> Any:
    options = {"transactions": SOLD, "profiles": PROFILES, "locations": LOCATIONS, "as_of": AT, **more}
    return regulars.compute_report(report, aggregate_by=by, **options)


def sold(by: str | None = None, **more: Any) -> dict[Any, tuple[Any, ...]]:
    """By label what was sold in a year: sales, net amount, members, average value."""
    found = transaction_report("transactions_stats", by, **YEAR, **more)["statistics"]
    return {next(iter(each["label"].values()), None): _as_strings(each["values"].values()) for each in found}


def over_time(metric: str, **more: Any) -> dict[str, Any]:
    """One series by its buckets."""
    found = transaction_report("transactions_history", None, **more)
    (values,) = (each["values"] for each in found["series"] if each["label"] == {"metric": metric})
    return dict(zip(found["time_buckets"], values, strict=True))


def _as_strings(values: Any) -> tuple[Any, ...]:
    return tuple(None if each is None else str(each) for each in values)


def purchases_at(*instants: str, **more: Any) -> pa.Table:
    """A purchase of A at each of some instants."""
    number = len(instants)
    defaults = {"external_id": [f"T{index}" for index in range(number)], "profile": ["A"] * number}
    return pa.table({**defaults, "transacted_at": list(instants), "total": ["1"] * number, **more})


def test_returns_reduce_the_amount_and_anonymous_buyers_are_no_members() -> None:
    # Void and later transactions are excluded.
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


def test_locations_are_external_ids_and_channels_follow_from_systems_or_location() -> None:
    assert list(sold("location")) == ["S1", "S2", None]
    assert sold("channel", filter={"type": "in", "field": "location", "value": ["S1", None]}) == {
        "CM": ("1", "50.01", "0", "50.01"),
        "CF": ("1", "100.00", "1", "100.00"),
        "CO": ("0", "-40.00", "1", None),
    }


def test_dimensions_of_a_buyer_are_those_at_the_instant_of_the_purchase() -> None:
    born = {"birth_year": [1996], "birth_month": [2], "birth_day": [28]}
    profiles = pa.table({"external_id": ["A"], "joined_at": ["2025-11-29T10:00:00Z"], **born})
    options = {"transactions": purchases_at("2026-02-27T23:30:00Z", "2026-02-27T23:30:00Z", "2026-03-02T10:00:00Z")}
    options |= {"profiles": profiles, "locations": None}

    def sales(by: str, zone: str) -> dict[Any, Any]:
        return {label: values[0] for label, values in sold(by, timezone=zone, **options).items()}

    assert sales("dimension_frequency", "UTC") == {"F2": "2", "FH": "1"}
    assert sales("age", "UTC") == {"25-29": "2", "30-34": "1"}
    assert sales("dimension_join", "UTC") == {"JN": "2", "JC": "1"}
    # In Oslo it is the next day, the birthday.
    assert sales("age", "Europe/Oslo") == {"30-34": "3"}
    assert sales("dimension_join", "Europe/Oslo") == {"JC": "3"}


def test_amounts_of_brands_are_converted_by_the_currency_rate() -> None:
    items = [
        {"brand": "A", "price_sell": 10, "quantity": 2},
        {"brand": "B", "price_sell": "0.05"},
        {"sku": "S", "brand": "B", "price_sell": 1, "quantity": -1},
        {"price_sell": 3},
        {"brand": "C", "price_sell": 3, "is_void": True},
    ]
    # Duplicate rows count once.
    twice = {"currency": ["EUR"] * 2, "currency_rate": ["10.1"] * 2, "items": [json.dumps(items)] * 2}
    purchases = purchases_at(AT, AT, **twice).set_column(0, "external_id", pa.array(["T", "T"]))
    options = {"transactions": purchases, "locations": None, "currency": "NOK"}
    products = pa.table({"external_id": ["P"], "sku": ["S"], "brand": ["A"]})
    expected = {
        "A": ("1", "191.90", "1", "191.90"),
        "B": ("1", "0.50", "1", "0.50"),
        None: ("1", "30.30", "1", "30.30"),
    }
    assert sold("brand", products=products, **options) == expected
    assert sold(**options) == {None: ("1", "10.10", "1", "10.10")}


def test_rows_with_the_same_id_are_lines_of_one_purchase() -> None:
    rows = {"brand": ["A", "B", "A"], "price_sell": ["5", "2", "1"], "quantity": [1, 1, 3]}
    purchases = purchases_at(AT, AT, AT, **rows).set_column(0, "external_id", pa.array(["T1", "T1", "T2"]))
    found = sold("brand", transactions=purchases, locations=None)
    assert found == {"A": ("2", "8.00", "1", "4.00"), "B": ("1", "2.00", "1", "2.00")}
    assert sold(transactions=purchases, locations=None) == {None: ("2", "2.00", "1", "1.00")}


def test_a_repeated_hour_is_two_hourly_buckets_and_one_daily_bucket() -> None:
    options = {"transactions": purchases_at("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"), "timezone": "Europe/Oslo"}
    options |= {"start": "2026-10-25", "end": "2026-10-25T12:00:00", "locations": None}
    twice = {"2026-10-25T02:00:00.000+02:00": 1, "2026-10-25T02:00:00.000+01:00": 1}
    assert over_time("transactions", interval="1h", **options) == twice
    assert over_time("transactions", interval="1d", **options) == {"2026-10-25T00:00:00.000+02:00": 2}


def test_a_local_day_that_continues_after_the_next_one_started_is_one_bucket() -> None:
    # A minute after midnight the clocks were set back to 23:01.
    instants = ("2009-11-01T02:30:30Z", "2009-11-01T03:00:00Z", "2009-11-01T03:30:30Z")
    options = {"transactions": purchases_at(*instants), "timezone": "America/St_Johns", "locations": None}
    options |= {"as_of": "2009-11-02T00:00:00Z", "interval": "1d"}
    first, second = "2009-10-31T00:00:00.000-02:30", "2009-11-01T00:00:00.000-02:30"
    assert over_time("transactions", start="2009-10-31", end="2009-11-01T12:00:00", **options) == {first: 1, second: 2}
    assert over_time("transactions", start="2009-10-31", end="2009-10-31", **options) == {first: 1}
    assert over_time("transactions", start="2009-11-01T12:00:00", end="2009-11-01T12:00:00", **options) == {second: 2}


def test_attributes_of_buyers_are_null_without_profiles() -> None:
    options = {"profiles": None, "locations": None}
    every = ("2", "110.01", "2", "55.00")
    for field in ("gender", "age", "dimension_join"):
        assert sold(field, **options) == {None: every}
    assert list(sold("dimension_recency", **options)) == ["R0", "RC", None]


def test_columns_that_the_fields_do_not_need_are_not_read() -> None:
    wrong = pa.array(["on"] * 3)
    profiles = PROFILES.append_column("sms_status", wrong).set_column(4, "birth_year", wrong)
    assert list(sold("gender", profiles=profiles)) == ["female", "male", None]
    with pytest.raises(InvalidInputError, match="birth_year must be an integer"):
        sold("age", profiles=profiles)


def test_missing_inputs_of_transaction_reports_are_errors() -> None:
    with pytest.raises(InputNotFoundError, match="transactions is required for a report about transactions"):
        sold(transactions=None)
    with pytest.raises(InvalidInputError, match="brand needs line items"):
        sold("brand")
    unknown = SOLD.set_column(1, "profile", pa.array(["X"] * 6))
    with pytest.raises(InvalidInputError, match="does not exist in profiles"):
        sold(transactions=unknown)
    with pytest.raises(InvalidParametersError, match="Must be a string"):
        sold(filter={"type": "equal", "field": "location", "value": 1})


# The command -----------------------------------------------------------------------------------------------

WITHIN = '{"from": "2026-03-01", "to": "2026-04-01"}'


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "members.parquet"
    pyarrow.parquet.write_table(PROFILES, path)
    return str(path)


def test_the_format_of_a_report_follows_from_the_extension(file: str, tmp_path: Path) -> None:
    options = ("--report", "members_count", "--profiles", file, "--query", '{"aggregate_by": "by_subunit"}', "-o")
    expected = [{"subunit": None, "members_count": 1}, {"subunit": 1, "members_count": 1}]
    expected.append({"subunit": 2, "members_count": 2})
    for ending in ("json", "csv", "parquet"):
        assert run(["compute", "--as-of", AT, *options, str(tmp_path / f"counts.{ending}")]) == 0
    assert json.loads((tmp_path / "counts.json").read_text())["records"] == expected
    assert (tmp_path / "counts.csv").read_text().split() == ["subunit,members_count", ",1", "1,1", "2,2"]
    assert pyarrow.parquet.read_table(tmp_path / "counts.parquet").to_pylist() == expected


def test_a_report_of_transactions_needs_no_profiles(tmp_path: Path) -> None:
    path, sales = tmp_path / "out.csv", tmp_path / "sales.parquet"
    pyarrow.parquet.write_table(SOLD, sales)
    query = '{"from": "2026-03-01", "to": "2026-04-01", "aggregate_by": "dimension_frequency"}'
    options = ("--report", "transactions_stats", "--transactions", str(sales), "--query", query)
    assert run(["compute", "--as-of", AT, *options, "-o", str(path)]) == 0
    header = "dimension_frequency,transactions,net_amount,members,average_value"
    assert path.read_text().split() == [header, "F0,0,0.00,1,", "F1,1,60.00,1,60.00", ",1,50.01,0,50.01"]


def test_a_truncated_result_is_written_only_to_json(tmp_path: Path) -> None:
    days = [f"2026-{month:02}-{day:02}" for month in (3, 4, 5, 6) for day in range(1, 31)]
    shops = pa.array([f"S{index % 3}" for index in range(3 * len(days))])
    purchases = purchases_at(*(day for day in days for _ in range(3)), location=shops)
    more = {"transactions": purchases, "locations": None, "interval": "1d", "start": "2026-03-01", "end": "2026-06-30"}
    with pytest.raises(InvalidInputError, match="exceeds 1,000 values"):
        transaction_report("transactions_history", "location", output=tmp_path / "days.csv", **more)
    assert not (tmp_path / "days.csv").exists()
    transaction_report("transactions_history", "location", output=tmp_path / "days.json", **more)
    message = json.loads((tmp_path / "days.json").read_text())
    assert (message["truncated"], message["data_points"]) == (True, 1000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--report", "members_count", "--query", "{"), "--query is not valid JSON"),
        (("--report", "members_count", "--query", "[]"), "--query must be an object"),
        (("--report", "members_count", "--query", '{"limit": 1}'), "--query has unknown parameter 'limit'"),
        (("--report", "members_count", "--query", '{"aggregate_by": "by_name"}'), "aggregate_by:"),
        (("--report", "members_count", "--entities", "x.csv"), "--entities is not supported"),
        (("--report", "transactions_stats"), "Missing parameter 'from'"),
        (("--report", "transactions_stats", "--query", WITHIN), "transactions is required"),
        ((), "Missing option --transactions"),
        (("--transactions", "x.csv", "--query", '{"interval": "1d"}'), "--memberships and --query require --report"),
    ],
)
def test_usage_errors_name_the_option(
    arguments: tuple[str, ...], message: str, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compute", *arguments, "--profiles", file, "-o", str(tmp_path / "x.csv")]) == 2
    assert message in capsys.readouterr().err


def test_profiles_are_normalized_as_on_the_server() -> None:
    rows = [
        {"external_id": "\u00a0A ", "gender": "F", "birth_year": "1990"},
        {"external_id": "B", "gender": " Man", "birth_year": None},
        {"external_id": "C", "gender": "Agender", "birth_year": None},
        {"external_id": "D", "gender": "", "birth_year": None},
    ]
    found = member_report("members", profiles=pa.Table.from_pylist(rows), memberships=None)["records"]
    assert [each["gender"] for each in found] == ["female", "male", "agender", None]
    for column, value in (("birth_year", "2999"), ("mobile_phone", "4.79E+10")):
        table = pa.table({"external_id": ["A"], column: [value]})
        with pytest.raises(InvalidInputError, match=f"profiles.{column} m"):
            member_report("members", profiles=table, memberships=None)
    purchases = {
        "external_id": [" T1", "T1\u00a0"],
        "profile": ["A ", "A"],
        "transacted_at": ["2026-10-01"] * 2,
        "total": [5, 5],
    }
    by_gender = regulars.compute_report(
        "transactions_stats",
        transactions=pa.table(purchases),
        profiles=pa.Table.from_pylist(rows),
        aggregate_by="gender",
        start="2026-10-01",
        end="2026-11-01",
        as_of=AT,
    )
    (only,) = [each for each in by_gender["statistics"] if each["label"].get("gender") == "female"]
    assert only["values"]["transactions"] == 1
