"""Reads the lines of text files, and the rows of NDJSON and CSV files from them."""

import csv
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from regulars.core.errors import QuotingText, ValidationError
from regulars.facts.columns import MAX_SHOWN_LENGTH, Columns, parse_cell
from regulars.file_dialects.compression import TruncatedFileError
from regulars.file_dialects.dialect import FileDialect
from regulars.file_dialects.encodings import UTF_8, describe
from regulars.file_dialects.limits import MAX_LINE_BYTES, UNLIMITED, FileLimits
from regulars.file_dialects.spreadsheets import Sheet
from regulars.loading.readers.rows import FileRow, RawRow, RejectedRow, external_id_of, trim_id

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

MAX_LINES_PER_ROW = 200
"""Most lines of one CSV row; a quote that is open for longer is a mistake."""

MAX_REREAD_BYTES = 16 * 1024 * 1024
"""Bytes that may be read again because of quotes that are never closed, in addition to the size of the file."""

LINE_COST_BYTES = 64
"""Reading a line, even an empty one, costs as much as this many bytes."""

csv.field_size_limit(MAX_LINE_BYTES)


# Lines --------------------------------------------------------------------------------------------------


def split_lines(chunks: Iterable[bytes], limits: FileLimits = UNLIMITED) -> Iterator[FileRow]:
    """Yields the lines of a file, numbered from 1, without line ends and byte order mark.

    A line that is too long is rejected. If the file is truncated, its last line is dropped and the last item is a
    rejection that says so. Raises FileTooLargeError for too many lines.
    """
    number = 0
    unfinished: list[bytes] = []
    size = 0
    is_skipped = False
    try:
        for chunk in _with_line_feeds(chunks):
            *finished, rest = chunk.split(b"\n")
            if finished:
                if unfinished:
                    finished[0] = b"".join([*unfinished, finished[0]])
                    unfinished, size = [], 0
                for content in finished:
                    number += 1
                    limits.require_lines(number)
                    if len(content) > limits.line_bytes:
                        yield _too_long(number, limits)
                    elif not is_skipped:
                        yield RawRow(number, _without_mark(number, content))
                    is_skipped = False
            if rest and not is_skipped:
                unfinished.append(rest)
                size += len(rest)
                if size > limits.line_bytes:
                    yield _too_long(number + 1, limits)
                    unfinished, size, is_skipped = [], 0, True
    except TruncatedFileError as error:
        yield RejectedRow(number + 1, {"": str(error)})
        return
    if unfinished:
        limits.require_lines(number + 1)
        yield RawRow(number + 1, _without_mark(number + 1, b"".join(unfinished)))


