"""How the rows of a file go in: batch by batch, good ones kept, bad ones told with their line and reason."""

from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from regulars.core.errors import ValidationError
from regulars.facts.fact_type import RowOutcome
from regulars.loading.prefetch import prefetch
from regulars.loading.readers.rows import RejectedRow
from regulars.storage.database import Database
from regulars.storage.errors import is_system_error

MAX_REPORTED_REJECTIONS = 1_000

ANALYZE_MIN_ROWS = 1_000
"""A batch of so many may make a table so much larger that the database should look at it anew."""

MAX_BATCH_BYTES = 32 * 1024 * 1024
"""A batch ends after so much text, however few its rows are."""

WriteRows = Callable[[Sequence[Any]], Awaitable[list[RowOutcome]]]


@dataclass(slots=True)
class LoadSummary:
    """What came of a file: how many rows were loaded, unchanged, rejected, and the first rejections."""

    loaded: int = 0
    unchanged: int = 0
    rejected: int = 0
    rejections: list[RejectedRow] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows were dealt with."""
        return self.loaded + self.unchanged + self.rejected


class LoadStoppedError(Exception):
    """A system error stopped a load; its cause says why, the message says where it stopped and what to do.

    `line` is the first line that may not be stored; None where all are, and only derived data is missing.
    """

    def __init__(self, summary: LoadSummary, line: int | None) -> None:
        self.summary = summary
        self.line_number = line
        where = "after its last line" if line is None else f"at line {line}"
        super().__init__(
            f"The load stopped {where}, because the database is not available: {summary.loaded:,} loaded, "
            f"{summary.unchanged:,} unchanged, {summary.rejected:,} rejected before it. Load the same file again: "
            f"what is stored already is found unchanged, and the rest is loaded."
        )

    @property
    def progress(self) -> dict[str, int | None]:
        """The line where the load stopped, and the counts before it."""
        counts = self.summary
        return {
            "line": self.line_number, "loaded": counts.loaded, "unchanged": counts.unchanged, "rejected": counts.rejected,
        }  # fmt: skip


@contextmanager
def stop_on_system_error(line: int | None, summary: LoadSummary) -> Iterator[None]:
    """Raises LoadStoppedError for a system error within the block, so that it rejects no row."""
    try:
        yield
    except Exception as error:
        if not is_system_error(error):
            raise
        raise LoadStoppedError(summary, line) from error


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to load.

    `dry_run` undoes all that it does; `create_profiles` makes profiles that transactions name and that are
    not there; `single` says that no external id comes twice, so that transactions need not be put together.
    `rejected` is told of every rejection, `progress` after every batch.
    """

    batch_rows: int = 5_000
    dry_run: bool = False
    create_profiles: bool = False
    unique_ids: bool = False
    on_rejected: Callable[[RejectedRow], None] = lambda rejection: None
    on_progress: Callable[[LoadSummary], None] = lambda summary: None


@dataclass(slots=True)
class ParsedBatch:
    """Rows that are ready to be put, each with its line, and those that are not."""

    rows: list[tuple[int, Any]] = field(default_factory=list)
    rejections: list[RejectedRow] = field(default_factory=list)


async def load_batches(
    database: Database,
    batches: Generator[ParsedBatch, None, None],
    put: WriteRows,
    options: LoadOptions,
    summary: LoadSummary,
) -> None:
    """Puts what a generator prepares in a thread, and counts what came of it."""
    async with prefetch(batches) as upcoming:
        async for batch in upcoming:
            for rejection in batch.rejections:
                _reject(summary, rejection, options)
            if batch.rows:
                await _put_batch(database, batch, put, options, summary)
            options.on_progress(summary)


async def _put_batch(
    database: Database, batch: ParsedBatch, put: WriteRows, options: LoadOptions, summary: LoadSummary
) -> None:
    with stop_on_system_error(min(line for line, _ in batch.rows), summary):
        outcomes = await put([row for _, row in batch.rows])
    for (line, _), outcome in zip(batch.rows, outcomes, strict=True):
        _count(summary, line, outcome, options)
    with stop_on_system_error(batch.rows[-1][0] + 1, summary):
        await analyze_if_grown(database, len(batch.rows))


async def analyze_if_grown(database: Database, rows: int) -> None:
    """Has the database look anew at tables that so many rows may have made much larger."""
    if rows >= ANALYZE_MIN_ROWS:
        async with database.unscoped_connection() as connection:
            await connection.execute("SELECT analyze_grown_tables()")


def _reject(summary: LoadSummary, rejection: RejectedRow, options: LoadOptions) -> None:
    summary.rejected += 1
    if len(summary.rejections) < MAX_REPORTED_REJECTIONS:
        summary.rejections.append(rejection)
    options.on_rejected(rejection)


def _count(summary: LoadSummary, line: int, outcome: RowOutcome, options: LoadOptions) -> None:
    if isinstance(outcome, ValidationError):
        _reject(summary, RejectedRow(line, outcome.errors), options)
    elif outcome == "loaded":
        summary.loaded += 1
    else:
        summary.unchanged += 1
