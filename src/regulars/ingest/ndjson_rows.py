"""NDJSON: one JSON object a line."""

from collections.abc import Iterable, Iterator

from regulars.ingest.lines import unreadable
from regulars.ingest.rows import Line, Rejection, Row, external_id_of


def rows(lines: Iterable[Row]) -> Iterator[Row]:
    """The objects of a file, empty lines left out. Whether they are JSON shows when they are decoded."""
    for line in lines:
        if isinstance(line, Rejection):
            yield line
        elif reason := unreadable(line.content):
            legible = line.content.decode(errors="replace").replace("\0", "")
            yield Rejection(line.number, {"": reason}, external_id_of(legible.encode()))
        elif line.content.strip():
            yield Line(line.number, line.content)
