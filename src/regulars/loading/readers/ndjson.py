"""NDJSON: one JSON object a line."""

from collections.abc import Iterable, Iterator

from regulars.loading.readers.lines import text_error
from regulars.loading.readers.rows import FileRow, RawRow, RejectedRow, external_id_of


def read_rows(lines: Iterable[FileRow]) -> Iterator[FileRow]:
    """The objects of a file, empty lines left out. Whether they are JSON shows when they are decoded."""
    for line in lines:
        if isinstance(line, RejectedRow):
            yield line
        elif reason := text_error(line.content):
            legible = line.content.decode(errors="replace").replace("\0", "")
            yield RejectedRow(line.number, {"": reason}, external_id_of(legible.encode()))
        elif line.content.strip():
            yield RawRow(line.number, line.content)
