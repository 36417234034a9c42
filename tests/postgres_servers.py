"""The PostgreSQL servers that the tests run on: the embedded one, and the oldest that is supported."""

from __future__ import annotations

import itertools
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from regulars.bootstrap import schema_statements
from regulars.storage import embedded
from regulars.storage.migrate import migrate, role_of

Urls = tuple[str, str]
"""The owner's and the app's URL."""

OLDEST_BINARIES = Path("/usr/lib/postgresql/15/bin")
_DATABASE = "regulars"
_TEMPLATE = "migrated"
_IDS_PER_DATABASE = 10_000

TESTS_PER_DATABASE = 250
"""How many tests share a database: what runs for all communities takes longer with each of theirs."""

# What is durable, and what autovacuum does, is tested by tests that start servers of their own.
_SETTINGS = ("fsync = off", "full_page_writes = off", "autovacuum = off")


@contextmanager
def environment_server() -> Iterator[Urls]:
    """Yields the server of REGULARS_TEST_OWNER_URL and REGULARS_TEST_DATABASE_URL."""
    yield os.environ["REGULARS_TEST_OWNER_URL"], os.environ["REGULARS_TEST_DATABASE_URL"]


@contextmanager
def embedded_server() -> Iterator[Urls]:
    """Runs the embedded PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="regulars-test-") as folder, embedded.run_server(Path(folder)) as urls:
        with psycopg.connect(urls[0], autocommit=True) as connection:
            for setting in _SETTINGS:
                connection.execute(f"ALTER SYSTEM SET {setting}".encode())
            connection.execute("SELECT pg_reload_conf()")
        yield urls


@contextmanager
def oldest_server() -> Iterator[Urls]:
    """Runs PostgreSQL 15 of the system, with tables that belong to a role without superuser privileges."""
    if not (OLDEST_BINARIES / "postgres").exists():
        reason = f"there is no PostgreSQL 15 in {OLDEST_BINARIES}: apt-get install postgresql-15"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="regulars-test-") as folder:
        data = Path(folder) / "data"
        _give_away(Path(folder))
        _run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", f"--pgdata={data}")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c max_connections=100"
        options += "".join(f" -c {setting.replace(' ', '')}" for setting in _SETTINGS)
        _run("pg_ctl", "start", "--wait", f"--pgdata={data}", f"--log={folder}/log", f"--options={options}")
        try:
            yield _prepared(folder)
        finally:
            _run("pg_ctl", "stop", "--mode=immediate", "--wait", f"--pgdata={data}")


def _prepared(folder: str) -> Urls:
    with psycopg.connect(_url(folder, "postgres", "postgres"), autocommit=True) as connection:
        for role in ("regulars_owner CREATEDB", embedded.APP_ROLE):
            connection.execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS".encode())
        connection.execute(f"CREATE DATABASE {_DATABASE} OWNER regulars_owner TEMPLATE template0".encode())
    return _url(folder, "regulars_owner", _DATABASE), _url(folder, embedded.APP_ROLE, _DATABASE)


def _url(folder: str, role: str, database: str) -> str:
    return f"postgresql://{role}@/{database}?host={folder}"


# PostgreSQL refuses to run as root.
_USER = pwd.getpwnam("postgres") if os.geteuid() == 0 and OLDEST_BINARIES.exists() else None


def _give_away(folder: Path) -> None:
    if _USER is not None:
        shutil.chown(folder, _USER.pw_uid, _USER.pw_gid)


def _run(program: str, *arguments: str) -> None:
    subprocess.run(
        [str(OLDEST_BINARIES / program), *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd="/",
        env={"LC_ALL": "C.UTF-8", "PATH": os.defpath},
        user=None if _USER is None else _USER.pw_uid,
        group=None if _USER is None else _USER.pw_gid,
        extra_groups=None if _USER is None else [],
    )


_STARTS: Mapping[str, Callable[[], AbstractContextManager[Urls]]] = {
    "embedded": embedded_server,
    "postgresql15": oldest_server,
}
NAMES = tuple(_STARTS)


class Servers:
    """Servers that are started on first use and stopped after the run, each with a database to copy."""

    def __init__(self) -> None:
        self._running: dict[str, Urls] = {}
        self._shared: dict[str, tuple[Urls, int]] = {}
        self._numbers = itertools.count(1)
        self._stack = ExitStack()

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def urls(self, name: str) -> Urls:
        """Returns the URLs of a server by name, or those of the environment if they are set."""
        if name not in self._running:
            is_given = bool(os.environ.get("REGULARS_TEST_OWNER_URL"))
            start = environment_server if is_given else _STARTS[name]
            self._running[name] = urls = self._stack.enter_context(start())
            create_database(urls[0], _TEMPLATE)
            migrate(of_database(urls[0], _TEMPLATE), role_of(urls[1]), schema_statements())
            if not is_given:
                copy_migrated(urls[0], _DATABASE)
            self._shared[name] = urls, 0
        return self._running[name]

    def shared_urls(self, name: str) -> Urls:
        """Returns the URLs of the database that a test shares with some others."""
        self.urls(name)
        urls, tests = self._shared[name]
        if tests == TESTS_PER_DATABASE:
            database, tests = f"shared_{next(self._numbers)}", 0
            copy_migrated(urls[0], database)
            urls = of_database(urls[0], database), of_database(urls[1], database)
            _skip_ids(urls[0], next(self._numbers) * _IDS_PER_DATABASE)
        self._shared[name] = urls, tests + 1
        return urls


def of_database(url: str, database: str) -> str:
    """Returns the URL of another database of the same server."""
    return re.sub(r"(?<=/)\w+(?=\?)", database, url)


def _skip_ids(owner_url: str, number: int) -> None:
    """Has ids of communities and organizations begin after a number: processes remember them by id."""
    with psycopg.connect(owner_url, autocommit=True) as owner:
        for table in ("communities", "organizations"):
            owner.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", (table, number))


def is_earlier_copy(url: str, current: str) -> bool:
    """Whether a URL is of a database that tests shared before the current one."""
    return "/shared_" in url and url != current and of_database(url, "any") == of_database(current, "any")


def create_database(owner_url: str, database: str, template: str = "template0") -> None:
    """Creates a database, in place of one with this name; a copy of another one without connections."""
    with psycopg.connect(of_database(owner_url, "template1"), autocommit=True) as owner:
        owner.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)".encode())
        owner.execute(f"CREATE DATABASE {database} TEMPLATE {template} STRATEGY FILE_COPY".encode())


def copy_migrated(owner_url: str, database: str) -> None:
    """Creates a migrated database: a copy, which takes a quarter of the time of the migrations."""
    create_database(owner_url, database, _TEMPLATE)


on_both_servers = pytest.mark.parametrize(
    "database_urls", ["embedded", pytest.param("postgresql15", marks=pytest.mark.slow)], indirect=True
)
"""Runs the tests of a module on both servers."""

on_both_servers_if_long = pytest.mark.parametrize(
    "database_urls",
    ["embedded", pytest.param("postgresql15", marks=[pytest.mark.slow, pytest.mark.long])],
    indirect=True,
)
"""The same for tests that draw what they do, whose statements other tests run on both servers in any case."""
