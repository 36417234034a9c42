"""Which elements a list has, as bits: a test of a million lists costs what a test of a million numbers costs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa

WORD_BITS = 64
MAX_ELEMENTS = 32 * WORD_BITS
"""A column of lists with more kinds of elements than these is tested list by list."""

MASKS_TYPE = pa.list_(pa.uint64())


@dataclass
class BitsetIndex:
    """The elements that are known in a column of lists, each with its bit: bit n is bit n % 64 of word n // 64.

    `words` are those that there are columns for.
    """

    column: str
    bit_by_element: dict[object, int] = field(default_factory=dict)
    word_count: int = 0
    is_overflowed: bool = False

    def word_column(self, number: int) -> str:
        """The name of the column that holds a word."""
        return f'"{self.column}:{number}"'

    @property
    def required_words(self) -> int:
        """How many words there must be."""
        return self.word_count if self.is_overflowed else -(-len(self.bit_by_element) // WORD_BITS)

    def encode(self, lists: pa.Array) -> pa.Array:
        """The words of lists, which are given as JSON; elements that are new get their bits."""
        told_apart = lists.dictionary_encode()
        masks = [self._mask(each) for each in told_apart.dictionary.to_pylist()]
        return pa.array(masks, MASKS_TYPE).take(told_apart.indices)

    def _mask(self, written: str) -> list[int]:
        words: list[int] = []
        for each in msgspec.json.decode(written):
            if each is None or self.is_overflowed:
                continue
            bit = self.bit_by_element.setdefault(each, len(self.bit_by_element))
            if bit == MAX_ELEMENTS:
                self.is_overflowed = True
                continue
            words += [0] * (bit // WORD_BITS + 1 - len(words))
            words[bit // WORD_BITS] |= 1 << bit % WORD_BITS
        return words

    def overlap_condition(self, wanted: Iterable[Any], owner: str) -> str:
        """DuckDB's condition that a list of the relation `owner` has one of these elements."""
        masks: dict[int, int] = {}
        for each in wanted:
            bit = self.bit_by_element.get(each)
            # One that is being learned while this is asked is in no row yet that can be seen.
            if bit is not None and bit // WORD_BITS < self.word_count:
                masks[bit // WORD_BITS] = masks.get(bit // WORD_BITS, 0) | 1 << bit % WORD_BITS
        tests = [
            f"{owner}.{self.word_column(word)} & {mask}::UBIGINT <> 0::UBIGINT" for word, mask in sorted(masks.items())
        ]
        return f"({' OR '.join(tests)})" if tests else "false"
