"""What a computation is told and finds out before it begins: its tables, its club, what its rows are like."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from enum import Enum

from regulars.bulk.reading import Given
from regulars.bulk.tables import Table


@dataclass(frozen=True, slots=True)
class Source:
    """A table as it was given: the relation of its rows, and its columns by the names that ours have."""

    table: Table
    relation: str
    columns: Mapping[str, Given]

    def has(self, *names: str) -> bool:
        """Whether any of these columns is there."""
        return any(name in self.columns for name in names)


@dataclass(frozen=True, slots=True)
class Club:
    """What all facts are read by."""

    timezone: str
    currency: str
    minor_digits: int


@dataclass(frozen=True, slots=True)
class Step:
    """One relation of facts: `keeps` says that it is read more than once, and costs more than a scan."""

    name: str
    sql: str
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class Faults:
    """What may be wrong with a row, each by its number from 1."""

    texts: list[str] = field(default_factory=list)

    def number(self, text: str) -> int:
        """The number of a fault."""
        self.texts.append(text)
        return len(self.texts)


class Lines(Enum):
    """Where the lines of transactions are."""

    NOWHERE = 0
    WITHIN = 1
    """Each transaction is one row with one line in columns of its own."""
    APART = 2
    """A list in a column, or rows with one external id."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of the transactions before their facts are made: what of them definitions read, how many decimals
    the columns have that are given.
    """

    club: Club
    read: Set[str]
    scales: Mapping[str, int]
    has_rates: bool
    has_zones: bool
    repeats: bool
    lines: Lines
    has_profiles: bool
    has_locations: bool
    has_products: bool
    has_anonymous: bool = False
    """Whether what nobody known by name bought is a fact too."""
