"""Exported values survive in the programs that people open files with."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pandas
import polars
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from exports.club_facts import MEMBERS, ODD_TEXTS
from exports.conftest import ExportClubs
from exports.export_reader import Rows, export, read_ndjson
from regulars.exports.formats import ExportFormat

pytestmark = pytest.mark.xdist_group("exports")

BODY = {"report": "members"}
VALUES = {"report": "member_aggregations"}
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def neutralized(text: str | None) -> str | None:
    """A string as it is in CSV."""
    return f"'{text}" if text is not None and text.startswith(FORMULA_SIGNS) else text


def instant(text: str) -> datetime:
    """A time of the API."""
    return datetime.fromisoformat(text)


async def expected(clubs: ExportClubs, body: dict[str, Any]) -> Rows:
    """The rows as NDJSON has them."""
    return read_ndjson((await export(clubs, clubs.tenants(1), body))[0])


async def content(clubs: ExportClubs, file_format: ExportFormat, body: dict[str, Any] = BODY) -> bytes:
    """An exported file."""
    return (await export(clubs, clubs.tenants(1), body, file_format))[0]


async def test_the_odd_texts_are_exported(clubs: ExportClubs) -> None:
    rows = await expected(clubs, BODY)
    assert len(rows) == MEMBERS
    texts = {row["optin_subchannel"] for row in rows} | {row["properties"].get("text") for row in rows}
    assert {"007", "=1+1", "شركة الأمل", "🛍️ 👩‍👩‍👧", 'said "no";\r\nleft', "a\\b\n\u0001"} <= texts
    assert {text for text in ODD_TEXTS if text} <= texts | {text.strip() for text in texts if text}


# CSV ----------------------------------------------------------------------------------------------------------


def assert_csv_values(rows: Rows, table: dict[str, Sequence[Any]]) -> None:
    """Compares texts that a reader of CSV gives with rows."""
    assert list(table) == list(rows[0])
    assert [int(each) for each in table["id"]] == [row["id"] for row in rows]
    assert [each or None for each in table["optin_subchannel"]] == [
        neutralized(row["optin_subchannel"]) for row in rows
    ]
    assert [each or None for each in table["age"]] == [neutralized(row["age"]) for row in rows]
    assert [instant(each) for each in table["created_at"]] == [instant(row["created_at"]) for row in rows]
    for name in ("subunit_ids", "properties", "consents"):
        assert [json.loads(each, parse_float=Decimal) for each in table[name]] == [row[name] for row in rows]
    assert [each == "true" for each in table["marketing_via_sms"]] == [row["marketing_via_sms"] for row in rows]


async def test_csv_in_python(clubs: ExportClubs) -> None:
    text = (await content(clubs, ExportFormat.CSV)).decode()
    assert "\r\n" in text
    header, *lines = csv.reader(io.StringIO(text, newline=""))
    assert_csv_values(await expected(clubs, BODY), dict(zip(header, zip(*lines, strict=True), strict=True)))


async def test_csv_in_pandas(clubs: ExportClubs) -> None:
    frame = pandas.read_csv(io.BytesIO(await content(clubs, ExportFormat.CSV)), dtype=str, keep_default_na=False)
    assert_csv_values(await expected(clubs, BODY), {name: list(frame[name]) for name in frame})


async def test_csv_in_polars(clubs: ExportClubs) -> None:
    frame = polars.read_csv(await content(clubs, ExportFormat.CSV), infer_schema=False)
    assert_csv_values(await expected(clubs, BODY), {name: frame[name].to_list() for name in frame.columns})


async def test_csv_in_duckdb(clubs: ExportClubs, tmp_path: Path) -> None:
    (tmp_path / "members.csv").write_bytes(await content(clubs, ExportFormat.CSV))
    rows = await expected(clubs, BODY)
    with duckdb.connect() as connection:
        statement = f"SELECT * FROM read_csv('{tmp_path}/members.csv', all_varchar = true, header = true, quote = '\"')"
        found = connection.execute(statement).fetchall()
    assert_csv_values(rows, dict(zip(rows[0], zip(*found, strict=True), strict=True)))


# Parquet and Arrow --------------------------------------------------------------------------------------------


def assert_typed_values(rows: Rows, found: Rows) -> None:
    """Compares rows of Python values that a reader of types gives with rows."""
    assert [row["id"] for row in found] == [row["id"] for row in rows]
    for name in ("optin_subchannel", "age", "subunit_ids", "marketing_via_sms", "birth_year_group"):
        assert [row[name] for row in found] == [row[name] for row in rows], name
    assert [row["created_at"] for row in found] == [instant(row["created_at"]) for row in rows]
    assert all(row["created_at"].tzinfo is not None for row in found)
    assert [json.loads(row["properties"], parse_float=Decimal) for row in found] == [row["properties"] for row in rows]


@pytest.mark.parametrize("file_format", [ExportFormat.PARQUET, ExportFormat.ARROW], ids=lambda each: each.code)
async def test_types_in_arrow(clubs: ExportClubs, file_format: ExportFormat) -> None:
    rows, written = await expected(clubs, BODY), await content(clubs, file_format)
    read = pyarrow.parquet.read_table if file_format is ExportFormat.PARQUET else pyarrow.feather.read_table
    table = read(pa.BufferReader(written))
    found = table.to_pylist()
    assert_typed_values(rows, found)
    assert [dict(row["consents"]) for row in found] == [row["consents"] for row in rows]
    schema = table.schema
    assert schema.field("created_at").type == pa.timestamp("us", "UTC")
    assert schema.field("subunit_ids").type.value_type == pa.int64()
    metadata = schema.field("gender").metadata
    assert (metadata[b"description"], metadata[b"type"]) == (b"Gender.", b"string")


async def test_money_is_decimal(clubs: ExportClubs) -> None:
    rows = await expected(clubs, VALUES)
    table = pyarrow.parquet.read_table(pa.BufferReader(await content(clubs, ExportFormat.PARQUET, VALUES)))
    assert table.schema.field("spend_all").type == pa.decimal128(38, 2)
    spent = table["spend_all"].to_pylist()
    assert spent == [row["spend_all"] for row in rows]
    assert any(spent)
    dates = [None if row["first_shop_date"] is None else date.fromisoformat(row["first_shop_date"]) for row in rows]
    assert table["first_shop_date"].to_pylist() == dates


@pytest.mark.parametrize("file_format", [ExportFormat.PARQUET, ExportFormat.ARROW], ids=lambda each: each.code)
async def test_types_in_pandas(clubs: ExportClubs, file_format: ExportFormat) -> None:
    rows, written = await expected(clubs, BODY), io.BytesIO(await content(clubs, file_format))
    frame = pandas.read_parquet(written) if file_format is ExportFormat.PARQUET else pandas.read_feather(written)
    assert [None if pandas.isna(each) else each for each in frame["optin_subchannel"]] == [
        row["optin_subchannel"] for row in rows
    ]
    assert [list(each) for each in frame["subunit_ids"]] == [row["subunit_ids"] for row in rows]
    assert [each.to_pydatetime() for each in frame["created_at"]] == [instant(row["created_at"]) for row in rows]
    assert [dict(each) for each in frame["consents"]] == [row["consents"] for row in rows]


@pytest.mark.parametrize("file_format", [ExportFormat.PARQUET, ExportFormat.ARROW], ids=lambda each: each.code)
async def test_types_in_polars(clubs: ExportClubs, file_format: ExportFormat) -> None:
    rows, written = await expected(clubs, BODY), await content(clubs, file_format)
    found = (polars.read_parquet if file_format is ExportFormat.PARQUET else polars.read_ipc)(written).to_dicts()
    assert_typed_values(rows, found)
    assert [dict(row["consents"]) for row in found] == [row["consents"] for row in rows]


async def test_types_in_duckdb(clubs: ExportClubs, tmp_path: Path) -> None:
    (tmp_path / "members.parquet").write_bytes(await content(clubs, ExportFormat.PARQUET))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        result = connection.sql(f"SELECT * FROM '{tmp_path}/members.parquet'")
        names = result.columns
        found = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    rows = await expected(clubs, BODY)
    assert_typed_values(rows, found)
    assert [row["consents"] for row in found] == [row["consents"] for row in rows]


# Workbooks ----------------------------------------------------------------------------------------------------


async def test_a_workbook_in_openpyxl(clubs: ExportClubs) -> None:
    rows = await expected(clubs, BODY)
    sheet = openpyxl.load_workbook(io.BytesIO(await content(clubs, ExportFormat.XLSX))).active
    assert sheet.freeze_panes == "A2"
    header, *lines = sheet.iter_rows()
    assert [cell.value for cell in header] == list(rows[0])
    assert all(cell.font.bold for cell in header)
    found = [dict(zip(rows[0], line, strict=True)) for line in lines]
    assert [row["id"].value for row in found] == [row["id"] for row in rows]
    for row, cells in zip(rows, found, strict=True):
        text, cell = row["optin_subchannel"], cells["optin_subchannel"]
        # openpyxl does not decode characters that XML can't contain.
        assert cell.value == (None if text is None else text.replace("\u0001", "_x0001_"))
        if text is not None:
            assert cell.data_type == "s"
            assert cell.quotePrefix == text.startswith(FORMULA_SIGNS)
        shown = cells["created_at"]
        assert shown.is_date
        assert abs(shown.value.replace(tzinfo=UTC) - instant(row["created_at"])).total_seconds() < 0.001
        assert cells["marketing_via_sms"].value is row["marketing_via_sms"]
        assert json.loads(cells["subunit_ids"].value) == row["subunit_ids"]


async def test_a_workbook_in_pandas_has_numbers_and_dates(clubs: ExportClubs) -> None:
    rows = await expected(clubs, VALUES)
    file = io.BytesIO(await content(clubs, ExportFormat.XLSX, VALUES))
    frame = pandas.read_excel(file, keep_default_na=False, engine="openpyxl")
    assert [Decimal(str(each)) if each != "" else None for each in frame["spend_all"]] == [
        row["spend_all"] for row in rows
    ]
    assert [each.date().isoformat() if each != "" else None for each in frame["first_shop_date"]] == [
        row["first_shop_date"] for row in rows
    ]


@pytest.fixture
def office() -> str:
    """The program of LibreOffice."""
    found = shutil.which("soffice")
    if found is None:
        reason = "there is no LibreOffice: apt-get install libreoffice-calc-nogui"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found


@pytest.mark.slow
async def test_a_workbook_and_csv_in_libreoffice(clubs: ExportClubs, office: str, tmp_path: Path) -> None:
    rows = await expected(clubs, BODY)
    (tmp_path / "book.xlsx").write_bytes(await content(clubs, ExportFormat.XLSX))
    (tmp_path / "table.csv").write_bytes(await content(clubs, ExportFormat.CSV))
    convert(office, tmp_path, "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false", "book.xlsx")
    with (tmp_path / "book.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    texts = [(row["optin_subchannel"] or "").replace("\r\n", "\n") for row in rows]
    assert [row["optin_subchannel"] for row in found] == texts
    assert [row["subunit_ids"] for row in found] == [
        json.dumps(row["subunit_ids"], separators=(",", ":")) for row in rows
    ]
    assert [row["created_at"][:19] for row in found] == [row["created_at"][:19].replace("T", " ") for row in rows]
    # All columns as text (2), so that 007 keeps its zeros; the apostrophe prevents a formula.
    columns = "/".join(f"{number}/2" for number in range(1, len(rows[0]) + 1))
    convert(office, tmp_path, "xlsx", "table.csv", f"--infilter=CSV:44,34,76,1,{columns}")
    sheet = openpyxl.load_workbook(tmp_path / "table.xlsx").active
    header, *lines = sheet.iter_rows()
    column = [cell.value for cell in header].index("optin_subchannel")
    cells = [line[column] for line in lines]
    assert all(cell.data_type != "f" for line in lines for cell in line)
    # openpyxl does not decode characters that XML can't contain.
    expected_texts = [(neutralized(text) or "").replace("\u0001", "_x0001_") for text in texts]
    assert [cell.value or "" for cell in cells] == expected_texts


def convert(office: str, folder: Path, kind: str, name: str, *options: str) -> None:
    """Converts a file by LibreOffice, with a profile of its own."""
    command = [office, f"-env:UserInstallation=file://{folder}/profile", "--headless", *options]
    subprocess.run(
        [*command, "--convert-to", kind, "--outdir", str(folder), str(folder / name)], check=True, capture_output=True
    )


# NDJSON and compression ---------------------------------------------------------------------------------------


async def test_ndjson_in_polars_and_duckdb(clubs: ExportClubs, tmp_path: Path) -> None:
    rows, written = await expected(clubs, BODY), await content(clubs, ExportFormat.NDJSON)
    assert polars.read_ndjson(written)["optin_subchannel"].to_list() == [row["optin_subchannel"] for row in rows]
    (tmp_path / "members.ndjson").write_bytes(written)
    with duckdb.connect() as connection:
        statement = f"SELECT optin_subchannel, subunit_ids FROM read_json('{tmp_path}/members.ndjson')"
        found = connection.execute(statement).fetchall()
    assert found == [(row["optin_subchannel"], row["subunit_ids"]) for row in rows]


async def test_a_workbook_is_a_sound_archive(clubs: ExportClubs) -> None:
    with zipfile.ZipFile(io.BytesIO(await content(clubs, ExportFormat.XLSX))) as archive:
        assert archive.testzip() is None
