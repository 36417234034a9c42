"""Counts what is wrong with rows, by kind, with an example of each kind."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_KINDS = 50
"""Most kinds that are counted by themselves; further ones are counted together."""

MAX_MESSAGE_LENGTH = 200

# A text that is no profile may be the name of a person: it is a detail in every message.
_DETAILS = re.compile(r"""((?<=no profile) .*|, not ['"{\[].*|\b\S*[0-9]\S*)$|\S*[0-9]\S*(?=[ ,;:])""", re.DOTALL)


@dataclass(slots=True)
class RowKind:
    """Rows with one kind of message: how many there are, and the first line with its message.

    `message` is the message of the kind, without values of rows.
    """

    count: int
    line: int
    example: str
    message: str


# What stands in quotation marks, or follows a colon, may be the value of a row. Python escapes quotation marks in it.
_VALUES = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`|['"`:].*""", re.DOTALL)


def without_values(field: str, text: str) -> str:
    """A message about rows or a file as it may be stored: without the values that it quotes."""
    path = ".".join(part for part in field.split(".") if not part.isdigit())
    return _VALUES.sub("...", f"{path} {_DETAILS.sub('', text)}".strip())[:MAX_MESSAGE_LENGTH]


class RowKinds:
    """Rows by what is wrong with them."""

    def __init__(self) -> None:
        self.count = 0
        self._kinds: dict[tuple[str, str], RowKind] = {}

    def add(self, line: int, messages: Mapping[str, str]) -> None:
        """Counts one row, under each of its messages."""
        self.count += 1
        for field, text in messages.items():
            key = (field, _DETAILS.sub("", text))
            if key not in self._kinds and len(self._kinds) >= MAX_KINDS:
                key = ("", "other")
            kind = self._kinds.setdefault(key, RowKind(0, line, f"{field} {text}".strip(), without_values(*key)))
            kind.count += 1

    def most_frequent(self) -> list[RowKind]:
        """The kinds, the most frequent first."""
        return sorted(self._kinds.values(), key=lambda each: -each.count)
