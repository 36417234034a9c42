"""The lines of a file: numbered, without their ends, readable as text."""

from collections.abc import Iterable, Iterator

from regulars.ingest.decompression import BrokenOffError
from regulars.ingest.rows import Line, Rejection, Row

LONGEST = 4 * 1024 * 1024

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def lines(pieces: Iterable[bytes]) -> Iterator[Row]:
    """The lines of a file that comes in pieces, numbered from 1, a byte order mark left out.

    A line that is too long is rejected. Where the file breaks off, the last rejection says so; the line that
    is cut there is not given.
    """
    number = 0
    rest = b""
    skipping = False
    try:
        for piece in pieces:
            *whole, rest = (rest + piece).split(b"\n")
            for content in whole:
                number += 1
                if not skipping:
                    yield Line(number, _bare(number, content))
                skipping = False
            if skipping:
                rest = b""
            elif len(rest) > LONGEST:
                yield Rejection(number + 1, {"": f"is longer than {LONGEST} bytes"})
                skipping, rest = True, b""
    except BrokenOffError as broken:
        yield Rejection(number + 1, {"": str(broken)})
        return
    if rest:
        yield Line(number + 1, _bare(number + 1, rest))


def _bare(number: int, content: bytes) -> bytes:
    if number == 1:
        content = content.removeprefix(BYTE_ORDER_MARK)
    return content.removesuffix(b"\r")


def unreadable(content: bytes) -> str | None:
    """Why a line can't be text that is kept; None where it can."""
    if b"\0" in content:
        return "holds a NUL character"
    try:
        content.decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    return None
