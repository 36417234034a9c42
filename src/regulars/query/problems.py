"""What is wrong with a request, in the shape of the request itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_PROBLEMS = 100
"""Most problems of a request that are reported; checking stops there."""

MAX_NAME_LENGTH = 100
"""Most characters of a name from a request that are repeated in an answer."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: its code, what the code speaks of, and a sentence that says what to do."""

    code: str
    message: str
    options: Mapping[str, Any] = field(default_factory=dict)


class InvalidParametersError(ValueError):
    """A request that can't be answered as it is. `problems` are by path, such as ("filter", "operations", 0).

    `is_truncated` says that there may be more problems.
    """

    def __init__(
        self, problems: Mapping[tuple[str | int, ...], Iterable[Problem]], *, is_truncated: bool = False
    ) -> None:
        self.problems = {path: tuple(found) for path, found in problems.items()}
        self.is_truncated = is_truncated
        super().__init__(
            "; ".join(f"{path}: {each.message}" for path, found in self.problems.items() for each in found)
        )

    @property
    def details(self) -> dict[str, Any]:
        """The problems as a tree: arrays are keyed by index, a leaf is a list of what is wrong there."""
        tree: dict[str, Any] = {}
        for path, found in self.problems.items():
            *above, last = map(str, path)
            here = tree
            for step in above:
                here = here.setdefault(step, {})
            here[last] = [
                {"error": each.code, "options": dict(each.options), "message": each.message} for each in found
            ]
        return tree


class Problems:
    """What is found wrong with a request, gathered so that it is reported at once."""

    def __init__(self) -> None:
        self.found: dict[tuple[str | int, ...], list[Problem]] = {}

    def add(self, path: tuple[str | int, ...], problem: Problem) -> None:
        """One more thing wrong at a path. Raises InvalidParametersError once there are MAX_PROBLEMS."""
        steps = tuple(shortened(step) if isinstance(step, str) else step for step in path)
        self.found.setdefault(steps, []).append(problem)
        if sum(map(len, self.found.values())) >= MAX_PROBLEMS:
            raise InvalidParametersError(self.found, is_truncated=True)

    def replaced(self, path: tuple[str | int, ...], problem: Problem) -> None:
        """One thing wrong at a path, in the place of all that was found at it and below."""
        self.found = {other: each for other, each in self.found.items() if other[: len(path)] != path}
        self.add(path, problem)

    def error(self) -> InvalidParametersError:
        """All of it as one error."""
        return InvalidParametersError(self.found)


def missing(what: str) -> Problem:
    """Something that has to be there is not."""
    return Problem("presence", f"{what} is missing.")


def shortened(name: str) -> str:
    """A name, shortened to MAX_NAME_LENGTH."""
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 3]}..."


def unknown(name: str, known: Iterable[str]) -> Problem:
    """A key that nothing reads."""
    return Problem("unknown", f"There is no {shortened(name)!r} here: known are {', '.join(known)}.")


def not_among(names: Iterable[str], what: str) -> Problem:
    """A value that is none of those there are."""
    options = list(names)
    return Problem("inclusion", f"{what} must be one of {', '.join(options)}.", {"in": options})


def invalid(path: tuple[str | int, ...], code: str, message: str, **options: Any) -> InvalidParametersError:
    """A request with one thing wrong."""
    return InvalidParametersError({path: [Problem(code, message, options)]})
