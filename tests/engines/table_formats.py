"""The forms in which a table may be given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet

from engines.input_tables import as_texts

TableFormat = Callable[[pa.Table, Path], Any]
"""Makes of a table what stands for it, in a new place where that is a file."""


def as_table(table: pa.Table, place: Path) -> pa.Table:
    """The table itself."""
    return table


def as_csv(table: pa.Table, place: Path) -> Path:
    """One file of texts."""
    csv.write_csv(as_texts(table), place)
    return place.rename(place.with_suffix(".csv"))


def as_parquet(table: pa.Table, place: Path) -> Path:
    """A folder of several files, each with some of the rows."""
    place.mkdir()
    step = table.num_rows // 3
    for first in range(0, table.num_rows, step):
        parquet.write_table(table.slice(first, step), place / f"{first}.parquet")
    return place
