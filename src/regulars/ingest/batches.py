"""How the rows of a file go in: batch by batch, good ones kept, bad ones told with their line and reason."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from regulars.facts.refusals import Refused
from regulars.ingest.ahead import prepared
from regulars.ingest.entities import Outcome
from regulars.ingest.rows import Rejection
from regulars.storage.database import Database

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
            outcomes = await put([row for _, row in batch.rows]) if batch.rows else []
            for (line, _), outcome in zip(batch.rows, outcomes, strict=True):
                _count(summary, line, outcome, options)
            await looked_at(database, len(batch.rows))
            options.progress(summary)


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
