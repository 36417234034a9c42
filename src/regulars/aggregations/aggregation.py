"""What an aggregation is: one declaration, from which every engine, table, page and document follows."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class ValueType(Enum):
    """The type of a value: its name outside, and the PostgreSQL column that keeps it."""

    MONEY = "decimal", "bigint"
    """Minor units of the community's currency inside, a decimal outside."""
    PERCENT = "percentage", "numeric"
    """Hundredths of a percent inside, a decimal with two places outside; of any size, for a price may be tiny."""
    INTEGER = "integer", "bigint"
    ENUM = "code", "text"
    COUNTRY_ALPHA_3 = "ISO 3166-1 alpha-3", "text"
    """Alpha-2 inside, alpha-3 outside."""
    STRING = "string", "text"
    DATE = "date", "date"
    TIMESTAMP = "datetime UTC", "timestamptz"
    LOCATION = "location", "bigint"
    """A location's id inside, the whole location outside."""
    LOCATIONS = "list of location ids", "bigint[]"
    STRINGS = "list of strings", "text[]"
    PROFILE_ID = "uuid", ""
    """The key of the row itself."""
    AS_OF = "datetime UTC, of these values", ""
    """The instant that the row is true for."""
    ALWAYS_NULL = "null", ""
    """Always null, kept for clients that read it."""

    @property
    def column_type(self) -> str:
        """The type of its column; empty where it has none of its own."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Relation:
    """Rows that values are taken from: one profile has any number of them, told apart by `k`.

    `sql` is a SELECT over the inputs of compile.py or over earlier relations; an input has none.
    """

    name: str
    description: str
    sql: str = ""


@dataclass(frozen=True, slots=True)
class SharedMeasure:
    """A number that several aggregations share: an aggregate over a relation, by profile."""

    name: str
    relation: Relation
    sql: str


@dataclass(frozen=True, slots=True)
class TimeTrigger:
    """When values change by the clock alone: the next such instant after as_of, or null.

    `sql` is an aggregate over `over`, or an expression over measures where `over` is None.
    """

    name: str
    relation: Relation | None
    sql: str


@dataclass(frozen=True, slots=True, eq=False)
class Aggregation:
    """One value of a profile.

    `sql` is an aggregate over the rows of `over`, or, where that is None, an expression over measures and
    other aggregations. `when_empty` is the value of a profile without such rows. `evidence` is a condition on
    the rows of `history` that made the value (None: it is not made of transactions), for /explain: they alone
    would give the same value.
    """

    name: str
    type: ValueType
    description: str
    sql: str
    relation: Relation | None = None
    default: str = ""
    time_triggers: tuple[TimeTrigger, ...] = ()
    explain_filter: str | None = None
    explain_fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AggregationRegistry:
    """Every declaration, in the order in which values go out."""

    aggregations: tuple[Aggregation, ...]
    measures: tuple[SharedMeasure, ...]
    relations: tuple[Relation, ...]

    def __post_init__(self) -> None:
        names = [each.name for each in self.aggregations] + [each.name for each in self.measures]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"declared more than once: {sorted(repeated)}")

    @property
    def declarations(self) -> tuple[SharedMeasure | Aggregation | TimeTrigger, ...]:
        """Everything that has SQL of its own."""
        return (*self.measures, *self.aggregations, *self.time_triggers)

    @property
    def time_triggers(self) -> tuple[TimeTrigger, ...]:
        """Every way in which values change by the clock, once each."""
        found: dict[str, TimeTrigger] = {}
        for aggregation in self.aggregations:
            for change in aggregation.time_triggers:
                found.setdefault(change.name, change)
        return tuple(found.values())

    @property
    def by_name(self) -> Mapping[str, Aggregation]:
        """The aggregations by name."""
        return {each.name: each for each in self.aggregations}

    @property
    def stored(self) -> tuple[Aggregation, ...]:
        """The aggregations that have a column of their own."""
        return tuple(each for each in self.aggregations if each.type.column_type)
