"""Two rows of one id are found, however ids are made up."""

import pytest

from offline.purchase_tables import compute_spend, table
from regulars.offline.errors import InvalidInputError

NUMBERED = [f"T{number:04}" for number in range(40)]
SCATTERED = [f"T{number * 7_919_999_993 % 1_000_003:04}-x" for number in range(40)]
WHOLE = [1000 + number for number in range(40)]
ALIKE = [f"{sign}{number:02}" for number in range(20) for sign in "+0"]


@pytest.mark.parametrize("ids", [NUMBERED, SCATTERED, WHOLE, ALIKE])
def test_each_row_of_an_id_of_its_own_counts(ids: list[object]) -> None:
    given = table(external_id=ids, profile=["M1"] * 40, transacted_at=["2026-10-01"] * 40, total=["1"] * 40)
    assert compute_spend(given) == {"M1": "40.00"}


@pytest.mark.parametrize("ids", [NUMBERED, SCATTERED, WHOLE])
def test_two_rows_of_one_id_count_once_and_must_agree(ids: list[object]) -> None:
    twice = [*ids, ids[7]]
    alike = table(external_id=twice, profile=["M1"] * 41, transacted_at=["2026-10-01"] * 41, total=["1"] * 41)
    assert compute_spend(alike) == {"M1": "40.00"}
    differing = alike.set_column(alike.column_names.index("total"), "total", [["1"] * 40 + ["2"]])
    with pytest.raises(InvalidInputError, match="rows with one external_id are one transaction"):
        compute_spend(differing)
