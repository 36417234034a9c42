"""`regulars migrate`, `backup` and `restore`."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import psycopg
from cyclopts import Parameter
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from regulars import bootstrap
from regulars.bootstrap import DatabaseUnavailableError
from regulars.cli.options import CommonOptions, UsageError, load_settings
from regulars.settings import Settings
from regulars.storage import embedded
from regulars.storage.migrate import require_upgradable

_ATOMIC_OPTIONS = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1")
_EMPTY_SCHEMA = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"


def migrate(*, common: CommonOptions | None = None) -> int:
    """Migrates the database to the current schema. The server does this itself at start if its role may.

    Example: `REGULARS_MIGRATION_DATABASE_URL=postgresql://... regulars migrate`
    """
    with bootstrap.open_urls(load_settings(common)) as urls:
        applied = _migrate(urls)
    print("\n".join([*applied, f"{len(applied)} applied."]) if applied else "The database is up to date.")
    return 0


def _migrate(urls: bootstrap.DatabaseUrls) -> list[str]:
    try:
        return bootstrap.migrate_database(urls)
    except psycopg.OperationalError as error:
        raise bootstrap.unavailable_error(error) from None


def backup(
    file: Annotated[Path, Parameter(help="The file to write. It must not exist.")],
    *,
    common: CommonOptions | None = None,
) -> int:
    """Writes a consistent copy of the whole database to a file. The server may run meanwhile.

    Example: `regulars backup regulars-monday.dump`
    """
    settings = load_settings(common)
    if file.exists():
        raise UsageError(f"{file} already exists. Choose another name.")
    partial = file.with_name(f"{file.name}.partial")
    with bootstrap.prepare_database(settings) as urls:
        _require_all_rows(urls.owner)
        arguments = ["--format=custom", "--no-owner", "--no-privileges", f"--file={partial}"]
        try:
            # The file holds personal data, so only its owner may read it.
            partial.touch(mode=0o600)
            _run(settings, "pg_dump", urls.owner, arguments)
            partial.rename(file)
        finally:
            partial.unlink(missing_ok=True)
    print(f"{file}: {file.stat().st_size:,} bytes")
    return 0


def restore(
    file: Annotated[Path, Parameter(help="A file that `regulars backup` wrote.")],
    *,
    replace: Annotated[
        bool, Parameter(help="Replace the contents of a database that is not empty.", negative="")
    ] = False,
    common: CommonOptions | None = None,
) -> int:
    """Restores a backup in a single transaction. Stop the server first.

    Example: `regulars restore regulars-monday.dump --data-dir ./restored`
    """
    settings = load_settings(common)
    if not file.is_file():
        raise UsageError(f"File not found: {file}.")
    with bootstrap.open_urls(settings) as urls:
        _migrate(urls)
        _require_upgradable(settings, file)
        if not replace and (communities := _count_communities(urls.owner)):
            raise UsageError(
                f"The database is not empty (communities: {communities}). Use another --data-dir, or --replace."
            )
        with tempfile.NamedTemporaryFile(dir=_temporary_folder(settings), prefix="restore-", suffix=".sql") as script:
            # The whole script is written first, so that nothing of a damaged file is run.
            arguments = ["--no-owner", "--no-privileges", f"--file={script.name}", str(file)]
            _run(settings, "pg_restore", None, arguments)
            _run(
                settings, "psql", urls.owner, [*_ATOMIC_OPTIONS, f"--command={_EMPTY_SCHEMA}", f"--file={script.name}"]
            )
        bootstrap.migrate_database(urls)
    with bootstrap.prepare_database(settings) as urls:
        print(f"{file} is restored (communities: {_count_communities(urls.owner)}).")
    return 0


def _require_upgradable(settings: Settings, file: Path) -> None:
    """Raises SchemaError for a backup whose schema this version can't upgrade."""
    tables = ["--table=schema_migrations", "--table=_yoyo_migration"]
    script = _run(settings, "pg_restore", None, [*tables, "--file=-", str(file)])
    _, _, rows = script.partition("COPY public.schema_migrations (name, checksum, version, applied_at) FROM stdin;\n")
    lines = rows.partition("\\.\n")[0].splitlines()
    applied = {name: checksum for name, checksum, *_ in (line.split("\t") for line in lines)}
    require_upgradable(applied, "_yoyo_migration" in script)


def _count_communities(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM communities").fetchone()
    return int(row[0]) if row else 0


def _require_all_rows(url: str) -> None:
    """Raises DatabaseUnavailableError for a role that is subject to row-level security."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    if row is None or not row[1]:
        raise DatabaseUnavailableError(
            "The role of REGULARS_MIGRATION_DATABASE_URL does not see the rows of every community. A backup needs a "
            "role with BYPASSRLS."
        )


def _program(settings: Settings, name: str) -> str:
    """Returns the path of a PostgreSQL program: the embedded one, or the installed one for a server by URL."""
    bundled = str(embedded.binaries_folder() / name)
    return (shutil.which(name) or bundled) if settings.database_url else bundled


def _temporary_folder(settings: Settings) -> Path | None:
    """Returns a directory with space for the data; None for the system default."""
    return None if settings.database_url else settings.data_dir.expanduser()


def _run(settings: Settings, name: str, url: str | None, arguments: Sequence[str]) -> str:
    """Runs a PostgreSQL program and returns its output."""
    environment = {**os.environ, "PGOPTIONS": "-c lock_timeout=10s -c client_min_messages=warning"}
    command = [_program(settings, name), *arguments]
    if url is not None:
        bare, password = _without_password(url)
        command.append(f"--dbname={bare}")
        if password is not None:
            # Every user of the machine can read a command line.
            environment["PGPASSWORD"] = password
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if process.returncode:
        lines = process.stderr.strip().splitlines() or [f"{name} failed"]
        reason = next((line for line in lines if "error:" in line.lower()), lines[0])
        raise DatabaseUnavailableError(f"{reason.strip().rstrip('.')}. Nothing was changed.")
    return process.stdout


def _without_password(url: str) -> tuple[str, str | None]:
    parameters = conninfo_to_dict(url)
    password = parameters.pop("password", None)
    return make_conninfo(**parameters), None if password is None else str(password)  # type: ignore[arg-type]
