"""`regulars doctor`: the settings and where they come from, versions, and what is unsafe."""

import asyncio
import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import version

import asyncpg
import psycopg
from cyclopts import App

from regulars import bootstrap, settings
from regulars.cli.exposure import findings
from regulars.cli.options import CommonOptions, load_settings
from regulars.cli.progress import format_table
from regulars.observability import logs
from regulars.settings import ResolvedSetting, SettingError, Settings, variable_name
from regulars.storage import safety
from regulars.storage.migrate import SchemaError, pending_migrations
from regulars.web import open_file_limit

LOW_DISK_BYTES = 1_000_000_000

_PARTS = ("regulars", "granian", "starlette", "asyncpg", "msgspec", "pyarrow")

_PARTITIONS = """
SELECT parent.relname, count(*), min(part.relname), max(part.relname)
FROM pg_inherits AS tie
JOIN pg_class AS parent ON parent.oid = tie.inhparent
JOIN pg_class AS part ON part.oid = tie.inhrelid
WHERE parent.relkind = 'p'
GROUP BY parent.relname
ORDER BY parent.relname
"""


@dataclass(frozen=True, slots=True)
class Issue:
    """Something to see to; a `fatal` one keeps the server from starting."""

    message: str
    fatal: bool = False


def add_to(app: App) -> None:
    """Adds the command."""
    app.command(doctor)


def doctor(*, where: CommonOptions | None = None) -> int:
    """Prints every setting and its source, versions, and what is wrong or unsafe; exit code 1 if that is fatal.

    Example: `regulars doctor`
    """
    found = load_settings(where)
    told = {} if where is None or where.data_dir is None else {variable_name("data_dir"): str(where.data_dir)}
    origins = settings.resolve({**os.environ, **told})
    rows = [
        [
            variable_name(each.name),
            _shown(each),
            "--data-dir" if each.name == "data_dir" and told else each.source,
            each.description,
        ]
        for each in origins
    ]
    print(format_table(("setting", "value", "from", "meaning"), rows))
    print()
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in _PARTS))
    matters = _files(found)
    matters += [Issue(f"{name} is set, and is no setting: is it misspelt?") for name in settings.unknown_variables()]
    matters += [*_exposure(found), *_disk(found), *_database(found)]
    print()
    for matter in matters:
        print(f"{'FATAL' if matter.fatal else 'note'}: {matter.message}")
    if not matters:
        print("Nothing is wrong.")
    return 1 if any(matter.fatal for matter in matters) else 0


def _shown(origin: ResolvedSetting) -> object:
    if not origin.secret:
        return origin.value
    text = str(origin.value)
    return logs.redact(text) if "://" in text or not text else logs.REDACTED


def _exposure(found: Settings) -> list[Issue]:
    try:
        return [Issue(each) for each in findings(found)]
    except SettingError as error:
        return [Issue(str(error), fatal=True)]


def _files(found: Settings) -> list[Issue]:
    allowed, needed = open_file_limit.hard_limit(), open_file_limit.required_files(found.max_connections)
    print(f"A process may open {allowed:,} files")
    if allowed >= needed:
        return []
    return [
        Issue(
            f"A process may open {allowed:,} files; {found.max_connections:,} client connections (max_connections) "
            f"need {needed:,}: raise the hard limit (`ulimit -Hn`, LimitNOFILE of systemd), or set fewer connections."
        )
    ]


def _disk(found: Settings) -> list[Issue]:
    folder = found.data_dir.expanduser().resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    print(f"{free / 1e9:,.1f} GB are free at {folder}")
    return [Issue(f"Less than {LOW_DISK_BYTES / 1e9:.0f} GB of disk are left.")] if free < LOW_DISK_BYTES else []


def _database(found: Settings) -> list[Issue]:
    if not found.database_url and not (found.data_dir / "postgresql").exists():
        print(f"There is no database in {found.data_dir} yet: `regulars serve` makes it.")
        return []
    if not found.database_url and not os.access(found.data_dir, os.W_OK):
        return [Issue(f"The data folder {found.data_dir} can't be written.", fatal=True)]
    try:
        with bootstrap.open_urls(found) as addresses:
            return _examined(addresses)
    except SchemaError as error:
        return [Issue(str(error), fatal=True)]
    except (psycopg.Error, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return [Issue(logs.redact(str(bootstrap.unavailable_error(error))), fatal=True)]


def _examined(addresses: bootstrap.DatabaseUrls) -> list[Issue]:
    matters = []
    with psycopg.connect(addresses.owner, autocommit=True) as connection:
        info = connection.info
        print(f"PostgreSQL {connection.execute('SHOW server_version').fetchone()[0]}, database {info.dbname}")  # type: ignore[index]
        if pending := pending_migrations(connection):
            matters.append(Issue(f"Migrations to come: {', '.join(pending)}. `regulars migrate` applies them."))
        for feed, count, first, last in connection.execute(_PARTITIONS):
            print(f"{feed}: {count} partitions, {first} to {last}")
    matters += [Issue(each.message, each.fatal) for each in asyncio.run(_findings(addresses.app))]
    return matters


async def _findings(url: str) -> list[safety.SafetyFinding]:
    connection = await asyncpg.connect(url)
    try:
        return await safety.check(connection)
    finally:
        await connection.close()
