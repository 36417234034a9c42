"""Registers input tables with an engine, with the dialect in which their text is written."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from regulars.file_dialects.dialect import stated_dialect
from regulars.file_dialects.options import DETECT, DialectError, DialectOptions, parse_options
from regulars.offline.errors import InputNotFoundError
from regulars.offline.frames import materialize
from regulars.offline.input_dialects import detect_files
from regulars.offline.inputs import CSV, InputFiles, map_columns, resolve_input
from regulars.offline.schema import TableSpec
from regulars.offline.structures import EngineBackend, InputTable

_logger = logging.getLogger("regulars.compute")

NoticeCallback = Callable[[str], None]
"""Receives what a caller should know about the input, such as how a file was read."""


@dataclass(frozen=True)
class InputReading:
    """How input tables are read: names of columns as in `compute`, how text is written, and where notices go."""

    columns: Mapping[str, Any] | None = None
    options: DialectOptions = DETECT
    on_notice: NoticeCallback = _logger.warning


def parse_reading(columns: Mapping[str, Any] | None, on_notice: NoticeCallback | None, **texts: Any) -> InputReading:
    """How input tables are read, from the arguments of a caller. Raises InputNotFoundError for an invalid one."""
    try:
        options = parse_options(**texts)
    except DialectError as error:
        raise InputNotFoundError(f"{error}.") from None
    return InputReading(columns, options, on_notice or _logger.warning)


def register(backend: EngineBackend, table: TableSpec, value: Any, reading: InputReading) -> InputTable:
    """Registers an input table with an engine.

    Raises InvalidInputError if it can't be read or lacks a required column.
    """
    names = map_columns(reading.columns, table)
    resolved = resolve_input(value, table)
    if isinstance(resolved, InputFiles):
        resolved, dialect = detect_files(resolved, table, names, reading.options)
        if not dialect.is_default and resolved.dialects:
            reading.on_notice(f"{resolved.pattern}: read as {dialect.description}")
    else:
        resolved = materialize(resolved)
        dialect = stated_dialect(reading.options)
    registered = backend.register(table, resolved, names)
    columns = {name: replace(each, cell_format=dialect.cell_format) for name, each in registered.columns.items()}
    is_csv = isinstance(resolved, InputFiles) and resolved.format == CSV
    return replace(registered, columns=columns, has_empty_rows=is_csv)
