"""Settings, each declared once: REGULARS_* variables win over regulars.toml, which wins over the defaults."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


class SettingError(ValueError):
    """A setting that can't be used; the message says which and what to do."""


def _setting(default: object, meaning: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"meaning": meaning, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """Every setting of the server and its commands."""

    data_dir: Path = _setting(Path("data"), "Data folder of the embedded database, used by every command.")
    cache_dir: Path = _setting(
        Path("~/.cache/regulars"), "Folder of files that are made again where they are missing: the towns of the world."
    )
    database_url: str = _setting(
        "", "PostgreSQL 15 or later to use instead of the embedded one, as the app's own role.", secret=True
    )
    migration_database_url: str = _setting(
        "",
        "The same server as the role that owns the tables and migrates them; empty: database_url.",
        secret=True,
    )
    host: str = _setting("127.0.0.1", "Address that the server listens on.")
    port: int = _setting(8080, "Port that the server listens on.")
    public_url: str = _setting(
        "", "Address that clients call, such as https://regulars.example; empty: taken from the request."
    )
    trusted_proxies: str = _setting(
        "", "Networks (CIDR, separated by commas) of proxies whose X-Forwarded-Proto and X-Forwarded-Host are trusted."
    )
    operations_listen: str = _setting(
        "", "host:port that /metrics and /api/docs are moved to; empty: they are served at host and port."
    )
    operations_token: str = _setting(
        "", "Token required for /metrics and /api/docs, as Bearer or as a password; empty: none.", secret=True
    )
    workers: int = _setting(1, "Processes that answer requests.")
    pool_max_size: int = _setting(8, "Database connections that one process holds at most.")
    max_request_bytes: int = _setting(10_000_000, "Largest body of a request, except a streamed import.")
    max_report_request_bytes: int = _setting(1_000_000, "Largest body of a request of the Reporting API.")
    max_connections: int = _setting(
        8_000, "Client connections that one process holds at most; the longest idle ones are closed for new ones."
    )
    header_timeout_seconds: float = _setting(
        30.0, "How long a connection may wait for a request, or send the headers of one, before it is closed."
    )
    body_timeout_seconds: float = _setting(
        20.0, "How long the body of a request may pause before it is refused with 408."
    )
    send_timeout_seconds: float = _setting(
        30.0, "How long a client may read a response below the minimum rate before its connection is closed."
    )
    min_bytes_per_second: int = _setting(
        4_000, "Minimum rate of request bodies and of responses, once these times have passed."
    )
    max_import_bytes: int = _setting(2_000_000_000, "Largest import over HTTP, both compressed and decompressed.")
    max_import_lines: int = _setting(10_000_000, "Most lines of an import over HTTP.")
    max_import_line_bytes: int = _setting(4_194_304, "Longest line of an import over HTTP; longer ones are rejected.")
    max_import_columns: int = _setting(1_000, "Most columns of a CSV import over HTTP.")
    max_concurrent_imports: int = _setting(
        4, "Imports over HTTP that one process runs at a time, all but one for one organization; others get 503."
    )
    commit_max_rows: int = _setting(5_000, "Most rows that one commit takes.")
    token_cache_ttl_seconds: float = _setting(2.0, "How long a checked token is trusted before it is checked again.")
    invalid_token_cache_ttl_seconds: float = _setting(2.0, "How long an invalid token is denied without another check.")
    general_burst: int = _setting(
        200_000, "Burst of Profile API requests that an organization may make, unless it has a limit of its own."
    )
    general_rate_per_second: int = _setting(
        20_000, "Profile API requests a second that an organization may make over time."
    )
    reporting_burst: int = _setting(1_000, "Tokens that a rate limit of reports holds, likewise.")
    reporting_rate_per_second: int = _setting(50, "Tokens that are added to it every second.")
    outbox_retention_days: int = _setting(7, "How long changed values are kept in the outbox.")
    refresh_interval_seconds: float = _setting(5.0, "How often the sweep looks for values that are due.")
    replica_cache_mb: int = _setting(
        1_024, "Memory of one process for columnar copies of members: about 100 a million, the least used go first."
    )
    log_format: str = _setting("auto", "json, console, or auto: console on a terminal, else json.")
    log_level: str = _setting("info", "debug, info, warning or error.")


@dataclass(frozen=True)
class ResolvedSetting:
    """One setting as it stands: its value, where it comes from, what it means."""

    name: str
    value: object
    source: str
    description: str
    secret: bool


_KINDS = {int: "a whole number", float: "a number"}


def _converted(source: str, kind: Any, given: object) -> object:
    try:
        return kind(given)
    except (TypeError, ValueError):
        raise SettingError(f"{source} is {given!r}, which is not {_KINDS[kind]}: change it.") from None


def _written(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        written = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{file} is no TOML: {error}.") from None
    known = {each.name for each in fields(Settings)}
    for name in written:
        if name not in known:
            raise SettingError(
                f"{file} sets {name!r}, which is no setting: remove it. Known: {', '.join(sorted(known))}."
            )
    return written


def unknown_variables(environment: Mapping[str, str] | None = None) -> list[str]:
    """The REGULARS_* variables that are no setting, such as a name that is misspelt."""
    environment = os.environ if environment is None else environment
    known = {variable_name(each.name) for each in fields(Settings)}
    return sorted(name for name in environment if name.startswith("REGULARS_") and name not in known)


def variable_name(name: str) -> str:
    """The environment variable of a setting."""
    return f"REGULARS_{name.upper()}"


def resolve(environment: Mapping[str, str] | None = None, file: Path = Path("regulars.toml")) -> list[ResolvedSetting]:
    """Every setting with its value and its source.

    Raises SettingError for an unknown name in the file, or a value of the wrong type.
    """
    environment = os.environ if environment is None else environment
    written = _written(file)
    found = []
    for each in fields(Settings):
        name = variable_name(each.name)
        if name in environment:
            value, source = _converted(name, each.type, environment[name]), name
        elif each.name in written:
            value, source = _converted(f"{each.name} in {file}", each.type, written[each.name]), str(file)
        else:
            value, source = each.default, "default"
        found.append(ResolvedSetting(each.name, value, source, each.metadata["meaning"], each.metadata["secret"]))
    return found


def load(environment: Mapping[str, str] | None = None, file: Path = Path("regulars.toml")) -> Settings:
    """The settings in force. Raises SettingError as `origins` does."""
    values: dict[str, Any] = {origin.name: origin.value for origin in resolve(environment, file)}
    return Settings(**values)
