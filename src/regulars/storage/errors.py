"""Which errors of the database concern a row, and which concern the system; which a repeated transaction may avoid."""

import asyncpg

_ROW_CLASSES = ("22", "23")
"""Data exceptions and violated constraints: the only classes of SQLSTATE that are about the rows of a statement."""

LOST = (
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # What asyncpg says of a command on a connection whose end it is just being told.
    asyncpg.InternalClientError,
    OSError,
)
"""The connection to the database is lost, or none can be had."""

PASSING = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    *LOST,
)
"""What may pass when the whole transaction is repeated."""


class UnknownOutcomeError(Exception):
    """The connection was lost during a commit, and whether it was stored could not be read in time."""

    def __init__(self) -> None:
        super().__init__("The connection to the database was lost during a commit, and its outcome is unknown.")


def lacks_partition(error: BaseException) -> bool:
    """Whether a write failed because no partition takes its row: ours to create, and no fault of the row."""
    return isinstance(error, asyncpg.CheckViolationError) and "no partition" in str(error)


def concerns_row(error: BaseException) -> bool:
    """Whether the database refuses a row for what it holds; every other error says that it can't do its work."""
    return (
        isinstance(error, asyncpg.PostgresError)
        and (error.sqlstate or "")[:2] in _ROW_CLASSES
        and not lacks_partition(error)
    )


def is_system_error(error: BaseException) -> bool:
    """Whether the database, or the way to it, can't do its work now: the same request may succeed later."""
    if isinstance(error, asyncpg.PostgresError):
        return not concerns_row(error)
    return isinstance(error, (*LOST, UnknownOutcomeError))


def is_transient(error: BaseException) -> bool:
    """Whether the transaction may succeed when all of it is repeated at once. A statement that took longer than
    allowed is an OSError too, and would only take as long again.
    """
    return isinstance(error, PASSING) and not isinstance(error, TimeoutError)


def is_definite(error: BaseException) -> bool:
    """Whether an error of COMMIT proves that nothing was committed: the server reports it and lives on. After FATAL
    and PANIC, and without a report, the commit may be durable all the same.
    """
    return isinstance(error, asyncpg.PostgresError) and error.severity_en == "ERROR"
