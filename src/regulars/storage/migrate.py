"""Brings a database to the present schema: numbered migrations, the columns that follow from
declarations, isolation by row, and the privileges of the app's role."""

from collections.abc import Iterable
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


def migrations() -> list[str]:
    """The names of all migrations, in their order."""
    with as_file(files("regulars.storage") / "migrations") as folder:
        return [each.id for each in yoyo.read_migrations(str(folder))]


def migrate(owner_url: str, app_role: str, declared: Iterable[str]) -> list[str]:
    """Applies what is missing, `declared` statements included; gives the names of the migrations applied.

    Safe to call at every start and by several processes at once: one works, the others wait.
    """
    with psycopg.connect(owner_url, autocommit=True) as guard:
        guard.execute("SELECT pg_advisory_lock(hashtext('regulars.migrate'))")
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
            privileges.grant(guard, app_role)
    return applied
