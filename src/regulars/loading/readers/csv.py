"""CSV as RFC 4180 has it: a header, commas, quotes around what holds commas, quotes or line ends."""

import csv
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from regulars.core.errors import ValidationError
from regulars.facts.columns import MAX_SHOWN_LENGTH, Columns, parse_cell
from regulars.loading.readers import lines as physical
from regulars.loading.readers.limits import MAX_LINE_BYTES, UNLIMITED, FileLimits
from regulars.loading.readers.rows import FileRow, RawRow, RejectedRow

MAX_LINES_PER_ROW = 200
"""No row has more lines; a quote that is still open then is a mistake."""

MAX_REREAD_BYTES = 16 * 1024 * 1024
"""Bytes that may be read again because of quotes that are never closed, in addition to the size of the file."""

LINE_COST_BYTES = 64
"""Reading a line, even an empty one, costs as much as this many bytes."""

csv.field_size_limit(MAX_LINE_BYTES)


def read_rows(lines: Iterable[FileRow], columns: Columns, limits: FileLimits = UNLIMITED) -> Iterator[FileRow]:
    """The rows of a file as JSON objects, empty cells left out.

    Raises Refused where there is no header, or it lacks a required column, FileTooLargeError for too many columns.
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
    if reason := physical.text_error(record.content):
        raise ValidationError({"": f"The header can't be read: it {reason}"})
    names = [name.strip() for name in _cells(record.content.decode())]
    limits.require_columns(len(names))
    there = Counter(name for name in names if name)
    for name, times in there.items():
        if times > 1:
            raise ValidationError({name[:MAX_SHOWN_LENGTH]: "is a column twice: leave one out"})
    columns.require(there)
    return names


def _cells(text: str) -> list[str]:
    """Raises csv.Error for quotes that are not as they should be."""
    if '"' not in text:
        return text.split(",")
    return next(csv.reader([text], strict=True))


def _width(content: bytes) -> int:
    """How many cells a row has; -1 for what is no row."""
    try:
        return len(_cells(content.decode(errors="replace").replace("\0", "")))
    except csv.Error:
        return -1


def _row(record: RawRow, header: Sequence[str], columns: Columns) -> FileRow:
    number, content = record.number, record.content
    reason = physical.text_error(content)
    if reason is not None:
        legible = content.decode(errors="replace").replace("\0", "")
        return RejectedRow(number, {"": reason}, _external_id(legible, header))
    text = content.decode()
    try:
        cells = _cells(text)
    except csv.Error as error:
        return RejectedRow(number, {"": f"is no CSV: {error}"}, _external_id(text, header))
    if len(cells) != len(header):
        wrong = f"has {_counted(len(cells))}, the header has {len(header)}"
        return RejectedRow(number, {"": wrong}, _external_id(text, header))
    found: dict[str, object] = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    errors: dict[str, str] = {}
    for name in columns.structured:
        if name in found:
            try:
                found[name] = parse_cell(columns.encodings[name], str(found[name]))
            except ValueError as error:
                errors[name] = str(error)
    if errors:
        return RejectedRow(number, errors, _external_id(text, header))
    return RawRow(number, msgspec.json.encode(found))


def _counted(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"


def _external_id(text: str, header: Sequence[str]) -> str | None:
    """The external id in a row that is otherwise no good."""
    try:
        found = dict(zip(header, _cells(text), strict=False)).get("external_id")
    except csv.Error:
        found = dict(zip(header, text.split(","), strict=False)).get("external_id", "").strip('"')
    return found or None


# Rows that go over several lines ------------------------------------------------------------------------


def _records(lines: Iterable[FileRow], fits: Callable[[bytes], bool]) -> Iterator[FileRow]:
    """Joins lines to rows. A quote that is never closed rejects its own line only; where there are so many of them that
    the file would be read many times, also the lines that may belong to its cell.
    """
    source = iter(lines)
    again: deque[FileRow] = deque()
    allowance = MAX_REREAD_BYTES
    while (first := again.popleft() if again else next(source, None)) is not None:
        if isinstance(first, RawRow):
            allowance += LINE_COST_BYTES + len(first.content)
        if isinstance(first, RejectedRow) or not _open_after(first.content, inside=False):
            yield first
            continue
        taken, following = _until_closed(first, again, source)
        record = RawRow(first.number, b"\n".join(line.content for line in taken))
        if following is None and fits(record.content):
            yield record
            continue
        allowance -= LINE_COST_BYTES * len(taken) + len(record.content)
        if allowance < 0:
            last = taken[-1].number
            yield RejectedRow(first.number, {"": f"has a quote that is never closed; lines up to {last} go with it"})
            taken = taken[:1]
        else:
            # What was taken for the rest of a quoted cell is rows of their own.
            yield RejectedRow(first.number, {"": "has a quote that is never closed"})
        again.extendleft(reversed([*taken[1:], *([following] if isinstance(following, RejectedRow) else [])]))


def _until_closed(
    first: RawRow, again: "deque[FileRow]", source: Iterator[FileRow]
) -> tuple[list[RawRow], RejectedRow | str | None]:
    """The lines up to the one that closes a quoted cell; and, where none does, what came instead."""
    taken = [first]
    size = len(first.content)
    while size <= MAX_LINE_BYTES and len(taken) < MAX_LINES_PER_ROW:
        following = again.popleft() if again else next(source, None)
        if not isinstance(following, RawRow):
            return taken, following or "the end"
        taken.append(following)
        size += len(following.content)
        if not _open_after(following.content, inside=True):
            return taken, None
    return taken, "too much"


def _open_after(content: bytes, *, inside: bool) -> bool:
    """Whether a quoted cell goes on after a line, given whether one was open before it."""
    if not inside:
        if b'"' not in content:
            return False
        if content.startswith(b'"'):
            inside, at = True, 1
        else:
            at = 0
    else:
        at = 0
    while True:
        if inside:
            at = content.find(b'"', at)
            if at < 0:
                return True
            # Two quotes are one that belongs to the text.
            inside = content[at + 1 : at + 2] == b'"'
            at += 2 if inside else 1
        else:
            at = content.find(b',"', at)
            if at < 0:
                return False
            inside, at = True, at + 2
