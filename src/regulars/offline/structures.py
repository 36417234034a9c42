"""What a computation is told and finds out before it begins: its tables, its club, what its rows are like."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from enum import Enum

from regulars.offline.casting import InputColumn
from regulars.offline.schema import TableSpec


@dataclass(frozen=True, slots=True)
class InputTable:
    """A table as it was given: the relation of its rows, and its columns by the names that ours have."""

    table: TableSpec
    relation: str
    columns: Mapping[str, InputColumn]

    def has(self, *names: str) -> bool:
        """Whether any of these columns is there."""
        return any(name in self.columns for name in names)


@dataclass(frozen=True, slots=True)
class ClubContext:
    """What all facts are read by."""

    timezone: str
    currency: str
    minor_digits: int


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One relation of facts: `keeps` says that it is read more than once, and costs more than a scan."""

    name: str
    sql: str
    is_materialized: bool = False


@dataclass(frozen=True, slots=True)
class RowErrors:
    """What may be wrong with a row, each by its number from 1."""

    messages: list[str] = field(default_factory=list)

    def add(self, text: str) -> int:
        """The number of a fault."""
        self.messages.append(text)
        return len(self.messages)


class LineLayout(Enum):
    """Where the lines of transactions are."""

    NONE = 0
    INLINE = 1
    """Each transaction is one row with one line in columns of its own."""
    SEPARATE = 2
    """A list in a column, or rows with one external id."""


@dataclass(frozen=True, slots=True)
class InputTraits:
    """What is known of the transactions before their facts are made: what of them definitions read, how many decimals
    the columns have that are given.
    """

    club: ClubContext
    columns_read: Set[str]
    scales: Mapping[str, int]
    has_rates: bool
    has_timezones: bool
    has_repeated_ids: bool
    line_layout: LineLayout
    has_profiles: bool
    has_locations: bool
    has_products: bool
    has_anonymous: bool = False
    """Whether what nobody known by name bought is a fact too."""
