"""Brings a database to the current schema: numbered SQL files, the columns that follow from declarations, row-level
security, and the privileges of the app's role."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg
from procrastinate.schema import SchemaManager

from regulars.storage import privileges

_JOB_QUEUE = "procrastinate"

_CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS public.schema_migrations (
    name        text PRIMARY KEY,
    checksum    text NOT NULL,
    version     text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
)
"""


class SchemaError(RuntimeError):
    """The database can't be brought to the current schema; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file. It is applied once, in a transaction of its own, and never changed after its release."""

    name: str
    statements: bytes

    @property
    def checksum(self) -> str:
        """The SHA-256 of the file, in hexadecimal."""
        return hashlib.sha256(self.statements).hexdigest()


def role_of(url: str) -> str:
    """The role that a database URL connects as."""
    parts = urlsplit(url)
    return unquote(parts.username or parse_qs(parts.query).get("user", [""])[0])


def list_migrations() -> list[Migration]:
    """The migrations of this version in their order, without those of the job queue."""
    folder = files("regulars.storage") / "migrations"
    found = (
        Migration(each.name.removesuffix(".sql"), each.read_bytes())
        for each in folder.iterdir()
        if each.name.endswith(".sql")
    )
    return sorted(found, key=lambda each: each.name)


def pending_migrations(connection: psycopg.Connection) -> list[str]:
    """The names of the migrations that are not applied. Any role that may read the tables may call it.

    Raises SchemaError for a schema that this version can't upgrade. Migrations of a later version are ignored.
    """
    return [each.name for each in _pending(connection)]


def migrate(owner_url: str, app_role: str, declared: Iterable[str]) -> list[str]:
    """Applies what is pending, then the `declared` statements; returns the names of the migrations applied.

    Safe to call at every start and by several processes concurrently: one works, the others wait. Raises SchemaError
    for a schema that this version can't upgrade, which is left unchanged, and for a migration that fails.
    """
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('regulars.migrate'))")
        pending = _pending(connection)
        for each in pending:
            _apply(connection, each)
        with connection.transaction():
            for statement in declared:
                connection.execute(statement.encode())
            connection.execute((files("regulars.storage") / "isolation.sql").read_bytes())
            privileges.apply(connection, app_role)
    return [each.name for each in pending]


def require_upgradable(applied: Mapping[str, str], has_yoyo_tables: bool) -> None:
    """Raises SchemaError for a database with the `applied` migrations (checksum by name) if it can't be upgraded.

    Version 0.1.0 recorded its migrations in tables of yoyo.
    """
    if has_yoyo_tables and not applied:
        raise _not_upgradable("the tables of Regulars 0.1.0 were found")
    for each in list_migrations():
        if applied.get(each.name, each.checksum) != each.checksum:
            raise _not_upgradable(f"another {each.name} was applied by an unreleased version")


def _not_upgradable(found: str) -> SchemaError:
    return SchemaError(
        f"Regulars {version('regulars')} can't upgrade this database: {found}. Nothing was changed. Load your files "
        f"into a new database (an empty data folder by --data-dir or REGULARS_DATA_DIR, or another "
        f"REGULARS_DATABASE_URL); until then the version that created this one can serve it. See docs/upgrading.md."
    )


def _pending(connection: psycopg.Connection) -> list[Migration]:
    applied = _applied(connection)
    require_upgradable(applied, _exists(connection, "_yoyo_migration"))
    pending = [each for each in list_migrations() if each.name not in applied]
    of_queue = _job_queue_migrations()
    pending_of_queue = [each for each in of_queue if each.name not in applied]
    if len(pending_of_queue) == len(of_queue):
        pending_of_queue = [Migration(_JOB_QUEUE, SchemaManager.get_schema().encode())]
    return pending + pending_of_queue


def _job_queue_migrations() -> list[Migration]:
    """The migrations of the installed procrastinate. Its complete schema includes all of them."""
    folder = Path(SchemaManager.get_migrations_path())
    return [Migration(f"{_JOB_QUEUE} {each.stem}", each.read_bytes()) for each in sorted(folder.glob("*.sql"))]


def _exists(connection: psycopg.Connection, table: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [f"public.{table}"]).fetchone()
    return row is not None and bool(row[0])


def _applied(connection: psycopg.Connection) -> dict[str, str]:
    """The checksums of the applied migrations by name."""
    if not _exists(connection, "schema_migrations"):
        return {}
    return dict(connection.execute("SELECT name, checksum FROM public.schema_migrations").fetchall())


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    recorded = _job_queue_migrations() if migration.name == _JOB_QUEUE else [migration]
    try:
        with connection.transaction():
            connection.execute(_CREATE_TABLE)
            connection.execute(migration.statements)
            for each in recorded:
                connection.execute(
                    "INSERT INTO public.schema_migrations (name, checksum, version) VALUES (%s, %s, %s)",
                    [each.name, each.checksum, version("regulars")],
                )
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise SchemaError(f"Migration {migration.name} failed and was rolled back: {error}") from error
