"""Logging: formats, levels and redaction."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from regulars.core.redaction import redact
from regulars.observability import logs
from regulars.settings import SettingError

Stderr = pytest.CaptureFixture[str]


@pytest.fixture
def stderr(capsys: Stderr) -> Iterator[Stderr]:
    """Captures stderr, and restores the loggers afterwards."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield capsys
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def lines(stderr: Stderr) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stderr.readouterr().err.splitlines()]


def test_a_line_is_a_json_object_with_its_time_in_utc(stderr: Stderr) -> None:
    logs.configure("json", "info")
    structlog.get_logger("regulars.test").info("commit.retry", attempt=2)
    (line,) = lines(stderr)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "commit.retry", "attempt": 2, "logger": "regulars.test", "level": "info"}


def test_the_console_format_is_text(stderr: Stderr) -> None:
    logs.configure("console", "info")
    structlog.get_logger("regulars.test").warning("commit.retry", attempt=2)
    assert "commit.retry [regulars.test] attempt=2" in stderr.readouterr().err


def test_without_a_terminal_auto_is_json(stderr: Stderr) -> None:
    logs.configure()
    structlog.get_logger("regulars.test").info("ready")
    assert lines(stderr)[0]["event"] == "ready"


@pytest.mark.parametrize("name", ["uvicorn.error", "_granian", "a.library"])
def test_loggers_of_libraries_use_the_same_handler(stderr: Stderr, name: str) -> None:
    logs.configure("json", "info")
    logging.getLogger(name).warning("%s of %s", 1, 2)
    (line,) = lines(stderr)
    assert (line["event"], line["logger"], line["level"]) == ("1 of 2", name, "warning")


def test_info_messages_of_libraries_are_logged_at_level_debug_only(stderr: Stderr) -> None:
    logs.configure("json", "info")
    logging.getLogger("a.library").info("a step")
    assert lines(stderr) == []
    logs.configure("json", "debug")
    logging.getLogger("a.library").info("a step")
    assert lines(stderr)[0]["event"] == "a step"


def test_events_below_the_level_are_not_logged(stderr: Stderr) -> None:
    logs.configure("json", "warning")
    structlog.get_logger("regulars.test").info("ready")
    assert lines(stderr) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token rg_0123456789abcdefXYZ-_ was taken", "token *** was taken"),
        ("eyJhbGciOi.eyJwaWQiOi.c2lnbmF0dXJl", "***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("postgresql://app:geheim@db.example.com/regulars", "postgresql://app:***@db.example.com/regulars"),
        ("host=db password=geheim user=app", "host=db password=*** user=app"),
        ("is taken: ola.nordmann@example.com", "is taken: ***"),
        ("duplicate key\nDETAIL:  Key (first_name)=(Ola) exists.", "duplicate key\nDETAIL:  ***"),
        ('invalid input syntax for type integer: "Ola"', "invalid input syntax for type integer: ***"),
        ("42 rows", "42 rows"),
    ],
)
def test_secrets_and_personal_data_are_redacted(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_nested_values_with_names_of_secrets_are_redacted(stderr: Stderr) -> None:
    logs.configure("json", "info")
    structlog.get_logger("regulars.test").info(
        "queried",
        authorization="Basic b2xh",
        database_url="postgresql:///regulars",
        request={"headers": {"Cookie": "a=b"}, "sizes": [1, None, 2.5]},
        why=ValueError("rg_0123456789abcdef"),
    )
    (line,) = lines(stderr)
    assert (line["authorization"], line["database_url"], line["why"]) == ("***", "***", "***")
    assert line["request"] == {"headers": {"Cookie": "***"}, "sizes": [1, None, 2.5]}


def test_a_traceback_contains_code_but_no_values(stderr: Stderr) -> None:
    logs.configure("json", "info")
    first_name = "Kari"
    try:
        raise ValueError(f"no\nDETAIL:  Key (name)=({first_name})")
    except ValueError:
        structlog.get_logger("regulars.test").exception("failed")
    (line,) = lines(stderr)
    assert "ValueError: no" in line["exception"]
    assert "Kari" not in json.dumps(line)


@pytest.mark.parametrize(("form", "level"), [("xml", "info"), ("json", "loud")])
def test_an_unknown_format_or_level_is_rejected_with_the_allowed_ones(form: str, level: str) -> None:
    with pytest.raises(SettingError, match="Allowed:"):
        logs.dict_config(form, level)
