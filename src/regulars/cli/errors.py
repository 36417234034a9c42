"""The errors that end a command with one line, and those that are caused by its options or settings."""

import asyncpg
import psycopg

from regulars.bootstrap import DatabaseUnavailableError
from regulars.cli.options import UsageError
from regulars.core.errors import MissingDependencyError, NotFoundError, ValidationError
from regulars.loading.readers.files import UnreadableFileError
from regulars.offline.errors import InputNotFoundError, InvalidInputError
from regulars.settings import SettingError
from regulars.storage.embedded import DataFolderError
from regulars.storage.migrate import SchemaError
from regulars.storage.postmaster import PostgresStartError
from regulars.storage.safety import UnsafeDatabaseError

USAGE_ERRORS = (
    UsageError,
    SettingError,
    DataFolderError,
    UnreadableFileError,
    NotFoundError,
    InputNotFoundError,
    MissingDependencyError,
)
FAILURES = (
    ValidationError,
    InvalidInputError,
    DatabaseUnavailableError,
    PostgresStartError,
    UnsafeDatabaseError,
    SchemaError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    psycopg.Error,
)
