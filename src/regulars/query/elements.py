"""Which elements a list has, as bits: a test of a million lists costs what a test of a million numbers costs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa

BITS = 64
MOST = 32 * BITS
"""A column of lists with more kinds of elements than these is tested list by list."""

MASKS = pa.list_(pa.uint64())


@dataclass
class Elements:
    """The elements that are known in a column of lists, each with its bit: bit n is bit n % 64 of word n // 64.

    `words` are those that there are columns for.
    """

    column: str
    bits: dict[object, int] = field(default_factory=dict)
    words: int = 0
    are_too_many: bool = False

    def word(self, number: int) -> str:
        """The name of the column that holds a word."""
        return f'"{self.column}:{number}"'

    @property
    def needed(self) -> int:
        """How many words there must be."""
        return self.words if self.are_too_many else -(-len(self.bits) // BITS)

    def masks(self, lists: pa.Array) -> pa.Array:
        """The words of lists, which are given as JSON; elements that are new get their bits."""
        told_apart = lists.dictionary_encode()
        masks = [self._mask(each) for each in told_apart.dictionary.to_pylist()]
        return pa.array(masks, MASKS).take(told_apart.indices)

    def _mask(self, written: str) -> list[int]:
        words: list[int] = []
        for each in msgspec.json.decode(written):
            if each is None or self.are_too_many:
                continue
            bit = self.bits.setdefault(each, len(self.bits))
            if bit == MOST:
                self.are_too_many = True
                continue
            words += [0] * (bit // BITS + 1 - len(words))
            words[bit // BITS] |= 1 << bit % BITS
        return words

    def any_of(self, wanted: Iterable[Any], owner: str) -> str:
        """DuckDB's condition that a list of the relation `owner` has one of these elements."""
        masks: dict[int, int] = {}
        for each in wanted:
            bit = self.bits.get(each)
            # One that is being learned while this is asked is in no row yet that can be seen.
            if bit is not None and bit // BITS < self.words:
                masks[bit // BITS] = masks.get(bit // BITS, 0) | 1 << bit % BITS
        tests = [f"{owner}.{self.word(word)} & {mask}::UBIGINT <> 0::UBIGINT" for word, mask in sorted(masks.items())]
        return f"({' OR '.join(tests)})" if tests else "false"
