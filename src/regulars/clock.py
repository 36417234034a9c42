"""The current time, from one source that tests can replace."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the current time as an aware datetime in UTC."""


def system_clock() -> datetime:
    """Returns the current time of the system clock."""
    return datetime.now(UTC)
