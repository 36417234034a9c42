"""Brings a database to the present schema: numbered migrations, the columns that follow from
declarations, isolation by row, and the privileges of the app's role."""

from collections.abc import Iterable
from importlib.metadata import version
from importlib.resources import as_file, files
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg
import yoyo

from regulars.storage import privileges


def _yoyo_address(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1).replace("postgres://", "postgresql+psycopg://", 1)


def role_of(url: str) -> str:
    """The role that a database URL connects as."""
    parts = urlsplit(url)
    return unquote(parts.username or parse_qs(parts.query).get("user", [""])[0])


def list_migrations() -> list[str]:
    """The names of all migrations, in their order."""
    with as_file(files("regulars.storage") / "migrations") as folder:
        return [each.id for each in yoyo.read_migrations(str(folder))]


class SchemaError(RuntimeError):
    """The database can't be brought to the current schema; the message says why and what to do."""


def missing_migrations(connection: psycopg.Connection) -> list[str]:
    """The names of the migrations that are not applied. Any role that may read the tables may call it.

    Raises SchemaError for a schema from before the baseline. Migrations of a later version are ignored.
    """
    row = connection.execute("SELECT to_regclass('public._yoyo_migration') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return list_migrations()
    applied = {name for (name,) in connection.execute("SELECT migration_id FROM _yoyo_migration")}
    missing = [each for each in list_migrations() if each not in applied]
    if missing and (older := sorted(applied.difference(list_migrations()))):
        raise SchemaError(
            f"This database was created by Regulars 0.1.0 (found {len(older)} of its migrations, {older[0]} to "
            f"{older[-1]}), and version {version('regulars')} can't upgrade it. Nothing was changed. Load your files "
            f"into a new database: an empty data folder (--data, REGULARS_DATA) or another REGULARS_DATABASE_URL. "
            f"Until then Regulars 0.1.0 can serve this one."
        )
    return missing


def migrate(owner_url: str, app_role: str, declared: Iterable[str]) -> list[str]:
    """Applies what is missing, `declared` statements included; gives the names of the migrations applied.

    Safe to call at every start and by several processes at once: one works, the others wait. Raises
    SchemaError for a schema from before the baseline, which is left as it is.
    """
    with psycopg.connect(owner_url, autocommit=True) as guard:
        guard.execute("SELECT pg_advisory_lock(hashtext('regulars.migrate'))")
        missing_migrations(guard)
        with as_file(files("regulars.storage") / "migrations") as folder:
            backend = yoyo.get_backend(_yoyo_address(owner_url))
            try:
                steps = backend.to_apply(yoyo.read_migrations(str(folder)))
                applied = [each.id for each in steps]
                backend.apply_migrations(steps)
            finally:
                backend.connection.close()
        with guard.transaction():
            for statement in declared:
                guard.execute(statement.encode())
            guard.execute((files("regulars.storage") / "isolation.sql").read_bytes())
            privileges.apply(guard, app_role)
    return applied
