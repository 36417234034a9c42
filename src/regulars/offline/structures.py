"""Data structures of the pipeline: input tables, club, plan steps, row errors and traits of the input."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from regulars.aggregations.aggregation import Aggregation
from regulars.core.cells import CellFormat
from regulars.core.field_type import FieldType
from regulars.model.transactions.void_statuses import DEFAULT_VOID_STATUSES
from regulars.offline.casting import CastDialect, InputColumn
from regulars.offline.schema import TableSpec


@dataclass(frozen=True, slots=True)
class InputTable:
    """A registered input: its specification, the relation of its rows, and its columns by declared name.

    `has_empty_rows` says that rows without any value, as programs write after the last row of a sheet, are skipped.
    """

    spec: TableSpec
    relation: str
    columns: Mapping[str, InputColumn]
    has_empty_rows: bool = False

    def has(self, *names: str) -> bool:
        """Whether the input has any of these columns."""
        return any(name in self.columns for name in names)


NoticeCallback = Callable[[str], None]
"""Receives what a caller should know about the input, such as how a file was read."""


@dataclass(frozen=True, slots=True)
class ClubContext:
    """Time zone, currency and void statuses that apply to all facts."""

    timezone: str
    currency: str
    minor_digits: int
    void_statuses: tuple[str, ...] = DEFAULT_VOID_STATUSES


@dataclass(frozen=True, slots=True)
class PlanStep:
    """A relation to create; materialized if it is read more than once and costs more than a scan."""

    name: str
    sql: str
    is_materialized: bool = False


@dataclass(frozen=True, slots=True)
class InvalidCells:
    """The SELECT of the first invalid cells of a column, its type, and how its text is written."""

    query: str
    type: FieldType
    cell_format: CellFormat


@dataclass(frozen=True, slots=True)
class RowErrors:
    """Messages of possible errors of a row, numbered from 1; for those about a cell, the invalid cells."""

    messages: list[str] = field(default_factory=list)
    cells: dict[int, InvalidCells] = field(default_factory=dict)

    def add(self, text: str, cells: InvalidCells | None = None) -> int:
        """Adds a message and returns its number."""
        self.messages.append(text)
        number = len(self.messages)
        if cells is not None:
            self.cells[number] = cells
        return number


class LineLayout(Enum):
    """Layout of the line items of transactions."""

    NONE = 0
    INLINE = 1
    """Each transaction is one row with one line item in separate columns."""
    SEPARATE = 2
    """Line items are a list in a column, or rows with the same external id."""


@dataclass(frozen=True, slots=True)
class InputTraits:
    """Traits of the transactions that determine the plan.

    `columns_read` are the columns that definitions read, `scales` the decimal places of input columns.
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
    has_numbered_ids: bool = False
    """Whether each transaction has an id, whose numbers are unique."""
    has_anonymous: bool = False
    """Whether anonymous purchases are included."""


class EngineBackend(Protocol):
    """An engine: registers inputs, creates named relations, and returns or writes results."""

    dialect: CastDialect

    def register(self, table: TableSpec, value: Any, names: Mapping[str, str]) -> InputTable:
        """Registers an input table. Raises InvalidInputError if it can't be read or lacks a required column."""

    def number_rows(self, relation: str) -> str:
        """A relation with `row_number`, which orders the rows of a file as they are in it."""

    def is_small(self, relation: str) -> bool:
        """Whether an input has so few rows that storing its typed rows costs less than planning them repeatedly."""

    def create(self, step: PlanStep) -> None:
        """Creates a relation that later steps refer to by name."""

    def create_lookup(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Creates a small table of strings."""

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a small result."""

    def execute(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of a report's statement with positional parameters."""

    def to_table(self, select: str) -> Any:
        """The values in the engine's table format."""

    def write(self, select: str, target: str, aggregations: Sequence[Aggregation]) -> None:
        """Writes values to a file or folder."""
