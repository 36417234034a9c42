"""The database that the settings mean: started if it is ours, migrated, and safe to put members' data in."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import asyncpg
import psycopg
import structlog

from regulars.aggregations import table
from regulars.facts import maintenance
from regulars.rollups import partitions
from regulars.settings import Settings
from regulars.storage import embedded, privileges, retention, safety
from regulars.storage.database import Database
from regulars.storage.migrate import migrate, pending_migrations, role_of

_log = structlog.get_logger("regulars.bootstrap")


class DatabaseUnavailableError(RuntimeError):
    """The database can't be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """The URLs of a database: as the role that owns the tables, and as the app's own."""

    owner: str
    app: str


@contextmanager
def open_urls(settings: Settings) -> Iterator[DatabaseUrls]:
    """Where the database is, while the block lasts; the embedded one runs at least as long."""
    if settings.database_url:
        yield DatabaseUrls(settings.migration_database_url or settings.database_url, settings.database_url)
        return
    with embedded.run_server(settings.data_dir) as (owner, app):
        yield DatabaseUrls(owner, app)


@contextmanager
def prepare_database(settings: Settings) -> Iterator[DatabaseUrls]:
    """Where the database is, once it has the present schema, is safe, and has the partitions it needs.

    Raises DatabaseUnavailableError, SchemaError for a schema that can't be upgraded, and safety.UnsafeDatabaseError
    for what members' data must not go into.
    """
    with open_urls(settings) as found:
        try:
            applied = [] if _is_up_to_date(found.app) else migrate_database(found)
            asyncio.run(_prepare(found.app, settings))
        except (psycopg.OperationalError, OSError, asyncpg.PostgresConnectionError) as error:
            raise unavailable_error(error) from None
        if applied:
            _log.info("database.migrated", migrations=applied)
        yield found


def unavailable_error(error: Exception) -> DatabaseUnavailableError:
    """An error of a connection, in words that say what to do."""
    reason = str(error).strip().partition("\n")[0].rstrip(".")
    return DatabaseUnavailableError(
        f"The database can't be reached ({reason}): check that it runs, and REGULARS_DATABASE_URL."
    )


def _is_up_to_date(app_url: str) -> bool:
    """Whether a schema is there as it should be, for the app's role to work with: then a command that starts beside
    a server takes none of the locks of a migration.
    """
    with psycopg.connect(app_url, autocommit=True) as connection:
        try:
            return (
                not pending_migrations(connection)
                and _has_present_definitions(connection)
                and _has_declared_privileges(connection)
            )
        except psycopg.errors.InsufficientPrivilege:
            return False


def _has_declared_privileges(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT current_user::text").fetchone()
    return row is not None and not any(privileges.pending_changes(connection, row[0]))


def migrate_database(found: DatabaseUrls) -> list[str]:
    """Migrates, as the owner; gives the names of the migrations applied.

    A role that may not is content with a schema that is up to date. Raises DatabaseUnavailableError where it is not.
    """
    with psycopg.connect(found.owner, autocommit=True) as connection:
        row = connection.execute("SELECT has_schema_privilege('public', 'CREATE')").fetchone()
        if row is not None and not row[0]:
            _require_up_to_date(connection)
            return []
    return migrate(found.owner, role_of(found.app), table.column_statements())


def _require_up_to_date(connection: psycopg.Connection) -> None:
    lacking = pending_migrations(connection)
    if lacking or not _has_present_definitions(connection):
        what = ", ".join(lacking) or "the present definitions"
        raise DatabaseUnavailableError(
            f"The database lacks {what}, and this role may not migrate: run `regulars migrate` with "
            f"REGULARS_MIGRATION_DATABASE_URL naming the role that owns the tables."
        )


def _has_present_definitions(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT obj_description('profile_aggregations'::regclass)").fetchone()
    return row is not None and row[0] == f"definitions {table.definitions_version()}"


async def _prepare(url: str, settings: Settings) -> None:
    async with Database(url, 1) as database:
        async with database.unscoped_connection() as connection:
            for each in await safety.require_safe(connection):
                _log.warning("database.unsafe", finding=each.message)
        await retention.maintain_partitions(database, settings.outbox_retention_days)
        await partitions.ensure(database)
        await maintenance.repair(database)


@asynccontextmanager
async def open_pool(found: DatabaseUrls, settings: Settings) -> AsyncIterator[Database]:
    """Connections of the app's role."""
    async with Database(found.app, settings.pool_max_size) as database:
        yield database
