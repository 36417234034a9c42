"""Placeholder of the workbook writer."""

import pyarrow as pa

from regulars.exports.columns import Columns
from regulars.exports.compression import OutputFile


class XlsxWriter:
    """Writes a workbook."""

    def __init__(self, file: OutputFile, columns: Columns) -> None:
        self._file = file

    def write(self, batch: pa.RecordBatch) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """There is nothing to release."""
