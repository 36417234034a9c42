"""Classifies database errors: those about a row, those of the system, and those that a retry may avoid."""

import asyncpg

_ROW_CLASSES = ("22", "23")
"""Data exceptions and violated constraints: the only classes of SQLSTATE that are about the rows of a statement."""

CONNECTION_ERRORS = (
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

TRANSIENT_ERRORS = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    *CONNECTION_ERRORS,
)
"""Errors that may not occur again when the whole transaction is repeated."""


class CommitStatusUnknownError(Exception):
    """The connection was lost during a commit, and whether it was stored could not be read in time."""

    def __init__(self) -> None:
        super().__init__("The connection to the database was lost during a commit, and its outcome is unknown.")


def is_missing_partition(error: BaseException) -> bool:
    """Whether a write failed because the partition for its row does not exist yet, which is no error of the row."""
    return isinstance(error, asyncpg.CheckViolationError) and "no partition" in str(error)


def is_row_error(error: BaseException) -> bool:
    """Whether the database refuses a row because of its content; every other error is a failure of the system."""
    return (
        isinstance(error, asyncpg.PostgresError)
        and (error.sqlstate or "")[:2] in _ROW_CLASSES
        and not is_missing_partition(error)
    )


def is_system_error(error: BaseException) -> bool:
    """Whether the database or the connection to it fails now, so that the same request may succeed later."""
    if isinstance(error, asyncpg.PostgresError):
        return not is_row_error(error)
    return isinstance(error, (*CONNECTION_ERRORS, CommitStatusUnknownError))


def is_transient(error: BaseException) -> bool:
    """Whether the transaction may succeed if it is repeated immediately. A timed-out statement, an OSError too, would
    only take as long again.
    """
    return isinstance(error, TRANSIENT_ERRORS) and not isinstance(error, TimeoutError)


def proves_rollback(error: BaseException) -> bool:
    """Whether an error of COMMIT proves that nothing was committed: the server reported it and runs on. After FATAL
    or PANIC, or without a report, the commit may be durable.
    """
    return isinstance(error, asyncpg.PostgresError) and error.severity_en == "ERROR"
