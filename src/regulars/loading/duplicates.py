"""Which ids come again later in a file: found with little memory, however long the file is."""

import heapq
import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import IO

MAX_NUMBERS_IN_MEMORY = 1_000_000
"""Numbers that are held before they go to disk: 8 MB, and 40 more while they are put in order."""

_AT_ONCE = 16_384
_MASK = 2**64 - 1


class DuplicateIds:
    """Numbers that texts were hashed to more than once; a text that shares one by chance is among them."""

    def __init__(self, numbers: "array[int]") -> None:
        self._numbers = numbers

    def __contains__(self, text: str) -> bool:
        number = hash(text) & _MASK
        place = bisect_left(self._numbers, number)
        return place < len(self._numbers) and self._numbers[place] == number


class DuplicateFinder:
    """Takes texts, and tells which of them came more than once."""

    def __init__(self, in_memory: int = MAX_NUMBERS_IN_MEMORY) -> None:
        self._numbers = array("Q")
        self._in_memory = in_memory
        self._files = ExitStack()
        self._runs: list[IO[bytes]] = []

    def add(self, text: str) -> None:
        """Takes one text."""
        self._numbers.append(hash(text) & _MASK)
        if len(self._numbers) >= self._in_memory:
            run = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed with the others
            run.write(array("Q", sorted(self._numbers)).tobytes())
            run.seek(0)
            self._runs.append(run)
            self._numbers = array("Q")

    def find(self) -> DuplicateIds:
        """Those that came more than once. Ends the taking."""
        found = array("Q")
        with self._files:
            runs = [_numbers(run) for run in self._runs]
            for before, number in pairwise(heapq.merge(sorted(self._numbers), *runs)):
                if before == number and (not found or found[-1] != number):
                    found.append(number)
        return DuplicateIds(found)


def _numbers(run: IO[bytes]) -> Iterator[int]:
    while content := run.read(8 * _AT_ONCE):
        yield from array("Q", content)
