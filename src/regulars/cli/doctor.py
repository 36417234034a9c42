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

from regulars import logs, running, settings
from regulars.api import file_limits
from regulars.cli.asked import Where, settings_of
from regulars.cli.exposure import findings
from regulars.cli.printing import table
from regulars.settings import Origin, SettingError, Settings, variable
from regulars.storage import safety
from regulars.storage.migrate import SchemaError, missing_migrations

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
class Matter:
    """Something to see to; a `fatal` one keeps the server from starting."""

    text: str
    fatal: bool = False


def add_to(app: App) -> None:
    """Adds the command."""
    app.command(doctor)


def doctor(*, where: Where | None = None) -> int:
    """Prints every setting and its source, versions, and what is wrong or unsafe; exit code 1 if that is fatal.

    Example: `regulars doctor`
    """
    found = settings_of(where)
    told = {} if where is None or where.data is None else {variable("data"): str(where.data)}
    origins = settings.origins({**os.environ, **told})
    rows = [
        [
            variable(each.name),
            _shown(each),
            "--data" if each.name == "data" and told else each.source,
            each.meaning,
        ]
        for each in origins
    ]
    print(table(("setting", "value", "from", "meaning"), rows))
    print()
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in _PARTS))
    matters = _files(found)
    matters += [Matter(f"{name} is set, and is no setting: is it misspelt?") for name in settings.unknown()]
    matters += [*_exposure(found), *_disk(found), *_database(found)]
    print()
    for matter in matters:
        print(f"{'FATAL' if matter.fatal else 'note'}: {matter.text}")
    if not matters:
        print("Nothing is wrong.")
    return 1 if any(matter.fatal for matter in matters) else 0


def _shown(origin: Origin) -> object:
    if not origin.secret:
        return origin.value
    text = str(origin.value)
    return logs.masked(text) if "://" in text or not text else logs.HIDDEN


def _exposure(found: Settings) -> list[Matter]:
    try:
        return [Matter(each) for each in findings(found)]
    except SettingError as error:
        return [Matter(str(error), fatal=True)]


def _files(found: Settings) -> list[Matter]:
    allowed, needed = file_limits.hard_limit(), file_limits.needed(found.max_connections)
    print(f"A process may open {allowed:,} files")
    if allowed >= needed:
        return []
    return [
        Matter(
            f"A process may open {allowed:,} files; {found.max_connections:,} client connections (max_connections) "
            f"need {needed:,}: raise the hard limit (`ulimit -Hn`, LimitNOFILE of systemd), or set fewer connections."
        )
    ]


def _disk(found: Settings) -> list[Matter]:
    folder = found.data.expanduser().resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    print(f"{free / 1e9:,.1f} GB are free at {folder}")
    return [Matter(f"Less than {LOW_DISK_BYTES / 1e9:.0f} GB of disk are left.")] if free < LOW_DISK_BYTES else []


def _database(found: Settings) -> list[Matter]:
    if not found.database_url and not (found.data / "postgresql").exists():
        print(f"There is no database in {found.data} yet: `regulars serve` makes it.")
        return []
    if not found.database_url and not os.access(found.data, os.W_OK):
        return [Matter(f"The data folder {found.data} can't be written.", fatal=True)]
    try:
        with running.addresses(found) as addresses:
            return _examined(addresses)
    except SchemaError as error:
        return [Matter(str(error), fatal=True)]
    except (psycopg.Error, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return [Matter(logs.masked(str(running.unreachable(error))), fatal=True)]


def _examined(addresses: running.Addresses) -> list[Matter]:
    matters = []
    with psycopg.connect(addresses.owner, autocommit=True) as connection:
        info = connection.info
        print(f"PostgreSQL {connection.execute('SHOW server_version').fetchone()[0]}, database {info.dbname}")  # type: ignore[index]
        if missing := missing_migrations(connection):
            matters.append(Matter(f"Migrations to come: {', '.join(missing)}. `regulars migrate` applies them."))
        for feed, count, first, last in connection.execute(_PARTITIONS):
            print(f"{feed}: {count} partitions, {first} to {last}")
    matters += [Matter(each.message, each.fatal) for each in asyncio.run(_findings(addresses.app))]
    return matters


async def _findings(url: str) -> list[safety.Finding]:
    connection = await asyncpg.connect(url)
    try:
        return await safety.findings(connection)
    finally:
        await connection.close()
