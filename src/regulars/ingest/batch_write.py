"""Writes a batch of rows of which some may be rejected, and runs writes that are rolled back."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from regulars.core.errors import ValidationError
from regulars.ingest.commit import WriteCallback, commit
from regulars.ingest.row_errors import as_validation_error, log_database_error
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Database

Row = TypeVar("Row")
Outcome = TypeVar("Outcome")
T = TypeVar("T")


class DryRunRollback(Exception):  # noqa: N818 - it ends a transaction as planned, it reports no error
    """Rolls the transaction of a dry run back."""


async def write_valid_rows(
    uow: UnitOfWork, rows: Sequence[Row], write: Callable[[Sequence[Row]], Awaitable[Sequence[Outcome]]]
) -> list[Outcome | ValidationError]:
    """Writes rows under a savepoint and returns an outcome for each, in order.

    A batch that the database rejects is halved until the rejected rows are found; all others are written. Raises every
    error that is not caused by a row.
    """
    try:
        async with uow.tracked_savepoint():
            return list(await write(rows))
    except Exception as error:
        rejection = as_validation_error(error)
        if rejection is None:
            raise
        if len(rows) == 1:
            log_database_error(error)
            return [rejection]
    middle = len(rows) // 2
    return [
        *await write_valid_rows(uow, rows[:middle], write),
        *await write_valid_rows(uow, rows[middle:], write),
    ]


async def dry_run(database: Database, community_id: int, work: WriteCallback[T]) -> T:
    """Runs `work` in a transaction that is rolled back, and returns its result. Raises what `commit` raises."""
    results: list[T] = []

    async def run_and_roll_back(uow: UnitOfWork) -> None:
        results.append(await work(uow))
        raise DryRunRollback

    with suppress(DryRunRollback):
        await commit(database, community_id, run_and_roll_back)
    return results[-1]
