"""Bitset index of a column of lists: testing lists for elements becomes testing bits of integers."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa

WORD_BITS = 64
MAX_ELEMENTS = 32 * WORD_BITS
"""Columns with more distinct elements are not indexed, and their lists are tested one by one."""

MASKS_TYPE = pa.list_(pa.uint64())


@dataclass
class BitsetIndex:
    """The elements of a column of lists and their bits: bit n is bit n % 64 of word n // 64.

    `word_count` is the number of words that the table has columns for.
    """

    column: str
    bit_by_element: dict[object, int] = field(default_factory=dict)
    word_count: int = 0
    is_overflowed: bool = False

    def word_column(self, number: int) -> str:
        """The name of the column of a word."""
        return f'"{self.column}:{number}"'

    @property
    def required_words(self) -> int:
        """The number of words that all elements need."""
        return self.word_count if self.is_overflowed else -(-len(self.bit_by_element) // WORD_BITS)

    def encode(self, lists: pa.Array) -> pa.Array:
        """Encodes lists, which are JSON, as words; assigns bits to new elements."""
        distinct = lists.dictionary_encode()
        masks = [self._mask(each) for each in distinct.dictionary.to_pylist()]
        return pa.array(masks, MASKS_TYPE).take(distinct.indices)

    def _mask(self, text: str) -> list[int]:
        words: list[int] = []
        for each in msgspec.json.decode(text):
            if each is None or self.is_overflowed:
                continue
            bit = self.bit_by_element.setdefault(each, len(self.bit_by_element))
            if bit == MAX_ELEMENTS:
                self.is_overflowed = True
                continue
            words += [0] * (bit // WORD_BITS + 1 - len(words))
            words[bit // WORD_BITS] |= 1 << bit % WORD_BITS
        return words

    def overlap_condition(self, elements: Iterable[Any], owner: str) -> str:
        """The SQL condition that a list of the relation `owner` has any of these elements."""
        masks: dict[int, int] = {}
        for each in elements:
            bit = self.bit_by_element.get(each)
            # No visible row contains an element whose word is still being added.
            if bit is not None and bit // WORD_BITS < self.word_count:
                masks[bit // WORD_BITS] = masks.get(bit // WORD_BITS, 0) | 1 << bit % WORD_BITS
        tests = [
            f"{owner}.{self.word_column(word)} & {mask}::UBIGINT <> 0::UBIGINT" for word, mask in sorted(masks.items())
        ]
        return f"({' OR '.join(tests)})" if tests else "false"
