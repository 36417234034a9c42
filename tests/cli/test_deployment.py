"""The roles of docs/deployment.md are made as it says, and its commands migrate, back up and restore with them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from cli.conftest import Command, CommandResult
from deployment.documented_commands import block, commands

PREFIX = "deployed"
"""In place of `regulars` in the names of roles and of the database: the server of the run has others of that name."""

_URL = re.compile(r"postgresql://regulars_(\w+):[^@]+@db\.internal/regulars\?sslmode=verify-full")


class Deployed:
    """A database with the roles of the page, and its commands."""

    def __init__(self, superuser: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        self._superuser = superuser
        self._folder = parse_qs(urlsplit(superuser).query)["host"][0]
        self._command = command
        self._monkeypatch = monkeypatch

    def as_superuser(self, text: str) -> None:
        """Runs statements, one by one."""
        with psycopg.connect(self._superuser, autocommit=True) as connection:
            for statement in text.split(";\n"):
                if statement.strip():
                    connection.execute(statement.encode())

    def url(self, role: str) -> str:
        """The URL of a role of the page."""
        return f"postgresql://{PREFIX}_{role}@/{PREFIX}?host={self._folder}"

    def run(self, name: str) -> list[CommandResult]:
        """What the commands of a block say."""
        done = []
        for line in commands(name):
            word, *rest = shlex.split(_URL.sub(lambda found: self.url(found[1]), line))
            if word == "export":
                self._monkeypatch.setenv(*rest[0].split("=", 1))
            else:
                assert word == "regulars"
                done.append(self._command(*rest))
        return done


def roles() -> str:
    """The statements of the page, with names of the test."""
    return block("roles").replace("regulars", PREFIX)


@pytest.fixture
def deployed(database_urls: tuple[str, str], command: Command, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    found = Deployed(database_urls[0].replace("//regulars_owner@", "//postgres@"), command, monkeypatch)
    found.as_superuser(roles())
    yield found
    names = re.findall(r"CREATE ROLE (\w+)", roles())
    found.as_superuser(f"DROP DATABASE {PREFIX} WITH (FORCE);\nDROP ROLE {', '.join(names)};\n")


# The system's own pg_dump is of this server's version.
@pytest.mark.parametrize("database_urls", ["postgresql15"], indirect=True)
def test_the_roles_migrate_back_up_and_restore_and_can_do_nothing_else(
    deployed: Deployed, command: Command, tmp_path: Path
) -> None:
    migrated, examined = deployed.run("migrate")
    assert (migrated.code, migrated.out.splitlines()[0]) == (0, "0001.organizations")
    notes = [line for line in examined.out.splitlines() if line.startswith(("note:", "FATAL:"))]
    assert examined.code == 0
    assert not [each for each in notes if "role" in each]
    place = ("--country", "NO", "--timezone", "Europe/Oslo", "--currency", "NOK")
    assert command("community", "create", "--slug", "nord", "--name", "Nord", *place).code == 0
    (tmp_path / "sales.csv").write_text("external_id,profile,transacted_at,total\nT1,M1,2026-10-01,5\n")
    loaded = command("load", "transactions", "sales.csv", "--community", "nord", "--create-profiles")
    assert loaded.code == 0, loaded.err

    (done,) = deployed.run("backup")
    assert done.code == 0, done.err
    with psycopg.connect(deployed.url("backup"), autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM transactions").fetchone() == (1,)
        connection.execute("SET default_transaction_read_only = off")
        for statement in ("DELETE FROM transactions", "SELECT analyze_grown_tables()", "CREATE TABLE t (a int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
    with psycopg.connect(deployed.url("owner")) as connection:
        assert connection.execute("SELECT count(*) FROM transactions").fetchone() == (0,)

    again = [each for each in roles().split(";\n") if "DATABASE" in each]
    deployed.as_superuser(";\n".join([f"DROP DATABASE {PREFIX} WITH (FORCE)", *again]))
    restored, verified = deployed.run("restore")
    assert (restored.code, restored.out) == (0, "regulars-monday.dump is restored (communities: 1).\n"), restored.err
    assert (verified.code, verified.out) == (0, "nord: 1 profile, 0 differences\n")
