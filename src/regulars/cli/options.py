"""What every command is told: where the data are, and settings that its options override."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import Parameter

from regulars import bootstrap, settings
from regulars.observability import logs
from regulars.query.errors import InvalidParametersError
from regulars.settings import Settings, variable_name
from regulars.storage.database import Database

T = TypeVar("T")


class UsageError(Exception):
    """A command that was asked in a way that can't be; the message says what to do."""


def usage_error(error: InvalidParametersError) -> UsageError:
    """What is wrong with the request of a report, each with its path."""
    told = (f"{'.'.join(map(str, path))}: {each.message}" for path, found in error.errors.items() for each in found)
    return UsageError(" ".join(told))


@Parameter(name="*")
@dataclass(frozen=True)
class CommonOptions:
    """The option that all commands share."""

    data_dir: Annotated[Path | None, Parameter(help="Data folder of the embedded database.")] = None


def load_settings(where: CommonOptions | None = None, **options: object) -> Settings:
    """The settings in force for a command; logs go as they say. Raises SettingError.

    An option that was given wins over the variable of its name.
    """
    if where is not None:
        options["data_dir"] = where.data_dir
    told = {variable_name(name): str(value) for name, value in options.items() if value is not None}
    found = settings.load({**os.environ, **told})
    logs.configure(found.log_format, found.log_level)
    return found


def run_with_database(where: CommonOptions | None, work: Callable[[Database], Awaitable[T]]) -> T:
    """What `work` makes of the database that the settings mean."""
    settings = load_settings(where)

    async def done(found: bootstrap.DatabaseUrls) -> T:
        async with bootstrap.open_pool(found, settings) as database:
            return await work(database)

    with bootstrap.prepare_database(settings) as found:
        return asyncio.run(done(found))
