"""Statuses that make a transaction void, such as those of cancelled orders. A community declares its own."""

from collections.abc import Collection, Iterable

from regulars.core.errors import ValidationError

DEFAULT_VOID_STATUSES = ("cancelled", "canceled", "voided", "failed")
MAX_VOID_STATUSES = 50
_MAX_LENGTH = 255


def is_void_status(status: str | None, void_statuses: Collection[str]) -> bool:
    """Whether a status is among the void ones, in any case."""
    return status is not None and status.lower() in void_statuses


def normalize_void_statuses(statuses: Iterable[str]) -> tuple[str, ...]:
    """Void statuses in lower case, each once. Raises ValidationError."""
    found = tuple(dict.fromkeys(each.strip().lower() for each in statuses))
    if len(found) > MAX_VOID_STATUSES or any(not 0 < len(each) <= _MAX_LENGTH or "\0" in each for each in found):
        raise ValidationError(
            {"void_statuses": f"must be at most {MAX_VOID_STATUSES} texts of 1 to {_MAX_LENGTH} characters"}
        )
    return found
