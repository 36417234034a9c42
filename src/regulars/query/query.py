"""A request for a report, checked: what every answer is made from."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from regulars.reports.report import Grouping, Report, ReportField, ReportMeasure
from regulars.rollups.intervals import Interval


class Comparison(msgspec.Struct, frozen=True):
    """A comparison of one field. `part` is the name within an object field, such as sms_marketing in consents.

    `type` is one of the filter's operations, spelled as documented; `value` is what it is compared with, checked and
    converted to the field's own type: int, Decimal, str, bool, aware datetime, date, or a tuple of them; None is null.
    """

    type: str
    field: ReportField
    object_key: str | None
    value: Any


class LogicalNode(msgspec.Struct, frozen=True):
    """`and`, `or` or `not` of other nodes; `not` has one."""

    type: str
    nodes: tuple["FilterNode", ...]


FilterNode = Comparison | LogicalNode


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """One request. `start` and `end` are what `from` and `to` say, as written: aware where they had an offset, else
    naive; which zone they are read in depends on the customers. `cursor` and `limit` are of records.
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
        """What its groups are measured by."""
        return self.report.measures_for(self.aggregate_by)
