"""Selected values: which columns are returned, and which inputs are read."""

from pathlib import Path

import pyarrow as pa
import pytest

import regulars
from offline.purchase_tables import AS_OF, table, write_csv
from regulars.aggregations.definitions import REGISTRY
from regulars.offline.errors import InputNotFoundError, InvalidInputError


def test_selected_values_are_returned_with_profile_and_instant_in_standard_order() -> None:
    found = regulars.compute(table(), as_of=AS_OF, values=["shop_count", "spend_all"])
    assert found.column_names == ["profile_id", "spend_all", "shop_count", "calculated_at"]


def test_only_the_profile_may_be_selected() -> None:
    found = regulars.compute(table(), as_of=AS_OF, values=["profile_id"])
    assert found.to_pydict().keys() == {"profile_id", "calculated_at"}
    assert found["profile_id"].to_pylist() == ["M1"]


def test_a_file_contains_only_selected_values(tmp_path: Path) -> None:
    for name in ("values.csv", "values.parquet"):
        regulars.compute(table(), as_of=AS_OF, values=["spend_all"], output=tmp_path / name)
    assert (tmp_path / "values.csv").read_text() == (
        "profile_id,spend_all,calculated_at\nM1,5.00,2026-11-01 00:00:00\n"
    )


def test_the_error_of_an_unknown_value_lists_all_values() -> None:
    with pytest.raises(InputNotFoundError, match=r"^Unknown value 'spend_13m'. Allowed: profile_id, ") as error:
        regulars.compute(table(), as_of=AS_OF, values=["spend_all", "spend_13m"])
    assert all(each.name in str(error.value) for each in REGISTRY.aggregations)


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("price_current", "discount_avg"),
        ("discount", "discount_avg"),
        ("quantity", "purchased_brands"),
        ("items", "purchased_brands"),
    ],
)
def test_columns_that_selected_values_do_not_need_are_not_validated(column: str, name: str) -> None:
    invalid = table(**{column: ["none"]})
    assert regulars.compute(invalid, as_of=AS_OF, values=["spend_all"]).num_rows == 1
    with pytest.raises(InvalidInputError, match=f"transactions.{column} must be"):
        regulars.compute(invalid, as_of=AS_OF, values=[name])


def test_a_location_is_read_for_its_time_zone() -> None:
    locations = {"external_id": ["oslo"], "timezone": ["Europe/Oslo"]}
    transactions = table(location=["oslo"], transacted_at=["2026-10-01T23:30:00Z"])
    (row,) = regulars.compute(
        transactions, None, pa.table(locations), as_of=AS_OF, values=["first_shop_date"]
    ).to_pylist()
    assert str(row["first_shop_date"]) == "2026-10-02"


def test_rows_of_one_transaction_count_once_without_reading_line_items(tmp_path: Path) -> None:
    rows = ("T1,M1,2026-10-01,5.00,A", "T1,M1,2026-10-01,5.00,B", "T2,M1,2026-10-02,6.00,A")
    found = regulars.compute(write_csv(tmp_path, *rows, more=",brand"), as_of=AS_OF, values=["shop_count", "spend_all"])
    assert [(row["shop_count"], str(row["spend_all"])) for row in found.to_pylist()] == [(2, "11.00")]
