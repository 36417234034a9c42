"""The one source of the present instant, so that tests can set it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present instant, aware, in UTC."""


def system_clock() -> datetime:
    """The machine's present instant in UTC."""
    return datetime.now(UTC)
