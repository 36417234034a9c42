"""Parquet: one row of the table a row, whatever types its columns have."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import msgspec
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from regulars.facts.columns import Columns
from regulars.loading.readers.rows import FileRow, RawRow, RejectedRow

_AT_ONCE = 1000

_encoder = msgspec.json.Encoder(decimal_format="string")


def read_rows(
    file: BinaryIO, columns: Columns, on_read: Callable[[int], None], row_filter: Callable[[int], bool] | None = None
) -> Iterator[FileRow]:
    """The rows of a table as JSON objects, nulls left out, numbered from 1; `only` those of some numbers.

    `moved` is told of the size of all that was read. Raises Refused where a required column is missing.
    """
    number = 0
    try:
        table = pyarrow.parquet.ParquetFile(file)
    except (pyarrow.ArrowException, OSError) as error:
        yield RejectedRow(1, {"": f"is where the file breaks off: it is no Parquet file, or damaged ({_line(error)})"})
        return
    columns.require(table.schema_arrow.names)
    wanted = [name for name in table.schema_arrow.names if name in columns.encodings]
    try:
        for batch in table.iter_batches(batch_size=_AT_ONCE, columns=wanted):
            numbers: Sequence[int] = range(number + 1, number + 1 + len(batch))
            number += len(batch)
            if row_filter is not None:
                numbers = [each for each in numbers if row_filter(each)]
                batch = batch.take(pyarrow.array([each - number + len(batch) - 1 for each in numbers], pyarrow.int64()))
            for place, record in zip(numbers, _plain(batch).to_pylist(), strict=True):
                found = {name: value for name, value in record.items() if value is not None}
                yield RawRow(place, _encoder.encode(found))
            on_read(file.tell())
    except (pyarrow.ArrowException, OSError) as error:
        yield RejectedRow(number + 1, {"": f"is where the file breaks off: it is damaged ({_line(error)})"})


def _plain(batch: Any) -> Any:
    """A batch whose times Python can tell: to the microsecond, as ours are."""
    for place, field in enumerate(batch.schema):
        if pyarrow.types.is_timestamp(field.type) and field.type.unit == "ns":
            kind = pyarrow.timestamp("us", field.type.tz)
            cast = pyarrow.compute.cast(batch.column(place), kind, safe=False)
            batch = batch.set_column(place, field.name, cast)
    return batch


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip().rstrip(".")
