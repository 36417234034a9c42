"""From a statement to columns: what it gives, by COPY, as Arrow reads it."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pyarrow as pa
import pyarrow.csv

TIMESTAMP = pa.timestamp("us", "UTC")

_IN_MEMORY = 1 << 23
"""What is larger waits in a temporary file that has no name."""


@asynccontextmanager
async def copy_to_arrow(
    connection: Any, statement: str, columns: Mapping[str, pa.DataType], arguments: tuple[object, ...] = ()
) -> AsyncIterator[pa.RecordBatchReader]:
    """What a statement gives, a few thousand rows at a time, as columns of these types."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as received:
        # As text, for Arrow reads it faster than rows are fetched, and nothing needs to be known of the types' bytes.
        await connection.copy_from_query(statement, *arguments, output=_writer(received), format="csv")
        is_empty = not received.tell()
        received.seek(0)
        yield pa.schema(list(columns.items())).empty_table().to_reader() if is_empty else _reader(received, columns)


def _writer(received: Any) -> Callable[[bytes], Awaitable[None]]:
    # A file itself would be written to in another thread, which takes longer for each small piece than to write it.
    async def write(piece: bytes) -> None:
        received.write(piece)

    return write


def _reader(received: Any, columns: Mapping[str, pa.DataType]) -> pa.RecordBatchReader:
    return pyarrow.csv.open_csv(received, **csv_options(columns))


def csv_options(columns: Mapping[str, pa.DataType]) -> dict[str, Any]:
    """How Arrow reads what COPY writes of columns of these types, as arguments of its readers."""
    return {
        "read_options": pyarrow.csv.ReadOptions(column_names=list(columns), block_size=1 << 24),
        "parse_options": pyarrow.csv.ParseOptions(newlines_in_values=True),
        # An empty text is quoted, null is not.
        "convert_options": pyarrow.csv.ConvertOptions(
            column_types=dict(columns),
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    }
