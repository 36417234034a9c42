"""What an aggregation is: one declaration, from which every engine, table, page and document follows."""

from collections.abc import Mapping
from dataclasses import dataclass

from regulars.core.field_type import FieldType


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
    type: FieldType
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
