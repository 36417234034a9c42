"""Limits on the size of a file, and a way to abort reading it."""

from collections.abc import Callable
from dataclasses import dataclass

MAX_LINE_BYTES = 4 * 1024 * 1024
"""Longest line: a row is held in memory as a whole."""

MAX_ZSTD_WINDOW_BYTES = 2**27
"""Largest window of zstd: the default of `zstd --long`."""


class FileTooLargeError(ValueError):
    """A file exceeds a limit; the message names what is allowed and the setting that allows more."""


class ReadAbortedError(Exception):
    """Reading a file was aborted."""


@dataclass(frozen=True, slots=True)
class FileLimits:
    """The limits of one file, None for no limit: decompressed bytes, lines, columns of its header.

    Reading raises ReadAbortedError once `is_aborted` returns true.
    """

    decompressed_bytes: int | None = None
    lines: int | None = None
    columns: int | None = None
    line_bytes: int = MAX_LINE_BYTES
    window_bytes: int = MAX_ZSTD_WINDOW_BYTES
    is_aborted: Callable[[], bool] = lambda: False

    def require_bytes(self, count: int) -> None:
        """Raises FileTooLargeError for too many decompressed bytes, and ReadAbortedError."""
        if self.decompressed_bytes is not None and count > self.decompressed_bytes:
            raise FileTooLargeError(
                f"The file is larger than {self.decompressed_bytes:,} bytes when decompressed (max_import_bytes): "
                "send it in parts."
            )
        if self.is_aborted():
            raise ReadAbortedError

    def require_lines(self, count: int) -> None:
        """Raises FileTooLargeError for too many lines."""
        if self.lines is not None and count > self.lines:
            raise FileTooLargeError(
                f"The file has more than {self.lines:,} lines (max_import_lines): send it in parts."
            )

    def require_columns(self, count: int) -> None:
        """Raises FileTooLargeError for too many columns."""
        if self.columns is not None and count > self.columns:
            raise FileTooLargeError(
                f"The header has {count:,} columns; {self.columns:,} are allowed (max_import_columns): "
                "leave out columns that are not needed."
            )


UNLIMITED = FileLimits()
"""For files that an operator loads by command."""
