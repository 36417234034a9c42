"""Logging to stderr, as JSON lines or as readable lines, without secrets and personal data.

All loggers of the process share one handler: structlog, the standard library's loggers of libraries, and the server's.
"""

import logging
import logging.config
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from regulars.core.redaction import REDACTED, redact
from regulars.settings import SettingError

FORMATS = ("auto", "json", "console")
LEVELS = ("debug", "info", "warning", "error")

_SECRET_NAMES = re.compile(
    r"authorization|token|secret|password|passwd|cookie|_url$|^url$|^dsn$|api_?key", re.IGNORECASE
)


def _redact_event(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: _redact_value(name, value) for name, value in event.items()}


def _redact_value(name: str, value: object) -> object:
    if isinstance(value, str):
        return REDACTED if value and _SECRET_NAMES.search(name) else redact(value)
    if isinstance(value, Mapping):
        return {str(key): _redact_value(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value(name, each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _redact_value(name, str(value))


def _processors() -> list[Any]:
    """Returns the processors of every event, from structlog or the standard library."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # Tracebacks contain lines of code, but no values of variables.
        structlog.processors.format_exc_info,
    ]


def formatter(style: str) -> logging.Formatter:
    """Returns the formatter of the handler, for the style `json` or `console`."""
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_processors(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _redact_event, renderer],
    )


def resolve_style(log_format: str) -> str:
    """Returns the style of a log format: `json` or `console`; `auto` is console on a terminal."""
    if log_format == "auto":
        return "console" if sys.stderr.isatty() else "json"
    return log_format


def dict_config(log_format: str, log_level: str) -> dict[str, Any]:
    """Returns the configuration of all loggers for `logging.config`, which can be passed to other processes.

    Raises SettingError for an unknown format or level.
    """
    if log_format not in FORMATS:
        raise SettingError(f"REGULARS_LOG_FORMAT is {log_format!r}. Allowed: {', '.join(FORMATS)}.")
    if log_level.lower() not in LEVELS:
        raise SettingError(f"REGULARS_LOG_LEVEL is {log_level!r}. Allowed: {', '.join(LEVELS)}.")
    level = log_level.upper()
    # Debug messages of libraries are of no use to an operator.
    library_level = level if level == "DEBUG" else max(level, "WARNING", key=logging.getLevelName)
    forwarded: dict[str, Any] = {"handlers": [], "propagate": True, "level": "NOTSET"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": "regulars.observability.logs.formatter", "style": resolve_style(log_format)}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": library_level},
        "loggers": {
            "regulars": {"level": level},
            **{name: {**forwarded, "level": level} for name in ("uvicorn", "uvicorn.error", "uvicorn.access")},
            **{name: {**forwarded} for name in ("granian.access", "_granian")},
        },
    }


def configure(log_format: str = "auto", log_level: str = "info") -> None:
    """Configures the logging of this process. Raises SettingError as `dict_config` does."""
    logging.config.dictConfig(dict_config(log_format, log_level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
