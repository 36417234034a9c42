"""Settings, each declared once. REGULARS_* variables override regulars.toml, which overrides the defaults."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

DATABASE = "Database"
SERVER = "Server"
CLIENT_LIMITS = "Limits of connections and requests"
RATE_LIMITS = "Tokens and rate limits"
SIGN_IN = "Signing in"
JOBS = "Jobs, retention and caches"
LOGGING = "Logging"
GROUPS = (DATABASE, SERVER, CLIENT_LIMITS, RATE_LIMITS, SIGN_IN, JOBS, LOGGING)
"""The groups of settings, in the order of docs/configuration.md."""


class SettingError(ValueError):
    """A setting is invalid. The message names the setting, the value found and what is allowed."""


def _setting(default: object, group: str, description: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"description": description, "group": group, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """All settings of the server and of the commands."""

    data_dir: Path = _setting(
        Path("data"), DATABASE, "Directory of the embedded database and of files received from clients."
    )
    database_url: str = _setting(
        "",
        DATABASE,
        "URL of a PostgreSQL server, version 15 or later, with the app's role. Empty: the embedded PostgreSQL is used.",
        secret=True,
    )
    migration_database_url: str = _setting(
        "",
        DATABASE,
        "URL of the same database with the role that owns the tables, for migrations, backups and restores. "
        "Empty: `database_url`.",
        secret=True,
    )
    pool_max_size: int = _setting(8, DATABASE, "Maximum number of database connections per process.")
    host: str = _setting("127.0.0.1", SERVER, "Address that the server listens on.")
    port: int = _setting(8080, SERVER, "Port that the server listens on.")
    workers: int = _setting(1, SERVER, "Number of processes that handle requests.")
    public_url: str = _setting(
        "",
        SERVER,
        "URL under which clients reach the server, such as https://regulars.example. Empty: from the request.",
    )
    trusted_proxies: str = _setting(
        "",
        SERVER,
        "Comma-separated networks (CIDR) of proxies whose X-Forwarded-Proto and X-Forwarded-Host headers are trusted.",
    )
    operations_listen: str = _setting(
        "",
        SERVER,
        "host:port of a separate listener for /metrics and /api/docs. Empty: they are served at `host` and `port`.",
    )
    operations_token: str = _setting(
        "",
        SERVER,
        "Token required for /metrics and /api/docs, as a Bearer token or as a password. Empty: none.",
        secret=True,
    )
    max_connections: int = _setting(
        8_000,
        CLIENT_LIMITS,
        "Maximum number of client connections per process. Further connections replace those idle for longest.",
    )
    header_timeout_seconds: float = _setting(
        30.0, CLIENT_LIMITS, "Time that a connection may be idle, or take to send the headers of a request."
    )
    body_timeout_seconds: float = _setting(
        20.0, CLIENT_LIMITS, "Time that a request body may pause before the request is rejected with 408."
    )
    send_timeout_seconds: float = _setting(
        30.0,
        CLIENT_LIMITS,
        "Time that a client may read a response more slowly than `min_bytes_per_second` before it is disconnected.",
    )
    min_bytes_per_second: int = _setting(
        4_000, CLIENT_LIMITS, "Minimum transfer rate of request bodies and responses once these timeouts have passed."
    )
    max_request_bytes: int = _setting(
        10_000_000, CLIENT_LIMITS, "Maximum size of a request body, except streamed imports."
    )
    max_report_request_bytes: int = _setting(
        1_000_000, CLIENT_LIMITS, "Maximum size of a request body of the Reporting API."
    )
    max_import_bytes: int = _setting(
        2_000_000_000, CLIENT_LIMITS, "Maximum size of an import over HTTP, both compressed and decompressed."
    )
    max_import_lines: int = _setting(10_000_000, CLIENT_LIMITS, "Maximum number of lines of an import over HTTP.")
    max_import_line_bytes: int = _setting(
        4_194_304, CLIENT_LIMITS, "Maximum length of a line of an import over HTTP. Longer lines are rejected."
    )
    max_import_columns: int = _setting(1_000, CLIENT_LIMITS, "Maximum number of columns of a CSV import over HTTP.")
    max_concurrent_imports: int = _setting(
        4,
        CLIENT_LIMITS,
        "Maximum number of imports over HTTP that a process runs concurrently; all but one may be of the same "
        "organization. Further imports are rejected with 503.",
    )
    token_cache_ttl_seconds: float = _setting(
        2.0, RATE_LIMITS, "Time that a valid token is cached. A revoked token may be accepted for this long."
    )
    invalid_token_cache_ttl_seconds: float = _setting(2.0, RATE_LIMITS, "Time that an invalid token is cached.")
    general_burst: int = _setting(
        200_000, RATE_LIMITS, "Profile API: number of requests that an organization may send in a burst."
    )
    general_rate_per_second: int = _setting(
        20_000, RATE_LIMITS, "Profile API: number of requests per second that an organization may send over time."
    )
    reporting_burst: int = _setting(
        1_000, RATE_LIMITS, "Reporting API: number of rate limit tokens that a customer may spend in a burst."
    )
    reporting_rate_per_second: int = _setting(
        50, RATE_LIMITS, "Reporting API: number of rate limit tokens added per second."
    )
    oidc_issuer: str = _setting(
        "", SIGN_IN, "URL of an OpenID Connect provider by which users sign in (extra `oidc`). Empty: by password only."
    )
    oidc_client_id: str = _setting("", SIGN_IN, "Id of this server at the provider.")
    oidc_client_secret: str = _setting(
        "", SIGN_IN, "Secret of this server at the provider. Empty: a public client, with PKCE.", secret=True
    )
    oidc_name: str = _setting("the company's account", SIGN_IN, "Name of the provider, as the sign-in page shows it.")
    commit_max_rows: int = _setting(5_000, JOBS, "Maximum number of rows in one commit.")
    refresh_interval_seconds: float = _setting(
        5.0, JOBS, "Interval at which values that have become outdated are refreshed."
    )
    outbox_retention_days: int = _setting(7, JOBS, "Number of days that changes of values are retained in the outbox.")
    audit_tokens: str = _setting(
        "sensitive",
        JOBS,
        "Requests of API tokens that the audit log records. sensitive: exports, imports, erasures, denied requests, and "
        "changes of tokens, users, webhooks and segments. all: also reads of personal data and ordinary writes. Requests of "
        "people are always recorded.",
    )
    audit_retention_days: int = _setting(
        730, JOBS, "Number of days that entries of the audit log are retained, at least 30."
    )
    run_retention_days: int = _setting(
        90, JOBS, "Number of days that outcomes of loads, imports and verify runs are retained."
    )
    max_segments: int = _setting(200, JOBS, "Maximum number of segments of a community.")
    webhook_log_retention_days: int = _setting(
        7,
        JOBS,
        "Number of days that deliveries of webhooks are retained in their log, also undelivered ones of inactive webhooks.",
    )
    webhook_allowed_networks: str = _setting(
        "",
        JOBS,
        "Comma-separated networks (CIDR) of private addresses that webhooks may be delivered to, such as 127.0.0.0/8 for "
        "development. Empty: only public addresses.",
    )
    replica_cache_mb: int = _setting(
        1_024,
        JOBS,
        "Memory per process for columnar replicas of members, in megabytes: about 100 per million members. The least "
        "recently used replica is evicted first.",
    )
    export_concurrency: int = _setting(
        1,
        JOBS,
        "Number of exports that a process runs at the same time. 0: none, because `regulars worker` runs them.",
    )
    worker_timeout_seconds: float = _setting(
        30.0,
        JOBS,
        "Time without a heartbeat after which a process that runs jobs is considered dead, and its jobs are taken over.",
    )
    export_store: str = _setting(
        "",
        JOBS,
        "URL of the object store for files of exports, such as s3://bucket/exports. Endpoint and credentials are read "
        "from AWS_* variables. Empty: `exports` in the data directory, which all processes must share.",
    )
    export_targets: str = _setting(
        "",
        JOBS,
        "Comma-separated URLs of object stores that schedules may write exports to, such as s3://partner/. Empty: none.",
    )
    export_retention_days: int = _setting(
        7, JOBS, "Number of days that an export and its file are retained after it has finished."
    )
    export_link_seconds: int = _setting(
        3_600,
        JOBS,
        "Time that a signed link to the file of an export is valid. It is renewed by each GET of the export.",
    )
    cache_dir: Path = _setting(
        Path("~/.cache/regulars"), JOBS, "Directory of files that are rebuilt if they are missing, such as the towns."
    )
    log_format: str = _setting("auto", LOGGING, "json, console or auto: console on a terminal, otherwise json.")
    log_level: str = _setting("info", LOGGING, "debug, info, warning or error.")


@dataclass(frozen=True)
class ResolvedSetting:
    """A setting with its value and the source of the value: a variable, a file or `default`."""

    name: str
    value: object
    source: str
    description: str
    secret: bool


_TYPE_NAMES = {int: "an integer", float: "a number"}


def _convert(source: str, kind: Any, value: object) -> object:
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise SettingError(f"{source} is {value!r}. It must be {_TYPE_NAMES[kind]}.") from None


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        values = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{file} is not valid TOML: {error}.") from None
    names = {each.name for each in fields(Settings)}
    for name in values:
        if name not in names:
            raise SettingError(f"Unknown setting {name!r} in {file}. Allowed: {', '.join(sorted(names))}.")
    return values


def unknown_variables(environment: Mapping[str, str] | None = None) -> list[str]:
    """Returns the REGULARS_* variables that are not a setting, such as misspelled names."""
    environment = os.environ if environment is None else environment
    names = {variable_name(each.name) for each in fields(Settings)}
    return sorted(name for name in environment if name.startswith("REGULARS_") and name not in names)


def variable_name(name: str) -> str:
    """Returns the environment variable of a setting."""
    return f"REGULARS_{name.upper()}"


def resolve(environment: Mapping[str, str] | None = None, file: Path = Path("regulars.toml")) -> list[ResolvedSetting]:
    """Returns every setting with its value and the source of the value.

    Raises SettingError for an unknown name in the file, or a value of the wrong type.
    """
    environment = os.environ if environment is None else environment
    file_values = _read(file)
    resolved = []
    for each in fields(Settings):
        name = variable_name(each.name)
        if name in environment:
            value, source = _convert(name, each.type, environment[name]), name
        elif each.name in file_values:
            value, source = _convert(f"{each.name} in {file}", each.type, file_values[each.name]), str(file)
        else:
            value, source = each.default, "default"
        resolved.append(
            ResolvedSetting(each.name, value, source, each.metadata["description"], each.metadata["secret"])
        )
    return resolved


def load(environment: Mapping[str, str] | None = None, file: Path = Path("regulars.toml")) -> Settings:
    """Returns the settings in effect. Raises SettingError as `resolve` does."""
    values: dict[str, Any] = {setting.name: setting.value for setting in resolve(environment, file)}
    return Settings(**values)
