"""What may be handed over: paths, patterns, folders, and tables of pandas, Polars and Arrow."""

import gzip
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from offline.purchase_tables import HEADER, compute_spend, compute_values, table, write_csv
from regulars.offline.errors import InputNotFoundError, InvalidInputError

SALE = "T1,M1,2026-10-01,5"
NOT_ALIKE = "its lines must have as many fields as its header, separated alike, and each quote its end"
NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
WALL = NOON.replace(tzinfo=None)


def not_there(transactions: Any, **asked: Any) -> str:
    """Why no row was read."""
    with pytest.raises(InputNotFoundError) as refused:
        compute_values(transactions, **asked)
    return str(refused.value)


def unreadable(transactions: Any) -> str:
    """Why a file can't be read."""
    with pytest.raises(InvalidInputError) as refused:
        compute_values(transactions)
    return str(refused.value)


def test_a_missing_column_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    path = write_csv(tmp_path, SALE)
    path.write_text(path.read_text().replace("profile", "customer"))
    assert not_there(path) == (
        "transactions has no column profile; it has external_id, customer, transacted_at, total. "
        "Say what it is called: --column profile=..., in Python columns={'profile': '...'}."
    )
    assert compute_spend(path, columns={"profile": "customer"}) == {"M1": "5.00"}
    assert compute_spend(path, columns={"transactions": {"profile": "customer"}}) == {"M1": "5.00"}
    assert not_there(path, columns={"profile": "client"}).startswith("transactions has no column client; it has ext")
    profiles = pa.table({"member": ["M1"]})
    assert not_there(table(), profiles=profiles).endswith(
        "--column profiles.external_id=..., in Python columns={'profiles': {'external_id': '...'}}."
    )
    assert compute_spend(table(), profiles=profiles, columns={"profiles": {"external_id": "member"}}) == {"M1": "5.00"}


def test_a_name_for_what_is_not_there_is_refused() -> None:
    assert not_there(table(), columns={"who": "customer"}).startswith("columns: transactions has no column who; it may")
    assert not_there(table(), columns={"people": {"profile": "customer"}}) == (
        "columns: there is no table people; "
        "there may be transactions, profiles, memberships, locations, products, as_of."
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("none.csv", "transactions: there is no file {}."),
        ("none*.parquet", "transactions: no file is called like {}."),
        ("empty", "transactions: the folder {} holds no .parquet and no .csv files."),
        ("empty.csv", "transactions: the file {} is empty, and has not even names of columns."),
        (
            "ftp://host/sales.csv",
            "{} can't be reached from here: give a path, or a URL with s3://, gs://, az://, file://.",
        ),
    ],
)
def test_nothing_to_read_is_told(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.csv").touch()
    place = name if "://" in name else str(tmp_path / name)
    assert not_there(place) == told.format(place)


def test_a_folder_is_read_whole_but_must_be_of_one_kind(tmp_path: Path) -> None:
    (tmp_path / "2026").mkdir()
    write_csv(tmp_path, SALE)
    write_csv(tmp_path / "2026", "T2,M1,2026-10-02,1,oslo", more=",location")
    assert (
        compute_spend(tmp_path)
        == compute_spend(str(tmp_path / "**/*.csv"))
        == compute_spend(f"file://{tmp_path}")
        == {"M1": "6.00"}
    )
    pq.write_table(table(), tmp_path / "more.parquet")
    assert not_there(tmp_path) == (
        f"transactions: the folder {tmp_path} holds .csv and .parquet files: say which, {tmp_path}/**/*.csv."
    )


def test_a_file_with_a_header_alone_gives_no_rows(tmp_path: Path) -> None:
    assert compute_spend(write_csv(tmp_path)) == {}


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("short.csv", f"{HEADER}\n{SALE}\nT2,M1\n", NOT_ALIKE),
        ("long.csv", f"{HEADER}\n" + f"{SALE}\n" * 30_000 + f"{SALE},9\n", "line 30002 has 5 fields, and the header 4"),
        ("latin.csv", f"{HEADER}\nT1,J\xf8rgen,2026-10-01,5\n".encode("latin-1"), "line 2 is not UTF-8"),
        ("quote.csv", f'{HEADER}\nT1,"M1,2026-10-01,5\n', NOT_ALIKE),
        ("bad.parquet", b"PAR1" + b"x" * 100 + b"PAR1", "Footer length error in file '{}'"),
        ("text.parquet", "external_id,profile", "No magic bytes found at end of file '{}'"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_told(
    tmp_path: Path, name: str, content: str | bytes, cause: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert unreadable(path).removeprefix("transactions: ") == f"{path} can't be read: {cause.format(path)}."


def test_a_line_with_too_many_fields_does_not_hide_the_others(tmp_path: Path) -> None:
    path = write_csv(tmp_path, *(f"T{n},M1,2026-10-01,5" for n in range(10)), "T11,M1,2026-10-01,5,6")
    assert "as many fields as its header" in unreadable(path)


def test_a_truncated_parquet_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "sales.parquet"
    pq.write_table(table(), path)
    path.write_bytes(path.read_bytes()[:-20])
    assert unreadable(path) == f"transactions: {path} can't be read: No magic bytes found at end of file '{path}'."


def test_a_file_without_a_header_has_its_first_line_taken_for_one(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(f"{SALE}\n{SALE}\n")
    assert not_there(path).startswith("transactions has no column external_id; it has T1, M1, 2026-10-01, 5.")


def test_files_may_be_packed_and_separated_by_tabs(tmp_path: Path) -> None:
    text = f"\ufeff{HEADER}\r\n{SALE}\r\n"
    (tmp_path / "sales.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "sales.tsv").write_text(text.replace(",", "\t"))
    assert compute_spend(tmp_path / "sales.csv.gz") == compute_spend(tmp_path / "sales.tsv") == {"M1": "5.00"}


@pytest.mark.parametrize("thing", [5, [1], {"external_id": ["T1"]}, b"sales.csv", object()])
def test_what_is_no_table_is_refused(thing: Any) -> None:
    assert not_there(thing) == (
        f"transactions: give a path, a pandas or Polars frame, or an Arrow table of usual types, "
        f"not {type(thing).__name__}."
    )


def test_transactions_are_needed() -> None:
    assert not_there(None) == "transactions are needed: values are made of them."


def test_an_instant_and_an_engine_must_be_some() -> None:
    assert not_there(table(), engine="presto") == "engine must be duckdb or spark, not 'presto'."
    assert not_there(table(), as_of="yesterday") == (
        "as_of must be a time: YYYY-MM-DD HH:MM:SS in UTC, or ISO 8601 with an offset."
    )


_SALE: dict[str, Any] = {"external_id": ["T1"], "profile": ["M1"], "transacted_at": ["2026-10-01 12:00"], "total": [5]}


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"total": pd.array([5], dtype="Int64")},
        {"total": pd.array([5.0], dtype="Float64")},
        {"total": [Decimal("5.00")]},
        {"transacted_at": pd.to_datetime(["2026-10-01 12:00"])},
        {"transacted_at": pd.to_datetime(["2026-10-01 12:00"], utc=True)},
        {"transacted_at": pd.to_datetime(["2026-10-01 14:00"]).tz_localize("Europe/Oslo")},
        {"profile": pd.Categorical(["M1"])},
        {"location": [None]},
        {"location": [float("nan")]},
        {"is_void": pd.array([None], dtype="boolean")},
        {"discount": [float("nan")]},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [None, object], ids=["own", "object"])
def test_pandas_frames(own: dict[str, Any], dtype: type | None) -> None:
    frame = pd.DataFrame({**_SALE, **own})
    row = compute_values(frame if dtype is None else frame.astype(dtype))["M1"]
    assert (row["spend_first_date"], row["spend_all"]) == (NOON, Decimal("5.00"))


def test_whole_numbers_that_gaps_made_floats_are_ids_still() -> None:
    frame = pd.DataFrame({"external_id": [1, 2], "profile": [7, None], "transacted_at": ["2026-10-01"] * 2, "total": 5})
    assert frame["profile"].dtype == float
    assert compute_spend(frame) == {"7": "5.00"}
    frame["profile"] = [7.5, None]
    assert unreadable(frame) == (
        "transactions.profile must be a text or a whole number (1 row, such as external_id '1')."
    )


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"total": pl.Series(["5.00"]).cast(pl.Decimal(10, 2))},
        {"transacted_at": pl.Series([WALL]).cast(pl.Datetime("ns"))},
        {"transacted_at": pl.Series([NOON]).cast(pl.Datetime("ns", "UTC"))},
        {"profile": pl.Series(["M1"]).cast(pl.Categorical)},
        {"items": [[{"sku": "a", "quantity": 1, "discounts": [{"amount": 1.5}]}]]},
    ],
    ids=str,
)
def test_polars_frames(own: dict[str, Any]) -> None:
    frame = pl.DataFrame({**_SALE, **own})
    for each in (frame, frame.lazy()):
        row = compute_values(each)["M1"]
        assert (row["spend_first_date"], row["spend_all"]) == (NOON, Decimal("5.00"))


