"""Errors of a request's parameters, collected and reported in the shape of the request."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

MAX_ERRORS = 100
"""Validation stops after this many errors of one request."""

MAX_NAME_LENGTH = 100
"""Longer names from a request are truncated in error messages."""


@dataclass(frozen=True, slots=True)
class ParameterError:
    """One error: a stable code, a message for people, and the parameters of the code."""

    code: str
    message: str
    options: Mapping[str, Any] = field(default_factory=dict)


class InvalidParametersError(ValueError):
    """Raised for invalid request parameters. `errors` are by path, such as ("filter", "operations", 0).

    `is_truncated` is set where validation stopped early.
    """

    def __init__(
        self, errors: Mapping[tuple[str | int, ...], Iterable[ParameterError]], *, is_truncated: bool = False
    ) -> None:
        self.errors = {path: tuple(found) for path, found in errors.items()}
        self.is_truncated = is_truncated
        super().__init__("; ".join(f"{path}: {each.message}" for path, found in self.errors.items() for each in found))

    @property
    def details(self) -> dict[str, Any]:
        """The errors as a tree in the shape of the request: arrays are keyed by index, leaves are lists of errors."""
        tree: dict[str, Any] = {}
        for path, found in self.errors.items():
            *parents, last = map(str, path)
            node = tree
            for key in parents:
                node = node.setdefault(key, {})
            node[last] = [
                {"error": each.code, "options": dict(each.options), "message": each.message} for each in found
            ]
        return tree


class ErrorCollector:
    """Collects the errors of a request, so that they are reported together."""

    def __init__(self) -> None:
        self.errors: dict[tuple[str | int, ...], list[ParameterError]] = {}

    def add(self, path: tuple[str | int, ...], detail: ParameterError) -> None:
        """Adds an error at a path. Raises InvalidParametersError once there are MAX_ERRORS."""
        steps = tuple(truncate_name(step) if isinstance(step, str) else step for step in path)
        self.errors.setdefault(steps, []).append(detail)
        if sum(map(len, self.errors.values())) >= MAX_ERRORS:
            raise InvalidParametersError(self.errors, is_truncated=True)

    def replace(self, path: tuple[str | int, ...], detail: ParameterError) -> None:
        """Adds an error at a path and discards the other errors at and below it."""
        self.errors = {other: each for other, each in self.errors.items() if other[: len(path)] != path}
        self.add(path, detail)

    def to_exception(self) -> InvalidParametersError:
        """The collected errors as one exception."""
        return InvalidParametersError(self.errors)


def missing(name: str, hint: str = "") -> ParameterError:
    """A required parameter is missing."""
    return ParameterError("presence", f"Missing parameter {name!r}.{hint and f' {hint}'}")


def truncate_name(name: str) -> str:
    """A name of at most MAX_NAME_LENGTH characters, the rest replaced by `...`."""
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 3]}..."


def unknown_parameter(name: str, known: Iterable[str]) -> ParameterError:
    """A key that is not a parameter."""
    return ParameterError("unknown", f"Unknown parameter {truncate_name(name)!r}. Allowed: {', '.join(known)}.")


def not_in(allowed: Iterable[str], what: str, value: object) -> ParameterError:
    """A value that is not one of the allowed ones; `what` is a noun such as `report`."""
    options = list(allowed)
    wrong = (
        f"Unknown {what} {truncate_name(value)!r}."
        if isinstance(value, str)
        else f"Invalid {what}: {json_type(value)}."
    )
    return ParameterError("inclusion", f"{wrong} Allowed: {', '.join(options)}.", {"in": options})


def json_type(value: object) -> str:
    """The JSON type of a decoded value, with its article, for error messages."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case Decimal():
            return "a decimal"
        case list():
            return "an array"
        case dict():
            return "an object"
        case _:
            return "a number"


def invalid_parameter(path: tuple[str | int, ...], code: str, message: str, **options: Any) -> InvalidParametersError:
    """An exception with one error."""
    return InvalidParametersError({path: [ParameterError(code, message, options)]})
