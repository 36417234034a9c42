"""The interface of writers of exports."""

from typing import Protocol

import pyarrow as pa

from regulars.exports.columns import Columns
from regulars.exports.compression import OutputFile


class ExportWriter(Protocol):
    """Writes batches of rows to a file, which it does not close. Each call may be in another thread, one at a time."""

    def __init__(self, file: OutputFile, columns: Columns) -> None: ...

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes rows, whose columns are those of the export; each may be a dictionary array of its type."""

    def finish(self) -> None:
        """Writes what follows the last row."""

    def close(self) -> None:
        """Releases what the writer holds; without `finish` before, the file is incomplete."""
