"""What is wrong with a request, in the shape of the request itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: its code, what the code speaks of, and a sentence that says what to do."""

    code: str
    message: str
    options: Mapping[str, Any] = field(default_factory=dict)


class InvalidParametersError(ValueError):
    """A request that can't be answered as it is. `problems` are by path, such as ("filter", "operations", 0)."""

    def __init__(self, problems: Mapping[tuple[str | int, ...], Iterable[Problem]]) -> None:
        self.problems = {path: tuple(found) for path, found in problems.items()}
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


def invalid(path: tuple[str | int, ...], code: str, message: str, **options: Any) -> InvalidParametersError:
    """A request with one thing wrong."""
    return InvalidParametersError({path: [Problem(code, message, options)]})
