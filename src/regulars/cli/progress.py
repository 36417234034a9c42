"""Terminal output of commands: tables and progress bars."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

_SECONDS_BETWEEN_LINES = 10.0


def format_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Formats rows in aligned columns below a header."""
    texts = [list(header), *([("" if cell is None else str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in texts) for index in range(len(header))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in texts)
    return "\n".join(line.rstrip() for line in lines)


_json_encoder = msgspec.json.Encoder(decimal_format="number")


def format_json(value: object) -> str:
    """Formats a value as JSON."""
    return _json_encoder.encode(value).decode()


def format_count(number: int, noun: str) -> str:
    """Formats a number with its noun, such as `1 row` or `1,000 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class ProgressReporter:
    """Reports the progress of one task: as a bar on a terminal, otherwise as a line every ten seconds."""

    def __init__(self, name: str, bar: Progress | None) -> None:
        self._name = name
        self._bar = bar
        self._task = None if bar is None else bar.add_task(name, total=1.0, status="")
        self._last_line = time.monotonic()

    def update(self, fraction: float | None, status: str) -> None:
        """Reports the completed fraction, if known, and a status text."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=fraction or 0.0, status=status)
        elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            percentage = "" if fraction is None else f"{fraction:.0%}, "
            sys.stderr.write(f"{self._name}: {percentage}{status}\n")


@contextmanager
def report_progress(name: str) -> Iterator[ProgressReporter]:
    """Yields the reporter of a task that runs during the block."""
    if not sys.stderr.isatty():
        yield ProgressReporter(name, None)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[status]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        yield ProgressReporter(name, bar)
