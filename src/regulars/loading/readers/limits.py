"""Limits on the size of a file of facts, and a way to stop reading it."""

from collections.abc import Callable
from dataclasses import dataclass

MAX_LINE_BYTES = 4 * 1024 * 1024
"""No line is longer: a row is held in memory as a whole."""

MAX_ZSTD_WINDOW_BYTES = 2**27
"""Largest window of zstd: what `zstd --long` uses by default."""


class FileTooLargeError(ValueError):
    """A file exceeds a limit; the message says what is allowed, and which setting allows more."""


class ReadAbortedError(Exception):
    """Reading a file was stopped."""


@dataclass(frozen=True, slots=True)
class FileLimits:
    """The limits of one file, None for no limit: decompressed bytes, lines, columns of its header.

    Reading stops with ReadAbortedError once `stopped` is true.
    """

    decompressed_bytes: int | None = None
    lines: int | None = None
    columns: int | None = None
    line_bytes: int = MAX_LINE_BYTES
    window_bytes: int = MAX_ZSTD_WINDOW_BYTES
    is_aborted: Callable[[], bool] = lambda: False

    def require_bytes(self, found: int) -> None:
        """Raises FileTooLargeError, and ReadAbortedError."""
        if self.decompressed_bytes is not None and found > self.decompressed_bytes:
            raise FileTooLargeError(
                f"The file is larger than {self.decompressed_bytes:,} bytes when decompressed (max_import_bytes): "
                "send it in parts."
            )
        if self.is_aborted():
            raise ReadAbortedError

    def require_lines(self, found: int) -> None:
        """Raises FileTooLargeError."""
        if self.lines is not None and found > self.lines:
            raise FileTooLargeError(
                f"The file has more than {self.lines:,} lines (max_import_lines): send it in parts."
            )

    def require_columns(self, found: int) -> None:
        """Raises FileTooLargeError."""
        if self.columns is not None and found > self.columns:
            raise FileTooLargeError(
                f"The header has {found:,} columns; {self.columns:,} are allowed (max_import_columns): "
                "send the columns that are needed."
            )


UNLIMITED = FileLimits()
"""For files that an operator loads by command."""
