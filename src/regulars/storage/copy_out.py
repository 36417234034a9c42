"""Reads the result of a statement as Arrow record batches, by COPY."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pyarrow as pa
import pyarrow.csv

TIMESTAMP = pa.timestamp("us", "UTC")

_MAX_MEMORY_BYTES = 1 << 23
"""Larger results are buffered in an unnamed temporary file."""


@asynccontextmanager
async def copy_to_arrow(
    connection: Any, statement: str, columns: Mapping[str, pa.DataType], arguments: tuple[object, ...] = ()
) -> AsyncIterator[pa.RecordBatchReader]:
    """Yields a reader of the rows of a statement in batches, with columns of these types."""
    with tempfile.SpooledTemporaryFile(_MAX_MEMORY_BYTES) as buffer:
        # Arrow parses text faster than rows can be fetched, and text needs no knowledge of binary formats.
        await connection.copy_from_query(statement, *arguments, output=_writer(buffer), format="csv")
        is_empty = buffer.seek(0, 2) == 0
        buffer.seek(0)
        yield pa.schema(list(columns.items())).empty_table().to_reader() if is_empty else _reader(buffer, columns)


def _writer(buffer: Any) -> Callable[[bytes], Awaitable[None]]:
    # asyncpg writes to a file object in another thread, which takes longer than the write itself.
    async def write(chunk: bytes) -> None:
        buffer.write(chunk)

    return write


def _reader(buffer: Any, columns: Mapping[str, pa.DataType]) -> pa.RecordBatchReader:
    return pyarrow.csv.open_csv(buffer, **csv_options(columns))


def csv_options(columns: Mapping[str, pa.DataType]) -> dict[str, Any]:
    """Returns the options with which Arrow parses the output of COPY with columns of these types."""
    return {
        "read_options": pyarrow.csv.ReadOptions(column_names=list(columns), block_size=1 << 24),
        "parse_options": pyarrow.csv.ParseOptions(newlines_in_values=True),
        # COPY quotes an empty text, and writes null without quotes.
        "convert_options": pyarrow.csv.ConvertOptions(
            column_types=dict(columns),
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    }
