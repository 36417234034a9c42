"""Database start-up: starts the embedded PostgreSQL, migrates the schema and checks that the
database is safe to use.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import asyncpg
import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict

from regulars.aggregations import table
from regulars.facts import maintenance
from regulars.model import member_dimensions
from regulars.rollups import partitions
from regulars.settings import SettingError, Settings, variable_name
from regulars.storage import embedded, privileges, retention, safety
from regulars.storage.database import Database
from regulars.storage.migrate import migrate, pending_migrations, role_of

_log = structlog.get_logger("regulars.bootstrap")


class DatabaseUnavailableError(RuntimeError):
    """The database can't be used. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """The URLs of a database: with the role that owns the tables, and with the app's role."""

    owner: str
    app: str


@contextmanager
def open_urls(settings: Settings) -> Iterator[DatabaseUrls]:
    """Yields the URLs of the configured database; the embedded PostgreSQL runs at least during the block.

    Raises SettingError for a setting that is no URL.
    """
    if settings.database_url:
        _require_url("database_url", settings.database_url)
        if settings.migration_database_url:
            _require_url("migration_database_url", settings.migration_database_url)
        yield DatabaseUrls(settings.migration_database_url or settings.database_url, settings.database_url)
        return
    with embedded.run_server(settings.data_dir) as (owner, app):
        yield DatabaseUrls(owner, app)


def _require_url(name: str, url: str) -> None:
    """Raises SettingError for text that is no URL. The message does not quote it, because it may contain a password."""
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        is_valid = False
    else:
        is_valid = url.startswith(("postgresql://", "postgres://"))
    if not is_valid:
        raise SettingError(
            f"{variable_name(name)} is no URL of a PostgreSQL database. It must be like postgresql://user@host/database."
        )


@contextmanager
def prepare_database(settings: Settings) -> Iterator[DatabaseUrls]:
    """Yields the URLs of the configured database once its schema is current, it is safe and its partitions exist.

    Raises DatabaseUnavailableError, SchemaError for a schema that can't be upgraded, and safety.UnsafeDatabaseError
    for a database that must not store personal data.
    """
    with open_urls(settings) as urls:
        try:
            applied = [] if _is_up_to_date(urls.app) else migrate_database(urls)
            asyncio.run(_prepare(urls.app, settings))
        except (psycopg.OperationalError, OSError, asyncpg.PostgresConnectionError) as error:
            raise unavailable_error(error) from None
        if applied:
            _log.info("database.migrated", migrations=applied)
        yield urls


def unavailable_error(error: Exception) -> DatabaseUnavailableError:
    """Returns the error to raise for a failed connection."""
    reason = str(error).strip().partition("\n")[0].rstrip(".")
    return DatabaseUnavailableError(
        f"The database can't be reached ({reason}). Check that it is running, and REGULARS_DATABASE_URL."
    )


def _is_up_to_date(app_url: str) -> bool:
    """Whether the schema is current, as far as the app's role can see.

    A command that starts while a server runs then takes none of the locks of a migration.
    """
    with psycopg.connect(app_url, autocommit=True) as connection:
        try:
            return (
                not pending_migrations(connection)
                and _has_current_definitions(connection)
                and _has_declared_privileges(connection)
            )
        except psycopg.errors.InsufficientPrivilege:
            return False


def _has_declared_privileges(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT current_user::text").fetchone()
    return row is not None and not any(privileges.pending_changes(connection, row[0]))


def migrate_database(urls: DatabaseUrls) -> list[str]:
    """Migrates the database as its owner and returns the names of the migrations applied.

    A role that may not migrate accepts a schema that is current; otherwise DatabaseUnavailableError is raised.
    """
    with psycopg.connect(urls.owner, autocommit=True) as connection:
        row = connection.execute("SELECT has_schema_privilege('public', 'CREATE')").fetchone()
        if row is not None and not row[0]:
            _require_up_to_date(connection)
            return []
    return migrate(urls.owner, role_of(urls.app), schema_statements())


def schema_statements() -> list[str]:
    """The statements that bring functions and columns in line with their declarations, after the migrations."""
    return [*member_dimensions.function_statements(), *table.column_statements()]


def _require_up_to_date(connection: psycopg.Connection) -> None:
    pending = pending_migrations(connection)
    if pending or not _has_current_definitions(connection):
        missing = ", ".join(pending) or "the current definitions of values"
        raise DatabaseUnavailableError(
            f"The database lacks {missing}, and this role may not migrate it. Run `regulars migrate` with "
            f"REGULARS_MIGRATION_DATABASE_URL set to the role that owns the tables."
        )


def _has_current_definitions(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT obj_description('profile_aggregations'::regclass)").fetchone()
    has_columns = row is not None and row[0] == f"definitions {table.definitions_version()}"
    return has_columns and member_dimensions.has_declared_functions(connection)


async def _prepare(url: str, settings: Settings) -> None:
    async with Database(url, 1) as database:
        async with database.unscoped_connection() as connection:
            for finding in await safety.require_safe(connection):
                _log.warning("database.unsafe", finding=finding.message)
        await retention.maintain_partitions(database, settings.outbox_retention_days)
        await partitions.ensure(database)
        await maintenance.repair(database)


@asynccontextmanager
async def open_pool(urls: DatabaseUrls, settings: Settings) -> AsyncIterator[Database]:
    """Opens a connection pool with the app's role."""
    async with Database(urls.app, settings.pool_max_size) as database:
        yield database
