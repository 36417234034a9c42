"""The command line: `regulars COMMAND`."""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from cyclopts import App, CycloptsError

from regulars.core.garbage_collection import collect_less_often
from regulars.core.redaction import redact, redact_secrets

EXIT_OK, EXIT_FAILURE, EXIT_USAGE = 0, 1, 2
"""Exit codes: success; a failure, or differences found by `regulars verify`; invalid options or settings."""

EXIT_BROKEN_PIPE = 128 + signal.SIGPIPE
"""The exit code if the reader of the output, such as `head`, stops early, which is no error to report."""

app = App(
    name="regulars",
    help="""Server for customer data, loyalty programmes and their reports.

    Example: `regulars demo`
    """,
    version=version("regulars"),
    help_format="markdown",
)
COMMANDS = (
    ("serve:serve", "serve"),
    ("serve:worker", "worker"),
    ("demo:demo", "demo"),
    ("token:token", "token"),
    ("user:user", "user"),
    ("organization:organization", "organization"),
    ("community:community", "community"),
    ("provider:provider", "provider"),
    ("webhook:webhook", "webhook"),
    ("jobs:jobs", "jobs"),
    ("schedule:schedule", "schedule"),
    ("segment:segment", "segment"),
    ("load:load_files", "load"),
    ("query:query", "query"),
    ("export:export", "export"),
    ("compute:compute_values", "compute"),
    ("verify:verify_", "verify"),
    ("backup:migrate", "migrate"),
    ("backup:backup", "backup"),
    ("backup:restore", "restore"),
    ("doctor:doctor", "doctor"),
)
"""The module and function of each command. A module is imported when its command runs, because importing all takes longer
than most commands.
"""
for path, name in COMMANDS:
    app.command(f"regulars.cli.{path}", name=name)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and ends the process with its exit code."""
    signal.signal(signal.SIGTERM, _exit)
    collect_less_often()
    sys.exit(_flush(run(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: Sequence[str]) -> int:
    """Runs a command and returns its exit code."""
    if not arguments or arguments[0] in app.help_flags:
        _import_commands()
    try:
        result = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _fail(f"{error} See `regulars --help`.", EXIT_USAGE)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        return EXIT_BROKEN_PIPE
    except Exception as error:
        # Imported here, because importing the modules that raise them takes longer than most commands.
        from regulars.cli.errors import FAILURES, USAGE_ERRORS

        if isinstance(error, USAGE_ERRORS):
            return _fail(str(error), EXIT_USAGE)
        if isinstance(error, FAILURES):
            return _fail(str(error), EXIT_FAILURE)
        if isinstance(error, OSError):
            return _fail(f"{error.strerror or error}: {error.filename or 'system error'}.", EXIT_FAILURE)
        if os.environ.get("REGULARS_LOG_LEVEL", "").lower() == "debug":
            sys.stderr.write(redact(traceback.format_exc()))
        message = f"{type(error).__name__}: {error}".strip().rstrip(".")
        return _fail(f"{message}. Set REGULARS_LOG_LEVEL=debug for a traceback.", EXIT_FAILURE)
    return result if isinstance(result, int) else EXIT_OK


def _flush(code: int) -> int:
    """Writes what is left of the output, if it is not closed. Returns the exit code: `code`, unless only that fails."""
    if sys.stdout is None:
        return code
    try:
        sys.stdout.flush()
    except OSError as error:
        # Otherwise Python reports it again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return code or EXIT_BROKEN_PIPE
        return code or _fail(f"The output can't be written: {error.strerror}.", EXIT_FAILURE)
    return code


def _import_commands() -> None:
    """Imports all commands, so that the help shows the first sentence of each."""
    for name in app:
        app[name]


def _fail(message: str, code: int) -> int:
    # The messages of invalid options quote them.
    redacted = redact_secrets(message) if code == EXIT_USAGE else redact(message)
    one_line = " ".join(redacted.split())
    sys.stderr.write(f"regulars: {one_line}\n")
    return code


def _exit(number: int, frame: object) -> NoReturn:
    """Raises SystemExit, so that everything that was started is stopped."""
    raise SystemExit(128 + number)
