"""Logs: one JSON object a line for machines, or lines for people, on stderr; never a secret, never a member.

Every logger of the process goes the same way: ours (structlog), those of libraries (logging), the server's.
"""

import logging
import logging.config
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from regulars.settings import SettingError

FORMATS = ("auto", "json", "console")
LEVELS = ("debug", "info", "warning", "error")

REDACTED = "***"

_SECRET_NAMES = re.compile(
    r"authorization|token|secret|password|passwd|cookie|_url$|^url$|^dsn$|api_?key", re.IGNORECASE
)

_SECRETS = (
    # Our tokens, and members' (JWT).
    (re.compile(r"\brg_[A-Za-z0-9_-]{8,}"), REDACTED),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), REDACTED),
    (re.compile(r"\b(Bearer|Basic)\s+[^\s\"',]+", re.IGNORECASE), rf"\1 {REDACTED}"),
    # Passwords in addresses and in connection strings.
    (re.compile(r"(://[^\s:/@\"']*):[^\s@\"']*@"), rf"\1:{REDACTED}@"),
    (re.compile(r"\b(password|passwd|secret)(\s*[=:]\s*)[^\s&\"',]+", re.IGNORECASE), rf"\1\2{REDACTED}"),
)

_MEMBERS = (
    # What the database says of a row, and values that it could not read, are facts of somebody.
    (re.compile(r"^(DETAIL|CONTEXT):.*$", re.MULTILINE), rf"\1:  {REDACTED}"),
    (re.compile(r"(invalid input (?:syntax|value) for [^:\n]+): .*"), rf"\1: {REDACTED}"),
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), REDACTED),
)


def redact(text: str) -> str:
    """A text without secrets and without what names a member."""
    for pattern, instead in (*_SECRETS, *_MEMBERS):
        text = pattern.sub(instead, text)
    return text


def _without_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: _hidden(name, value) for name, value in event.items()}


def _hidden(name: str, value: object) -> object:
    if isinstance(value, str):
        return REDACTED if value and _SECRET_NAMES.search(name) else redact(value)
    if isinstance(value, Mapping):
        return {str(key): _hidden(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_hidden(name, each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _hidden(name, str(value))


def _steps() -> list[Any]:
    """What every event goes through, whoever logs it."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # A traceback tells lines of code, never what its variables hold.
        structlog.processors.format_exc_info,
    ]


def formatter(style: str) -> logging.Formatter:
    """The formatter of the one handler: `json` or `console`."""
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_steps(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_secrets, renderer],
    )


def resolve_style(log_format: str) -> str:
    """`json` or `console`, where a setting may leave it to whether people are watching."""
    if log_format == "auto":
        return "console" if sys.stderr.isatty() else "json"
    return log_format


def dict_config(log_format: str, log_level: str) -> dict[str, Any]:
    """The configuration of all loggers, as `logging.config` takes it and other processes can be given it.

    Raises SettingError for a format or a level that there is none of.
    """
    if log_format not in FORMATS:
        raise SettingError(f"REGULARS_LOG_FORMAT is {log_format!r}: choose one of {', '.join(FORMATS)}.")
    if log_level.lower() not in LEVELS:
        raise SettingError(f"REGULARS_LOG_LEVEL is {log_level!r}: choose one of {', '.join(LEVELS)}.")
    level = log_level.upper()
    # What a library tells of its every step is of no use to who runs a server.
    theirs = level if level == "DEBUG" else max(level, "WARNING", key=logging.getLevelName)
    through: dict[str, Any] = {"handlers": [], "propagate": True, "level": "NOTSET"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": "regulars.observability.logs.formatter", "style": resolve_style(log_format)}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": theirs},
        "loggers": {
            "regulars": {"level": level},
            **{name: {**through, "level": level} for name in ("uvicorn", "uvicorn.error", "uvicorn.access")},
            **{name: {**through} for name in ("granian.access", "_granian")},
        },
    }


def configure(log_format: str = "auto", log_level: str = "info") -> None:
    """Sends what this process logs to stderr. Raises SettingError as `configuration` does."""
    logging.config.dictConfig(dict_config(log_format, log_level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_steps(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
