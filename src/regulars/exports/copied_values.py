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
_TEXT = pa.dictionary(pa.int32(), pa.string())
_COPIED_TYPES = {
    FieldType.MONEY: _UNSCALED,
    FieldType.PERCENT: _UNSCALED,
    FieldType.STRING: _TEXT,
    FieldType.OBJECT: _TEXT,
    FieldType.INTEGER_LIST: _TEXT,
    FieldType.STRING_LIST: _TEXT,
}


class CopiedRows:
    """Parses the rows of a statement with these columns, of which FLAGS have two: true names and false names."""

    def __init__(self, columns: Sequence[ExportColumn]) -> None:
        self._columns = columns
        types: dict[str, pa.DataType] = {}
        for each in columns:
            if each.type is FieldType.FLAGS:
                types |= {f"{each.name} true": _TEXT, f"{each.name} false": _TEXT}
            else:
                types[each.name] = _COPIED_TYPES.get(each.type, each.arrow_type)
        self._options = csv_options(types)
        self._options["read_options"].use_threads = False

    def parse(self, rows: bytes, tenant: Tenant) -> list[pa.Array]:
        """Parses rows of a tenant, and returns each column; texts, lists and objects are dictionary arrays."""
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
            return pa.DictionaryArray.from_arrays(values.indices, _integer_lists(values.dictionary))
        case FieldType.STRING_LIST:
            lists = [parse_array_literal(each) for each in values.dictionary.to_pylist()]
            return pa.DictionaryArray.from_arrays(values.indices, pa.array(lists, column.arrow_type))
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
    starts = np.concatenate(([0], np.cumsum(np.asarray(is_element.cast(pa.int32())))))
    values = elements.filter(is_element).cast(pa.int64())
    return pa.ListArray.from_arrays(pa.array(starts[offsets], pa.int32()), values)


def _flags(trues: pa.Array, falses: pa.Array) -> pa.Array:
    """Combines lists of true and of false names; each distinct combination is parsed once."""
    pairs = pc.add(pc.multiply(_indices(trues), len(falses.dictionary) + 1), _indices(falses)).dictionary_encode()
    true_lists, false_lists = ([*map(parse_array_literal, each.dictionary.to_pylist()), []] for each in (trues, falses))
    found = []
    for pair in pairs.dictionary.to_pylist():
        true, false = divmod(pair, len(false_lists))
        flags = {**dict.fromkeys(true_lists[true], True), **dict.fromkeys(false_lists[false], False)}
        found.append(sorted((str(name), value) for name, value in flags.items()))
    return pa.DictionaryArray.from_arrays(pairs.indices, pa.array(found, FLAGS))


def _indices(texts: pa.Array) -> pa.Array:
    """The indices of texts in their dictionary; of null the next one, which stands for an empty list."""
    return texts.indices.cast(pa.int64()).fill_null(len(texts.dictionary))
