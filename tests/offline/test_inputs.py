"""Accepted inputs: paths, glob patterns, folders, and tables of pandas, Polars and Arrow."""

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
from regulars.offline import frames
from regulars.offline.errors import InputNotFoundError, InvalidInputError

SALE = "T1,M1,2026-10-01,5"
DIFFERENT_FIELDS = "each line must have as many fields as the header, with the same separator and closed quotes"
NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
LOCAL_NOON = NOON.replace(tzinfo=None)

VALUES = ("spend_first_date", "spend_all", "channel", "purchased_brands", "discount_avg", "latest_transacted_location")
"""Values that read every column of a transaction, and cost half of all."""


def missing_input_error(transactions: Any, **arguments: Any) -> str:
    """The message of an input that does not exist."""
    with pytest.raises(InputNotFoundError) as error:
        compute_values(transactions, **arguments)
    return str(error.value)


def invalid_input_error(transactions: Any) -> str:
    """The message of an invalid input."""
    with pytest.raises(InvalidInputError) as error:
        compute_values(transactions)
    return str(error.value)


def test_the_error_of_a_missing_column_lists_the_columns_found(tmp_path: Path) -> None:
    path = write_csv(tmp_path, SALE)
    path.write_text(path.read_text().replace("profile", "customer"))
    assert missing_input_error(path) == (
        "transactions has no column profile. Found: external_id, customer, transacted_at, total. "
        "Name it with --column profile=..., in Python columns={'profile': '...'}."
    )
    assert compute_spend(path, columns={"profile": "customer"}) == {"M1": "5.00"}
    assert compute_spend(path, columns={"transactions": {"profile": "customer"}}) == {"M1": "5.00"}
    assert missing_input_error(path, columns={"profile": "client"}).startswith(
        "transactions has no column client. Found: ext"
    )
    profiles = pa.table({"member": ["M1"]})
    assert missing_input_error(table(), profiles=profiles).endswith(
        "--column profiles.external_id=..., in Python columns={'profiles': {'external_id': '...'}}."
    )
    assert compute_spend(table(), profiles=profiles, columns={"profiles": {"external_id": "member"}}) == {"M1": "5.00"}


