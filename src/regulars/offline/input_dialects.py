"""How input files are written, and copies of those that an engine can't read as they are."""

import csv
import glob
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from regulars.core.number_forms import PLAIN
from regulars.file_dialects.compression import decompress, detect_compression
from regulars.file_dialects.dialect import FileDialect, detect_dialect, detect_sheet_dialect, stated_dialect
from regulars.file_dialects.encodings import UTF_8, describe, to_utf_8
from regulars.file_dialects.limits import MAX_LINE_BYTES
from regulars.file_dialects.options import DialectOptions
from regulars.file_dialects.spreadsheets import Sheet, UnreadableSheetError, read_sheet
from regulars.offline.errors import UNEQUAL_LINES, InvalidInputError
from regulars.offline.inputs import CSV, InputFiles
from regulars.offline.schema import TableSpec

_CHUNK_BYTES = 4 * 1024 * 1024
_COMPRESSED = (".gz", ".zst")
_REPLACEMENT = "\ufffd".encode()

csv.field_size_limit(MAX_LINE_BYTES)


def detect_files(
    files: InputFiles, table: TableSpec, names: Mapping[str, str], options: DialectOptions
) -> tuple[InputFiles, FileDialect]:
    """The files with their separator and encodings, and the dialect of all of them.

    Of files at a URL, only what the options state is known. Raises InvalidInputError if the files differ.
    """
    if files.format != CSV or files.is_url:
        stated = stated_dialect(options)
        if files.format == CSV and options.encoding not in (None, UTF_8):
            raise InvalidInputError(f"{table.name}: files at a URL must be UTF-8, not {options.encoding}")
        return replace(files, separator=options.delimiter or files.separator), stated
    dialects = {path: _detect(path, files.separator, table, names, options) for path in paths_of(files)}
    if not dialects:
        # The engine reports files that do not exist.
        return files, stated_dialect(options)
    first_path, first = next(iter(dialects.items()))
    numbers = {dialect.numbers: path for path, dialect in dialects.items() if dialect.numbers is not PLAIN}
    others = {path: each for path, each in dialects.items() if each.delimiter != first.delimiter}
    if others or len(numbers) > 1:
        path, other = (
            next(iter(others.items()))
            if others
            else next((path, each) for path, each in dialects.items() if each.numbers not in (PLAIN, first.numbers))
        )
        raise InvalidInputError(
            f"{table.name}: the files are written in different ways: {first_path} is {first.description}, {path} is "
            f"{other.description}. Compute them one by one, or state --delimiter and --decimal."
        )
    dialect = replace(first, numbers=next(iter(numbers), first.numbers))
    return replace(files, separator=dialect.delimiter, dialects=tuple(dialects.items())), dialect


def read_sheets(
    files: InputFiles, table: TableSpec, names: Mapping[str, str], options: DialectOptions
) -> tuple[pa.Table, FileDialect]:
    """The rows of spreadsheets as a table of text. Raises InvalidInputError if one can't be read."""
    if files.is_url:
        raise InvalidInputError(
            f"{table.name}: spreadsheets are read from local files only. Save {files.pattern} as CSV."
        )
    types = {names.get(each.name, each.name): each.type for each in table.columns}
    sheets, dialects = [], []
    for path in paths_of(files):
        with open(path, "rb") as file:
            try:
                sheet = read_sheet(file, options.sheet)
            except UnreadableSheetError as error:
                raise InvalidInputError(f"{path} {error}.") from None
        dialects.append(detect_sheet_dialect(sheet, options, types))
        sheets.append(sheet)
    forms = {each.numbers for each in dialects if each.numbers is not PLAIN}
    if len(forms) > 1:
        raise InvalidInputError(f"{table.name}: the spreadsheets have different decimal marks. State --decimal.")
    dialect = replace(dialects[0], numbers=next(iter(forms), PLAIN))
    tables = [_to_table(each, table, dialect.numbers.mark) for each in sheets]
    return pa.concat_tables(tables, promote_options="default"), dialect


def _to_table(sheet: Sheet, table: TableSpec, mark: str) -> pa.Table:
    rows = (cells for _, cells in sheet.rows(mark))
    header = [name.strip() for name in next(rows, [])]
    if not header:
        raise InvalidInputError(f"{table.name}: the sheet {sheet.name!r} is empty; it must have a header.")
    for name in header:
        if name and header.count(name) > 1:
            raise InvalidInputError(f"{table.name}.{name} is a column twice: leave one out.")
    columns: list[list[str | None]] = [[] for _ in header]
    for cells in rows:
        for column, cell in zip(columns, cells, strict=True):
            column.append(cell or None)
    texts = [pa.array(column, pa.string()) for column in columns]
    named = [(name, column) for name, column in zip(header, texts, strict=True) if name]
    return pa.table([column for _, column in named], names=[name for name, _ in named])


def paths_of(files: InputFiles) -> list[str]:
    """The local files of a pattern, in order."""
    return [files.pattern] if Path(files.pattern).exists() else sorted(glob.glob(files.pattern, recursive=True))


def _detect(
    path: str, separator: str, table: TableSpec, names: Mapping[str, str], options: DialectOptions
) -> FileDialect:
    types = {names.get(each.name, each.name): each.type for each in table.columns}
    return detect_dialect(_chunks(path), options, types, types.keys(), separator)


def _chunks(path: str) -> Iterator[bytes]:
    """The decompressed content of a file, without a CR LF in two chunks."""
    with open(path, "rb") as file:
        compression = detect_compression(file.read(4))
        file.seek(0)
        rest = b""
        for chunk in decompress(file, compression, lambda size: None):
            joined = rest + chunk
            rest = b"\r" if joined.endswith(b"\r") else b""
            yield joined.removesuffix(rest) if rest else joined
        if rest:
            yield rest


