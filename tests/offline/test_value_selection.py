"""Some of the values: which come with them, and what is read for them."""

from pathlib import Path

import pyarrow as pa
import pytest

import regulars
from offline.purchase_tables import AS_OF, table, write_csv
from regulars.aggregations.definitions import REGISTRY
from regulars.offline.errors import InputNotFoundError, InvalidInputError


def test_chosen_values_come_with_their_profile_and_instant_in_the_order_of_all() -> None:
    found = regulars.compute(table(), as_of=AS_OF, values=["shop_count", "spend_all"])
    assert found.column_names == ["profile_id", "spend_all", "shop_count", "calculated_at"]


def test_the_profile_alone_may_be_chosen() -> None:
    found = regulars.compute(table(), as_of=AS_OF, values=["profile_id"])
    assert found.to_pydict().keys() == {"profile_id", "calculated_at"}
    assert found["profile_id"].to_pylist() == ["M1"]


def test_a_file_has_chosen_values_alone(tmp_path: Path) -> None:
    for name in ("values.csv", "values.parquet"):
        regulars.compute(table(), as_of=AS_OF, values=["spend_all"], output=tmp_path / name)
    assert (tmp_path / "values.csv").read_text() == (
        "profile_id,spend_all,calculated_at\nM1,5.00,2026-11-01 00:00:00\n"
    )


def test_an_unknown_value_is_told_with_those_that_there_are() -> None:
    with pytest.raises(InputNotFoundError, match=r"^values: there is no spend_13m; there are profile_id, ") as told:
        regulars.compute(table(), as_of=AS_OF, values=["spend_all", "spend_13m"])
    assert all(each.name in str(told.value) for each in REGISTRY.aggregations)


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("price_current", "discount_avg"),
        ("discount", "discount_avg"),
        ("quantity", "purchased_brands"),
        ("items", "purchased_brands"),
    ],
)
def test_what_chosen_values_do_not_need_is_neither_read_nor_checked(column: str, name: str) -> None:
    wrong = table(**{column: ["none"]})
    assert regulars.compute(wrong, as_of=AS_OF, values=["spend_all"]).num_rows == 1
    with pytest.raises(InvalidInputError, match=f"transactions.{column} must be"):
        regulars.compute(wrong, as_of=AS_OF, values=[name])


def test_a_location_is_read_for_the_zone_that_it_gives() -> None:
    locations = {"external_id": ["oslo"], "timezone": ["Europe/Oslo"]}
    given = table(location=["oslo"], transacted_at=["2026-10-01T23:30:00Z"])
    (row,) = regulars.compute(given, None, pa.table(locations), as_of=AS_OF, values=["first_shop_date"]).to_pylist()
    assert str(row["first_shop_date"]) == "2026-10-02"


def test_rows_of_one_transaction_count_once_though_their_lines_are_not_read(tmp_path: Path) -> None:
    rows = ("T1,M1,2026-10-01,5.00,A", "T1,M1,2026-10-01,5.00,B", "T2,M1,2026-10-02,6.00,A")
    found = regulars.compute(write_csv(tmp_path, *rows, more=",brand"), as_of=AS_OF, values=["shop_count", "spend_all"])
    assert [(row["shop_count"], str(row["spend_all"])) for row in found.to_pylist()] == [(2, "11.00")]
