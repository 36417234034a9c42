"""Writes Apache Arrow: an IPC file, whose batches are compressed with LZ4."""

import pyarrow as pa

from regulars.exports.columns import Columns, arrow_schema
from regulars.exports.compression import OutputFile


class ArrowWriter:
    """Writes an Arrow IPC file (Feather V2), which readers can map into memory."""

    def __init__(self, file: OutputFile, columns: Columns) -> None:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writer = pa.ipc.new_file(file, arrow_schema(columns), options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def finish(self) -> None:
        self._writer.close()

    def close(self) -> None:
        self._writer.close()
