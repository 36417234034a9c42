"""Removes secrets and personal data from texts that are logged or stored, such as messages of errors."""

import re
from collections.abc import Iterable

REDACTED = "***"

_SECRETS = (
    # API tokens, and members' tokens (JWT).
    (re.compile(r"\brg_[A-Za-z0-9_-]{8,}"), REDACTED),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), REDACTED),
    (re.compile(r"\b(Bearer|Basic)\s+[^\s\"',]+", re.IGNORECASE), rf"\1 {REDACTED}"),
    # Passwords in URLs and connection strings.
    (re.compile(r"(://[^\s:/@\"']*):[^\s@\"']*@"), rf"\1:{REDACTED}@"),
    (re.compile(r"\b(password|passwd|secret)(\s*[=:]\s*)[^\s&\"',]+", re.IGNORECASE), rf"\1\2{REDACTED}"),
)

_PERSONAL_DATA = (
    # Messages of the database may quote the values of a row.
    (re.compile(r"^(DETAIL|CONTEXT):.*$", re.MULTILINE), rf"\1:  {REDACTED}"),
    (re.compile(r"(invalid input (?:syntax|value) for [^:\n]+): .*"), rf"\1: {REDACTED}"),
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), REDACTED),
)


def redact(text: str) -> str:
    """Returns a text without secrets and personal data."""
    return _replace(text, (*_SECRETS, *_PERSONAL_DATA))


def redact_secrets(text: str) -> str:
    """Returns a text without secrets, for the person who has entered it."""
    return _replace(text, _SECRETS)


def _replace(text: str, patterns: Iterable[tuple[re.Pattern[str], str]]) -> str:
    for pattern, replacement in patterns:
        text = pattern.sub(replacement, text)
    return text
