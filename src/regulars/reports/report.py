"""What a report is: one declaration, from which validation, SQL, metadata, permits, costs and documents follow."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from regulars.core.field_type import FieldType
from regulars.rollups.intervals import Interval


class ReportFormat(Enum):
    """The shape of an answer, and its `result_type`."""

    RECORDS = "records"
    TIMESERIES = "timeseries"
    STATISTICS = "statistics"


class Backend(Enum):
    """Where the rows of a report are."""

    __hash__ = object.__hash__

    POSTGRES = "PostgreSQL, in one snapshot"
    DUCKDB = "the community's columnar copy of its members, caught up with that snapshot; or files, by DuckDB"
    SPARK = "files, by Spark"


@dataclass(frozen=True, slots=True)
class RowSource:
    """The rows that a report is made of: a SELECT over one community, its rows called `r` by all other SQL.

    Its parameters are names: $community and $club (the community's two numbers), $now, $today (the community's date
    as a number, 20261124), $min_cell_size (the smallest count that is shown, 0 shows all); in timeseries also $interval (such
    as '1d'), $starts and $ends (the instants at which the buckets asked for begin and end, as arrays), and its rows
    have a `bucket`, the start of theirs; in statistics $from and $to (from <= t < to).
    """

    backend: Backend
    sql: str


@dataclass(frozen=True, slots=True)
class PreAggregation:
    """Rows added up further than a report's own, for requests that ask for no other fields than these."""

    fields: tuple[str, ...]
    source: RowSource


@dataclass(frozen=True, slots=True)
class EnumValue:
    """A value of an enum, in the order in which series are told apart."""

    name: str
    description: str = ""


def enum_values(descriptions: Mapping[str, str]) -> tuple[EnumValue, ...]:
    """The values of an enum from their descriptions by name."""
    return tuple(EnumValue(name, description) for name, description in descriptions.items())


@dataclass(frozen=True, slots=True)
class ReportField:
    """A field of a report's rows.

    `sql` is an expression over `r` (its own column unless it says else). FLAGS have two lists instead, of the names
    that are true and of those that are false, in `flags`. `values` make it an enum. `groups` says that rows can be
    grouped by it; `labels` are the keys of such a group, for an array in the singular. One that is not `shown` only
    filters and groups. `by_header` says that it is filtered by the X-Customer header alone.
    """

    name: str
    type: FieldType
    description: str
    sql: str = ""
    filterable: bool = False
    is_tenant_field: bool = False
    values: tuple[EnumValue, ...] = ()
    groupable: bool = False
    group_labels: tuple[str, ...] = ()
    visible: bool = True
    flag_columns: tuple[str, str] | None = None

    def __hash__(self) -> int:
        # Looked up with every comparison of a filter.
        return hash(self.name)

    @property
    def expression(self) -> str:
        """The SQL of it."""
        return self.sql or f"r.{self.name}"

    @property
    def label_names(self) -> tuple[str, ...]:
        """What a group by it is labelled with."""
        return self.group_labels or (("consent", "status") if self.type is FieldType.FLAGS else (self.name,))


COMMUNITY_ID = ReportField(
    "community_id",
    FieldType.INTEGER,
    "ID of community.",
    sql="$community",
    filterable=True,
    is_tenant_field=True,
    groupable=True,
)
LOYALTY_CLUB_ID = ReportField(
    "loyalty_club_id",
    FieldType.INTEGER,
    "ID of the loyalty club, the community's other number.",
    sql="$club",
    filterable=True,
    is_tenant_field=True,
    groupable=True,
)


@dataclass(frozen=True, slots=True)
class ReportMeasure:
    """A number of a group of rows: an aggregate over `r`, or the quotient of two other measures.

    Measures with SQL add up over communities, for no member is in two of them; quotients are taken of what was added
    up, null where the divisor is 0, half-even to `decimals`, or to as many as the dividend has. `unique_by` says that
    it is a number of different members: the SQL joins sets of bits, among rows that share this expression. Where it
    `is_unique` the SQL joins numbers instead, four bytes each, that other rows may have as well: the different ones are
    counted when all is joined.
    """

    name: str
    type: FieldType
    description: str
    sql: str = ""
    quotient: tuple[str, str] | None = None
    decimals: int | None = 4
    distinct_partition: str = ""
    is_id_list: bool = False


