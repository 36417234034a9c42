"""Which database errors reject a row, and with which message."""

import asyncpg
import pytest

from regulars.core.errors import field_error
from regulars.ingest.row_errors import as_validation_error
from regulars.storage.errors import CommitStatusUnknownError, is_system_error, is_transient, proves_rollback

SECRET = 'relation "profiles" holds Kari'


def error(sqlstate: str, severity: str = "ERROR", message: str = SECRET) -> asyncpg.PostgresError:
    """An error as the database reports it."""
    fields = {"S": severity, "V": severity, "C": sqlstate, "M": message}
    found: asyncpg.PostgresError = asyncpg.PostgresError.new(fields)
    return found


@pytest.mark.parametrize(
    ("sqlstate", "reason"),
    [
        ("22003", "The row makes a value of its profile too large: send smaller amounts"),
        ("22008", "The row holds a date or time that the database can't store"),
        ("22021", "The row holds a character that the database can't store"),
        ("22P05", "The row holds a character that the database can't store"),
        ("22P02", "The row holds a value that the database can't store"),
        ("22ZZZ", "The row holds a value that the database can't store"),
        ("23502", "The row violates a constraint of the data model"),
        ("23503", "The row refers to something that does not exist"),
        ("23505", "The row has the same key as another row: send it again to update that row"),
    ],
)
def test_an_error_of_a_row_rejects_it_without_text_of_the_database(sqlstate: str, reason: str) -> None:
    validation_error = as_validation_error(error(sqlstate))
    assert validation_error is not None
    assert validation_error.errors == {"": reason}
    assert not is_system_error(error(sqlstate))


@pytest.mark.parametrize(
    "sqlstate",
    [
        *("08006", "25006", "25P02", "40001", "40P01", "42501", "42703", "53100", "53200", "53300", "54000"),
        *("55P03", "55000", "57014", "57P01", "57P03", "58030", "P0001", "XX000", "XX001", "XX002", "ZZZZZ"),
    ],
)
def test_every_other_error_is_a_system_error(sqlstate: str) -> None:
    assert as_validation_error(error(sqlstate)) is None
    assert is_system_error(error(sqlstate))


def test_a_missing_partition_is_not_an_error_of_the_row() -> None:
    lacking = error("23514", message='no partition of relation "outbox" found for row')
    assert as_validation_error(lacking) is None
    assert is_system_error(lacking)


def test_an_error_outside_the_database_is_a_defect() -> None:
    assert as_validation_error(KeyError("x")) is None
    assert not is_system_error(KeyError("x"))
    validation_error = field_error("total", "is required")
    assert as_validation_error(validation_error) is validation_error
    assert not is_system_error(validation_error)


@pytest.mark.parametrize(
    "lost",
    [
        ConnectionResetError(),
        TimeoutError(),
        CommitStatusUnknownError(),
        asyncpg.InterfaceError("closed"),
        asyncpg.InternalClientError("cannot switch to state 15"),
    ],
)
def test_a_lost_connection_is_a_system_error(lost: Exception) -> None:
    assert is_system_error(lost)


def test_transient_errors_are_retried_and_timeouts_are_not() -> None:
    assert all(is_transient(each) for each in (error("40P01"), error("40001"), ConnectionResetError()))
    assert not any(is_transient(each) for each in (TimeoutError(), error("53100"), error("57014"), KeyError()))


def test_only_an_error_of_a_running_server_proves_that_nothing_was_committed() -> None:
    assert proves_rollback(error("53100"))
    assert not any(proves_rollback(each) for each in (error("53100", "PANIC"), error("57P01", "FATAL"), OSError()))
