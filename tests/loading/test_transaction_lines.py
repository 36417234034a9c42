"""Lines of transactions: totals that are the sum of lines, and lines that differ; load and compute agree."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

import regulars
from clubs import Club
from loading.file_loader import FileLoader, outcome_counts, reasons_by_line
from regulars.core import countries
from regulars.core.errors import QuotingText
from regulars.loading.row_kinds import RowKinds
from regulars.offline.errors import InvalidInputError

HEADER = "external_id,profile,transacted_at,total,sku,quantity,price_sell\n"
WITHOUT_TOTAL = HEADER.replace("total,", "")

NAMES = ["spend_all", "shop_count", "spend_first_date"]

CASES = {
    "the sum of price times quantity": (
        f"{WITHOUT_TOTAL}T1,M1,2026-10-01,A,2,2.55\nT1,M1,2026-10-01,B,,3\nT2,M1,2026-10-02,A,-1,2.55\n",
        ("5.55", 1),
    ),
    "an order of one line": (f"{WITHOUT_TOTAL}T1,M1,2026-10-01,A,2,2.55\nT2,M1,2026-10-02,B,1,3\n", ("8.10", 2)),
    "only where there is no total": (f"{HEADER}T1,M1,2026-10-01,9,A,2,2.55\nT2,M1,2026-10-02,,B,1,3\n", ("12.00", 2)),
    "rounded once to the millionth, half to even": (
        f"{WITHOUT_TOTAL}T1,M1,2026-10-01,A,0.5,0.000001\nT1,M1,2026-10-01,B,.5,0.000002\nT2,M1,2026-10-02,A,3,1.115\n",
        ("3.34", 2),
    ),
    "floats": (f"{HEADER}T1,M1,2026-10-01,153.00000000000003,A,,\n", ("153.00", 1)),
    "the header on the first line only": (
        f"{HEADER}T1,M1,2026-10-01,9,A,2,2.55\nT1,,,,B,1,3\nT2,M1,2026-10-02,1,A,,\n",
        ("10.00", 2),
    ),
    "a value on a later line": (f"{HEADER}T1,,2026-10-01,,A,2,2.55\nT1,M1,,9,B,1,3\n", ("9.00", 1)),
    "the first line decides": (
        f"{HEADER}T1,M1,2026-10-01 12:00,9,A,2,2\nT2,M1,2026-10-03,1,A,,\nT1,M2,2026-10-01 12:01,8,B,1,3\n",
        ("10.00", 2),
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_load_and_compute_read_the_same_lines(case: str, load: FileLoader, tmp_path: Path) -> None:
    content, expected = CASES[case]
    path = tmp_path / "lines.csv"
    path.write_text(content)
    await load.profiles("M1", "M2")
    summary = await load("transactions", content)
    assert summary.rejected == 0
    differ = case == "the first line decides"
    assert summary.warning_kinds.count == int(differ)
    stored = await load.values("M1")
    assert (f"{stored['spend_all']:.2f}", stored["shop_count"]) == expected
    notices: list[str] = []
    values = regulars.compute(str(path), as_of="2026-11-01", values=NAMES, on_notice=notices.append).to_pylist()[0]
    assert (str(values["spend_all"]), values["shop_count"]) == expected
    assert len(notices) == int(differ)
    assert str(values["spend_first_date"])[:19] == stored["spend_first_date"]
    assert (await load("transactions", content)).accepted == 0


def test_differing_lines_are_counted_by_kind() -> None:
    kinds = RowKinds()
    for line, cell in enumerate("xy", 1):
        kinds.add(line, {"total": QuotingText(f"must be a number, not '{cell}'", "must be a number")})
    kinds.add(3, {"total": "has 3 cells, not 4"})
    assert [(each.count, each.line, each.example) for each in kinds.most_frequent()] == [
        (2, 1, "total must be a number, not 'x'"),
        (1, 3, "total has 3 cells, not 4"),
    ]
    for line in range(100):
        kinds.add(line, {f"column {'x' * line}": "is wrong"})
    assert len(kinds.most_frequent()) == 51
    assert kinds.count == 103


async def test_differing_lines_are_warned_of_in_load_and_import(club: Club, load: FileLoader) -> None:
    content = f"{HEADER}T1,,2026-10-01,9,A,2,2\nT2,,2026-10-03,1,A,,\nT1,,2026-10-01,8,B,1,3\n"
    answer = await club.http.post(
        "/v1/import/transactions?dry_run=1", content=content, headers={"Content-Type": "text/csv"}
    )
    reason = (
        "total differs within a transaction: the first line with a value decides (--strict rejects such transactions)"
    )
    assert answer.json()["warnings"] == [{"count": 1, "line": 4, "reason": reason}]
    answer = await club.http.post(
        "/v1/import/transactions?strict=1", content=content, headers={"Content-Type": "text/csv"}
    )
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, 1)
    summary = await load("transactions", content, is_strict=True)
    assert reasons_by_line(summary)[4].startswith("total differs from line 2")


async def test_a_strict_load_compares_values_and_not_their_notation(load: FileLoader) -> None:
    summary = await load(
        "transactions",
        f"{WITHOUT_TOTAL.replace('sku', 'timezone,sku')}"
        "T1,,2026-10-01,,A,1,5\nT1,,2026-10-01 00:00,,B,1,5\nT2,,2026-10-01,,A,1,5\nT2,,2026-10-01,Nowhere,B,1,5\n",
        is_strict=True,
    )
    assert outcome_counts(summary) == (1, 0, 1)
    assert reasons_by_line(summary)[5].startswith("timezone must be an IANA time zone")
    line = '{"external_id": "T3", "transacted_at": "2026-10-01", "total": 5, "items": [{"sku": "A"}]}\n'
    summary = await load("transactions", line + line.replace('"A"', '"B"'), name="sales.ndjson", is_strict=True)
    assert reasons_by_line(summary)[2].startswith("items differs from line 1")


INVALID = [
    (f"{WITHOUT_TOTAL}T1,,2026-10-01,A,2,\n", "total is required, or the price_sell of the lines"),
    (f"{WITHOUT_TOTAL}T1,M1,2026-10-01,A,9999999,999999999999\n", "total must be "),
    (f"{HEADER}T1,,,5,A,1,1\n", "transacted_at is required"),
]


@pytest.mark.parametrize(("content", "message"), INVALID)
async def test_incomplete_transactions_are_rejected(
    content: str, message: str, load: FileLoader, tmp_path: Path
) -> None:
    await load.profiles("M1")
    summary = await load("transactions", content)
    assert outcome_counts(summary) == (0, 0, 1)
    assert message in reasons_by_line(summary)[2]
    path = tmp_path / "lines.csv"
    path.write_text(content)
    with pytest.raises(InvalidInputError, match=message):
        regulars.compute(str(path), as_of="2026-11-01", values=["spend_all"])


async def test_lists_of_items_have_totals_and_must_not_differ(load: FileLoader, tmp_path: Path) -> None:
    items = '[{"sku": "A", "price_sell": 2, "quantity": 3}, {"sku": "B", "price_sell": 5, "is_void": true}]'
    lines = f'{{"external_id": "T1", "transacted_at": "2026-10-01", "profile": "M1", "items": {items}}}\n'
    await load.profiles("M1")
    summary = await load("transactions", lines, name="sales.ndjson")
    assert outcome_counts(summary) == (1, 0, 0)
    assert (await load.values("M1"))["spend_all"] == 6.0
    quoted = items.replace('"', '""')
    path = tmp_path / "sales.csv"
    path.write_text(f'external_id,profile,transacted_at,items\nT1,M1,2026-10-01,"{quoted}"\n')
    (row,) = regulars.compute(str(path), as_of="2026-11-01", values=["spend_all"]).to_pylist()
    assert row["spend_all"] == Decimal("6.00")
    path.write_text(f'{path.read_text()}T1,M1,2026-10-01,"{quoted.replace("2", "3")}"\n')
    with pytest.raises(InvalidInputError, match="must not have different lists of items"):
        regulars.compute(str(path), as_of="2026-11-01", values=["spend_all"])
    infinite = lines.replace("2,", '"Infinity",').replace("T1", "T2")
    assert (await load("transactions", infinite, name="sales.ndjson")).rejected == 1


@pytest.mark.parametrize("order", [1, -1])
async def test_items_of_a_transaction_are_a_list_or_in_columns(load: FileLoader, tmp_path: Path, order: int) -> None:
    lines = ['T1,M1,2026-10-01,5,"[{""brand"": ""A""}]",\n', "T1,M1,2026-10-01,5,,B\n"][::order]
    content = f"external_id,profile,transacted_at,total,items,brand\n{''.join(lines)}"
    await load.profiles("M1")
    summary = await load("transactions", content)
    assert list(reasons_by_line(summary).values()) == ["items must be a list or in columns of their own, not both"]
    path = tmp_path / "sales.csv"
    path.write_text(content)
    with pytest.raises(InvalidInputError, match=r"items must be a list or in columns of their own, not both"):
        regulars.compute(str(path), as_of="2026-11-01", values=["purchased_brands"])


async def test_names_of_profiles_and_locations_are_texts_or_integers(load: FileLoader, tmp_path: Path) -> None:
    path = tmp_path / "sales.parquet"
    columns: dict[str, list[Any]] = {"external_id": ["P1", "P2"], "transacted_at": ["2026-10-01"] * 2}
    pa.parquet.write_table(pa.table(columns | {"total": [5, 6], "profile": [7.0, None], "location": [None, 8.0]}), path)
    assert outcome_counts(await load.parquet(path, create_profiles=True)) == (2, 0, 0)
    stored = await load.transactions()
    owner = await load.fetchval("SELECT profile_id FROM profiles WHERE external_id = $2", "7")
    assert (stored["P1"]["profile_id"], stored["P2"]["profile_id"]) == (str(owner), None)
    assert stored["P2"]["location"]["external_id"] == "8"
    values = regulars.compute(str(path), as_of="2026-11-01", values=["spend_all"]).to_pylist()
    assert {row["profile_id"]: row["spend_all"] for row in values} == {"7": Decimal("5.00")}
    line = '{"external_id": "T", "transacted_at": "2026-10-01", "total": 5, "profile": "7", "location": {"id": 8}}\n'
    others = [line.replace('"7"', each) for each in ("7.5", "true", "[7]")]
    summary = await load(
        "transactions", "".join((line, *others)).replace('"T"', '"%d"') % (1, 2, 3, 4), name="s.ndjson"
    )
    assert reasons_by_line(summary) == dict.fromkeys((2, 3, 4), "profile must be a text or an integer")


async def test_parquet_without_totals_and_with_floats_is_loaded(load: FileLoader, tmp_path: Path) -> None:
    path = tmp_path / "sales.parquet"
    columns: dict[str, list[Any]] = {"external_id": ["P1", "P2"], "transacted_at": ["2026-10-01"] * 2}
    pa.parquet.write_table(
        pa.table(columns | {"profile": ["M1"] * 2, "price_sell": [0.1 + 0.2, 1.5], "quantity": [3.0, 2.0]}), path
    )
    await load.profiles("M1")
    assert outcome_counts(await load.parquet(path)) == (2, 0, 0)
    assert (await load.values("M1"))["spend_all"] == 3.9
    (row,) = regulars.compute(str(path), as_of="2026-11-01", values=["spend_all"]).to_pylist()
    assert row["spend_all"] == Decimal("3.90")


def test_common_names_of_countries_are_recognized() -> None:
    names = {"EIRE": "IE", "RSA": "ZA", "UK": "GB", "USA": "US", "Channel Islands": "JE", "U.S.A.": "US", "Eire ": "IE"}
    assert {name: countries.alpha_2(name) for name in names} == names
