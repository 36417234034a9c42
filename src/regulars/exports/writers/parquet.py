"""Writes Parquet, compressed with Zstandard."""

import pyarrow as pa
import pyarrow.parquet as pq

from regulars.exports.columns import Columns, arrow_schema
from regulars.exports.compression import OutputFile
from regulars.exports.text_values import decoded

ROW_GROUP_ROWS = 65_536
"""Rows of a row group, which are in memory until it is complete."""


class ParquetWriter:
    """Writes Parquet with the types of Arrow, including their metadata."""

    def __init__(self, file: OutputFile, columns: Columns) -> None:
        self._schema = arrow_schema(columns)
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        arrays = [decoded(each) for each in batch.columns]
        self._pending.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._pending_rows += batch.num_rows
        if self._pending_rows >= ROW_GROUP_ROWS:
            self._write_pending()

    def finish(self) -> None:
        if self._pending:
            self._write_pending()
        self._writer.close()

    def close(self) -> None:
        self._pending.clear()
        self._writer.close()

    def _write_pending(self) -> None:
        table = pa.Table.from_batches(self._pending, self._schema)
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._pending.clear()
        self._pending_rows = 0
