"""Reads files as loading reads them, and splits valid from rejected rows."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from regulars.file_dialects.limits import UNLIMITED, FileLimits
from regulars.file_dialects.options import DETECT, DialectOptions
from regulars.loading import catalog
from regulars.loading.readers import files
from regulars.loading.readers.rows import FileRow, RawRow, RejectedRow

TRANSACTIONS = catalog.columns_of("transactions")
PROFILES = catalog.columns_of("profiles")

WriteFile = Callable[[str, bytes], Path]

HEADER = b"external_id,profile,transacted_at,total\n"


def read_rows(
    path: Path, columns: Any = TRANSACTIONS, limits: FileLimits = UNLIMITED, options: DialectOptions = DETECT
) -> list[FileRow]:
    """The rows of a file."""
    source = files.inspect_file(path, options=options)
    source.limits = limits
    return list(source.rows(columns))


def parsed_rows(rows: Sequence[FileRow]) -> dict[int, Any]:
    """Valid rows by line."""
    return {row.number: msgspec.json.decode(row.content) for row in rows if isinstance(row, RawRow)}


def rejection_reasons(rows: Sequence[FileRow]) -> dict[int, str]:
    """The reasons of rejected rows by line."""
    return {row.line: row.reason for row in rows if isinstance(row, RejectedRow)}