def readable_files(files: InputFiles, table: TableSpec, copies: list[Any]) -> InputFiles:
    """The files, with a temporary copy in UTF-8 in place of each that DuckDB can't read, or not as the server does: in another
    encoding, with mixed line ends, with a line that states the separator, with blanks beside quotes or on lines of their own.

    A copy lives as long as its object, which is added to `copies`. Raises InvalidInputError for a NUL character, and for a
    file that can't be copied.
    """
    if not files.dialects:
        return files
    readable = [_readable_file(path, dialect, table, copies) for path, dialect in files.dialects]
    return files if readable == [path for path, _ in files.dialects] else replace(files, paths=tuple(readable))


def _readable_file(path: str, dialect: FileDialect, table: TableSpec, copies: list[Any]) -> str:
    readable = path
    if dialect.encoding != UTF_8 or dialect.has_separator_line:
        readable = _copy(path, dialect, copies)
    elif path.lower().endswith(_COMPRESSED):
        return path
    traits = _find_traits(readable, dialect.delimiter.encode())
    if traits.has_nul:
        raise InvalidInputError(f"{table.name}: {path} can't be read: it contains a NUL character.")
    if traits.has_mixed_ends:
        readable = _copy(path, dialect, copies)
    return _rewrite(readable, dialect.delimiter, f"{table.name}: {path}", copies) if traits.has_odd_blanks else readable


@dataclass(frozen=True, slots=True)
class _CsvTraits:
    """What DuckDB does not read as the server does; blanks are odd if they may be beside the quotes of a cell, or make a line."""

    has_nul: bool = False
    has_mixed_ends: bool = False
    has_odd_blanks: bool = False


def _find_traits(path: str, delimiter: bytes) -> _CsvTraits:
    returns = feeds = pairs = 0
    has_odd_blanks = False
    rest = b"\n"
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            chunk += file.read(1) if chunk.endswith(b"\r") else b""
            if b"\0" in chunk:
                return _CsvTraits(has_nul=True)
            if b"\r" in chunk:
                returns += chunk.count(b"\r")
                feeds += chunk.count(b"\n")
                pairs += chunk.count(b"\r\n")
            else:
                feeds += b"\n" in chunk
            if not has_odd_blanks:
                end = chunk.rfind(b"\n") + 1 or len(chunk)
                has_odd_blanks = _has_odd_blanks(rest + chunk[:end], delimiter)
                rest = b"\n" + chunk[end:]
    has_odd_blanks = has_odd_blanks or _has_odd_blanks(rest, delimiter)
    return _CsvTraits(False, bool(returns and feeds) and not returns == pairs == feeds, has_odd_blanks)


_BLANK_LINE = re.compile(rb"\n +(?:[\r\n]|$)")


def _has_odd_blanks(lines: bytes, delimiter: bytes) -> bool:
    """Whether lines, with the line end before them, may have odd blanks. Two quotes after a blank are a quote within a cell."""
    begins_with_blank = b"\n " in lines
    if begins_with_blank and _BLANK_LINE.search(lines):
        return True
    if b'" ' in lines and any(each in lines for each in (b'"  ', b'" ' + delimiter, b'" \r', b'" \n')):
        return True
    if b' "' not in lines:
        return False
    beginnings = [delimiter + b' "', *([b'\n "'] if begins_with_blank else [])]
    return b'  "' in lines or any(lines.count(each) != lines.count(each + b'"') for each in beginnings)


def _rewrite(path: str, delimiter: str, name: str, copies: list[Any]) -> str:
    """A copy of a file in UTF-8 with the rows that the server reads, each cell with blanks beside quotes in quotes."""
    copy = tempfile.NamedTemporaryFile("w", suffix=".csv", encoding=UTF_8, newline="")  # noqa: SIM115 - lives in `copies`
    with open(path, encoding="utf-8-sig") as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        writer = csv.writer(copy, delimiter=delimiter, lineterminator="\n")
        width = 0
        try:
            for row in rows:
                if not "".join(row).strip() and len(row) < 2:
                    continue
                width = width or len(row)
                if len(row) != width:
                    raise InvalidInputError(
                        f"{name} can't be read: line {rows.line_num} has {len(row)} fields, but the header has {width}."
                    )
                writer.writerow(row)
        except csv.Error:
            raise InvalidInputError(f"{name} can't be read: {UNEQUAL_LINES}.") from None
        except UnicodeDecodeError:
            message = f"{name} can't be read: it is not UTF-8 (--encoding states another encoding)."
            raise InvalidInputError(message) from None
    copy.flush()
    copies.append(copy)
    return copy.name


def _copy(path: str, dialect: FileDialect, copies: list[Any]) -> str:
    copy = tempfile.NamedTemporaryFile(suffix=".csv")  # noqa: SIM115 - lives in `copies`
    line = 1
    is_skipped = dialect.has_separator_line
    for chunk in to_utf_8(_chunks(path), dialect.encoding):
        if dialect.encoding != UTF_8 and _REPLACEMENT in chunk:
            number = line + chunk.partition(_REPLACEMENT)[0].replace(b"\r\n", b"\n").count(b"\n")
            raise InvalidInputError(f"{path} can't be read: line {number} is not {describe(dialect.encoding)}.")
        text = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        line += text.count(b"\n")
        if line == 1:
            text = text.removeprefix("\ufeff".encode())
        if is_skipped:
            _, end, text = text.partition(b"\n")
            is_skipped = not end
        copy.write(text)
    copy.flush()
    copies.append(copy)
    return copy.name
