"""Duplicate transaction ids are found for all forms of ids."""

import pytest

from offline.purchase_tables import compute_spend, table
from regulars.offline.errors import InvalidInputError

SEQUENTIAL = [f"T{number:04}" for number in range(40)]
RANDOM = [f"T{number * 7_919_999_993 % 1_000_003:04}-x" for number in range(40)]
INTEGERS = [1000 + number for number in range(40)]
AMBIGUOUS_NUMBERS = [f"{sign}{number:02}" for number in range(20) for sign in "+0"]


@pytest.mark.parametrize("ids", [SEQUENTIAL, RANDOM, INTEGERS, AMBIGUOUS_NUMBERS])
def test_rows_with_unique_ids_all_count(ids: list[object]) -> None:
    transactions = table(external_id=ids, profile=["M1"] * 40, transacted_at=["2026-10-01"] * 40, total=["1"] * 40)
    assert compute_spend(transactions) == {"M1": "40.00"}


@pytest.mark.parametrize("ids", [SEQUENTIAL, RANDOM, INTEGERS])
def test_of_rows_with_the_same_id_the_first_counts(ids: list[object]) -> None:
    with_duplicate = [*ids, ids[7]]
    duplicated = table(
        external_id=with_duplicate, profile=["M1"] * 41, transacted_at=["2026-10-01"] * 41, total=["1"] * 41
    )
    assert compute_spend(duplicated) == {"M1": "40.00"}
    differing = duplicated.set_column(duplicated.column_names.index("total"), "total", [["1"] * 40 + ["2"]])
    assert compute_spend(differing) == {"M1": "40.00"}
    with pytest.raises(InvalidInputError, match="rows with the same external_id must agree"):
        compute_spend(differing, strict=True)
