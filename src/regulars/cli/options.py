"""Options that commands share, and the settings that options override."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import Parameter
from cyclopts.validators import Number

from regulars import bootstrap, settings
from regulars.core import timestamps
from regulars.core.errors import ValidationError
from regulars.observability import logs
from regulars.query.errors import InvalidParametersError
from regulars.settings import Settings, variable_name
from regulars.storage.database import Database

T = TypeVar("T")

ID_RANGE = Number(gte=0, lt=2**63)
"""The validator of ids that the database numbers."""


class UsageError(Exception):
    """A command was called with invalid options. The message says which and what is allowed."""


def option_error(error: ValidationError) -> UsageError:
    """Returns the error to raise for options of which the first one is invalid."""
    field, message = next(iter(error.errors.items()))
    return UsageError(f"--{field.replace('_', '-')} {message.rstrip('.')}.")


def parse_instant(option: str, text: str | None) -> datetime | None:
    """Parses the time that an option states, which is in UTC if it has no offset. Raises UsageError."""
    try:
        return None if text is None else timestamps.parse_timestamp(text)
    except ValueError as error:
        raise UsageError(f"{option} is {text!r}. It {error}.") from None


def usage_error(error: InvalidParametersError) -> UsageError:
    """Returns the error to raise for invalid parameters of a report, each with its path."""
    messages = (
        f"{'.'.join(map(str, path))}: {each.message}" for path, errors in error.errors.items() for each in errors
    )
    return UsageError(" ".join(messages))


@Parameter(name="*")
@dataclass(frozen=True)
class CommonOptions:
    """Options of every command that uses the database."""

    data_dir: Annotated[Path | None, Parameter(help="Data directory of the embedded database.")] = None


def load_settings(common: CommonOptions | None = None, **options: object) -> Settings:
    """Returns the settings of a command and configures logging. Raises SettingError.

    An option that is not None overrides the variable of its name.
    """
    if common is not None:
        options["data_dir"] = common.data_dir
    overrides = {variable_name(name): str(value) for name, value in options.items() if value is not None}
    loaded = settings.load({**os.environ, **overrides})
    logs.configure(loaded.log_format, loaded.log_level)
    return loaded


def run_with_database(common: CommonOptions | None, work: Callable[[Database], Awaitable[T]]) -> T:
    """Runs `work` with the configured database and returns its result."""
    loaded = load_settings(common)

    async def run(urls: bootstrap.DatabaseUrls) -> T:
        async with bootstrap.open_pool(urls, loaded) as database:
            return await work(database)

    with bootstrap.prepare_database(loaded) as urls:
        return asyncio.run(run(urls))
