"""The command line: `regulars COMMAND`."""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

import asyncpg
import psycopg
from cyclopts import App, CycloptsError

from regulars.bootstrap import DatabaseUnavailableError
from regulars.cli import (
    backup,
    community,
    compute,
    demo,
    doctor,
    load,
    organization,
    provider,
    query,
    serve,
    token,
    verify,
)
from regulars.cli.options import UsageError
from regulars.core.errors import NotFoundError, ValidationError
from regulars.loading.readers.files import UnreadableFileError
from regulars.observability import logs
from regulars.offline.errors import InputNotFoundError, InvalidInputError, MissingDependencyError
from regulars.settings import SettingError
from regulars.storage.embedded import DataFolderError
from regulars.storage.migrate import SchemaError
from regulars.storage.postmaster import PostgresStartError
from regulars.storage.safety import UnsafeDatabaseError

EXIT_OK, EXIT_FAILURE, EXIT_USAGE = 0, 1, 2
"""Exit codes: success; a failure, or differences found by `regulars verify`; invalid options or settings."""

app = App(
    name="regulars",
    help="""Server for customer data, loyalty programmes and their reports.

    Example: `regulars demo`
    """,
    version=version("regulars"),
    help_format="markdown",
)
for module in (
    serve,
    demo,
    token,
    organization,
    community,
    provider,
    load,
    query,
    compute,
    verify,
    backup,
    doctor,
):
    module.register(app)

_USAGE_ERRORS = (
    UsageError,
    SettingError,
    DataFolderError,
    UnreadableFileError,
    NotFoundError,
    InputNotFoundError,
    MissingDependencyError,
)
_FAILURES = (
    ValidationError,
    InvalidInputError,
    DatabaseUnavailableError,
    PostgresStartError,
    UnsafeDatabaseError,
    SchemaError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    psycopg.Error,
)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and ends the process with its exit code."""
    signal.signal(signal.SIGTERM, _exit)
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Runs a command and returns its exit code."""
    try:
        result = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _fail(f"{error} See `regulars --help`.", EXIT_USAGE)
    except _USAGE_ERRORS as error:
        return _fail(str(error), EXIT_USAGE)
    except _FAILURES as error:
        return _fail(str(error), EXIT_FAILURE)
    except OSError as error:
        return _fail(f"{error.strerror or error}: {error.filename or 'system error'}.", EXIT_FAILURE)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:
        if os.environ.get("REGULARS_LOG_LEVEL", "").lower() == "debug":
            sys.stderr.write(logs.redact(traceback.format_exc()))
        message = f"{type(error).__name__}: {error}".strip().rstrip(".")
        return _fail(f"{message}. Set REGULARS_LOG_LEVEL=debug for a traceback.", EXIT_FAILURE)
    return result if isinstance(result, int) else EXIT_OK


def _fail(message: str, code: int) -> int:
    one_line = " ".join(logs.redact(message).split())
    sys.stderr.write(f"regulars: {one_line}\n")
    return code


def _exit(number: int, frame: object) -> NoReturn:
    """Raises SystemExit, so that everything that was started is stopped."""
    raise SystemExit(128 + number)
