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

app = App(
    name="regulars",
    help="""Know your regulars: facts of members go in, what is true of them comes out.

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
    module.add_to(app)

_WRONG_USE = (
    UsageError,
    SettingError,
    DataFolderError,
    UnreadableFileError,
    NotFoundError,
    InputNotFoundError,
    MissingDependencyError,
)
_WRONG = (
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
    signal.signal(signal.SIGTERM, _end)
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Runs a command; gives 0 where it is done, 1 where it found something wrong, 2 for wrong use."""
    try:
        result = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _failed(f"{error} See `regulars --help`.", EXIT_USAGE)
    except _WRONG_USE as error:
        return _failed(str(error), EXIT_USAGE)
    except _WRONG as error:
        return _failed(str(error), EXIT_FAILURE)
    except OSError as error:
        return _failed(f"{error.strerror or error}: {error.filename or 'try again'}.", EXIT_FAILURE)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:
        if os.environ.get("REGULARS_LOG_LEVEL", "").lower() == "debug":
            sys.stderr.write(logs.redact(traceback.format_exc()))
        told = f"{type(error).__name__}: {error}".strip().rstrip(".")
        return _failed(f"{told}. REGULARS_LOG_LEVEL=debug shows where.", EXIT_FAILURE)
    return result if isinstance(result, int) else EXIT_OK


def _failed(sentence: str, code: int) -> int:
    one_line = " ".join(logs.redact(sentence).split())
    sys.stderr.write(f"regulars: {one_line}\n")
    return code


def _end(number: int, frame: object) -> NoReturn:
    """Ends as on an error, so that what was started is stopped."""
    raise SystemExit(128 + number)
