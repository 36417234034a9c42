"""`regulars doctor`: settings and their sources, versions, and problems of the installation."""

import asyncio
import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import version

import asyncpg
import psycopg

from regulars import bootstrap, settings
from regulars.cli.exposure import findings
from regulars.cli.options import CommonOptions, load_settings
from regulars.cli.progress import format_table
from regulars.core.redaction import REDACTED, redact
from regulars.core.timestamps import format_timestamp
from regulars.segments.invalid import list_invalid
from regulars.settings import ResolvedSetting, SettingError, Settings, variable_name
from regulars.storage import safety
from regulars.storage.database import Database
from regulars.storage.errors import DATABASE_ERRORS
from regulars.storage.migrate import SchemaError, pending_migrations
from regulars.web import open_file_limit
from regulars.webhooks.backlog import list_disabled

LOW_DISK_BYTES = 1_000_000_000

_PACKAGES = ("regulars", "granian", "starlette", "asyncpg", "msgspec", "pyarrow")

_PARTITIONS = """
SELECT parent.relname, count(*), min(partition.relname), max(partition.relname)
FROM pg_inherits
JOIN pg_class AS parent ON parent.oid = pg_inherits.inhparent
JOIN pg_class AS partition ON partition.oid = pg_inherits.inhrelid
WHERE parent.relkind = 'p'
GROUP BY parent.relname
ORDER BY parent.relname
"""


@dataclass(frozen=True, slots=True)
class Issue:
    """A problem of the installation; a `fatal` one keeps the server from starting."""

    message: str
    fatal: bool = False


def doctor(*, common: CommonOptions | None = None) -> int:
    """Prints settings and their sources, versions, and everything that is wrong or unsafe.

    Exit code 1 if the server would not start.

    Example: `regulars doctor`
    """
    loaded = load_settings(common)
    data_dir = None if common is None else common.data_dir
    overrides = {} if data_dir is None else {variable_name("data_dir"): str(data_dir)}
    rows = [
        [
            variable_name(each.name),
            _display_value(each),
            "--data-dir" if each.name == "data_dir" and overrides else each.source,
            each.description,
        ]
        for each in settings.resolve({**os.environ, **overrides})
    ]
    print(format_table(("setting", "value", "source", "description"), rows))
    print()
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in _PACKAGES))
    issues = [
        *_check_open_files(loaded),
        *(Issue(f"{name} is set, but it is not a setting.") for name in settings.unknown_variables()),
        *_check_exposure(loaded),
        *_check_disk(loaded),
        *_check_database(loaded),
    ]
    print()
    for issue in issues:
        print(f"{'FATAL' if issue.fatal else 'note'}: {issue.message}")
    if not issues:
        print("No problems found.")
    return 1 if any(issue.fatal for issue in issues) else 0


def _display_value(setting: ResolvedSetting) -> object:
    if not setting.secret:
        return setting.value
    text = str(setting.value)
    return redact(text) if "://" in text or not text else REDACTED


def _check_exposure(loaded: Settings) -> list[Issue]:
    try:
        return [Issue(each) for each in findings(loaded)]
    except SettingError as error:
        return [Issue(str(error), fatal=True)]


def _check_open_files(loaded: Settings) -> list[Issue]:
    allowed, needed = open_file_limit.hard_limit(), open_file_limit.required_files(loaded.max_connections)
    print(f"Open files per process: {allowed:,}")
    if allowed >= needed:
        return []
    return [
        Issue(
            f"A process may open {allowed:,} files, but max_connections = {loaded.max_connections:,} needs {needed:,}. "
            f"Raise the hard limit (`ulimit -Hn`, LimitNOFILE in systemd) or lower max_connections."
        )
    ]


def _check_disk(loaded: Settings) -> list[Issue]:
    folder = loaded.data_dir.expanduser().resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    print(f"Free disk space at {folder}: {free / 1e9:,.1f} GB")
    return [Issue(f"Less than {LOW_DISK_BYTES / 1e9:.0f} GB of disk space left.")] if free < LOW_DISK_BYTES else []


def _check_database(loaded: Settings) -> list[Issue]:
    if not loaded.database_url and not (loaded.data_dir / "postgresql").exists():
        print(f"There is no database in {loaded.data_dir} yet. `regulars serve` creates it.")
        return []
    if not loaded.database_url and not os.access(loaded.data_dir, os.W_OK):
        return [Issue(f"The data directory {loaded.data_dir} is not writable.", fatal=True)]
    try:
        with bootstrap.open_urls(loaded) as urls:
            return _examine(urls)
    except (SchemaError, SettingError) as error:
        return [Issue(str(error), fatal=True)]
    except (psycopg.Error, *DATABASE_ERRORS) as error:
        return [Issue(redact(str(bootstrap.unavailable_error(error))), fatal=True)]


def _examine(urls: bootstrap.DatabaseUrls) -> list[Issue]:
    issues = []
    with psycopg.connect(urls.owner, autocommit=True) as connection:
        info = connection.info
        print(f"PostgreSQL {connection.execute('SHOW server_version').fetchone()[0]}, database {info.dbname}")  # type: ignore[index]
        if pending := pending_migrations(connection):
            issues.append(Issue(f"Pending migrations: {', '.join(pending)}. `regulars migrate` applies them."))
        for parent, count, first, last in connection.execute(_PARTITIONS):
            print(f"{parent}: {count} partitions, {first} to {last}")
    issues += [Issue(each.message, each.fatal) for each in asyncio.run(_safety_findings(urls.app))]
    if not pending:
        issues += asyncio.run(_failures(urls.app))
    return issues


async def _failures(url: str) -> list[Issue]:
    """Disabled webhooks and invalid segments."""
    async with Database(url, 1) as database:
        webhooks, segments = await list_disabled(database), await list_invalid(database)
    return [
        *(
            Issue(
                f"Webhook {each.id} of {each.community} is disabled since {format_timestamp(each.disabled_at)}: "
                f"{each.reason} It continues with what is undelivered once it is active again."
            )
            for each in webhooks
        ),
        *(
            Issue(
                f"Segment {each.name!r} of {each.community} can't be evaluated, so no member enters or leaves it: "
                f"{each.problem} Change its filter."
            )
            for each in segments
        ),
    ]


async def _safety_findings(url: str) -> list[safety.SafetyFinding]:
    connection = await asyncpg.connect(url)
    try:
        return await safety.check(connection)
    finally:
        await connection.close()
