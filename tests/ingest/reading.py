"""Reads files as ingest reads them: which rows are good, and what is said of the others."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from regulars.ingest import entities, files
from regulars.ingest.limits import UNLIMITED, Limits
from regulars.ingest.rows import Line, Rejection, Row

TRANSACTIONS = entities.columns_of("transactions")
PROFILES = entities.columns_of("profiles")

Write = Callable[[str, bytes], Path]

HEADER = b"external_id,profile,transacted_at,total\n"


def read(path: Path, columns: Any = TRANSACTIONS, limits: Limits = UNLIMITED) -> list[Row]:
    """The rows of a file."""
    source = files.source(path)
    source.limits = limits
    return list(source.rows(columns))


def good(rows: Sequence[Row]) -> dict[int, Any]:
    """Those that can be read, by their line."""
    return {row.number: msgspec.json.decode(row.content) for row in rows if isinstance(row, Line)}


def bad(rows: Sequence[Row]) -> dict[int, str]:
    """What is said of the others, by their line."""
    return {row.line: row.reason for row in rows if isinstance(row, Rejection)}