def test_unknown_tables_and_columns_are_rejected() -> None:
    assert missing_input_error(table(), columns={"who": "customer"}).startswith(
        "columns: unknown column who of transactions. Allowed: ext"
    )
    assert missing_input_error(table(), columns={"people": {"profile": "customer"}}) == (
        "columns: unknown table people. Allowed: transactions, profiles, memberships, locations, products, as_of."
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.csv", "transactions: file {} does not exist."),
        ("none*.parquet", "transactions: no file matches {}."),
        ("empty", "transactions: folder {} contains no .parquet or .csv files."),
        ("empty.csv", "transactions: file {} is empty; it must have a header."),
        (
            "ftp://host/sales.csv",
            "Unsupported URL {}. Use a path, or a URL with s3://, gs://, az://, file://.",
        ),
    ],
)
def test_missing_and_empty_inputs_are_rejected(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.csv").touch()
    path = name if "://" in name else str(tmp_path / name)
    assert missing_input_error(path) == message.format(path)


def test_a_folder_is_read_recursively_and_must_have_one_format(tmp_path: Path) -> None:
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
    assert missing_input_error(tmp_path) == (
        f"transactions: folder {tmp_path} contains .csv and .parquet files. Select one format: {tmp_path}/**/*.csv."
    )


def test_a_file_with_only_a_header_has_no_rows(tmp_path: Path) -> None:
    assert compute_spend(write_csv(tmp_path)) == {}


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("short.csv", f"{HEADER}\n{SALE}\nT2,M1\n", DIFFERENT_FIELDS),
        (
            "long.csv",
            f"{HEADER}\n" + f"{SALE}\n" * 30_000 + f"{SALE},9\n",
            "line 30002 has 5 fields, but the header has 4",
        ),
        (
            "damaged.csv",
            f"{HEADER}\nT1,J\x81rgen,2026-10-01,5\n".encode("latin-1"),
            "line 2 is not UTF-8 (--encoding states another encoding)",
        ),
        ("quote.csv", f'{HEADER}\nT1,"M1,2026-10-01,5\n', DIFFERENT_FIELDS),
        ("bad.parquet", b"PAR1" + b"x" * 100 + b"PAR1", "Footer length error in file '{}'"),
        ("text.parquet", "external_id,profile", "No magic bytes found at end of file '{}'"),
    ],
)
def test_malformed_files_are_rejected_with_the_cause(
    tmp_path: Path, name: str, content: str | bytes, cause: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert invalid_input_error(path).removeprefix("transactions: ") == f"{path} can't be read: {cause.format(path)}."


def test_a_line_with_too_many_fields_does_not_hide_the_others(tmp_path: Path) -> None:
    path = write_csv(tmp_path, *(f"T{n},M1,2026-10-01,5" for n in range(10)), "T11,M1,2026-10-01,5,6")
    assert "as many fields as the header" in invalid_input_error(path)


def test_a_truncated_parquet_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "sales.parquet"
    pq.write_table(table(), path)
    path.write_bytes(path.read_bytes()[:-20])
    assert (
        invalid_input_error(path)
        == f"transactions: {path} can't be read: No magic bytes found at end of file '{path}'."
    )


def test_the_first_line_of_a_file_is_its_header(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(f"{SALE}\n{SALE}\n")
    assert missing_input_error(path).startswith("transactions has no column external_id. Found: T1, M1, 2026-10-01, 5.")


def test_files_may_be_compressed_or_tab_separated(tmp_path: Path) -> None:
    text = f"\ufeff{HEADER}\r\n{SALE}\r\n"
    (tmp_path / "sales.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "sales.tsv").write_text(text.replace(",", "\t"))
    assert compute_spend(tmp_path / "sales.csv.gz") == compute_spend(tmp_path / "sales.tsv") == {"M1": "5.00"}


@pytest.mark.parametrize("value", [5, [1], {"external_id": ["T1"]}, b"sales.csv", object()])
def test_unsupported_inputs_are_rejected(value: Any) -> None:
    assert missing_input_error(value) == (
        f"transactions: unsupported input of type {type(value).__name__}. Allowed: {frames.ALLOWED}."
    )


def test_transactions_are_required() -> None:
    assert missing_input_error(None) == "transactions is required."


def test_an_unknown_engine_and_an_invalid_instant_are_rejected() -> None:
    assert missing_input_error(table(), engine="presto") == "Unknown engine 'presto'. Allowed: duckdb, spark."
    assert missing_input_error(table(), as_of="yesterday") == (
        "as_of is 'yesterday'. It must be a time: YYYY-MM-DD HH:MM:SS in UTC, or ISO 8601 with an offset."
    )


_SALE: dict[str, Any] = {"external_id": ["T1"], "profile": ["M1"], "transacted_at": ["2026-10-01 12:00"], "total": [5]}


@pytest.mark.parametrize(
    "columns",
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
@pytest.mark.parametrize("dtype", [None, object], ids=["columns", "object"])
def test_pandas_frames(columns: dict[str, Any], dtype: type | None) -> None:
    frame = pd.DataFrame({**_SALE, **columns})
    row = compute_values(frame if dtype is None else frame.astype(dtype), values=VALUES)["M1"]
    assert (row["spend_first_date"], row["spend_all"]) == (NOON, Decimal("5.00"))


def test_integer_ids_with_gaps_may_be_floats() -> None:
    frame = pd.DataFrame({"external_id": [1, 2], "profile": [7, None], "transacted_at": ["2026-10-01"] * 2, "total": 5})
    assert frame["profile"].dtype == float
    assert compute_spend(frame) == {"7": "5.00"}
    frame["profile"] = [7.5, None]
    assert invalid_input_error(frame) == (
        "transactions.profile must be a string or an integer, not '7.5' (1 row, such as external_id '1')."
    )


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"total": pl.Series(["5.00"]).cast(pl.Decimal(10, 2))},
        {"transacted_at": pl.Series([LOCAL_NOON]).cast(pl.Datetime("ns"))},
        {"transacted_at": pl.Series([NOON]).cast(pl.Datetime("ns", "UTC"))},
        {"profile": pl.Series(["M1"]).cast(pl.Categorical)},
        {"items": [[{"sku": "a", "quantity": 1, "discounts": [{"amount": 1.5}]}]]},
    ],
    ids=str,
)
def test_polars_frames(columns: dict[str, Any]) -> None:
    frame = pl.DataFrame({**_SALE, **columns})
    for each in (frame, frame.lazy()):
        row = compute_values(each, values=VALUES)["M1"]
        assert (row["spend_first_date"], row["spend_all"]) == (NOON, Decimal("5.00"))


@pytest.mark.parametrize(
    "columns",
    [
        {"total": pa.array([Decimal("5.00")], pa.decimal128(30, 10))},
        {"profile": pa.array(["M1"]).dictionary_encode()},
        {"profile": pa.array(["M1"], pa.large_string())},
        {"profile": pa.array(["M1"], pa.string_view())},
        {"transacted_at": pa.array([LOCAL_NOON], pa.timestamp("ns"))},
        {"transacted_at": pa.array([LOCAL_NOON], pa.timestamp("ms"))},
        {"transacted_at": pa.array([LOCAL_NOON], pa.timestamp("s"))},
        {"transacted_at": pa.array([NOON], pa.timestamp("ns", "Europe/Oslo"))},
        {"transacted_at": pa.array([NOON], pa.timestamp("s", "UTC"))},
        {"location": pa.nulls(1)},
        {"systems": [["pos", "web"]]},
        {"items": pa.array([None], pa.list_(pa.struct({"sku": pa.string()})))},
    ],
    ids=lambda columns: " ".join(f"{name} {getattr(column, 'type', column)}" for name, column in columns.items()),
)
def test_arrow_tables(columns: dict[str, Any]) -> None:
    arrow = pa.table({**_SALE, **columns})
    for each in (arrow, arrow.to_batches()[0], arrow.to_reader()):
        row = compute_values(each, values=VALUES)["M1"]
        assert (row["spend_first_date"], row["spend_all"]) == (NOON, Decimal("5.00"))


def test_a_date_is_its_local_midnight() -> None:
    row = compute_values(table(transacted_at=[date(2026, 10, 1)]), timezone="Europe/Oslo", values=VALUES)["M1"]
    assert row["spend_first_date"] == datetime(2026, 9, 30, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"transacted_at": [1_790_000_000]}, "transactions.transacted_at contains integers but must be a time"),
        ({"total": [True]}, "transactions.total contains booleans but must be a decimal"),
        (
            {"profile": [b"M1"]},
            "transactions.profile contains values of another type but must be a string or an integer",
        ),
        ({"items": [{"sku": "a"}]}, "transactions.items contains objects but must be a list of objects, or its JSON"),
    ],
)
def test_a_column_of_an_unsupported_type_is_rejected(columns: dict[str, Any], message: str) -> None:
    assert invalid_input_error(table(**columns)).startswith(message)


def test_void_statuses_make_transactions_void(tmp_path: Path) -> None:
    rows = [f"T{number},M1,2026-10-01,{10**number},{status}" for number, status in enumerate(("", "CANCELLED", "x'y"))]
    path = write_csv(tmp_path, *rows, more=",status")
    for statuses, expected in ((None, "101.00"), ([], "111.00"), (["X'Y"], "11.00"), ("cancelled", "101.00")):
        assert compute_spend(path, void_statuses=statuses) == {"M1": expected}
    assert missing_input_error(path, void_statuses=[""]) == (
        "void_statuses must be at most 50 texts of 1 to 255 characters."
    )