def _with_line_feeds(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks with each line end, CR LF or a lone CR, as one LF."""
    is_after_return = False
    for chunk in chunks:
        if is_after_return:
            # The CR at the end of the last chunk has become an LF.
            chunk = chunk.removeprefix(b"\n")
            is_after_return = False
        if b"\r" in chunk:
            is_after_return = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield chunk


def _too_long(number: int, limits: FileLimits) -> RejectedRow:
    return RejectedRow(number, {"": f"is longer than {limits.line_bytes} bytes"})


def _without_mark(number: int, content: bytes) -> bytes:
    return content.removeprefix(BYTE_ORDER_MARK) if number == 1 else content


_REPLACEMENT = "\ufffd".encode()


def _text_error(content: bytes, encoding: str = UTF_8) -> str | None:
    """Why a line is not text that can be stored; None if it is. It has been converted from the `encoding`."""
    if b"\0" in content:
        return "holds a NUL character"
    if encoding != UTF_8:
        return f"is not {describe(encoding)}" if _REPLACEMENT in content else None
    try:
        content.decode()
    except UnicodeDecodeError:
        return "is not UTF-8 (--encoding states another encoding)"
    return None


# NDJSON -------------------------------------------------------------------------------------------------


_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])

_LONG_NUMBER = re.compile(rb"-?[0-9]+[.][0-9]{7,}")
"""Numbers such as 153.00000000000003, which are rounded as in text."""


def read_ndjson(lines: Iterable[FileRow], columns: Columns) -> Iterator[FileRow]:
    """Yields the lines of an NDJSON file that are not empty, with texts parsed as in cells of CSV.

    Whether a line is JSON is checked when it is decoded.
    """
    for line in lines:
        if isinstance(line, RejectedRow):
            yield line
        elif reason := _text_error(line.content):
            readable = line.content.decode(errors="replace").replace("\0", "")
            yield RejectedRow(line.number, {"": reason}, external_id_of(readable.encode()))
        elif line.content.strip():
            yield _parse_texts(line, columns)


def _parse_texts(line: RawRow, columns: Columns) -> FileRow:
    try:
        values: dict[str, msgspec.Raw] = _object_decoder.decode(line.content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return line
    renamed = columns.rename(values)
    texts = {
        name: bytes(raw).decode() if _LONG_NUMBER.fullmatch(raw) else msgspec.json.decode(raw)
        for name in columns.parsed
        if (raw := renamed.get(name)) is not None and (bytes(raw).startswith(b'"') or _LONG_NUMBER.fullmatch(raw))
    }
    parsed = dict(texts)
    errors: dict[str, str] = {}
    columns.parse_cells(parsed, errors)
    if errors:
        return RejectedRow(line.number, errors, external_id_of(line.content))
    if parsed == texts and renamed is values:
        return line
    # A blank text is an empty cell.
    others = {name: value for name, value in renamed.items() if name not in texts or name in parsed}
    return RawRow(line.number, msgspec.json.encode({**others, **parsed}))


# CSV ----------------------------------------------------------------------------------------------------


_DEFAULT = FileDialect()


def read_csv(
    lines: Iterable[FileRow], columns: Columns, limits: FileLimits = UNLIMITED, dialect: FileDialect = _DEFAULT
) -> Iterator[FileRow]:
    """Yields the rows of a CSV file (RFC 4180, with a header) as JSON objects without empty cells. Empty rows are skipped.

    Raises ValidationError if there is no header or a required column is missing, FileTooLargeError for too many
    columns.
    """
    header: _Header | None = None

    def fits(content: bytes) -> bool:
        return header is None or _width(content, dialect.delimiter) == header.width

    is_header_next = not dialect.has_separator_line
    for record in _records(lines, fits, dialect.delimiter.encode()):
        if isinstance(record, RejectedRow):
            if header is None:
                raise ValidationError({"": f"The header can't be read: line {record.line} {record.reason}"})
            yield record
        elif not record.content.strip():
            continue
        elif not is_header_next:
            is_header_next = True
        elif header is None:
            header = _read_header(record, columns, limits, dialect)
        elif (row := _row(record, header, columns)) is not None:
            yield row
    if header is None:
        raise ValidationError({"": "The file is empty: its first line must name the columns"})


class _Header:
    """The names of the columns, and those that are read, by index."""

    def __init__(self, names: Sequence[str], columns: Columns, dialect: FileDialect) -> None:
        self.width = len(names)
        self.targets = columns.targets(names)
        self.dialect = dialect
        self._id_index = next((index for index, ours in self.targets if ours == "external_id"), None)

    def external_id(self, text: str) -> str | None:
        """The external id of a rejected row, if it can be read."""
        if self._id_index is None:
            return None
        try:
            cells = _cells(text, self.dialect.delimiter)
        except csv.Error:
            cells = [each.strip('"') for each in text.split(self.dialect.delimiter)]
        return trim_id(cells[self._id_index]) if self._id_index < len(cells) else None


def _read_header(record: RawRow, columns: Columns, limits: FileLimits, dialect: FileDialect) -> _Header:
    if reason := _text_error(record.content, dialect.encoding):
        raise ValidationError({"": f"The header can't be read: it {reason}"})
    names = [name.strip() for name in _cells(record.content.decode(), dialect.delimiter)]
    limits.require_columns(len(names))
    return _header_of(names, columns, dialect)


def _header_of(names: Sequence[str], columns: Columns, dialect: FileDialect) -> _Header:
    for name, count in Counter(name for name in names if name).items():
        if count > 1:
            message = "is a column twice: leave one out"
            if name in columns.names_in_file:
                raise ValidationError({name: message})
            # Without a header it is a value of the first row.
            raise ValidationError({"": QuotingText(f"{name[:MAX_SHOWN_LENGTH]} {message}", f"A text {message}")})
    return _Header(names, columns, dialect)


def _cells(text: str, delimiter: str) -> list[str]:
    """The cells of a row. Raises csv.Error for misplaced quotes."""
    if '"' not in text:
        return text.split(delimiter)
    return next(csv.reader([text], delimiter=delimiter, strict=True))


def _width(content: bytes, delimiter: str) -> int:
    """The number of cells of a row; -1 if it can't be parsed."""
    try:
        return len(_cells(content.decode(errors="replace").replace("\0", ""), delimiter))
    except csv.Error:
        return -1


def _row(record: RawRow, header: _Header, columns: Columns) -> FileRow | None:
    """The row of a record; None if all its cells are empty, as programs write after the last row of a sheet."""
    number, content = record.number, record.content
    if reason := _text_error(content, header.dialect.encoding):
        readable = content.decode(errors="replace").replace("\0", "")
        return RejectedRow(number, {"": reason}, header.external_id(readable))
    text = content.decode()
    try:
        cells = _cells(text, header.dialect.delimiter)
    except csv.Error as error:
        return RejectedRow(number, {"": f"is not CSV: {error}"}, header.external_id(text))
    if len(cells) != header.width:
        counts = f"has {_cell_count(len(cells))}, the header has {header.width}"
        reason = QuotingText(counts, "has more or fewer cells than the header")
        return RejectedRow(number, {"": reason}, header.external_id(text))
    values: dict[str, object] = {name: cell for index, name in header.targets if (cell := cells[index])}
    if not values and not any(cells):
        return None
    return _parsed_row(number, values, columns)


def _parsed_row(number: int, values: dict[str, object], columns: Columns) -> FileRow:
    """The row of the cells that are not empty, by our names."""
    external_id = trim_id(str(values.get("external_id", "")))
    errors: dict[str, str] = {}
    columns.parse_cells(values, errors)
    for name in columns.structured:
        if name in values:
            try:
                values[name] = parse_cell(columns.encodings[name], str(values[name]))
            except ValueError as error:
                errors[name] = str(error)
    if errors:
        return RejectedRow(number, errors, external_id)
    return RawRow(number, msgspec.json.encode(values))


def read_sheet_rows(sheet: Sheet, columns: Columns, dialect: FileDialect) -> Iterator[FileRow]:
    """Yields the rows of a sheet as those of CSV; its first row that is not empty has the names of the columns.

    Raises ValidationError if there is no header or a required column is missing.
    """
    header: _Header | None = None
    for number, cells in sheet.rows(dialect.numbers.mark):
        if header is None:
            header = _header_of([name.strip() for name in cells], columns, dialect)
        else:
            yield _parsed_row(number, {name: cell for index, name in header.targets if (cell := cells[index])}, columns)
    if header is None:
        reason = "is empty: its first row must name the columns"
        raise ValidationError({"": QuotingText(f"The sheet {sheet.name!r} {reason}", f"The sheet {reason}")})


def _cell_count(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"


# CSV rows of several lines ------------------------------------------------------------------------------


_NEVER_CLOSED = "has a quote that is never closed"


def _records(lines: Iterable[FileRow], fits: Callable[[bytes], bool], delimiter: bytes) -> Iterator[FileRow]:
    """Joins lines to rows. A quote that is never closed rejects its own line only, and the lines after it are read
    again as rows of their own. In a file with so many such quotes that this would take more than linear time, the lines
    that may belong to the cell are rejected with it.
    """
    source = iter(lines)
    unread: deque[FileRow] = deque()
    allowance = MAX_REREAD_BYTES
    while (first := unread.popleft() if unread else next(source, None)) is not None:
        if isinstance(first, RawRow):
            allowance += LINE_COST_BYTES + len(first.content)
        if isinstance(first, RejectedRow) or not _is_open_after(first.content, delimiter, inside=False):
            yield first
            continue
        consumed, stopped_by = _until_closed(first, unread, source, delimiter)
        record = RawRow(first.number, b"\n".join(line.content for line in consumed))
        if stopped_by is None and fits(record.content):
            yield record
            continue
        allowance -= LINE_COST_BYTES * len(consumed) + len(record.content)
        if allowance < 0:
            last = consumed[-1].number
            message = QuotingText(f"{_NEVER_CLOSED}; lines up to {last} are rejected with it", _NEVER_CLOSED)
            yield RejectedRow(first.number, {"": message})
            consumed = consumed[:1]
        else:
            yield RejectedRow(first.number, {"": _NEVER_CLOSED})
        unread.extendleft(reversed([*consumed[1:], *([stopped_by] if isinstance(stopped_by, RejectedRow) else [])]))


def _until_closed(
    first: RawRow, unread: "deque[FileRow]", source: Iterator[FileRow], delimiter: bytes
) -> tuple[list[RawRow], RejectedRow | str | None]:
    """The lines up to the one that closes a quoted cell, and what stopped the search if none does."""
    consumed = [first]
    size = len(first.content)
    while size <= MAX_LINE_BYTES and len(consumed) < MAX_LINES_PER_ROW:
        line = unread.popleft() if unread else next(source, None)
        if not isinstance(line, RawRow):
            return consumed, line or "end of file"
        consumed.append(line)
        size += len(line.content)
        if not _is_open_after(line.content, delimiter, inside=True):
            return consumed, None
    return consumed, "size limit"


def _is_open_after(content: bytes, delimiter: bytes, *, inside: bool) -> bool:
    """Whether a quoted cell is open at the end of a line; `inside` says whether one was open at its start."""
    position = 0
    if not inside:
        if b'"' not in content:
            return False
        if content.startswith(b'"'):
            inside, position = True, 1
    while True:
        if inside:
            position = content.find(b'"', position)
            if position < 0:
                return True
            # Two quotes are an escaped one.
            inside = content[position + 1 : position + 2] == b'"'
            position += 2 if inside else 1
        else:
            position = content.find(delimiter + b'"', position)
            if position < 0:
                return False
            inside, position = True, position + 2
