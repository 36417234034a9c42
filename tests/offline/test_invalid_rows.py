"""Errors of invalid rows name the table, the column and the first row."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from offline.purchase_tables import compute_spend, compute_values, table, write_csv
from regulars.core.field_type import FieldType
from regulars.offline.errors import InputNotFoundError, InvalidInputError

TIMESTAMP = FieldType.TIMESTAMP.input_format
AMOUNT = FieldType.MONEY.input_format
BOOLEAN = FieldType.BOOLEAN.input_format
OBJECT_LIST = "a list of objects, or its JSON"
T1 = "(1 row, such as external_id 'T1')."


def error_of(transactions: Any, **arguments: Any) -> str:
    """The message of an invalid input."""
    with pytest.raises(InvalidInputError) as error:
        compute_values(transactions, **arguments)
    assert not isinstance(error.value, InputNotFoundError)
    return str(error.value)


@pytest.mark.parametrize("column", ["external_id", "transacted_at", "total"])
def test_empty_cells_are_rejected_where_they_are_required(column: str) -> None:
    assert error_of(table(**{column: [""]})).startswith(f"transactions.{column} is required (1 row")


@pytest.mark.parametrize("total", ["abc", "nan", "inf", "0.1234567", "1000000000000", "1_000"])
def test_invalid_amounts_are_rejected(total: str) -> None:
    assert error_of(table(total=[total])) == f"transactions.total must be {AMOUNT}, not {str(total)!r} {T1}"


@pytest.mark.parametrize("total", [0.12345671, 0.1234567, float("nan"), float("inf"), 1e12, 1e-7])
def test_inexact_floats_are_rejected_as_amounts(total: float) -> None:
    assert error_of(table(total=[total])) == f"transactions.total must be {AMOUNT}, not {str(total)!r} {T1}"


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
def test_an_amount_is_the_decimal_that_it_prints_as(total: Any, amount: str) -> None:
    assert compute_spend(table(total=[total])) == {"M1": amount}


@pytest.mark.parametrize(
    "at",
    ["yesterday", "2026-13-01", "2026-W40-4", "0000-10-01", "1899-12-31T23:59:59Z", "3000-01-01", "10000-10-01"],
)
def test_invalid_timestamps_are_rejected(at: str) -> None:
    assert error_of(table(transacted_at=[at])) == f"transactions.transacted_at must be {TIMESTAMP}, not {at!r} {T1}"


def test_local_times_out_of_range_are_rejected() -> None:
    assert error_of(table(transacted_at=["1900-01-01 00:30"]), timezone="Europe/Oslo") == (
        f"transactions.transacted_at must be between the years 1900 and 2999 {T1}"
    )


def test_a_local_time_is_the_first_of_a_repeated_hour_and_moves_forward_from_a_skipped_one() -> None:
    at = ["2026-10-25 02:30", "2026-03-29 02:30", "2026-07-01 12:00", "2026-07-01T12:00:00+05:00"]
    message = compute_values(
        table(external_id=[*"1234"], profile=[*"ABCD"], transacted_at=at, total=[*"1111"]), timezone="Europe/Oslo"
    )
    assert {profile: f"{row['spend_first_date']:%m-%d %H:%M}" for profile, row in message.items()} == {
        "A": "10-25 00:30",
        "B": "03-29 01:30",
        "C": "07-01 10:00",
        "D": "07-01 07:00",
    }


def test_anonymous_purchases_have_no_values() -> None:
    assert compute_spend(table(profile=[""])) == {}


def test_duplicate_rows_count_once(tmp_path: Path) -> None:
    assert compute_spend(write_csv(tmp_path, *["T1,M1,2026-10-01,5"] * 3)) == {"M1": "5.00"}


def test_rows_with_the_same_id_must_agree(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "T1,M1,2026-10-01,5", "T1,M1,2026-10-01,6", "T2,M1,2026-10-01,6")
    assert error_of(path, strict=True) == (
        f"transactions: rows with the same external_id must agree in all columns except those of line items {T1}"
    )


def test_several_kinds_of_errors_are_reported_together(tmp_path: Path) -> None:
    assert error_of(
        write_csv(tmp_path, "T1,M1,x,5,", "T2,M1,2026-10-01,x,", "T3,M1,2026-10-01,x,", more=",is_void")
    ) == (
        f"transactions.transacted_at must be {TIMESTAMP}, not 'x' (1 row, such as external_id 'T1'); "
        f"transactions.total must be {AMOUNT}, not 'x' (2 rows, such as external_id 'T2')."
    )


def test_several_currencies_require_a_currency_and_rates() -> None:
    two = table(external_id=["T1", "T2"], profile=["M1"] * 2, transacted_at=["2026-10-01"] * 2, total=["5"] * 2)
    mixed = two.append_column("currency", pa.array(["EUR", "NOK"]))
    assert error_of(mixed) == (
        "transactions.currency has several values (EUR, NOK). Select the currency of values with currency."
    )
    assert error_of(mixed, currency="EUR") == (
        "transactions.currency contains NOK besides EUR. Add a currency_rate to EUR to these rows."
    )
    for rate in (None, "0", "-1"):
        rated = mixed.append_column("currency_rate", pa.array([None, rate], pa.string()))
        assert "such as external_id 'T2'" in error_of(rated, currency="EUR")
    rated = mixed.append_column("currency_rate", pa.array([None, "0.1"]))
    assert compute_spend(rated, currency="eur") == {"M1": "5.50"}


@pytest.mark.parametrize("currency", ["EEE", "euro"])
def test_an_unknown_currency_is_rejected(currency: str) -> None:
    message = f"currency {currency.upper()!r} must be an ISO 4217 currency such as NOK."
    assert error_of(table(currency=[currency])) == message
    assert error_of(table(), currency=currency.upper()) == message


def test_an_unknown_time_zone_is_rejected() -> None:
    message = "'Mars/Base' must be an IANA time zone such as Europe/Oslo."
    assert error_of(table(), timezone="Mars/Base") == f"timezone {message}"
    assert error_of(table(timezone=["Mars/Base"])) == f"transactions.timezone {message}"


@pytest.mark.parametrize("items", ["{x", '{"sku": "a"}', "5", "[null]", "[{}]x"])
def test_items_must_be_a_list_of_objects(items: str) -> None:
    # A list of something else is a list until its lines are read.
    quoted = "" if items == "[null]" else f", not {items!r}"
    assert error_of(table(items=[items])) == f"transactions.items must be {OBJECT_LIST}{quoted} {T1}"


@pytest.mark.parametrize("items", ["", "[]", None])
def test_a_purchase_may_have_no_items(items: str | None) -> None:
    assert compute_spend(table(items=pa.array([items], pa.string()))) == {"M1": "5.00"}


def test_invalid_amounts_of_items_are_rejected() -> None:
    assert error_of(table(items=['[{"quantity": "many"}]'])) == (
        f"transactions.items.quantity must be a decimal with at most 6 decimal places, below 10^7 in absolute value {T1}"
    )
    assert error_of(table(items=['[{"discounts": [{"amount": 1}, {"amount": "abc"}]}]'])) == (
        f"transactions.items.discounts.amount must be {AMOUNT} {T1}"
    )


def test_a_transaction_has_at_most_2000_lines() -> None:
    def lines(number: int) -> Any:
        columns = {"external_id": ["T1"], "profile": ["M1"], "transacted_at": ["2026-10-01"], "total": ["5.00"]}
        return pa.table({name: values * number for name, values in columns.items()} | {"brand": ["A"] * number})

    assert compute_values(lines(2_000), values=["purchased_brands"])["M1"]["purchased_brands"] == ["A"]
    assert error_of(lines(2_001), values=["purchased_brands"]) == f"transactions.items must be at most 2,000 {T1}"


def test_is_void_must_be_a_boolean() -> None:
    assert error_of(table(is_void=["maybe"])) == f"transactions.is_void must be {BOOLEAN}, not 'maybe' {T1}"
    assert compute_spend(table(is_void=["TRUE"])) == {"M1": "0.00"}


def test_ids_must_not_contain_nul() -> None:
    assert error_of(table(profile=["M\0"])) == (
        "the id of a profile contains a NUL character (1 row, such as profile_id 'M\\x00')."
    )
    assert error_of(table(location=["a\0"])) == (
        "locations.external_id contains a NUL character (1 row, such as external_id 'a\\x00')."
    )


def test_references_must_exist() -> None:
    assert error_of(table(location=["oslo"]), locations=pa.table({"external_id": ["bergen"]})) == (
        f"transactions.location does not exist in locations {T1}"
    )
    assert error_of(table(), profiles=pa.table({"external_id": ["M2"]})) == (
        f"transactions.profile does not exist in profiles {T1}"
    )
    assert error_of(table(), as_of=pa.table({"profile": ["M1", "M9"], "as_of": ["2026-11-01"] * 2})) == (
        "as_of.profile does not exist in profiles (1 row, such as 'M9'). "
        "Pass a table of profiles that includes those without transactions."
    )


@pytest.mark.parametrize("kind", ["joined", "preferred"])
def test_locations_of_a_profile_must_exist(kind: str) -> None:
    column = f"{kind}_location_external_id"
    profiles = pa.table({"external_id": ["M1"], column: ["bergen"]})
    assert error_of(table(), profiles=profiles, locations=pa.table({"external_id": ["oslo"]})) == (
        f"profiles.{column} does not exist in locations (1 row, such as profile_id 'M1')."
    )
    # Without a table of locations, references are not checked.
    assert compute_spend(table(), profiles=profiles) == {"M1": "5.00"}


@pytest.mark.parametrize(
    "column", [{"country_iso_3": ["Narnia"]}, {"address": ['{"country": "Narnia"}']}, {"address": [{"iso": "NN"}]}]
)
def test_the_country_of_a_location_must_be_known(column: dict[str, list[Any]]) -> None:
    assert error_of(table(), locations=pa.table({"external_id": ["oslo"], **column})) == (
        "locations: the country must be a code or name of ISO 3166-1 (1 row, such as external_id 'oslo')."
    )


def test_an_address_must_be_an_object_with_a_known_country() -> None:
    assert error_of(table(), locations=pa.table({"external_id": ["oslo"], "address": ["Karl Johan 1"]})) == (
        "locations.address must be an object, or its JSON, not 'Karl Johan 1' (1 row, such as external_id 'oslo')."
    )
    for addresses, message in (
        (
            '[{"country": "Norway"}, {"country": "Narnia"}]',
            "profiles.addresses: the country must be a code or name of ISO 3166-1",
        ),
        ("[null]", f"profiles.addresses must be {OBJECT_LIST}"),
    ):
        assert error_of(table(), profiles=pa.table({"external_id": ["M1"], "addresses": [addresses]})) == (
            f"{message} (1 row, such as profile_id 'M1')."
        )
    for addresses in ("Oslo", '{"country": "NO"}'):
        assert error_of(table(), profiles=pa.table({"external_id": ["M1"], "addresses": [addresses]})) == (
            f"profiles.addresses must be {OBJECT_LIST}, not {addresses!r} (1 row, such as external_id 'M1')."
        )


def test_an_address_determines_the_likely_country() -> None:
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
def test_rows_of_other_tables_with_the_same_id_must_agree(name: str, column: str, differing: list[str]) -> None:
    equal_rows = pa.table({"external_id": ["M1", "M1"], column: differing[:1] * 2})
    assert compute_spend(table(location=["M1"]), **{name: equal_rows}) == {"M1": "5.00"}
    assert error_of(table(), **{name: pa.table({"external_id": ["M1", "M1"], column: differing})}) == (
        f"{name}: rows with the same external_id must agree in all columns (1 do not, such as 'M1')."
    )


def test_a_sku_must_have_one_brand() -> None:
    products = {"external_id": ["p", "q"], "sku": ["a", "a"]}
    assert error_of(table(sku=["a"]), products=pa.table({**products, "brand": ["Ash", "Birch"]})) == (
        "products: a sku must not have two brands (1 row, such as sku 'a')."
    )
    row = compute_values(table(sku=["a"]), products=pa.table({**products, "brand": ["Ash", "Ash"]}))["M1"]
    assert row["purchased_brands"] == ["Ash"]
    assert error_of(table(sku=["a"]), products=pa.table({"external_id": ["p"], "variants": ["x"]})) == (
        f"products.variants must be {OBJECT_LIST}, not 'x' (1 row, such as external_id 'p')."
    )


def test_ids_are_compared_without_the_blanks_around_them() -> None:
    rows = {"transacted_at": ["2026-10-01"] * 3, "total": ["1", "2", "4"]}
    with_blanks = table(external_id=["T1", "T2 ", "T3"], profile=[" M1", "M1\u00a0", "\t"], **rows).append_column(
        "location", pa.array(["L1 ", " ", "L9"])
    )
    tables = {
        "profiles": pa.table({"external_id": ["M1 ", "M2"]}),
        "locations": pa.table({"external_id": ["L1"]}),
    }
    for passed in (tables, {}):
        values = compute_values(with_blanks, values=["spend_all", "store_join"], **passed)
        assert (str(values["M1"]["spend_all"]), values["M1"]["store_join"]) == ("3.00", "L1")
        assert values.keys() == ({"M1", "M2"} if passed else {"M1"})


def test_lines_of_a_transaction_do_not_differ_by_blanks_around_ids() -> None:
    lines = table(external_id=["T1"] * 2, profile=["M1", "M1 "], transacted_at=["2026-10-01"] * 2, total=["1"] * 2)
    notices: list[str] = []
    profiles = pa.table({"external_id": ["M1"]})
    assert compute_spend(lines, profiles=profiles, on_notice=notices.append) == {"M1": "1.00"}
    assert notices == []


def test_transactions_that_do_not_count_may_be_at_an_unknown_location() -> None:
    transactions = table(
        external_id=["T1", "T2"], profile=["M1"] * 2, transacted_at=["2026-10-01"] * 2, total=["1", "2"]
    )
    locations = pa.table({"external_id": ["L1"]})
    at_unknown = transactions.append_column("location", pa.array(["L1", "L2"]))
    void = at_unknown.append_column("status", pa.array([None, "voided"]))
    assert compute_spend(void, locations=locations) == {"M1": "1.00"}
    assert error_of(at_unknown, values=["store_join"], locations=locations) == (
        "transactions.location does not exist in locations (1 row, such as external_id 'T2')."
    )
