"""What a report is: one declaration, from which validation, SQL, metadata, permits, costs and documents follow."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from regulars.core.field_type import FieldType
from regulars.rollups.intervals import Interval


class ReportFormat(Enum):
    """The format of a result, and its `result_type`."""

    RECORDS = "records"
    TIMESERIES = "timeseries"
    STATISTICS = "statistics"


class Backend(Enum):
    """Where the rows of a report are."""

    __hash__ = object.__hash__

    POSTGRES = "PostgreSQL, in one snapshot"
    DUCKDB = "the columnar replica of a community's members, caught up with that snapshot; or files, by DuckDB"
    SPARK = "files, by Spark"


@dataclass(frozen=True, slots=True)
class RowSource:
    """The rows of a report: a SELECT over one community, which all other SQL refers to as `r`.

    Parameters are named: $community and $club (the two ids of the community), $zone (its time zone), $now, $today (its
    local date as a number such as 20261124), $min_cell_size (the smallest count that is shown, 0 shows all). Timeseries
    also have $interval (such as '1d') and the arrays $starts and $ends of contiguous buckets, and their rows have a
    `bucket`, the start of theirs; those of buckets that are not requested are dropped. Statistics have $from and $to
    (from <= t < to).
    """

    backend: Backend
    sql: str


@dataclass(frozen=True, slots=True)
class PreAggregation:
    """Rows aggregated by a subset of the report's fields, for queries that use no other fields."""

    fields: tuple[str, ...]
    source: RowSource


@dataclass(frozen=True, slots=True)
class EnumValue:
    """A value of an enum; series are sorted in the declared order."""

    name: str
    description: str = ""


def enum_values(descriptions: Mapping[str, str]) -> tuple[EnumValue, ...]:
    """The values of an enum from their descriptions by name."""
    return tuple(EnumValue(name, description) for name, description in descriptions.items())


@dataclass(frozen=True, slots=True)
class ReportField:
    """A field of a report's rows.

    `sql` is an expression over `r`, by default the column of the same name. FLAGS have `flag_columns` instead, two
    lists of the names that are true and of those that are false. A field with `values` is an enum. `group_labels` are
    the label keys of groups by the field, for an array in the singular. A field that is not `visible` can only be used
    in filters and groupings. An `is_tenant_field` is filtered by the X-Customer header only.
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
        # Fields are part of cache keys that are computed for every comparison of a filter.
        return hash(self.name)

    @property
    def expression(self) -> str:
        """The SQL expression of the field."""
        return self.sql or f"r.{self.name}"

    @property
    def label_names(self) -> tuple[str, ...]:
        """The label keys of groups by the field."""
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

    Measures with SQL are added up over communities, because no member is in two of them. Quotients are computed from
    the sums: null where the divisor is 0, rounded half-even to `decimals`, or to the decimals of the dividend. With
    `distinct_partition`, an expression, the measure counts distinct members: the SQL combines bitmaps among rows that
    share the expression. With `is_id_list` the SQL concatenates ids of four bytes each instead, which may be repeated
    and are counted after merging. With `largest_of`, an expression, the measure is the largest value among rows that share
    the expression.
    """

    name: str
    type: FieldType
    description: str
    sql: str = ""
    quotient: tuple[str, str] | None = None
    decimals: int | None = 4
    distinct_partition: str = ""
    is_id_list: bool = False
    largest_of: str = ""

    @property
    def partition(self) -> str:
        """The expression by which rows are aggregated before they are added up; empty if they are not."""
        return self.distinct_partition or self.largest_of


@dataclass(frozen=True, slots=True)
class Grouping:
    """A way to group the rows of a report: the fields that label its groups.

    `measures` replace those of the report where there are any.
    """

    name: str
    fields: tuple[str, ...]
    description: str
    measures: tuple[ReportMeasure, ...] = ()


@dataclass(frozen=True, eq=False)
class Report:
    """The declaration of one report. Reports are compared by identity, because they are part of cache keys.

    `key` are the fields that order and identify the rows of RECORDS; records without a key are always grouped, by
    default to one group for each community. `default_group_by` are the fields that label groups where a query of
    TIMESERIES or STATISTICS has no aggregate_by. `metric` is the label that distinguishes several measures of a
    timeseries, each of which is a series. `is_additive` says that values of groups may be added up, so that there is a
    grouping `total`. `is_gauge` says that a value is the state at the end of a bucket, not a count of what happened
    in it: of two buckets with the same local time the later one is used. `pre_aggregations` are smaller sources of the
    same values, the smallest first. `count_measure` is the measure that counts members: groups where it is small are
    suppressed. It is among the measures, or among `hidden_measures`, which results do not have. A member may be in several
    groups of a report that `has_overlapping_groups`. `group_key` are the fields that identify the group of members that a
    row counts: filters of such a report select groups, not members. `series_order` are expressions over `r` that sort the
    groups of `default_group_by` in the order of the result, for a timeseries of one measure that is never null: it allows
    to compute only the series that are returned.
    `has_members` says that its rows are members, so that filters may name segments.
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
    hidden_measures: tuple[ReportMeasure, ...] = ()
    has_overlapping_groups: bool = False
    group_key: tuple[str, ...] = ()
    has_members: bool = False

    def __post_init__(self) -> None:
        names = [each.name for each in self.fields]
        measures = [*self.measures, *self.hidden_measures]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{self.name}: declared more than once: {sorted(repeated)}")
        types = {each.name: each.type for each in self.fields} | {each.name: each.type for each in measures}
        if unsupported := sorted(name for name, type_ in types.items() if not type_.report_name):
            raise ValueError(f"{self.name}: reports do not support the types of {unsupported}")
        used = {
            *self.key,
            *self.default_group_by,
            *(name for each in self.groupings for name in each.fields),
            *(name for each in self.pre_aggregations for name in each.fields),
        }
        if unknown := used - set(names):
            raise ValueError(f"{self.name}: unknown fields {sorted(unknown)}")
        if self.count_measure and self.count_measure not in {each.name for each in measures}:
            raise ValueError(f"{self.name}: unknown measure {self.count_measure}")

    @property
    def permit(self) -> str:
        """The permit that a token needs to query the report."""
        return "Reporting:Api:Report:" + "".join(part.capitalize() for part in self.name.split("_"))

    def measures_for(self, aggregation: Grouping | None) -> tuple[ReportMeasure, ...]:
        """The measures of groups by a grouping, or by default."""
        return self.measures if aggregation is None else aggregation.measures or self.measures

    def source_for(self, fields: Collection[str]) -> RowSource:
        """The smallest source that has all fields used by a query, which may be those of a segment."""
        tenant_fields = {each.name for each in self.fields if each.is_tenant_field}
        field_names = {name for name in fields if name not in tenant_fields}
        return next((each.source for each in self.pre_aggregations if field_names <= set(each.fields)), self.source)

    @cached_property
    def fields_by_name(self) -> Mapping[str, ReportField]:
        """The fields by name."""
        return {each.name: each for each in self.fields}

    @cached_property
    def groupings_by_name(self) -> Mapping[str, Grouping]:
        """All groupings by name: the declared ones, one for each groupable field, and `total`."""
        found = {each.name: each for each in self.groupings}
        prefix = "by_" if self.format is ReportFormat.RECORDS else ""
        for each in self.fields:
            if each.groupable:
                name = f"{prefix}{each.name}"
                found.setdefault(name, Grouping(name, (each.name,), f"By {each.name}."))
        if self.format is not ReportFormat.RECORDS and self.is_additive:
            found.setdefault("total", Grouping("total", (), "All groups added up."))
        return found
