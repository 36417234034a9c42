"""What commands print: tables, and how far long work has come."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

_SECONDS_BETWEEN_LINES = 10.0


def format_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows under a header, in columns."""
    texts = [list(header), *([("" if each is None else str(each)) for each in row] for row in rows)]
    widths = [max(len(row[place]) for row in texts) for place in range(len(header))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in texts)
    return "\n".join(line.rstrip() for line in lines)


def format_count(number: int, word: str) -> str:
    """A number with its word, such as `1 row` or `1,000 rows`."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


class ProgressReporter:
    """How far one piece of work has come: a bar on a terminal, now and then a line elsewhere."""

    def __init__(self, name: str, bar: Progress | None) -> None:
        self._name = name
        self._bar = bar
        self._task = None if bar is None else bar.add_task(name, total=1.0, told="")
        self._last = time.monotonic()

    def update(self, share: float | None, told: str) -> None:
        """Tells which share is done, where it is known, and in words what."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=share or 0.0, told=told)
        elif time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            done = "" if share is None else f"{share:.0%}, "
            sys.stderr.write(f"{self._name}: {done}{told}\n")


@contextmanager
def report_progress(name: str) -> Iterator[ProgressReporter]:
    """Tells of work while the block lasts."""
    if not sys.stderr.isatty():
        yield ProgressReporter(name, None)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        yield ProgressReporter(name, bar)
