"""Turns errors of the database that are caused by a row into validation errors."""

import asyncpg
import structlog

from regulars.core.errors import ValidationError, field_error
from regulars.storage.errors import is_row_error

_log = structlog.get_logger("regulars.rows")

_REASONS: tuple[tuple[type[asyncpg.PostgresError], str], ...] = (
    (
        asyncpg.NumericValueOutOfRangeError,
        "The row makes a value of its profile too large: send smaller amounts",
    ),
    (asyncpg.DatetimeFieldOverflowError, "The row holds a date or time that the database can't store"),
    (asyncpg.CharacterNotInRepertoireError, "The row holds a character that the database can't store"),
    (asyncpg.UntranslatableCharacterError, "The row holds a character that the database can't store"),
    (
        asyncpg.UniqueViolationError,
        "The row has the same key as another row: send it again to update that row",
    ),
    (asyncpg.ForeignKeyViolationError, "The row refers to something that does not exist"),
    (asyncpg.IntegrityConstraintViolationError, "The row violates a constraint of the data model"),
)

_OTHER = "The row holds a value that the database can't store"


def as_validation_error(error: Exception) -> ValidationError | None:
    """The validation error for an error that is caused by a row; None for all others, which must be raised.

    Its message contains no text of the database, which could quote other rows and names of tables.
    """
    if isinstance(error, ValidationError):
        return error
    if not is_row_error(error):
        return None
    return field_error("", next((reason for kind, reason in _REASONS if isinstance(error, kind)), _OTHER))


def log_database_error(error: Exception) -> None:
    """Logs why the database rejected a row, without the row."""
    if isinstance(error, asyncpg.PostgresError):
        _log.warning("row.rejected", sqlstate=error.sqlstate, table=error.table_name, constraint=error.constraint_name)
