"""CSV files have the same rows on every engine as the loader reads, or the engines reject the file and the loader some rows."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from engines.compute_fixtures import Compute, compute_on_duckdb
from loading.file_reading import parsed_rows, read_rows, rejection_reasons
from regulars.offline.errors import InvalidInputError

HEADER = "external_id,profile,transacted_at,total,note\n"
AS_OF = "2026-11-01T00:00:00Z"


def rows_of(compute: Compute, path: Path) -> dict[str, str]:
    """What each profile of a file spent."""
    values = compute(transactions=path, as_of=AS_OF, values=["spend_all"])
    return {row["profile_id"]: str(row["spend_all"]) for row in values.to_pylist()}


def loaded_rows(path: Path) -> dict[str, str] | None:
    """The same from the rows that the loader reads; None if it rejects any."""
    rows = read_rows(path)
    if rejection_reasons(rows):
        return None
    return {row["profile"].strip(): f"{Decimal(row['total']):.2f}" for row in parsed_rows(rows).values()}


READABLE = {
    "line break in a cell": HEADER + 'T1,M1,2026-10-01,5,"first\nsecond"\nT2,M2,2026-10-01,6,x\n',
    "rows in a cell": HEADER + 'T1,M1,2026-10-01,5,"\nT3,M3,2026-10-01,7,x\n"\nT2,M2,2026-10-01,6,x\n',
    "line break in an id": HEADER + '"T\n1",M1,2026-10-01,5,\nT2,"M2\n",2026-10-01,6,x\n',
    "CR LF": (HEADER + 'T1,M1,2026-10-01,5,"first\nsecond"\nT2,M2,2026-10-01,6,x\n').replace("\n", "\r\n"),
    "CR": (HEADER + "T1,M1,2026-10-01,5,\nT2,M2,2026-10-01,6,x\n").replace("\n", "\r"),
    "byte order mark": "\ufeff" + HEADER + 'T1,M1,2026-10-01,5,\nT2,M2,2026-10-01,6,"x\n"\n',
    "quotes": HEADER + '"T1","M1","2026-10-01","5","say ""no"""\nT2,M2,2026-10-01,6,""\n',
    "quotes in a cell": HEADER + 'T1,M1,2026-10-01,5,5" pipe\nT2,M2,2026-10-01,6,x\n',
    "quotes and a line break in a cell": HEADER + 'T1,M1,2026-10-01,5,5" pipe\nT2,"M2\n",2026-10-01,6,7"\n',
    "empty rows": HEADER + "\nT1,M1,2026-10-01,5,\n,,,,\n\nT2,M2,2026-10-01,6,x",
    "empty rows and a line break": HEADER + '\nT1,M1,2026-10-01,5,"\n"\n,,,,\n\nT2,M2,2026-10-01,6,x',
}


@pytest.mark.parametrize("name", READABLE)
def test_files_are_read_as_they_are_written(compute: Compute, tmp_path: Path, name: str) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(READABLE[name].encode())
    assert rows_of(compute, path) == loaded_rows(path) == {"M1": "5.00", "M2": "6.00"}


MALFORMED: dict[str, str | bytes] = {
    "short row": HEADER + "T1,M1,2026-10-01,5\n",
    "long row": HEADER + "T1,M1,2026-10-01,5,,x\n",
    "open quote": HEADER + 'T1,M1,2026-10-01,5,"x\nT2,M2,2026-10-01,6,x\n',
    "open quotes of two lines": HEADER + 'T1,M1,2026-10-01,5,"x\nT2,M2,2026-10-01,6,"x\nT3,M2,2026-10-01,6,x\n',
    "open quote in an unread column": HEADER.replace("note", "a,b") + 'T1,M1,2026-10-01,5,"x,y\nT2,M2,2026-10-01,6,,\n',
    "text after a quote": HEADER + 'T1,M1,2026-10-01,5,"x"y\n',
    "two encodings": b"".join(
        [HEADER.encode(), "T1,\u00c5,2026-10-01,5,x\n".encode(), "T2,\u00c5\u00d8,2026-10-01,5,x\n".encode("latin-1")]
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_rows_are_rejected(compute: Compute, tmp_path: Path, name: str) -> None:
    path = tmp_path / "sales.csv"
    content = MALFORMED[name]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert loaded_rows(path) is None
    with pytest.raises(InvalidInputError) as error:
        rows_of(compute, path)
    assert re.search(r"can't be read: (each line must have as many fields|(line 3|it) is not UTF-8)", str(error.value))


VALID_ROW = "T2,M2,2026-10-01,6,x\n"
ROWS = {
    "blank before quotes": 'T1, "M1",2026-10-01,5,\n',
    "blanks before quotes": 'T1,M1,2026-10-01,5,   "x"\n',
    "blank before quotes at the start": ' "T1",M1,2026-10-01,5,\n',
    "blank before quotes and a separator": 'T1,M1,2026-10-01,5, "a,b"\n',
    "blank before quotes and a line break": 'T1,M1,2026-10-01,5, "a\nb"\n',
    "blank before empty quotes": 'T1,M1,2026-10-01,5, ""\n',
    "blank after quotes": 'T1,"M1" ,2026-10-01,5,\n',
    "blanks after quotes": 'T1,M1,2026-10-01,5,"x"  \n',
    "blank after quotes at the end": 'T1,M1,2026-10-01,5,"x" \r\n',
    "tab before quotes": 'T1,M1,2026-10-01,5,\t"x"\n',
    "quotes after a blank within a cell": 'T1,M1,2026-10-01,5,"say, ""no"" , or ""  yes"""\n',
    "quotes after a separator and a blank": 'T1,M1,2026-10-01,5,"a, "\n',
    "quotes after a blank": 'T1,M1,2026-10-01,5,a "b" c\n',
    "line of blanks": "T1,M1,2026-10-01,5,\n   \n",
    "line of blanks within a cell": 'T1,M1,2026-10-01,5,"a\n  \nb"\n',
    "blanks around cells": " T1 , M1 , 2026-10-01 , 5 , x \n",
    "blanks and a short row": 'T1,M1,2026-10-01,5\n "T3",M3,2026-10-01,5,\n',
    "blanks and an open quote": 'T1, "M1",2026-10-01,5,"x\n',
    "empty field after the last": "T1,M1,2026-10-01,5,,\n",
    "empty quotes after the last": 'T1,M1,2026-10-01,5,,""\n',
    "NUL": "T1,M1,2026-10-01,5,\0\n",
    "NUL within quotes": 'T1,M1,2026-10-01,5," \0"\n',
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("name", ROWS)
def test_duckdb_reads_rows_as_the_loader_does(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes((HEADER + ROWS[name] + (VALID_ROW if "quote" in name else "")).encode(encoding))
    loaded = loaded_rows(path)
    if loaded is None:
        with pytest.raises(InvalidInputError, match="can't be read"):
            rows_of(compute_on_duckdb, path)
    else:
        assert rows_of(compute_on_duckdb, path) == loaded


def test_files_with_blanks_beside_quotes_must_be_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    rows = f'T1, "M1",2026-10-01,5,\u00c5 \u00c5\n{VALID_ROW}'.encode()
    path.write_bytes(HEADER.encode() + rows + "T3,M\u00c5,2026-10-01,5,\n".encode("latin-1"))
    assert loaded_rows(path) is None
    with pytest.raises(InvalidInputError, match="it is not UTF-8"):
        rows_of(compute_on_duckdb, path)
