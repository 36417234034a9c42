"""Counts what is wrong with rows, by kind, with an example of each kind."""

from collections.abc import Mapping
from dataclasses import dataclass

from regulars.core.errors import unquoted

MAX_KINDS = 50
"""Most kinds that are counted by themselves; further ones are counted together."""

MAX_MESSAGE_LENGTH = 200


@dataclass(slots=True)
class RowKind:
    """Rows with one kind of message: how many there are, and the first line with its message.

    `message` is the message of the kind, without values of rows.
    """

    count: int
    line: int
    example: str
    message: str


def storable(field: str, message: str) -> str:
    """A message about rows or a file as it may be stored: without the values that it quotes, and numbers of items."""
    path = ".".join(part for part in field.split(".") if not part.isdigit())
    return f"{path} {unquoted(message)}".strip()[:MAX_MESSAGE_LENGTH]


class RowKinds:
    """Rows by what is wrong with them."""

    def __init__(self) -> None:
        self.count = 0
        self._kinds: dict[tuple[str, str], RowKind] = {}

    def add(self, line: int, messages: Mapping[str, str]) -> None:
        """Counts one row, under each of its messages."""
        self.count += 1
        for field, text in messages.items():
            key = (field, unquoted(text))
            if key not in self._kinds and len(self._kinds) >= MAX_KINDS:
                key = ("", "other")
            kind = self._kinds.setdefault(key, RowKind(0, line, f"{field} {text}".strip(), storable(*key)))
            kind.count += 1

    def most_frequent(self) -> list[RowKind]:
        """The kinds, the most frequent first."""
        return sorted(self._kinds.values(), key=lambda each: -each.count)
