"""How the rows of a file go in: batch by batch, good ones kept, bad ones told with their line and reason."""

from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from regulars.facts.refusals import Refused
from regulars.ingest.ahead import prepared
from regulars.ingest.entities import Outcome
from regulars.ingest.rows import Rejection
from regulars.storage.database import Database
from regulars.storage.errors import is_system_error

KEPT_REJECTIONS = 1_000

MANY_ROWS = 1_000
"""A batch of so many may make a table so much larger that the database should look at it anew."""

BATCH_BYTES = 32 * 1024 * 1024
"""A batch ends after so much text, however few its rows are."""

PutRows = Callable[[Sequence[Any]], Awaitable[list[Outcome]]]


@dataclass(slots=True)
class Summary:
    """What came of a file: how many rows were loaded, unchanged, rejected, and the first rejections."""

    loaded: int = 0
    unchanged: int = 0
    rejected: int = 0
    rejections: list[Rejection] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows were dealt with."""
        return self.loaded + self.unchanged + self.rejected


class LoadStoppedError(Exception):
    """A system error stopped a load; its cause says why, the message says where it stopped and what to do.

    `line` is the first line that may not be stored; None where all are, and only derived data is missing.
    """

    def __init__(self, summary: Summary, line: int | None) -> None:
        self.summary = summary
        self.line = line
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
            "line": self.line, "loaded": counts.loaded, "unchanged": counts.unchanged, "rejected": counts.rejected,
        }  # fmt: skip


@contextmanager
def stopping_at(line: int | None, summary: Summary) -> Iterator[None]:
    """Raises LoadStoppedError for a system error within the block, so that it rejects no row."""
    try:
        yield
    except Exception as error:
        if not is_system_error(error):
            raise
        raise LoadStoppedError(summary, line) from error


@dataclass(frozen=True, slots=True)
class Options:
    """How to load.

    `dry_run` undoes all that it does; `create_profiles` makes profiles that transactions name and that are
    not there; `single` says that no external id comes twice, so that transactions need not be put together.
    `rejected` is told of every rejection, `progress` after every batch.
    """

    batch_rows: int = 5_000
    dry_run: bool = False
    create_profiles: bool = False
    single: bool = False
    rejected: Callable[[Rejection], None] = lambda rejection: None
    progress: Callable[[Summary], None] = lambda summary: None


@dataclass(slots=True)
class Batch:
    """Rows that are ready to be put, each with its line, and those that are not."""

    rows: list[tuple[int, Any]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)


async def loaded(
    database: Database, batches: Generator[Batch, None, None], put: PutRows, options: Options, summary: Summary
) -> None:
    """Puts what a generator prepares in a thread, and counts what came of it."""
    async with prepared(batches) as upcoming:
        async for batch in upcoming:
            for rejection in batch.rejections:
                _reject(summary, rejection, options)
            if batch.rows:
                await _put_batch(database, batch, put, options, summary)
            options.progress(summary)


async def _put_batch(database: Database, batch: Batch, put: PutRows, options: Options, summary: Summary) -> None:
    with stopping_at(min(line for line, _ in batch.rows), summary):
        outcomes = await put([row for _, row in batch.rows])
    for (line, _), outcome in zip(batch.rows, outcomes, strict=True):
        _count(summary, line, outcome, options)
    with stopping_at(batch.rows[-1][0] + 1, summary):
        await looked_at(database, len(batch.rows))


async def looked_at(database: Database, rows: int) -> None:
    """Has the database look anew at tables that so many rows may have made much larger."""
    if rows >= MANY_ROWS:
        async with database.unscoped() as connection:
            await connection.execute("SELECT gather_statistics()")


def _reject(summary: Summary, rejection: Rejection, options: Options) -> None:
    summary.rejected += 1
    if len(summary.rejections) < KEPT_REJECTIONS:
        summary.rejections.append(rejection)
    options.rejected(rejection)


def _count(summary: Summary, line: int, outcome: Outcome, options: Options) -> None:
    if isinstance(outcome, Refused):
        _reject(summary, Rejection(line, outcome.errors), options)
    elif outcome == "loaded":
        summary.loaded += 1
    else:
        summary.unchanged += 1
