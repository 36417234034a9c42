"""Cells: load, import and compute read the same text as the same value, or reject it with the same message."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest

import regulars
from clubs import Club
from loading.cell_cases import COLUMNS, CellCase, Value, cases_of, csv_of
from loading.file_loader import FileLoader
from loading.file_reading import WriteFile, parsed_rows, read_rows, rejection_reasons
from regulars.core.cells import CellFormat
from regulars.core.time_forms import forms_of, parse_time
from regulars.file_dialects.options import DialectOptions
from regulars.loading import catalog
from regulars.offline import casting, schema
from regulars.offline.casting import InputColumn, TypeFamily
from regulars.offline.engines.duckdb import DuckDBEngine
from regulars.offline.errors import InvalidInputError

KINDS = sorted(COLUMNS)


def value_of(kind: str, read: Any) -> Value:
    """The value of a cell that a reader has normalized."""
    if kind == "time":
        at = parse_time(read)
        return at if at.tzinfo is None else at.astimezone(UTC)
    return Decimal(read) if kind == "money" else read if kind == "boolean" else int(read)


@pytest.mark.parametrize("kind", KINDS)
def test_the_readers_of_files_accept_and_reject_the_cells(kind: str, write_file: WriteFile) -> None:
    entity, column, _ = COLUMNS[kind]
    cases = cases_of(kind)
    rows = read_rows(write_file("cells.csv", csv_of(kind, [each.cell for each in cases])), catalog.columns_of(entity))
    values = {int(row["external_id"]): value_of(kind, row[column]) for row in parsed_rows(rows).values()}
    assert values == {index: each.value for index, each in enumerate(cases) if each.value is not None}
    # After the message is which option reads the cell; see test_dialects.py.
    assert [reason.partition("; --")[0] for reason in rejection_reasons(rows).values()] == [
        f"{column} {each.message}" for each in cases if each.value is None
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_texts_in_json_and_parquet_are_read_as_cells_of_csv(kind: str, write_file: WriteFile) -> None:
    entity, column, _ = COLUMNS[kind]
    others = {"profile": None, "transacted_at": "2026-10-01", "total": "5"} if entity == "transactions" else {}
    records = [{**others, "external_id": str(n), column: each.cell} for n, each in enumerate(cases_of(kind))]
    content = b"\n".join(msgspec.json.encode(each) for each in records)
    path = write_file("cells.parquet", b"")
    pa.parquet.write_table(pa.Table.from_pylist(records), path)
    for file in (write_file("cells.ndjson", content), path):
        rows = read_rows(file, catalog.columns_of(entity))
        values = {int(row["external_id"]): value_of(kind, row[column]) for row in parsed_rows(rows).values()}
        assert values == {n: each.value for n, each in enumerate(cases_of(kind)) if each.value is not None}


def computed_values(kind: str, cells: Sequence[str], date_format: str | None = None) -> list[Value]:
    """The values that DuckDB casts cells to."""
    engine = DuckDBEngine()
    engine.connection.register("cells", pa.table({"number": range(len(cells)), "cell": list(cells)}))
    column = InputColumn("cell", TypeFamily.TEXT, cell_format=CellFormat(forms_of(date_format)))
    cast = casting.cast(COLUMNS[kind][2], column, engine.dialect)
    local = casting.local_time(column, engine.dialect) if kind == "time" else "NULL"
    rows = engine.fetch(f"SELECT {cast}, {local} FROM cells ORDER BY number")
    return [
        read.replace(tzinfo=UTC) if isinstance(read, datetime) else wall if read is None else read
        for read, wall in rows
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_compute_reads_the_same_values(kind: str) -> None:
    # Years are checked beside the cast.
    cases = [each for each in cases_of(kind) if each.cell not in ("0000-10-01", "1899-12-31T23:59:59", "3000-01-01")]
    values = computed_values(kind, [each.cell for each in cases])
    assert dict(zip(cases, values, strict=True)) == {each: each.value for each in cases}


def compute_error(transactions: Any, **options: Any) -> str:
    """The message of an invalid input."""
    with pytest.raises(InvalidInputError) as raised:
        regulars.compute(transactions, as_of="2026-11-01", values=["spend_all"], **options)
    return str(raised.value)


REJECTED = [
    CellCase("time", "2026-10-01 09:30:00 PM", None),
    CellCase("time", "0000-10-01", None),
    CellCase("money", "1_000", None),
    CellCase("boolean", "on", None),
]


@pytest.mark.parametrize("case", REJECTED, ids=lambda each: each.cell)
def test_compute_rejects_a_cell_with_the_message_of_load(case: CellCase, write_file: WriteFile) -> None:
    path = write_file("cells.csv", csv_of(case.kind, [case.cell]))
    column = COLUMNS[case.kind][1]
    reason = rejection_reasons(read_rows(path))[2]
    assert reason.partition("; --")[0] == f"{column} {case.message}"
    assert compute_error(str(path)) == f"transactions.{reason} (1 row, such as external_id '0')."


def test_compute_reads_join_dates_and_instants_of_pairs_as_a_whole() -> None:
    sales = pa.table({"external_id": ["T1"], "profile": ["M1"], "transacted_at": ["2026-10-01"], "total": ["5"]})
    late = "2026-10-02 09:30:00 PM"
    profiles = pa.table({"external_id": ["M1"], "joined_at": [late]})
    with pytest.raises(InvalidInputError, match=r"profiles.joined_at must be a time .*, not '2026-10-02 09:30:00 PM'"):
        regulars.compute(sales, profiles, as_of="2026-11-01", values=["join_hour"])
    pairs = pa.table({"profile": ["M1"], "as_of": [late]})
    with pytest.raises(InvalidInputError, match=r"as_of.as_of must be a time .*, not '2026-10-02 09:30:00 PM'"):
        regulars.compute(sales, as_of=pairs, values=["spend_all"])


FORMATS = [
    ("%m/%d/%Y %H:%M", "12/1/2010 8:26", datetime.fromisoformat("2010-12-01 08:26")),
    ("%m/%d/%Y %H:%M", "13/1/2010 8:26", None),
    ("%m/%d/%Y %H:%M", "12/1/2010 8:26 PM", None),
    ("%m/%d/%Y %H:%M", "2010-12-01 8:26Z", datetime(2010, 12, 1, 8, 26, tzinfo=UTC)),
    ("%d %b %Y %I:%M %p", "1 Oct 2026 12:05 am", datetime.fromisoformat("2026-10-01 00:05")),
    ("%d %b %Y %I:%M %p", "01 OCTOBER 2026 9:05 PM", datetime.fromisoformat("2026-10-01 21:05")),
    ("%d.%m.%y", "1.10.26", datetime.fromisoformat("2026-10-01")),
    ("%d.%m.%y", "1.10.69", datetime.fromisoformat("1969-10-01")),
    ("%Y-%d-%m", "2026-13-10", datetime.fromisoformat("2026-10-13")),
    ("%Y-%d-%m", "2026-10-13", None),
    ("%Y%m%dT%H%M%S.%f%z", "20261001T093000.25+02:00", datetime(2026, 10, 1, 7, 30, 0, 250_000, tzinfo=UTC)),
]


def test_times_have_the_format_of_the_caller(write_file: WriteFile) -> None:
    for date_format, cell, expected in FORMATS:
        options = DialectOptions(date_format=date_format)
        rows = parsed_rows(read_rows(write_file("cells.csv", csv_of("time", [cell])), options=options))
        assert [value_of("time", row["transacted_at"]) for row in rows.values()] == ([expected] if expected else [])
        assert computed_values("time", [cell], date_format) == [expected]


@pytest.mark.parametrize(
    ("date_format", "message"),
    [
        ("%Q", "must consist of .*; '%Q' is neither"),
        ("%m/%d", "must have a year, a month and a day"),
        ("%d%b%m%Y", "must name each part of a time once"),
        ("%Y-%m-%d %Y", "must name each part of a time once"),
        ("%Y-%m-%d %I", "must have both %I and %p"),
        ("%Y-%m-%d [", "must consist of"),
    ],
)
def test_an_invalid_format_is_rejected(date_format: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        forms_of(date_format)


SALES = "external_id,profile,transacted_at,total{n}T1,M1,2026-10-01,5{n}T2,M1,2026-10-02,6{m}T3,M1,2026-10-03,7{n}"


@pytest.mark.parametrize(("end", "other"), [("\r", "\r"), ("\r\n", "\n"), ("\n", "\r"), ("\r\n", "\r")])
def test_lines_end_with_any_mixture_of_line_ends(end: str, other: str, write_file: WriteFile) -> None:
    path = write_file("sales.csv", SALES.format(n=end, m=other).encode())
    assert list(parsed_rows(read_rows(path))) == [2, 3, 4]
    values = regulars.compute(str(path), as_of="2026-11-01", values=["spend_all"]).to_pylist()
    assert [str(row["spend_all"]) for row in values] == ["18.00"]


def test_a_column_that_occurs_twice_is_rejected(write_file: WriteFile) -> None:
    path = write_file("sales.csv", b"external_id,profile,transacted_at,total,total\nT1,M1,2026-10-01,5,6\n")
    with pytest.raises(ValueError, match="total: is a column twice: leave one out"):
        read_rows(path)
    assert compute_error(str(path)) == "transactions.total is a column twice: leave one out."
    numbered = write_file("numbered.csv", b"external_id,profile,transacted_at,total,total_1\nT1,M1,2026-10-01,5,6\n")
    assert regulars.compute(str(numbered), as_of="2026-11-01", values=["spend_all"]).num_rows == 1


async def test_load_and_import_store_the_values_and_report_the_same_messages(club: Club, load: FileLoader) -> None:
    cases = cases_of("time")
    content = csv_of("time", [each.cell for each in cases]).decode()
    answer = await club.http.post("/v1/import/transactions", content=content, headers={"Content-Type": "text/csv"})
    summary = await load("transactions", content)
    assert summary.unchanged == answer.json()["accepted"] == sum(each.value is not None for each in cases)
    assert [each["reason"] for each in answer.json()["rejections"]] == [each.reason for each in summary.rejections]
    stored = await load.transactions()
    for index, each in enumerate(cases):
        if isinstance(each.value, datetime):
            assert stored[str(index)]["transacted_at"] == f"{each.value:%Y-%m-%d %H:%M:%S}"
    american = "external_id,profile,transacted_at,total\nUS1,,12/1/2010 8:26,5\n"
    query = "?date_format=%25m/%25d/%25Y+%25H:%25M"
    await club.http.post(f"/v1/import/transactions{query}", content=american, headers={"Content-Type": "text/csv"})
    assert (await load.transactions())["US1"]["transacted_at"] == "2010-12-01 08:26:00"
    answer = await club.http.post(
        "/v1/import/transactions?date_format=x", content="", headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == 422
    assert "date_format" in answer.json()["errors"]


def test_the_columns_of_both_have_the_same_types() -> None:
    columns = catalog.columns_of("transactions").parsed
    declared = {each.name: each.type for each in schema.TRANSACTIONS.columns}
    assert {name: columns[name] for name in columns.keys() & declared.keys()} == {
        name: declared[name] for name in columns.keys() & declared.keys()
    }
