"""Converts rows that COPY wrote as CSV to the columns of an export."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from regulars.auth.tenants import Tenant
from regulars.core.field_type import FieldType
from regulars.exports.columns import FLAGS, ExportColumn
from regulars.storage.array_literals import parse_array_literal
from regulars.storage.copy_out import csv_options

_UNSCALED = pa.decimal128(38, 0)
_SCALED_TYPES = (FieldType.MONEY, FieldType.PERCENT)
_TEXT_TYPES = (FieldType.INTEGER_LIST, FieldType.STRING_LIST)


class CopiedRows:
    """Parses the rows of a statement with these columns, of which FLAGS have two: true names and false names."""

    def __init__(self, columns: Sequence[ExportColumn]) -> None:
        self._columns = columns
        types: dict[str, pa.DataType] = {}
        for each in columns:
            if each.type is FieldType.FLAGS:
                types |= {f"{each.name} true": pa.string(), f"{each.name} false": pa.string()}
            elif each.type in _SCALED_TYPES:
                types[each.name] = _UNSCALED
            else:
                types[each.name] = pa.string() if each.type in _TEXT_TYPES else each.arrow_type
        self._options = csv_options(types)
        self._options["read_options"].use_threads = False

    def parse(self, rows: bytes, tenant: Tenant) -> list[pa.Array]:
        """Parses rows of a tenant; gives a value array for each column."""
        self._options["read_options"].block_size = len(rows)
        table = pyarrow.csv.read_csv(pa.BufferReader(rows), **self._options)
        copied = iter(table.combine_chunks().to_batches()[0].columns)
        return [_convert(each, copied, tenant) for each in self._columns]


def _convert(column: ExportColumn, copied: Any, tenant: Tenant) -> pa.Array:
    values = next(copied)
    match column.type:
        case FieldType.FLAGS:
            return _flags(values, next(copied))
        case FieldType.INTEGER_LIST:
            return _integer_lists(values)
        case FieldType.STRING_LIST:
            return _map_distinct(values, parse_array_literal, column.arrow_type)
        case FieldType.MONEY:
            return _scale(values, tenant.minor_digits, column.arrow_type)
        case FieldType.PERCENT:
            return _scale(values, column.arrow_type.scale, column.arrow_type)
        case _:
            return values


def _scale(values: pa.Array, digits: int, type_: pa.DataType) -> pa.Array:
    """Decimals from minor units: the same digits, with a decimal point before the last of them."""
    scaled = pa.Array.from_buffers(
        pa.decimal128(38, digits), len(values), values.buffers(), values.null_count, values.offset
    )
    return scaled.cast(type_)


def _integer_lists(literals: pa.Array) -> pa.Array:
    """Parses array literals of integers."""
    lists = pc.split_pattern(pc.utf8_trim(literals, "{}"), ",")
    elements, offsets = lists.values, np.asarray(lists.offsets)
    is_element = pc.not_equal(elements, "")
    # An empty list is split to one empty element.
    if pc.all(is_element).as_py():
        values = elements
    else:
        values = elements.filter(is_element)
        offsets = np.concatenate(([0], np.cumsum(np.asarray(is_element.cast(pa.int32())))))[offsets]
    mask = literals.is_null() if literals.null_count else None
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values.cast(pa.int64()), mask=mask)


def _flags(trues: pa.Array, falses: pa.Array) -> pa.Array:
    # An array literal has no line break outside of quotes, so it separates the two.
    joined = pc.binary_join_element_wise(trues, falses, "\n}{\n", null_handling="replace", null_replacement="{}")
    return _map_distinct(joined, _parse_flags, FLAGS)


def _parse_flags(literals: str) -> list[tuple[str, bool]]:
    trues, falses = (parse_array_literal(each) for each in literals.split("\n}{\n"))
    found = {**dict.fromkeys(trues, True), **dict.fromkeys(falses, False)}
    return sorted((str(name), value) for name, value in found.items())


def _map_distinct(texts: pa.Array, parse: Any, type_: pa.DataType) -> pa.Array:
    """Parses each distinct text once."""
    encoded = texts.dictionary_encode()
    return pa.array([parse(each) for each in encoded.dictionary.to_pylist()], type_).take(encoded.indices)
