"""Registers input tables with an engine, with the dialect in which their text is written."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from regulars.file_dialects.dialect import stated_dialect
from regulars.file_dialects.options import DETECT, DialectError, DialectOptions, parse_options
from regulars.offline.errors import InputNotFoundError
from regulars.offline.frames import materialize
from regulars.offline.input_dialects import detect_files, read_sheets
from regulars.offline.inputs import CSV, XLSX, InputFiles, map_columns, resolve_input
from regulars.offline.schema import TableSpec
from regulars.offline.structures import EngineBackend, InputTable, NoticeCallback

_logger = logging.getLogger("regulars.compute")


@dataclass(frozen=True)
class InputReading:
    """How input tables are read: names of columns as in `compute`, how text is written, and where notices go.

    `is_strict` rejects transactions whose lines differ in other columns than those of items.
    """

    columns: Mapping[str, Any] | None = None
    options: DialectOptions = DETECT
    is_strict: bool = False
    on_notice: NoticeCallback = _logger.warning


def parse_reading(
    columns: Mapping[str, Any] | None, on_notice: NoticeCallback | None, *, strict: bool, **texts: Any
) -> InputReading:
    """How input tables are read, from the arguments of a caller. Raises InputNotFoundError for an invalid one."""
    try:
        options = parse_options(**texts)
    except DialectError as error:
        raise InputNotFoundError(f"{error}.") from None
    return InputReading(columns, options, strict, on_notice or _logger.warning)


def register(backend: EngineBackend, table: TableSpec, value: Any, reading: InputReading) -> InputTable:
    """Registers an input table with an engine.

    Raises InvalidInputError if it can't be read or lacks a required column.
    """
    names = map_columns(reading.columns, table)
    resolved = resolve_input(value, table)
    is_csv = isinstance(resolved, InputFiles) and resolved.format == CSV
    if isinstance(resolved, InputFiles) and resolved.format == XLSX:
        pattern = resolved.pattern
        resolved, dialect = read_sheets(resolved, table, names, reading.options)
        reading.on_notice(f"{pattern}: read as {dialect.description}")
    elif isinstance(resolved, InputFiles):
        resolved, dialect = detect_files(resolved, table, names, reading.options)
        if not dialect.is_default and resolved.dialects:
            reading.on_notice(f"{resolved.pattern}: read as {dialect.description}")
    else:
        resolved = materialize(resolved)
        dialect = stated_dialect(reading.options)
    registered = backend.register(table, resolved, names)
    columns = {name: replace(each, cell_format=dialect.cell_format) for name, each in registered.columns.items()}
    return replace(registered, columns=columns, has_empty_rows=is_csv)