@pytest.mark.parametrize(
    "own",
    [
        {"total": pa.array([Decimal("5.00")], pa.decimal128(30, 10))},
        {"profile": pa.array(["M1"]).dictionary_encode()},
        {"profile": pa.array(["M1"], pa.large_string())},
        {"profile": pa.array(["M1"], pa.string_view())},
        {"transacted_at": pa.array([WALL], pa.timestamp("ns"))},
        {"transacted_at": pa.array([WALL], pa.timestamp("ms"))},
        {"transacted_at": pa.array([WALL], pa.timestamp("s"))},
        {"transacted_at": pa.array([NOON], pa.timestamp("ns", "Europe/Oslo"))},
        {"transacted_at": pa.array([NOON], pa.timestamp("s", "UTC"))},
        {"location": pa.nulls(1)},
        {"systems": [["pos", "web"]]},
        {"items": pa.array([None], pa.list_(pa.struct({"sku": pa.string()})))},
    ],
    ids=lambda own: " ".join(f"{name} {getattr(column, 'type', column)}" for name, column in own.items()),
)
def test_arrow_tables(own: dict[str, Any]) -> None:
    arrow = pa.table({**_SALE, **own})
    for each in (arrow, arrow.to_batches()[0], arrow.to_reader()):
        row = compute_values(each)["M1"]
        assert (row["spend_first_date"], row["spend_all"]) == (NOON, Decimal("5.00"))


def test_a_column_of_dates_is_their_midnights() -> None:
    row = compute_values(table(transacted_at=[date(2026, 10, 1)]), timezone="Europe/Oslo")["M1"]
    assert row["spend_first_date"] == datetime(2026, 9, 30, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"transacted_at": [1_790_000_000]}, "transactions.transacted_at holds whole numbers, and must be a time"),
        ({"total": [True]}, "transactions.total holds true and false, and must be a decimal"),
        ({"profile": [b"M1"]}, "transactions.profile holds something else, and must be a text or a whole number"),
        ({"items": [{"sku": "a"}]}, "transactions.items holds objects, and must be a list of objects, or its JSON"),
    ],
)
def test_a_column_of_another_type_is_refused(own: dict[str, Any], told: str) -> None:
    assert unreadable(table(**own)).startswith(told)
