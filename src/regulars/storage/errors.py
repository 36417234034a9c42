"""Classifies database errors: those about a row, those of the system, and those that a retry may avoid."""

import asyncpg

_ROW_CLASSES = ("22", "23")
"""Data exceptions and violated constraints: the only classes of SQLSTATE that are about the rows of a statement."""

LOST = (
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # asyncpg raises this for a command on a connection that is being closed.
    asyncpg.InternalClientError,
    OSError,
)
"""The connection to the database is lost, or can't be opened."""

TRANSIENT = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    *LOST,
)
"""Errors that may not occur again when the whole transaction is repeated."""


class UnknownOutcomeError(Exception):
    """The connection was lost during a commit, and whether it was stored could not be read in time."""

    def __init__(self) -> None:
        super().__init__("The connection to the database was lost during a commit, and its outcome is unknown.")


def lacks_partition(error: BaseException) -> bool:
    """Whether a write failed because the partition for its row does not exist yet, which is no error of the row."""
    return isinstance(error, asyncpg.CheckViolationError) and "no partition" in str(error)


def concerns_row(error: BaseException) -> bool:
    """Whether the database refuses a row because of its content; every other error is a failure of the system."""
    return (
        isinstance(error, asyncpg.PostgresError)
        and (error.sqlstate or "")[:2] in _ROW_CLASSES
        and not lacks_partition(error)
    )


def is_system_error(error: BaseException) -> bool:
    """Whether the database or the connection to it fails now, so that the same request may succeed later."""
    if isinstance(error, asyncpg.PostgresError):
        return not concerns_row(error)
    return isinstance(error, (*LOST, UnknownOutcomeError))


def is_transient(error: BaseException) -> bool:
    """Whether the transaction may succeed if it is repeated immediately. A timed-out statement, an OSError too, would
    only take as long again.
    """
    return isinstance(error, TRANSIENT) and not isinstance(error, TimeoutError)


def is_definite(error: BaseException) -> bool:
    """Whether an error of COMMIT proves that nothing was committed: the server reported it and runs on. After FATAL
    or PANIC, or without a report, the commit may be durable.
    """
    return isinstance(error, asyncpg.PostgresError) and error.severity_en == "ERROR"
