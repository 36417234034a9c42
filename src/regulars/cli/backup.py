"""`regulars migrate`, `backup` and `restore`: the database as a whole."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from cyclopts import App, Parameter

from regulars import bootstrap
from regulars.bootstrap import DatabaseUnavailableError
from regulars.cli.options import CommonOptions, UsageError, load_settings
from regulars.settings import Settings
from regulars.storage import embedded
from regulars.storage.migrate import require_upgradable

_ALL_OR_NOTHING = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1")
_EMPTY = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"


def add_to(app: App) -> None:
    """Adds the commands."""
    for command in (migrate, backup, restore):
        app.command(command)


def migrate(*, where: CommonOptions | None = None) -> int:
    """Brings the database to the present schema. The server does so itself where its role may.

    Example: `REGULARS_MIGRATION_DATABASE_URL=postgresql://... regulars migrate`
    """
    with bootstrap.open_urls(load_settings(where)) as found:
        applied = _reached(found)
    print("\n".join([*applied, f"{len(applied)} applied."]) if applied else "The database is up to date.")
    return 0


def _reached(found: bootstrap.DatabaseUrls) -> list[str]:
    try:
        return bootstrap.migrate_database(found)
    except psycopg.OperationalError as error:
        raise bootstrap.unavailable_error(error) from None


def backup(
    file: Annotated[Path, Parameter(help="The file to write; there must be none of that name.")],
    *,
    where: CommonOptions | None = None,
) -> int:
    """Writes the whole database into one file, as of one instant, while the server runs.

    Example: `regulars backup regulars-monday.dump`
    """
    settings = load_settings(where)
    if file.exists():
        raise UsageError(f"{file} is there already: choose another name.")
    unfinished = file.with_name(f"{file.name}.unfinished")
    with bootstrap.prepare_database(settings) as found:
        _require_all_rows(found.owner)
        arguments = ["--format=custom", "--no-owner", "--no-privileges", f"--file={unfinished}"]
        try:
            # It holds all that is known of members: nobody else may read it.
            unfinished.touch(mode=0o600)
            _run(settings, "pg_dump", found.owner, arguments)
            unfinished.rename(file)
        finally:
            unfinished.unlink(missing_ok=True)
    print(f"{file}: {file.stat().st_size:,} bytes")
    return 0


def restore(
    file: Annotated[Path, Parameter(help="A file that `regulars backup` wrote.")],
    *,
    replace: Annotated[
        bool, Parameter(help="Put it in the place of the communities that are there.", negative="")
    ] = False,
    where: CommonOptions | None = None,
) -> int:
    """Puts what a backup holds into the database, all or nothing. Stop the server first.

    Example: `regulars restore regulars-monday.dump --data-dir ./restored`
    """
    settings = load_settings(where)
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    with bootstrap.open_urls(settings) as found:
        _reached(found)
        _require_upgradable(settings, file)
        if not replace and (there := _communities(found.owner)):
            raise UsageError(
                f"The database is not empty (communities: {there}): name another --data-dir folder, or say --replace."
            )
        with tempfile.NamedTemporaryFile(dir=_folder(settings), prefix="restore-", suffix=".sql") as script:
            # Written out first: of a damaged file nothing is carried out.
            unpacked = ["--no-owner", "--no-privileges", f"--file={script.name}", str(file)]
            _run(settings, "pg_restore", None, unpacked)
            _run(settings, "psql", found.owner, [*_ALL_OR_NOTHING, f"--command={_EMPTY}", f"--file={script.name}"])
        bootstrap.migrate_database(found)
    with bootstrap.prepare_database(settings) as found:
        print(f"{file} is restored (communities: {_communities(found.owner)}).")
    return 0


def _require_upgradable(settings: Settings, file: Path) -> None:
    """Raises SchemaError for a backup whose schema this version can't upgrade."""
    tables = ["--table=schema_migrations", "--table=_yoyo_migration"]
    script = _run(settings, "pg_restore", None, [*tables, "--file=-", str(file)])
    _, _, rows = script.partition("COPY public.schema_migrations (name, checksum, version, applied_at) FROM stdin;\n")
    lines = rows.partition("\\.\n")[0].splitlines()
    applied = {name: checksum for name, checksum, *_ in (line.split("\t") for line in lines)}
    require_upgradable(applied, "_yoyo_migration" in script)


def _communities(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM communities").fetchone()
    return int(row[0]) if row else 0


def _require_all_rows(url: str) -> None:
    """Raises DatabaseUnavailableError for a role that row-level security keeps rows from."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    if row is None or not row[1]:
        raise DatabaseUnavailableError(
            "The role of REGULARS_MIGRATION_DATABASE_URL does not see the rows of every community: name one with BYPASSRLS "
            "for the backup."
        )


def _program(settings: Settings, name: str) -> str:
    """The program for the server: its own, for one by URL the machine's."""
    own = str(embedded.binaries_folder() / name)
    return (shutil.which(name) or own) if settings.database_url else own


def _folder(settings: Settings) -> Path | None:
    """Where room for the data is to be expected; the machine's own place where they are elsewhere."""
    return None if settings.database_url else settings.data_dir.expanduser()


def _run(settings: Settings, name: str, url: str | None, arguments: Sequence[str]) -> str:
    """Runs a program of PostgreSQL; returns what it printed."""
    environment = {**os.environ, "PGOPTIONS": "-c lock_timeout=10s -c client_min_messages=warning"}
    command = [_program(settings, name), *arguments]
    if url is not None:
        bare, password = _without_password(url)
        command.append(f"--dbname={bare}")
        if password is not None:
            # On the command line every user of the machine could read it.
            environment["PGPASSWORD"] = password
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"{name} failed"]
        reason = next((line for line in said if "error:" in line.lower()), said[0])
        raise DatabaseUnavailableError(f"{reason.strip().rstrip('.')}. Nothing was changed.")
    return done.stdout


def _without_password(url: str) -> tuple[str, str | None]:
    parts = urlsplit(url)
    if parts.password is None:
        return url, None
    _, _, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{parts.username}@{place}")), unquote(parts.password)
