"""What is wrong with a request, in the shape of the request itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_ERRORS = 100
"""Most problems of a request that are reported; checking stops there."""

MAX_NAME_LENGTH = 100
"""Most characters of a name from a request that are repeated in an answer."""


@dataclass(frozen=True, slots=True)
class ParameterError:
    """One thing that is wrong: its code, what the code speaks of, and a sentence that says what to do."""

    code: str
    message: str
    options: Mapping[str, Any] = field(default_factory=dict)


class InvalidParametersError(ValueError):
    """A request that can't be answered as it is. `problems` are by path, such as ("filter", "operations", 0).

    `is_truncated` says that there may be more problems.
    """

    def __init__(
        self, problems: Mapping[tuple[str | int, ...], Iterable[ParameterError]], *, is_truncated: bool = False
    ) -> None:
        self.errors = {path: tuple(found) for path, found in problems.items()}
        self.is_truncated = is_truncated
        super().__init__("; ".join(f"{path}: {each.message}" for path, found in self.errors.items() for each in found))

    @property
    def details(self) -> dict[str, Any]:
        """The problems as a tree: arrays are keyed by index, a leaf is a list of what is wrong there."""
        tree: dict[str, Any] = {}
        for path, found in self.errors.items():
            *above, last = map(str, path)
            here = tree
            for step in above:
                here = here.setdefault(step, {})
            here[last] = [
                {"error": each.code, "options": dict(each.options), "message": each.message} for each in found
            ]
        return tree


class ErrorCollector:
    """What is found wrong with a request, gathered so that it is reported at once."""

    def __init__(self) -> None:
        self.errors: dict[tuple[str | int, ...], list[ParameterError]] = {}

    def add(self, path: tuple[str | int, ...], problem: ParameterError) -> None:
        """One more thing wrong at a path. Raises InvalidParametersError once there are MAX_PROBLEMS."""
        steps = tuple(truncate_name(step) if isinstance(step, str) else step for step in path)
        self.errors.setdefault(steps, []).append(problem)
        if sum(map(len, self.errors.values())) >= MAX_ERRORS:
            raise InvalidParametersError(self.errors, is_truncated=True)

    def replace(self, path: tuple[str | int, ...], problem: ParameterError) -> None:
        """One thing wrong at a path, in the place of all that was found at it and below."""
        self.errors = {other: each for other, each in self.errors.items() if other[: len(path)] != path}
        self.add(path, problem)

    def to_exception(self) -> InvalidParametersError:
        """All of it as one error."""
        return InvalidParametersError(self.errors)


def missing(what: str) -> ParameterError:
    """Something that has to be there is not."""
    return ParameterError("presence", f"{what} is missing.")


def truncate_name(name: str) -> str:
    """A name, shortened to MAX_NAME_LENGTH."""
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 3]}..."


def unknown_parameter(name: str, known: Iterable[str]) -> ParameterError:
    """A key that nothing reads."""
    return ParameterError("unknown", f"There is no {truncate_name(name)!r} here: known are {', '.join(known)}.")


def not_in(names: Iterable[str], what: str) -> ParameterError:
    """A value that is none of those there are."""
    options = list(names)
    return ParameterError("inclusion", f"{what} must be one of {', '.join(options)}.", {"in": options})


def invalid_parameter(path: tuple[str | int, ...], code: str, message: str, **options: Any) -> InvalidParametersError:
    """A request with one thing wrong."""
    return InvalidParametersError({path: [ParameterError(code, message, options)]})
