"""Commands are run in this process, on the server of the run."""

import itertools
import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from postgres_servers import Servers, copy_migrated, of_database
from regulars import cli


@dataclass(frozen=True)
class CommandResult:
    """What came of a command."""

    code: int
    out: str
    err: str


Command = Callable[..., CommandResult]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Command]:
    """Runs a command, in an empty folder; the loggers are as before afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REGULARS_LOG_LEVEL", "warning")
    root = logging.getLogger()
    before = (root.handlers[:], root.level)

    def run(*arguments: str) -> CommandResult:
        capsys.readouterr()
        code = cli.run(arguments)
        captured = capsys.readouterr()
        return CommandResult(code, captured.out, captured.err)

    yield run
    root.handlers[:], root.level = before
    structlog.reset_defaults()


@pytest.fixture
def folder_of_a_server() -> Iterator[Path]:
    """A folder that a server of its own may use, whose user is not the one that runs the tests."""
    with tempfile.TemporaryDirectory(prefix="regulars-test-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def command_urls(servers: Servers) -> tuple[str, str]:
    """A database of all commands: they have no manual clock, and drop the partitions that expired before today."""
    owner_url, app_url = servers.urls("embedded")
    copy_migrated(owner_url, "commands")
    return of_database(owner_url, "commands"), of_database(app_url, "commands")


@pytest.fixture
def on_the_server(command_urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Has commands use the server of the run."""
    monkeypatch.setenv("REGULARS_MIGRATION_DATABASE_URL", command_urls[0])
    monkeypatch.setenv("REGULARS_DATABASE_URL", command_urls[1])


_numbers = itertools.count(1)


@pytest.fixture
def slug(command: Command, on_the_server: None) -> str:
    """A fresh community, made by the command for it."""
    name = f"shop-{next(_numbers)}"
    done = create_community(command, name)
    assert done.code == 0, done.err
    return name


def create_community(command: Command, slug: str, *more: str) -> CommandResult:
    """Makes a community in Norway."""
    return command(
        *("community", "create", "--slug", slug, "--name", f"The {slug}", "--country", "Norway"),
        *("--timezone", "Europe/Oslo", "--currency", "NOK", *more),
    )
