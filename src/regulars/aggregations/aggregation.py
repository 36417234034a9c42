"""Declaration of aggregations: SQL for every engine, table columns and documentation are generated from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from regulars.core.field_type import FieldType


@dataclass(frozen=True, slots=True)
class Relation:
    """Rows that values aggregate: any number for each profile, which is identified by `k`.

    `sql` is a SELECT over inputs or earlier relations; it is empty for an input.
    """

    name: str
    description: str
    sql: str = ""


@dataclass(frozen=True, slots=True)
class SharedMeasure:
    """An aggregate over a relation, by profile, that several aggregations use."""

    name: str
    relation: Relation
    sql: str


@dataclass(frozen=True, slots=True)
class TimeTrigger:
    """The next instant after as_of at which the clock alone changes a value, or null.

    `sql` is an aggregate over `relation`, or an expression over measures if `relation` is None.
    """

    name: str
    relation: Relation | None
    sql: str


class ValueGroup(Enum):
    """What values are about, in the order in which people read them."""

    SPEND = "spend"
    PURCHASES = "purchases"
    DIMENSIONS = "dimensions"
    STORES = "stores"
    BRANDS = "brands"
    COUNTRY = "country"
    RECORD = "record"
    """The row of values itself."""


class ValueUnit(Enum):
    """What numbers of a value count, where the type does not say it."""

    DAYS = "days"


@dataclass(frozen=True, slots=True, eq=False)
class Aggregation:
    """One value of a profile.

    `sql` is an aggregate over the rows of `relation`, or an expression over measures and other aggregations if
    `relation` is None. `default` is the value of a profile without such rows. `explain_filter` selects the rows of
    `history` that determine the value, which /explain lists (None: the value does not depend on transactions).
    `explain_fields` are the fields of the profile that it depends on. `codes` are
    the values of an ENUM with their meaning; with `has_more_codes` they continue in the same way. `unit` is what the number
    counts, if the type does not say it.
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
    codes: Mapping[str, str] = field(default_factory=dict)
    has_more_codes: bool = False
    unit: ValueUnit | None = None


@dataclass(frozen=True, slots=True)
class AggregationRegistry:
    """All declarations, in the order in which the API returns them."""

    aggregations: tuple[Aggregation, ...]
    measures: tuple[SharedMeasure, ...]
    relations: tuple[Relation, ...]

    def __post_init__(self) -> None:
        names = [each.name for each in self.aggregations] + [each.name for each in self.measures]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"declared more than once: {sorted(repeated)}")

    @property
    def declarations(self) -> tuple[SharedMeasure | Aggregation | TimeTrigger, ...]:
        """All declarations with SQL."""
        return (*self.measures, *self.aggregations, *self.time_triggers)

    @property
    def time_triggers(self) -> tuple[TimeTrigger, ...]:
        """All distinct time triggers."""
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
        """The aggregations that have a column."""
        return tuple(each for each in self.aggregations if each.type.column_type)
