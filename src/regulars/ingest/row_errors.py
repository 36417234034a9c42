"""The reasons for refused rows as the API words them, for rows that our checks or the database refuse."""

import asyncpg
import structlog

from regulars.core.errors import ValidationError, field_error
from regulars.storage.errors import is_row_error

_log = structlog.get_logger("regulars.rows")

_REASONS: tuple[tuple[type[asyncpg.PostgresError], str], ...] = (
    (
        asyncpg.NumericValueOutOfRangeError,
        "Its sums make a value of the profile larger than can be kept: send smaller amounts",
    ),
    (asyncpg.DatetimeFieldOverflowError, "The row holds a date or time that the database can't store"),
    (asyncpg.CharacterNotInRepertoireError, "The row holds a character that the database can't store"),
    (asyncpg.UntranslatableCharacterError, "The row holds a character that the database can't store"),
    (
        asyncpg.UniqueViolationError,
        "The row has the same key as another row: send it again to update that row",
    ),
    (asyncpg.ForeignKeyViolationError, "The row refers to something that does not exist"),
    (asyncpg.IntegrityConstraintViolationError, "The row breaks a rule of the data model"),
)

_OTHER = "The row holds a value that the database can't store"


def as_validation_error(error: Exception) -> ValidationError | None:
    """The refusal of the rows of a statement; None for an error that concerns no row and must be raised.

    It contains no text of the database, which could quote other rows and names of tables.
    """
    if isinstance(error, ValidationError):
        return error
    if not is_row_error(error):
        return None
    return field_error("", next((reason for kind, reason in _REASONS if isinstance(error, kind)), _OTHER))


def log_database_error(error: Exception) -> None:
    """Logs why the database refused a row, without the row."""
    if isinstance(error, asyncpg.PostgresError):
        _log.warning("row.refused", sqlstate=error.sqlstate, table=error.table_name, constraint=error.constraint_name)
