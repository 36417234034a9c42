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

from regulars import logs
from regulars.bulk.refusals import MissingExtraError, NotThereError, UnfitError
from regulars.cli import (
    backups,
    communities,
    computing,
    demo,
    doctor,
    loading,
    organizations,
    providers,
    querying,
    serving,
    tokens,
    verifying,
)
from regulars.cli.asked import WrongUseError
from regulars.facts.refusals import NotFound, Refused
from regulars.ingest.files import UnreadableFileError
from regulars.running import UnreachableError
from regulars.settings import SettingError
from regulars.storage.embedded import DataFolderError
from regulars.storage.migrate import SchemaError
from regulars.storage.postmaster import NotStartedError
from regulars.storage.safety import UnsafeDatabaseError

DONE, FOUND_WRONG, WRONG_USE = 0, 1, 2

app = App(
    name="regulars",
    help="""Know your regulars: facts of members go in, what is true of them comes out.

    Example: `regulars demo`
    """,
    version=version("regulars"),
    help_format="markdown",
)
for module in (
    serving,
    demo,
    tokens,
    organizations,
    communities,
    providers,
    loading,
    querying,
    computing,
    verifying,
    backups,
    doctor,
):
    module.add_to(app)

_WRONG_USE = (
    WrongUseError,
    SettingError,
    DataFolderError,
    UnreadableFileError,
    NotFound,
    NotThereError,
    MissingExtraError,
)
_WRONG = (
    Refused,
    UnfitError,
    UnreachableError,
    NotStartedError,
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
        return _failed(f"{error} See `regulars --help`.", WRONG_USE)
    except _WRONG_USE as error:
        return _failed(str(error), WRONG_USE)
    except _WRONG as error:
        return _failed(str(error), FOUND_WRONG)
    except OSError as error:
        return _failed(f"{error.strerror or error}: {error.filename or 'try again'}.", FOUND_WRONG)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:
        if os.environ.get("REGULARS_LOG_LEVEL", "").lower() == "debug":
            sys.stderr.write(logs.masked(traceback.format_exc()))
        told = f"{type(error).__name__}: {error}".strip().rstrip(".")
        return _failed(f"{told}. REGULARS_LOG_LEVEL=debug shows where.", FOUND_WRONG)
    return result if isinstance(result, int) else DONE


def _failed(sentence: str, code: int) -> int:
    one_line = " ".join(logs.masked(sentence).split())
    sys.stderr.write(f"regulars: {one_line}\n")
    return code


def _end(number: int, frame: object) -> NoReturn:
    """Ends as on an error, so that what was started is stopped."""
    raise SystemExit(128 + number)
