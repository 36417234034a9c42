"""The declared formats: names, extensions, documentation, and workbooks at their limits."""

from __future__ import annotations

import asyncio
import io
import threading
from decimal import Decimal
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest

from documentation.pages import ROOT
from regulars.core.field_type import FieldType
from regulars.exports.batches import BatchSink
from regulars.exports.columns import INSTANT, ExportColumn, arrow_type
from regulars.exports.compression import FileCompression, OutputFile
from regulars.exports.formats import FORMATS_BY_CODE, ExportFormat
from regulars.exports.writers import parquet, workbook_cells, xlsx


def column(type_: FieldType, name: str = "value") -> ExportColumn:
    """A column of a type."""
    return ExportColumn(name, type_, arrow_type(type_, 2), "A value.")


def write(file_format: ExportFormat, columns: list[ExportColumn], *batches: list[list[Any]]) -> bytes:
    """Writes rows, given by columns, in batches."""
    file = io.BytesIO()
    writer = file_format.writer(OutputFile(file, None), columns)
    for batch in batches:
        arrays = [pa.array(values, each.arrow_type) for values, each in zip(batch, columns, strict=True)]
        writer.write(pa.RecordBatch.from_arrays(arrays, names=[each.name for each in columns]))
    writer.finish()
    writer.close()
    return file.getvalue()


def sheets(content: bytes) -> list[list[tuple[Any, ...]]]:
    """The values of each sheet."""
    return [list(each.iter_rows(values_only=True)) for each in openpyxl.load_workbook(io.BytesIO(content))]


def test_every_format_is_documented() -> None:
    page = (ROOT / "docs" / "exports.md").read_text()
    for each in ExportFormat:
        assert f"| `{each.code}` | `{each.media_type}` |" in page
        assert each.description
    assert list(FORMATS_BY_CODE) == ["csv", "xlsx", "ndjson", "parquet", "arrow"]
    assert [(each.code, each.suffix) for each in FileCompression] == [("gzip", ".gz"), ("zstd", ".zst")]


def test_a_workbook_continues_on_further_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "MAX_SHEET_ROWS", 3)
    content = write(ExportFormat.XLSX, [column(FieldType.INTEGER)], [[1, 2, 3]], [[4, 5]])
    assert sheets(content) == [[("value",), (1,), (2,)], [("value",), (3,), (4,)], [("value",), (5,)]]
    monkeypatch.setattr(xlsx, "MAX_SHEET_BYTES", 1)
    content = write(ExportFormat.XLSX, [column(FieldType.INTEGER)], [[1]], [[2]])
    assert sheets(content) == [[("value",), (1,)], [("value",), (2,)]]


def test_long_texts_of_cells_are_cut() -> None:
    most = workbook_cells.MAX_CELL_LENGTH
    texts = ["x" * most, "x" * (most + 1), "🙂" * (most // 2), "🙂" * most, "é" * 20_000]
    ((_, *rows),) = sheets(write(ExportFormat.XLSX, [column(FieldType.STRING)], [texts]))
    assert [row[0] for row in rows] == [
        texts[0],
        "x" * (most - 1) + "…",
        texts[2],
        "🙂" * (most // 2) + "…",
        texts[4],
    ]


def test_numbers_that_a_spreadsheet_would_round_are_texts() -> None:
    columns = [column(FieldType.INTEGER, "id"), column(FieldType.MONEY)]
    ids = [999_999_999_999_999, -1_000_000_000_000_000, None]
    amounts = [Decimal("9999999999999.99"), Decimal("99999999999999.99"), Decimal("0.10")]
    ((_, *rows),) = sheets(write(ExportFormat.XLSX, columns, [ids, amounts]))
    assert rows == [
        (999_999_999_999_999, 9999999999999.99),
        ("-1000000000000000", "99999999999999.99"),
        (None, 0.1),
    ]


def test_times_before_1900_are_texts_in_a_workbook() -> None:
    columns = [column(FieldType.TIMESTAMP), column(FieldType.DATE, "day")]
    content = write(ExportFormat.XLSX, columns, [[-(10**16), 0], [-30_000, 0]])
    ((_, first, second),) = sheets(content)
    assert first == ("1653-02-10T06:13:20.000000Z", "1887-11-12")
    assert [each.isoformat() for each in second] == ["1970-01-01T00:00:00", "1970-01-01T00:00:00"]
    assert columns[0].arrow_type == INSTANT


def test_null_of_a_single_column_is_a_line_of_csv() -> None:
    content = write(ExportFormat.CSV, [column(FieldType.STRING)], [[None, "", "a"]])
    assert content == b'value\r\n""\r\n""\r\na\r\n'


def test_lists_may_have_nulls() -> None:
    columns = [column(FieldType.INTEGER_LIST), column(FieldType.STRING_LIST, "names"), column(FieldType.FLAGS, "flags")]
    values: list[list[Any]] = [[[1, None], None], [["a", None], []], [[("x", True), ("y", False)], None]]
    assert write(ExportFormat.NDJSON, columns, values).decode().splitlines() == [
        '{"value":[1,null],"names":["a",null],"flags":{"x":true,"y":false}}',
        '{"value":null,"names":[],"flags":null}',
    ]


def test_row_groups_of_parquet_are_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 3)
    content = write(ExportFormat.PARQUET, [column(FieldType.INTEGER)], [[1, 2]], [[3, 4]], [[5]])
    file = pyarrow.parquet.ParquetFile(pa.BufferReader(content))
    assert [file.metadata.row_group(each).num_rows for each in range(file.num_row_groups)] == [4, 1]
    assert file.read()["value"].to_pylist() == [1, 2, 3, 4, 5]


async def test_a_batch_is_finished_however_often_an_export_is_cancelled() -> None:
    released, written = threading.Event(), io.BytesIO()
    columns = [column(FieldType.INTEGER)]
    sink = BatchSink(ExportFormat.CSV.writer(OutputFile(written, None), columns), lambda rows: None)

    def convert() -> pa.RecordBatch:
        released.wait()
        return pa.RecordBatch.from_arrays([pa.array([1])], names=["value"])

    await sink.put(convert)
    closing = asyncio.create_task(sink.close())
    for _ in range(3):
        await asyncio.sleep(0)
        closing.cancel()
    released.set()
    await closing
    assert written.getvalue() == b"value\r\n1\r\n"


def test_a_file_that_writes_a_part_is_written_again() -> None:
    class Partial(io.BytesIO):
        def write(self, data: Any) -> int:
            return super().write(bytes(data[:2]))

    file = Partial()
    output = OutputFile(file, None)
    assert output.write(b"12345") == 5
    output.finish()
    assert (file.getvalue(), output.tell()) == (b"12345", 5)
