"""A validated report request."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

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


FilterNode = Comparison | LogicalNode


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

    @property
    def measures(self) -> tuple[ReportMeasure, ...]:
        """The measures of the groups."""
        return self.report.measures_for(self.aggregate_by)
