"""Spreadsheets: each cell is read as the text that a cell of CSV has; load and compute agree."""

import io
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest

import regulars
from loading.file_reading import TRANSACTIONS, parsed_rows, read_rows, rejection_reasons
from regulars.core.errors import ValidationError
from regulars.file_dialects import spreadsheets
from regulars.file_dialects.options import DialectOptions
from regulars.loading.readers import files
from regulars.loading.readers.files import UnreadableFileError
from regulars.offline.errors import InvalidInputError

HEADER = ("external_id", "profile", "transacted_at", "total", "is_void", None)


def workbook(path: Path, *sheets: Sequence[Sequence[Any]]) -> Path:
    """A spreadsheet; the first sheet is called Sales, further ones by number."""
    book = openpyxl.Workbook()
    for number, rows in enumerate(sheets):
        sheet = book.active if number == 0 else book.create_sheet(f"Sheet{number + 1}")
        assert sheet is not None
        sheet.title = "Sales" if number == 0 else sheet.title
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    return path


def spend(path: Path | str, **options: Any) -> dict[str, str]:
    values = regulars.compute(
        str(path), as_of="2026-11-01", values=["spend_all"], on_notice=lambda text: None, **options
    )
    return {row["profile_id"]: str(row["spend_all"]) for row in values.to_pylist()}


ROWS = [
    (),
    HEADER,
    (1001, 4799999999.0, datetime(2026, 10, 1, 8, 26, 59, 999_900), 0.1 + 0.2, False, "x"),  # noqa: DTZ001
    ("T2", "M1", date(2026, 10, 2), "1.234,50", None),
    (None, "", None, None, None),
    ("T3", "M1", "2026-10-03", 5, True),
]


def test_cells_of_all_types_are_read(tmp_path: Path) -> None:
    path = workbook(tmp_path / "sales.xlsx", ROWS)
    assert parsed_rows(read_rows(path)) == {
        3: {"external_id": "1001", "profile": "4799999999", "transacted_at": "2026-10-01 08:27:00.000", "total": "0.3",
            "is_void": False},
        4: {"external_id": "T2", "profile": "M1", "transacted_at": "2026-10-02", "total": "1234.50"},
        6: {"external_id": "T3", "profile": "M1", "transacted_at": "2026-10-03", "total": "5", "is_void": True},
    }  # fmt: skip
    source = files.inspect_file(path)
    assert source.dialect(TRANSACTIONS).description == "sheet 'Sales', decimal comma"
    assert spend(path) == {"4799999999": "0.30", "M1": "1234.50"}


def test_a_sheet_is_chosen_by_name(tmp_path: Path) -> None:
    path = workbook(tmp_path / "sales.xlsx", [], [HEADER, ("T1", "M1", time(8, 30), 5)], ROWS[1:])
    with pytest.raises(ValidationError, match="The sheet 'Sales' is empty"):
        read_rows(path)
    rows = read_rows(path, options=DialectOptions(sheet="Sheet2"))
    assert rejection_reasons(rows)[2].endswith("not '08:30:00'")
    assert spend(path, sheet="Sheet3") == {"4799999999": "0.30", "M1": "1234.50"}
    with pytest.raises(UnreadableFileError, match=r"has no sheet 'x'. Found: Sales, Sheet2, Sheet3"):
        read_rows(path, options=DialectOptions(sheet="x"))
    with pytest.raises(InvalidInputError, match=r"sales.xlsx has no sheet 'x'"):
        spend(path, sheet="x")
    with pytest.raises(InvalidInputError, match="the sheet 'Sales' is empty"):
        spend(path)


def test_unreadable_spreadsheets_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sales.xlsx"
    path.write_bytes(b"\xd0\xcf\x11\xe0 encrypted")
    with pytest.raises(UnreadableFileError, match=r"is no .xlsx spreadsheet, or it has a password"):
        read_rows(path)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("xl/workbook.xml", "<no/>")
    path.write_bytes(content.getvalue())
    with pytest.raises(UnreadableFileError, match=r"is damaged|has no sheet"):
        read_rows(path)
    monkeypatch.setattr(spreadsheets, "MAX_DECOMPRESSED_BYTES", 4)
    with pytest.raises(UnreadableFileError, match="has 5 bytes when decompressed, at most 4: save it as CSV"):
        read_rows(path)


def test_several_spreadsheets_are_computed_together(tmp_path: Path) -> None:
    workbook(tmp_path / "1.xlsx", ROWS)
    workbook(tmp_path / "2.xlsx", [HEADER[:4], ("T9", "M1", "2026-10-02", 5)])
    assert spend(tmp_path) == {"4799999999": "0.30", "M1": "1239.50"}
    workbook(tmp_path / "2.xlsx", [HEADER[:4], ("T9", "M1", "2026-10-02", "1,234.50")])
    with pytest.raises(InvalidInputError, match="different decimal marks"):
        spend(tmp_path)
    workbook(tmp_path / "2.xlsx", [("total", "total")])
    with pytest.raises(InvalidInputError, match=r"transactions.total is a column twice"):
        spend(tmp_path)
    with pytest.raises(InvalidInputError, match="from local files only"):
        spend("s3://bucket/sales.xlsx")
