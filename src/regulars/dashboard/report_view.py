"""A view of a report: what a link says about grouping, interval, period and filter, and the request that follows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from regulars.dashboard import filter_tree, periods
from regulars.dashboard.filter_tree import InvalidFilterError
from regulars.dashboard.periods import Period
from regulars.dashboard.visit import Visit
from regulars.web.bodies import encode

CUSTOM = "custom"
"""The choice of dates in place of a preset."""

ROWS = 100
"""Records of a page of the table."""


@dataclass(frozen=True, slots=True)
class ReportView:
    """A view of a report. `period_code` is empty for dates; `has_invalid_filter` and `has_invalid_dates` say what was ignored."""

    metadata: Mapping[str, Any]
    aggregate_by: str
    interval: str
    period_code: str
    period: Period
    filter: Any
    page_info: str = ""
    has_invalid_filter: bool = False
    has_invalid_dates: bool = False

    @property
    def report(self) -> str:
        """The name of the report."""
        name: str = self.metadata["name"]
        return name

    @property
    def has_range(self) -> bool:
        """Whether the report is about a range of time."""
        return bool(self.metadata["format"] != "records")

    @property
    def is_list(self) -> bool:
        """Whether the answer is a list of rows, which comes in pages."""
        return not self.has_range and not self.aggregate_by

    @property
    def query(self) -> dict[str, Any]:
        """The request without its range and page."""
        parts = {"aggregate_by": self.aggregate_by, "interval": self.interval, "filter": self.filter}
        return {"report": self.report, **{key: value for key, value in parts.items() if value}}

    @property
    def whole_body(self) -> dict[str, Any]:
        """The request for the whole answer."""
        return {**self.query, **(self.period.range if self.has_range else {})}

    @property
    def body(self) -> dict[str, Any]:
        """The request for what the page shows."""
        if self.has_range:
            return self.whole_body
        page = {"page_info": self.page_info} if self.page_info else {}
        return {**self.query, "limit": ROWS if self.is_list else 1_000, **page}

    @property
    def params(self) -> dict[str, str | None]:
        """The parameters of a link to the view."""
        dates = {"period": self.period_code or None, "from": None, "to": None}
        if not self.period_code:
            dates |= {"from": self.period.start.isoformat(), "to": self.period.last_day.isoformat()}
        return {
            "group": self.aggregate_by or None,
            "interval": self.interval or None,
            **(dates if self.has_range else {}),
            "filter": None if self.filter is None else encode_filter(self.filter),
        }


def encode_filter(tree: Any) -> str:
    """A filter as text of a link."""
    return encode(tree).decode() if tree is not None else ""


def local_date(visit: Visit) -> date:
    """Today in the time zone of the first selected club."""
    return visit.now.astimezone(ZoneInfo(visit.clubs[0].timezone)).date()


def read_view(visit: Visit, metadata: Mapping[str, Any]) -> ReportView:
    """The view that the link describes. What it says wrongly is replaced by the default."""
    query = visit.query
    groupings = [each["name"] for each in metadata["aggregations"]]
    group, interval = query.get("group", ""), query.get("interval", "")
    code, today = query.get("period", "").removeprefix(CUSTOM), local_date(visit)
    period = periods.resolve(code, today) if code else None
    has_invalid_dates = bool(code) and period is None
    if not code and (query.get("from") or query.get("to")):
        period = periods.between(query.get("from", ""), query.get("to", ""))
        has_invalid_dates = period is None
    if period is None:
        code, period = periods.DEFAULT, periods.resolve(periods.DEFAULT, today)
    assert period is not None  # noqa: S101 - the default is a preset
    tree, has_invalid_filter = None, False
    try:
        tree = filter_tree.parse_link(query.get("filter", ""))
    except InvalidFilterError:
        has_invalid_filter = True
    return ReportView(
        metadata,
        group if group in groupings else "",
        interval if interval in metadata.get("intervals", ()) else "",
        code,
        period,
        tree,
        query.get("page_info", ""),
        has_invalid_filter,
        has_invalid_dates,
    )
