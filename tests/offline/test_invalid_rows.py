"""What is wrong with rows is told by table and column, with the first row that has it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from offline.purchase_tables import compute_spend, compute_values, table, write_csv
from regulars.offline.errors import InputNotFoundError, InvalidInputError

A_TIME = "a time: ISO 8601, or a column of times; without an offset it is local"
AN_AMOUNT = "a decimal with at most 6 decimals, below 10^12 in size"
A_LIST = "a list of objects, or its JSON"
T1 = "(1 row, such as external_id 'T1')."


def refusal(transactions: Any, **asked: Any) -> str:
    """Why nothing is computed."""
    with pytest.raises(InvalidInputError) as refused:
        compute_values(transactions, **asked)
    assert not isinstance(refused.value, InputNotFoundError)
    return str(refused.value)


@pytest.mark.parametrize("total", ["", "abc", "nan", "inf", "0.1234567", "1000000000000", "1,000"])
def test_a_text_that_is_no_amount_is_refused(total: str) -> None:
    assert refusal(table(total=[total])) == f"transactions.total is required, and must be {AN_AMOUNT} {T1}"


@pytest.mark.parametrize("total", [0.1 + 0.2, 0.1234567, float("nan"), float("inf"), 1e12, 1e-7])
def test_a_float_that_is_no_amount_is_refused(total: float) -> None:
    assert refusal(table(total=[total])) == f"transactions.total is required, and must be {AN_AMOUNT} {T1}"


@pytest.mark.parametrize(
    ("total", "amount"),
    [
        (0.1, "0.10"),
        (19.99, "19.99"),
        (123456789.12, "123456789.12"),
        ("1e2", "100.00"),
        ("999999999999.99", "999999999999.99"),
        ("0.125", "0.12"),
        ("-0.135", "-0.14"),
    ],
)
def test_an_amount_is_the_decimal_that_it_is_written_as(total: Any, amount: str) -> None:
    assert compute_spend(table(total=[total])) == {"M1": amount}


@pytest.mark.parametrize("at", ["", "yesterday", "2026-13-01", "01/10/2026"])
def test_a_text_that_is_no_time_is_refused(at: str) -> None:
    assert refusal(table(transacted_at=[at])) == f"transactions.transacted_at is required, and must be {A_TIME} {T1}"


@pytest.mark.parametrize("at", ["0000-10-01", "1899-12-31T23:59:59Z", "3000-01-01", "10000-10-01"])
def test_a_time_out_of_range_is_refused(at: str) -> None:
    assert refusal(table(transacted_at=[at])) == (f"transactions.transacted_at must be in the years 1900 to 2999 {T1}")


def test_a_local_time_is_the_first_of_a_repeated_hour_and_moves_forward_from_a_skipped_one() -> None:
    at = ["2026-10-25 02:30", "2026-03-29 02:30", "2026-07-01 12:00", "2026-07-01T12:00:00+05:00"]
    told = compute_values(
        table(external_id=[*"1234"], profile=[*"ABCD"], transacted_at=at, total=[*"1111"]), timezone="Europe/Oslo"
    )
    assert {profile: f"{row['spend_first_date']:%m-%d %H:%M}" for profile, row in told.items()} == {
        "A": "10-25 00:30",
        "B": "03-29 01:30",
        "C": "07-01 10:00",
        "D": "07-01 07:00",
    }


def test_an_id_is_needed() -> None:
    assert refusal(table(external_id=[""])) == (
        "transactions.external_id is required, and must be a text or a whole number (1 row)."
    )


def test_a_purchase_of_nobody_leads_nowhere() -> None:
    assert compute_spend(table(profile=[""])) == {}


def test_a_row_told_twice_counts_once(tmp_path: Path) -> None:
    assert compute_spend(write_csv(tmp_path, *["T1,M1,2026-10-01,5"] * 3)) == {"M1": "5.00"}


def test_rows_of_one_id_that_disagree_are_refused(tmp_path: Path) -> None:
    assert refusal(write_csv(tmp_path, "T1,M1,2026-10-01,5", "T1,M1,2026-10-01,6", "T2,M1,2026-10-01,6")) == (
        f"transactions: rows with one external_id are one transaction, and must agree in all columns {T1}"
    )


def test_several_faults_are_told_at_once(tmp_path: Path) -> None:
    assert refusal(
        write_csv(tmp_path, "T1,M1,x,5,", "T2,M1,2026-10-01,x,", "T3,M1,2026-10-01,x,", more=",is_void")
    ) == (
        f"transactions.transacted_at is required, and must be {A_TIME} (1 row, such as external_id 'T1'); "
        f"transactions.total is required, and must be {AN_AMOUNT} (2 rows, such as external_id 'T2')."
    )


def test_several_currencies_need_to_be_told_which_values_are_in() -> None:
    two = table(external_id=["T1", "T2"], profile=["M1"] * 2, transacted_at=["2026-10-01"] * 2, total=["5"] * 2)
    mixed = two.append_column("currency", pa.array(["EUR", "NOK"]))
    assert refusal(mixed) == (
        "transactions.currency names several (EUR, NOK): say which one values are in, by currency."
    )
    assert refusal(mixed, currency="EUR") == (
        "transactions.currency names NOK beside EUR: give each such row a currency_rate into EUR."
    )
    for rate in (None, "0", "-1"):
        rated = mixed.append_column("currency_rate", pa.array([None, rate], pa.string()))
        assert "such as external_id 'T2'" in refusal(rated, currency="EUR")
    rated = mixed.append_column("currency_rate", pa.array([None, "0.1"]))
    assert compute_spend(rated, currency="eur") == {"M1": "5.50"}


@pytest.mark.parametrize("currency", ["EEE", "euro"])
def test_an_unknown_currency_is_refused(currency: str) -> None:
    told = f"currency {currency.upper()!r} must be an ISO 4217 currency such as NOK."
    assert refusal(table(currency=[currency])) == told
    assert refusal(table(), currency=currency.upper()) == told


def test_an_unknown_zone_is_refused() -> None:
    told = "'Mars/Base' must be an IANA time zone such as Europe/Oslo."
    assert refusal(table(), timezone="Mars/Base") == f"timezone {told}"
    assert refusal(table(timezone=["Mars/Base"])) == f"transactions.timezone {told}"


@pytest.mark.parametrize("items", ["{x", '{"sku": "a"}', "5", "[null]", "[{}]x"])
def test_items_that_are_no_list_of_objects_are_refused(items: str) -> None:
    assert refusal(table(items=[items])) == f"transactions.items must be {A_LIST} {T1}"


@pytest.mark.parametrize("items", ["", "[]", None])
def test_a_purchase_may_be_of_no_items(items: str | None) -> None:
    assert compute_spend(table(items=pa.array([items], pa.string()))) == {"M1": "5.00"}


def test_wrong_amounts_of_items_are_refused() -> None:
    assert refusal(table(items=['[{"quantity": "many"}]'])) == (
        f"transactions.items.quantity must be a decimal with at most 6 decimals, below 10^7 in size {T1}"
    )
    assert refusal(table(items=['[{"discounts": [{"amount": 1}, {"amount": "abc"}]}]'])) == (
        f"transactions.items.discounts.amount must be {AN_AMOUNT} {T1}"
    )


def test_a_flag_is_true_or_false() -> None:
    assert refusal(table(is_void=["maybe"])) == f"transactions.is_void must be true or false {T1}"
    assert compute_spend(table(is_void=["TRUE"])) == {"M1": "0.00"}


def test_a_nul_character_is_no_part_of_an_id() -> None:
    assert refusal(table(profile=["M\0"])) == (
        "a profile has a NUL character in its id (1 row, such as profile_id 'M\\x00')."
    )
    assert refusal(table(location=["a\0"])) == (
        "locations.external_id holds a NUL character (1 row, such as external_id 'a\\x00')."
    )


def test_whoever_and_whatever_is_named_must_be_told_of() -> None:
    assert refusal(table(location=["oslo"]), locations=pa.table({"external_id": ["bergen"]})) == (
        f"transactions.location is not among the locations {T1}"
    )
    assert refusal(table(), profiles=pa.table({"external_id": ["M2"]})) == (
        f"transactions.profile is not among the profiles {T1}"
    )
    assert refusal(table(), as_of=pa.table({"profile": ["M1", "M9"], "as_of": ["2026-11-01"] * 2})) == (
        "as_of.profile is not among the profiles (such as 'M9', of 1): "
        "give a table of profiles that has those without transactions too."
    )


@pytest.mark.parametrize("kind", ["joined", "preferred"])
def test_a_profiles_locations_must_be_among_the_locations(kind: str) -> None:
    column = f"{kind}_location_external_id"
    profiles = pa.table({"external_id": ["M1"], column: ["bergen"]})
    assert refusal(table(), profiles=profiles, locations=pa.table({"external_id": ["oslo"]})) == (
        f"profiles.{column} is not among the locations (1 row, such as profile_id 'M1')."
    )
    # Where no location is known there is nothing to be known of it.
    assert compute_spend(table(), profiles=profiles) == {"M1": "5.00"}


@pytest.mark.parametrize(
    "column", [{"country_iso_3": ["Narnia"]}, {"address": ['{"country": "Narnia"}']}, {"address": [{"iso": "NN"}]}]
)
def test_a_locations_country_must_be_one(column: dict[str, list[Any]]) -> None:
    assert refusal(table(), locations=pa.table({"external_id": ["oslo"], **column})) == (
        "locations: the country must be one of ISO 3166-1 (1 row, such as external_id 'oslo')."
    )


def test_an_address_must_be_an_object_with_a_country_that_is_one() -> None:
    assert refusal(table(), locations=pa.table({"external_id": ["oslo"], "address": ["Karl Johan 1"]})) == (
        "locations.address must be an object, or its JSON (1 row, such as external_id 'oslo')."
    )
    for addresses, told in (
        ('[{"country": "Norway"}, {"country": "Narnia"}]', "profiles.addresses: the country must be one of ISO 3166-1"),
        ("[null]", f"profiles.addresses must be {A_LIST}"),
    ):
        assert refusal(table(), profiles=pa.table({"external_id": ["M1"], "addresses": [addresses]})) == (
            f"{told} (1 row, such as profile_id 'M1')."
        )
    for addresses in ("Oslo", '{"country": "NO"}'):
        assert refusal(table(), profiles=pa.table({"external_id": ["M1"], "addresses": [addresses]})) == (
            f"profiles.addresses must be {A_LIST} (1 row, such as external_id 'M1')."
        )


def test_an_address_is_where_a_profile_probably_lives() -> None:
    profiles = pa.table({"external_id": ["M1"], "addresses": ['[{"country": " norway ", "state": "Viken"}]']})
    row = compute_values(table(), profiles=profiles)["M1"]
    assert (row["likely_country"], row["likely_region"]) == ("NO", "Viken")


@pytest.mark.parametrize(
    ("name", "column", "differing"),
    [
        ("profiles", "joined_at", ["2026-01-01", "2026-01-02"]),
        ("locations", "type", ["shop", "online"]),
        ("products", "brand", ["Ash", "Birch"]),
    ],
)
def test_a_row_with_an_id_may_be_told_twice_but_not_otherwise(name: str, column: str, differing: list[str]) -> None:
    alike = pa.table({"external_id": ["M1", "M1"], column: differing[:1] * 2})
    assert compute_spend(table(location=["M1"]), **{name: alike}) == {"M1": "5.00"}
    assert refusal(table(), **{name: pa.table({"external_id": ["M1", "M1"], column: differing})}) == (
        f"{name}: rows with one external_id must agree in all columns (1 do not, such as 'M1')."
    )


def test_a_sku_is_of_one_brand() -> None:
    products = {"external_id": ["p", "q"], "sku": ["a", "a"]}
    assert refusal(table(sku=["a"]), products=pa.table({**products, "brand": ["Ash", "Birch"]})) == (
        "products: one sku can't be of two brands (1 row, such as sku 'a')."
    )
    row = compute_values(table(sku=["a"]), products=pa.table({**products, "brand": ["Ash", "Ash"]}))["M1"]
    assert row["purchased_brands"] == ["Ash"]
    assert refusal(table(sku=["a"]), products=pa.table({"external_id": ["p"], "variants": ["x"]})) == (
        f"products.variants must be {A_LIST} (1 row, such as external_id 'p')."
    )
