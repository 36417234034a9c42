"""A validated report request."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec

from regulars.reports.member_fields import MEMBER_ID
from regulars.reports.report import Grouping, Report, ReportField, ReportMeasure
from regulars.rollups.intervals import Interval


class Comparison(msgspec.Struct, frozen=True):
    """A comparison of one field. `object_key` is the key within an object field, such as sms_marketing in consents.

    `type` is a documented operation; `value` is validated and converted to the type of the field: int, Decimal, str,
    bool, aware datetime, date, or a tuple of them; None is null.
    """

    type: str
    field: ReportField
    object_key: str | None
    value: Any


class LogicalNode(msgspec.Struct, frozen=True):
    """`and`, `or` or `not` of other nodes; `not` has exactly one."""

    type: str
    nodes: tuple["FilterNode", ...]


class SegmentReference(msgspec.Struct, frozen=True):
    """The members of a segment. `filters` are its conditions in each community that defines it, by community."""

    name: str
    filters: Mapping[int, "FilterNode"]
    type: str = "in_segment"

    @property
    def nodes(self) -> tuple["FilterNode", ...]:
        """Raises TypeError: a filter is compiled for one community, with the conditions of its segments."""
        raise TypeError(f"The segment {self.name} is not resolved.")


FilterNode = Comparison | LogicalNode | SegmentReference


class NamedFilter(msgspec.Struct, frozen=True):
    """The filter of a segment; without one, `problem` is why it can't be evaluated."""

    filter: FilterNode | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SegmentFilters:
    """The filters of the segments that a request may use, by community and name."""

    by_community: Mapping[int, Mapping[str, NamedFilter]] = field(default_factory=dict)

    def named(self, name: str) -> dict[int, NamedFilter]:
        """The filters of one name, by community."""
        return {
            community_id: found
            for community_id, filters in self.by_community.items()
            if (found := filters.get(name)) is not None
        }

    @property
    def names(self) -> list[str]:
        """The names of all segments."""
        return sorted({name for filters in self.by_community.values() for name in filters})


NO_SEGMENTS = SegmentFilters()

_NONE = Comparison("in", MEMBER_ID, None, ())
"""No member."""


def resolve_segments(node: FilterNode | None, community_id: int) -> FilterNode | None:
    """The filter with the conditions of a community's segments in place of their names.

    No member is in a segment that the community does not define.
    """
    if isinstance(node, SegmentReference):
        return resolve_segments(node.filters.get(community_id, _NONE), community_id)
    if not isinstance(node, LogicalNode):
        return node
    nodes = tuple([each for operand in node.nodes if (each := resolve_segments(operand, community_id)) is not None])
    is_same = all(each is operand for each, operand in zip(nodes, node.nodes, strict=True))
    return node if is_same else LogicalNode(node.type, nodes)


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """One report request. `start` and `end` are its `from` and `to`: aware where they had an offset, else naive; their
    time zone depends on the tenants. `cursor` and `limit` apply to records.
    """

    report: Report
    filter: FilterNode | None = None
    aggregate_by: Grouping | None = None
    interval: Interval | None = None
    start: datetime | None = None
    end: datetime | None = None
    cursor: str | None = None
    limit: int = 1000

    def for_community(self, community_id: int) -> "ReportQuery":
        """The query with the conditions of a community's segments in its filter."""
        node = resolve_segments(self.filter, community_id)
        return self if node is self.filter else replace(self, filter=node)

    @property
    def measures(self) -> tuple[ReportMeasure, ...]:
        """The measures of the groups."""
        return self.report.measures_for(self.aggregate_by)

    @property
    def all_measures(self) -> tuple[ReportMeasure, ...]:
        """The measures of the groups, and those that results do not have."""
        return (*self.measures, *self.report.hidden_measures)
