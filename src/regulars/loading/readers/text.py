"""Reads the lines of text files, and the rows of NDJSON and CSV files from them."""

import csv
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from regulars.core.errors import ValidationError
from regulars.facts.columns import MAX_SHOWN_LENGTH, Columns, parse_cell
from regulars.loading.readers.compression import TruncatedFileError
from regulars.loading.readers.limits import MAX_LINE_BYTES, UNLIMITED, FileLimits
from regulars.loading.readers.rows import FileRow, RawRow, RejectedRow, external_id_of

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


def _text_error(content: bytes) -> str | None:
    """Why a line is not text that can be stored; None if it is."""
    if b"\0" in content:
        return "holds a NUL character"
    try:
        content.decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    return None


# NDJSON -------------------------------------------------------------------------------------------------


_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


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
    texts = {
        name: msgspec.json.decode(raw)
        for name in columns.parsed
        if (raw := values.get(name)) is not None and bytes(raw).startswith(b'"')
    }
    parsed = dict(texts)
    errors: dict[str, str] = {}
    columns.parse_cells(parsed, errors)
    if errors:
        return RejectedRow(line.number, errors, external_id_of(line.content))
    if parsed == texts:
        return line
    # A blank text is an empty cell.
    others = {name: value for name, value in values.items() if name not in texts or name in parsed}
    return RawRow(line.number, msgspec.json.encode({**others, **parsed}))


# CSV ----------------------------------------------------------------------------------------------------


def read_csv(lines: Iterable[FileRow], columns: Columns, limits: FileLimits = UNLIMITED) -> Iterator[FileRow]:
    """Yields the rows of a CSV file (RFC 4180, with a header) as JSON objects without empty cells.

    Raises ValidationError if there is no header or a required column is missing, FileTooLargeError for too many
    columns.
    """
    header: list[str] | None = None

    def fits(content: bytes) -> bool:
        return header is None or _width(content) == len(header)

    for record in _records(lines, fits):
        if isinstance(record, RejectedRow):
            if header is None:
                raise ValidationError({"": f"The header can't be read: line {record.line} {record.reason}"})
            yield record
        elif not record.content.strip():
            continue
        elif header is None:
            header = _header(record, columns, limits)
        else:
            yield _row(record, header, columns)
    if header is None:
        raise ValidationError({"": "The file is empty: its first line must name the columns"})


def _header(record: RawRow, columns: Columns, limits: FileLimits) -> list[str]:
    if reason := _text_error(record.content):
        raise ValidationError({"": f"The header can't be read: it {reason}"})
    names = [name.strip() for name in _cells(record.content.decode())]
    limits.require_columns(len(names))
    counts = Counter(name for name in names if name)
    for name, count in counts.items():
        if count > 1:
            raise ValidationError({name[:MAX_SHOWN_LENGTH]: "is a column twice: leave one out"})
    columns.require(counts)
    return names


def _cells(text: str) -> list[str]:
    """The cells of a row. Raises csv.Error for misplaced quotes."""
    if '"' not in text:
        return text.split(",")
    return next(csv.reader([text], strict=True))


def _width(content: bytes) -> int:
    """The number of cells of a row; -1 if it can't be parsed."""
    try:
        return len(_cells(content.decode(errors="replace").replace("\0", "")))
    except csv.Error:
        return -1


def _row(record: RawRow, header: Sequence[str], columns: Columns) -> FileRow:
    number, content = record.number, record.content
    if reason := _text_error(content):
        readable = content.decode(errors="replace").replace("\0", "")
        return RejectedRow(number, {"": reason}, _external_id(readable, header))
    text = content.decode()
    try:
        cells = _cells(text)
    except csv.Error as error:
        return RejectedRow(number, {"": f"is not CSV: {error}"}, _external_id(text, header))
    if len(cells) != len(header):
        reason = f"has {_cell_count(len(cells))}, the header has {len(header)}"
        return RejectedRow(number, {"": reason}, _external_id(text, header))
    values: dict[str, object] = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    errors: dict[str, str] = {}
    columns.parse_cells(values, errors)
    for name in columns.structured:
        if name in values:
            try:
                values[name] = parse_cell(columns.encodings[name], str(values[name]))
            except ValueError as error:
                errors[name] = str(error)
    if errors:
        return RejectedRow(number, errors, _external_id(text, header))
    return RawRow(number, msgspec.json.encode(values))


def _cell_count(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"


def _external_id(text: str, header: Sequence[str]) -> str | None:
    """The external id of a rejected row, if it can be read."""
    try:
        external_id = dict(zip(header, _cells(text), strict=False)).get("external_id")
    except csv.Error:
        external_id = dict(zip(header, text.split(","), strict=False)).get("external_id", "").strip('"')
    return external_id or None


# CSV rows of several lines ------------------------------------------------------------------------------


def _records(lines: Iterable[FileRow], fits: Callable[[bytes], bool]) -> Iterator[FileRow]:
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
        if isinstance(first, RejectedRow) or not _is_open_after(first.content, inside=False):
            yield first
            continue
        consumed, stopped_by = _until_closed(first, unread, source)
        record = RawRow(first.number, b"\n".join(line.content for line in consumed))
        if stopped_by is None and fits(record.content):
            yield record
            continue
        allowance -= LINE_COST_BYTES * len(consumed) + len(record.content)
        if allowance < 0:
            last = consumed[-1].number
            yield RejectedRow(
                first.number, {"": f"has a quote that is never closed; lines up to {last} are rejected with it"}
            )
            consumed = consumed[:1]
        else:
            yield RejectedRow(first.number, {"": "has a quote that is never closed"})
        unread.extendleft(reversed([*consumed[1:], *([stopped_by] if isinstance(stopped_by, RejectedRow) else [])]))


def _until_closed(
    first: RawRow, unread: "deque[FileRow]", source: Iterator[FileRow]
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
        if not _is_open_after(line.content, inside=True):
            return consumed, None
    return consumed, "size limit"


def _is_open_after(content: bytes, *, inside: bool) -> bool:
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
            position = content.find(b',"', position)
            if position < 0:
                return False
            inside, position = True, position + 2
