"""Classification of database errors: errors of a row, system errors and transient errors."""

import asyncpg

_ROW_CLASSES = ("22", "23")
"""Data exceptions and constraint violations: the classes of SQLSTATE that concern the rows of a statement."""

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
"""Errors of a connection that is lost or can't be opened."""

DATABASE_ERRORS = (asyncpg.PostgresError, *CONNECTION_ERRORS)
"""All errors that a statement can raise: those that the server reports, and those of the connection."""

TRANSIENT_ERRORS = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    *CONNECTION_ERRORS,
)
"""Errors that may not occur again when the transaction is retried."""


class CommitStatusUnknownError(Exception):
    """The connection was lost during a commit, and the status of the commit could not be determined in time."""

    def __init__(self) -> None:
        super().__init__(
            "The connection to the database was lost during a commit. The status of the commit is unknown."
        )


def is_missing_partition(error: BaseException) -> bool:
    """Whether a write failed because the partition of its row does not exist yet."""
    return isinstance(error, asyncpg.CheckViolationError) and "no partition" in str(error)


def is_row_error(error: BaseException) -> bool:
    """Whether the database rejects a row because of its content. Every other error is a system error."""
    return (
        isinstance(error, asyncpg.PostgresError)
        and (error.sqlstate or "")[:2] in _ROW_CLASSES
        and not is_missing_partition(error)
    )


def is_system_error(error: BaseException) -> bool:
    """Whether the database or the connection fails, so that the same request may succeed later."""
    if isinstance(error, asyncpg.PostgresError):
        return not is_row_error(error)
    return isinstance(error, (*CONNECTION_ERRORS, CommitStatusUnknownError))


def is_transient(error: BaseException) -> bool:
    """Whether the transaction may succeed if it is retried immediately.

    A statement that timed out, which is an OSError as well, would only take as long again.
    """
    return isinstance(error, TRANSIENT_ERRORS) and not isinstance(error, TimeoutError)


def proves_rollback(error: BaseException) -> bool:
    """Whether an error of COMMIT proves that nothing was committed, because the server reported it and continued.

    After FATAL or PANIC, or without a report, the commit may be durable.
    """
    return isinstance(error, asyncpg.PostgresError) and error.severity_en == "ERROR"
