"""CSV files have the same rows on every engine as the loader reads, or all reject them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engines.compute_fixtures import Compute
from regulars.offline.errors import InvalidInputError

HEADER = "external_id,profile,transacted_at,total,note\n"
AS_OF = "2026-11-01T00:00:00Z"


def rows_of(compute: Compute, path: Path) -> dict[str, str]:
    """What each profile of a file spent."""
    values = compute(transactions=path, as_of=AS_OF, values=["spend_all"])
    return {row["profile_id"]: str(row["spend_all"]) for row in values.to_pylist()}


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
    assert rows_of(compute, path) == {"M1": "5.00", "M2": "6.00"}


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
    with pytest.raises(InvalidInputError) as error:
        rows_of(compute, path)
    assert re.search(r"can't be read: (each line must have as many fields|(line 3|it) is not UTF-8)", str(error.value))
