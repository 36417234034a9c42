"""Which elements a list has, as bits: a test of a million lists costs what a test of a million numbers costs."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

BITS = 64
MOST = 32 * BITS
"""A column of lists with more kinds of elements than these is tested list by list."""


@dataclass
class Elements:
    """The elements that are known in a column of lists, each with its bit: bit n is bit n % 64 of word n // 64, and
    each word is a column of its own.
    """

    column: str
    bits: dict[object, int] = field(default_factory=dict)
    words: int = 0
    are_too_many: bool = False

    def word(self, number: int) -> str:
        """The name of the column that holds a word."""
        return f'"{self.column}:{number}"'

    def learn(self, found: Collection[object]) -> range:
        """Gives elements that are new their bits; gives the numbers of the words that they need, to be `grown` by."""
        if len(self.bits) + len(found) > MOST:
            self.are_too_many = True
            return range(0)
        for each in found:
            self.bits[each] = len(self.bits)
        return range(self.words, -(-len(self.bits) // BITS))

    def grown(self, by: range) -> None:
        """Takes these words for columns that are there."""
        self.words += len(by)

    def any_of(self, wanted: Iterable[object], owner: str) -> str:
        """DuckDB's condition that a list of the relation `owner` has one of these elements."""
        masks: dict[int, int] = {}
        for each in wanted:
            bit = self.bits.get(each)
            # One that is being learned while this is asked is in no row yet that can be seen.
            if bit is not None and bit // BITS < self.words:
                masks[bit // BITS] = masks.get(bit // BITS, 0) | 1 << bit % BITS
        tests = [f"{owner}.{self.word(word)} & {mask}::UBIGINT <> 0::UBIGINT" for word, mask in sorted(masks.items())]
        return f"({' OR '.join(tests)})" if tests else "false"
