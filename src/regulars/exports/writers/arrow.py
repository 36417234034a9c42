"""Writes Apache Arrow: an IPC file, whose batches are compressed with LZ4."""

import pyarrow as pa

from regulars.exports.columns import Columns, arrow_schema
from regulars.exports.compression import OutputFile
from regulars.exports.text_values import decoded


class ArrowWriter:
    """Writes an Arrow IPC file (Feather V2), which readers can map into memory."""

    def __init__(self, file: OutputFile, columns: Columns) -> None:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._schema = arrow_schema(columns)
        self._writer = pa.ipc.new_file(file, self._schema, options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        arrays = [decoded(each) for each in batch.columns]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def finish(self) -> None:
        self._writer.close()

    def close(self) -> None:
        self._writer.close()
