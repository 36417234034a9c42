"""Reads the rows of Parquet files, with columns of any type."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import msgspec
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from regulars.core.errors import QuotingText
from regulars.facts.columns import Columns
from regulars.loading.readers.rows import FileRow, RawRow, RejectedRow, external_id_of

_ROWS_PER_READ = 1000

_encoder = msgspec.json.Encoder(decimal_format="string")


def read_rows(
    file: BinaryIO, columns: Columns, on_read: Callable[[int], None], row_filter: Callable[[int], bool] | None = None
) -> Iterator[FileRow]:
    """Yields rows as JSON objects without nulls, numbered from 1; with `row_filter`, only those whose numbers pass.

    `on_read` is called with the number of bytes read so far. Raises ValidationError if a required column is missing.
    """
    number = 0
    try:
        table = pyarrow.parquet.ParquetFile(file)
    except (pyarrow.ArrowException, OSError) as error:
        reason = "can't be read: the file is not Parquet, or it is damaged"
        yield RejectedRow(1, {"": QuotingText(f"{reason} ({_first_line(error)})", reason)})
        return
    targets = columns.targets(table.schema_arrow.names)
    try:
        for whole in table.iter_batches(batch_size=_ROWS_PER_READ, columns=names_of(table, targets)):
            batch = select_columns(whole, table, targets)
            numbers: Sequence[int] = range(number + 1, number + 1 + len(batch))
            number += len(batch)
            if row_filter is not None:
                numbers = [each for each in numbers if row_filter(each)]
                batch = batch.take(pyarrow.array([each - number + len(batch) - 1 for each in numbers], pyarrow.int64()))
            for row_number, row in zip(numbers, _in_microseconds(batch).to_pylist(), strict=True):
                values = {name: value for name, value in row.items() if value is not None}
                # A float is read as the decimal that it prints as.
                values |= {
                    name: repr(each) for name, each in values.items() if _is_long(each) and name in columns.parsed
                }
                errors: dict[str, str] = {}
                columns.parse_cells(values, errors)
                if errors:
                    yield RejectedRow(row_number, errors, external_id_of(_encoder.encode(values)))
                else:
                    yield RawRow(row_number, _encoder.encode(values))
            on_read(file.tell())
    except (pyarrow.ArrowException, OSError) as error:
        reason = "can't be read: the file is damaged"
        yield RejectedRow(number + 1, {"": QuotingText(f"{reason} ({_first_line(error)})", reason)})


def names_of(table: Any, targets: Sequence[tuple[int, str]]) -> list[str]:
    """The names in a file of the columns that are read."""
    return list(dict.fromkeys(table.schema_arrow.names[index] for index, _ in targets))


def select_columns(batch: Any, table: Any, targets: Sequence[tuple[int, str]]) -> Any:
    """A batch of these columns under our names."""
    columns = [batch.column(table.schema_arrow.names[index]) for index, _ in targets]
    return pyarrow.RecordBatch.from_arrays(columns, names=[ours for _, ours in targets])


def _is_long(value: object) -> bool:
    return isinstance(value, float) and round(value, 6) != value


def _in_microseconds(batch: Any) -> Any:
    """The batch with timestamps to the microsecond, which Python can represent."""
    for index, field in enumerate(batch.schema):
        if pyarrow.types.is_timestamp(field.type) and field.type.unit == "ns":
            data_type = pyarrow.timestamp("us", field.type.tz)
            cast = pyarrow.compute.cast(batch.column(index), data_type, safe=False)
            batch = batch.set_column(index, field.name, cast)
    return batch


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip().rstrip(".")
