"""Loads the rows of a file in batches. Invalid rows are skipped and reported with their line and reason."""

from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from regulars.core.errors import ValidationError
from regulars.facts.fact_type import RowOutcome
from regulars.loading.prefetch import prefetch
from regulars.loading.preview import preview_row
from regulars.loading.readers.rows import RejectedRow
from regulars.loading.row_kinds import RowKinds
from regulars.storage.database import Database
from regulars.storage.errors import is_system_error

MAX_REPORTED_REJECTIONS = 1_000

MAX_FIRST_ROWS = 3
"""Rows that a dry run shows."""

ANALYZE_MIN_ROWS = 1_000
"""A batch of this many rows may grow a table so much that PostgreSQL needs new statistics."""

MAX_BATCH_BYTES = 32 * 1024 * 1024
"""A batch ends after this much text, even if it has few rows."""

WriteRows = Callable[[Sequence[Any]], Awaitable[list[RowOutcome]]]


@dataclass(slots=True)
class LoadSummary:
    """How many rows of a file were accepted, unchanged and rejected, the first rejections, and all kinds of messages."""

    accepted: int = 0
    unchanged: int = 0
    rejected: int = 0
    rejections: list[RejectedRow] = field(default_factory=list)
    rejection_kinds: RowKinds = field(default_factory=RowKinds)
    warning_kinds: RowKinds = field(default_factory=RowKinds)
    first_rows: list[tuple[int, dict[str, object]]] = field(default_factory=list)
    """Of a dry run: the first valid rows as they would be stored, with their lines."""

    @property
    def rows(self) -> int:
        """How many rows were processed."""
        return self.accepted + self.unchanged + self.rejected


class LoadStoppedError(Exception):
    """A system error stopped a load; its cause says why, its message where it stopped and what to do.

    `line_number` is the first line that may not be stored; None if all rows are stored and only derived data is
    missing.
    """

    def __init__(self, summary: LoadSummary, line: int | None) -> None:
        self.summary = summary
        self.line_number = line
        position = "after its last line" if line is None else f"at line {line}"
        super().__init__(
            f"The load stopped {position} because the database is not available. Rows before it: "
            f"{summary.accepted:,} accepted, {summary.unchanged:,} unchanged, {summary.rejected:,} rejected. "
            f"Load the same file again: rows that are stored already are unchanged, the others are loaded."
        )

    @property
    def progress(self) -> dict[str, int | None]:
        """The line at which the load stopped, and the counts before it."""
        counts = self.summary
        return {
            "line": self.line_number, "accepted": counts.accepted, "unchanged": counts.unchanged,
            "rejected": counts.rejected,
        }  # fmt: skip


@contextmanager
def stop_on_system_error(line: int | None, summary: LoadSummary) -> Iterator[None]:
    """Turns a system error within the block into LoadStoppedError, so that no row is rejected because of it."""
    try:
        yield
    except Exception as error:
        if not is_system_error(error):
            raise
        raise LoadStoppedError(summary, line) from error


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Options of a load.

    `dry_run` rolls everything back; `create_profiles` creates missing profiles that transactions name; `unique_ids`
    promises that no external id has several rows, so that rows need not be grouped; `is_strict` rejects transactions whose lines
    differ in their header; `timezone` is that of times without an
    offset where neither their row nor its location has one, by default the community's. `origin` and `file_name` are what
    the stored outcome shows. `on_rejected` is called for each rejected row, `on_progress` after each batch.
    """

    batch_rows: int = 5_000
    dry_run: bool = False
    create_profiles: bool = False
    unique_ids: bool = False
    is_strict: bool = False
    timezone: str | None = None
    origin: str = "load"
    file_name: str = ""
    on_rejected: Callable[[RejectedRow], None] = lambda rejection: None
    on_progress: Callable[[LoadSummary], None] = lambda summary: None


@dataclass(slots=True)
class ParsedBatch:
    """Valid rows, each with its line, rejected rows, and warnings about valid ones."""

    rows: list[tuple[int, Any]] = field(default_factory=list)
    rejections: list[RejectedRow] = field(default_factory=list)
    warnings: list[RejectedRow] = field(default_factory=list)


async def load_batches(
    database: Database,
    batches: Generator[ParsedBatch, None, None],
    write: WriteRows,
    options: LoadOptions,
    summary: LoadSummary,
) -> None:
    """Writes batches that a generator parses in a thread, and counts outcomes in `summary`."""
    async with prefetch(batches) as prefetched:
        async for batch in prefetched:
            for rejection in batch.rejections:
                _reject(summary, rejection, options)
            for warning in batch.warnings:
                summary.warning_kinds.add(warning.line, warning.errors)
            if batch.rows:
                await _write_batch(database, batch, write, options, summary)
            options.on_progress(summary)


async def _write_batch(
    database: Database, batch: ParsedBatch, write: WriteRows, options: LoadOptions, summary: LoadSummary
) -> None:
    with stop_on_system_error(min(line for line, _ in batch.rows), summary):
        outcomes = await write([row for _, row in batch.rows])
    for (line, row), outcome in zip(batch.rows, outcomes, strict=True):
        _count(summary, line, outcome, options)
        if options.dry_run and len(summary.first_rows) < MAX_FIRST_ROWS and not isinstance(outcome, ValidationError):
            summary.first_rows.append((line, preview_row(row)))
    with stop_on_system_error(batch.rows[-1][0] + 1, summary):
        await analyze_if_grown(database, len(batch.rows))


async def analyze_if_grown(database: Database, rows: int) -> None:
    """Has PostgreSQL analyze tables that this many rows may have grown."""
    if rows >= ANALYZE_MIN_ROWS:
        async with database.unscoped_connection() as connection:
            await connection.execute("SELECT analyze_grown_tables()")


def _reject(summary: LoadSummary, rejection: RejectedRow, options: LoadOptions) -> None:
    summary.rejected += 1
    summary.rejection_kinds.add(rejection.line, rejection.errors)
    if len(summary.rejections) < MAX_REPORTED_REJECTIONS:
        summary.rejections.append(rejection)
    options.on_rejected(rejection)


def _count(summary: LoadSummary, line: int, outcome: RowOutcome, options: LoadOptions) -> None:
    if isinstance(outcome, ValidationError):
        _reject(summary, RejectedRow(line, outcome.errors), options)
    elif outcome == "accepted":
        summary.accepted += 1
    else:
        summary.unchanged += 1
