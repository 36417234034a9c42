"""The reasons for refused rows as the API words them, for rows that our checks or the database refuse."""

import asyncpg
import structlog

from regulars.facts.refusals import Refused, refuse
from regulars.storage.errors import concerns_row

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


def refusal_of(error: Exception) -> Refused | None:
    """The refusal of the rows of a statement; None for an error that concerns no row and must be raised.

    It contains no text of the database, which could quote other rows and names of tables.
    """
    if isinstance(error, Refused):
        return error
    if not concerns_row(error):
        return None
    return refuse("", next((reason for kind, reason in _REASONS if isinstance(error, kind)), _OTHER))


def log_refusal(error: Exception) -> None:
    """Logs why the database refused a row, without the row."""
    if isinstance(error, asyncpg.PostgresError):
        _log.warning("row.refused", sqlstate=error.sqlstate, table=error.table_name, constraint=error.constraint_name)
