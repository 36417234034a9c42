"""The lines of a file: numbered, without their ends, readable as text."""

from collections.abc import Iterable, Iterator

from regulars.ingest.decompression import BrokenOffError
from regulars.ingest.limits import UNLIMITED, Limits
from regulars.ingest.rows import Line, Rejection, Row

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def lines(pieces: Iterable[bytes], limits: Limits = UNLIMITED) -> Iterator[Row]:
    """The lines of a file that comes in pieces, numbered from 1, a byte order mark left out.

    A line that is too long is rejected. Where the file breaks off, the last rejection says so; the line that
    is cut there is not given. Raises TooLargeError for too many lines.
    """
    number = 0
    begun: list[bytes] = []
    size = 0
    is_skipped = False
    try:
        for piece in pieces:
            *whole, rest = piece.split(b"\n")
            if whole:
                if begun:
                    whole[0] = b"".join([*begun, whole[0]])
                    begun, size = [], 0
                for content in whole:
                    number += 1
                    limits.require_lines(number)
                    if len(content) > limits.line_bytes:
                        yield _too_long(number, limits)
                    elif not is_skipped:
                        yield Line(number, _bare(number, content))
                    is_skipped = False
            if rest and not is_skipped:
                begun.append(rest)
                size += len(rest)
                if size > limits.line_bytes:
                    yield _too_long(number + 1, limits)
                    begun, size, is_skipped = [], 0, True
    except BrokenOffError as broken:
        yield Rejection(number + 1, {"": str(broken)})
        return
    if begun:
        limits.require_lines(number + 1)
        yield Line(number + 1, _bare(number + 1, b"".join(begun)))


def _too_long(number: int, limits: Limits) -> Rejection:
    return Rejection(number, {"": f"is longer than {limits.line_bytes} bytes"})


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