@dataclass(frozen=True, slots=True)
class Grouping:
    """A way to group a report's rows: the fields that label its groups.

    `measures` are measured instead of the report's own, where it has any.
    """

    name: str
    fields: tuple[str, ...]
    description: str
    measures: tuple[ReportMeasure, ...] = ()


@dataclass(frozen=True, eq=False)
class Report:
    """One report, the same as itself alone: it is declared once, and compared with every request.

    RECORDS: `key` are the fields that order its rows and tell them apart; one without a key is always a group, of the
    whole community unless it is grouped otherwise. TIMESERIES and STATISTICS: `grouped_by` are the fields that label
    groups where no aggregation is asked for. `metric` is the label that tells several measures apart, each a series of
    its own; without it there is one measure, or, in records and statistics, each is a value by its name. `adds` says
    that values of different groups may be added, so that there is an aggregation `total`. `at_end` says that values are
    what holds at the end of a bucket, not what happens in it: of two that share a wall time the later counts. `grains`
    are smaller sources of the same values, the smallest first. `counts` is the measure that counts members: where it is
    small, an organization may have a group hidden. `in_order` are expressions over `r` that put the groups of
    `grouped_by` in the order in which they go out, for a timeseries of one measure that is never null: no more of them
    are made than go out.
    """

    name: str
    format: ReportFormat
    description: str
    cost: int
    fields: tuple[ReportField, ...]
    source: RowSource
    key: tuple[str, ...] = ()
    default_group_by: tuple[str, ...] = ()
    groupings: tuple[Grouping, ...] = ()
    measures: tuple[ReportMeasure, ...] = ()
    metric: str = ""
    is_additive: bool = True
    is_gauge: bool = False
    series_order: tuple[str, ...] = ()
    intervals: tuple[Interval, ...] = ()
    pre_aggregations: tuple[PreAggregation, ...] = ()
    count_measure: str = ""

    def __post_init__(self) -> None:
        names = [each.name for each in self.fields]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{self.name}: declared more than once: {sorted(repeated)}")
        types = {each.name: each.type for each in self.fields} | {each.name: each.type for each in self.measures}
        if unsupported := sorted(name for name, type_ in types.items() if not type_.report_name):
            raise ValueError(f"{self.name}: reports do not support the types of {unsupported}")
        wanted = {
            *self.key,
            *self.default_group_by,
            *(name for each in self.groupings for name in each.fields),
            *(name for each in self.pre_aggregations for name in each.fields),
        }
        if unknown := wanted - set(names):
            raise ValueError(f"{self.name}: no field is called {sorted(unknown)}")

    @property
    def permit(self) -> str:
        """What a token needs to ask for it."""
        return "Reporting:Api:Report:" + "".join(part.capitalize() for part in self.name.split("_"))

    def measures_for(self, aggregation: Grouping | None) -> tuple[ReportMeasure, ...]:
        """What its groups are measured by."""
        return self.measures if aggregation is None else aggregation.measures or self.measures

    def source_for(self, fields: Collection[str]) -> RowSource:
        """The smallest source that has all fields that a request filters and groups by."""
        asked = {name for name in fields if not self.fields_by_name[name].is_tenant_field}
        return next((each.source for each in self.pre_aggregations if asked <= set(each.fields)), self.source)

    @cached_property
    def fields_by_name(self) -> Mapping[str, ReportField]:
        """Its fields by name."""
        return {each.name: each for each in self.fields}

    @cached_property
    def groupings_by_name(self) -> Mapping[str, Grouping]:
        """Every way to group it, by name: those declared, one for each field that groups, and `total`."""
        found = {each.name: each for each in self.groupings}
        prefix = "by_" if self.format is ReportFormat.RECORDS else ""
        for each in self.fields:
            if each.groupable:
                name = f"{prefix}{each.name}"
                found.setdefault(name, Grouping(name, (each.name,), f"By {each.name}."))
        if self.format is not ReportFormat.RECORDS and self.is_additive:
            found.setdefault("total", Grouping("total", (), "All groups added up."))
        return found
