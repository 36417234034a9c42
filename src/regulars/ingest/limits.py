"""Limits on the size of a file of facts, and a way to stop reading it."""

from collections.abc import Callable
from dataclasses import dataclass

LINE_BYTES = 4 * 1024 * 1024
"""No line is longer: a row is held in memory as a whole."""

WINDOW_BYTES = 2**27
"""Largest window of zstd: what `zstd --long` uses by default."""


class TooLargeError(ValueError):
    """A file exceeds a limit; the message says what is allowed, and which setting allows more."""


class StoppedError(Exception):
    """Reading a file was stopped."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one file, None for no limit: decompressed bytes, lines, columns of its header.

    Reading stops with StoppedError once `stopped` is true.
    """

    unpacked_bytes: int | None = None
    lines: int | None = None
    columns: int | None = None
    line_bytes: int = LINE_BYTES
    window_bytes: int = WINDOW_BYTES
    stopped: Callable[[], bool] = lambda: False

    def require_bytes(self, found: int) -> None:
        """Raises TooLargeError, and StoppedError."""
        if self.unpacked_bytes is not None and found > self.unpacked_bytes:
            raise TooLargeError(
                f"The file is larger than {self.unpacked_bytes:,} bytes when decompressed (max_import_bytes): "
                "send it in parts."
            )
        if self.stopped():
            raise StoppedError

    def require_lines(self, found: int) -> None:
        """Raises TooLargeError."""
        if self.lines is not None and found > self.lines:
            raise TooLargeError(f"The file has more than {self.lines:,} lines (max_import_lines): send it in parts.")

    def require_columns(self, found: int) -> None:
        """Raises TooLargeError."""
        if self.columns is not None and found > self.columns:
            raise TooLargeError(
                f"The header has {found:,} columns; {self.columns:,} are allowed (max_import_columns): "
                "send the columns that are needed."
            )


UNLIMITED = Limits()
"""For files that an operator loads by command."""
