"""The lines of a file: numbered, without their ends, readable as text."""

from collections.abc import Iterable, Iterator

from regulars.loading.readers.compression import TruncatedFileError
from regulars.loading.readers.limits import UNLIMITED, FileLimits
from regulars.loading.readers.rows import FileRow, RawRow, RejectedRow

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def split_lines(pieces: Iterable[bytes], limits: FileLimits = UNLIMITED) -> Iterator[FileRow]:
    """The lines of a file that comes in pieces, numbered from 1, a byte order mark left out.

    A line that is too long is rejected. Where the file breaks off, the last rejection says so; the line that
    is cut there is not given. Raises FileTooLargeError for too many lines.
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
                        yield RawRow(number, _bare(number, content))
                    is_skipped = False
            if rest and not is_skipped:
                begun.append(rest)
                size += len(rest)
                if size > limits.line_bytes:
                    yield _too_long(number + 1, limits)
                    begun, size, is_skipped = [], 0, True
    except TruncatedFileError as broken:
        yield RejectedRow(number + 1, {"": str(broken)})
        return
    if begun:
        limits.require_lines(number + 1)
        yield RawRow(number + 1, _bare(number + 1, b"".join(begun)))


def _too_long(number: int, limits: FileLimits) -> RejectedRow:
    return RejectedRow(number, {"": f"is longer than {limits.line_bytes} bytes"})


def _bare(number: int, content: bytes) -> bytes:
    if number == 1:
        content = content.removeprefix(BYTE_ORDER_MARK)
    return content.removesuffix(b"\r")


def text_error(content: bytes) -> str | None:
    """Why a line can't be text that is kept; None where it can."""
    if b"\0" in content:
        return "holds a NUL character"
    try:
        content.decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    return None
