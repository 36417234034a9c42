"""The request of `regulars query`: a body, or the bare name of a report."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.cli.options import UsageError
from regulars.exports.relative_range import MAX_COUNT, RangeOrigin, RelativeRange, parse_range
from regulars.query.errors import ErrorCollector
from regulars.query.parser.request import RequestBody, decode_body
from regulars.reports.report import Report, ReportFormat

DEFAULT_LAST = "30d"
"""The range of a bare name of a report that needs one."""

_NAME = re.compile(r"\w+")


class QueryRequest:
    """A request whose range may be relative, so that it depends on the time and the time zone of the tenants."""

    def __init__(self, text: str, last: str | None, reports: Mapping[str, Report]) -> None:
        """Reads a body or a name. Raises InvalidJsonError and UsageError."""
        is_name = _NAME.fullmatch(text.strip()) is not None and not text.strip().isdecimal()
        self.body: dict[str, Any] = {"report": text.strip()} if is_name else decode_body(text.encode(errors="replace"))
        name = self.body.get("report")
        report = reports.get(name) if isinstance(name, str) else None
        self._format = None if report is None else report.format
        needs_range = self._format in (ReportFormat.TIMESERIES, ReportFormat.STATISTICS)
        if last is not None and not needs_range and self._format is not None:
            raise UsageError(f"--last is {last!r}, but {name} has no range of time.")
        if last is not None and {"from", "to"} & set(self.body):
            raise UsageError(f"--last is {last!r}, but the body has from or to. Use one of them.")
        self._range = _parse(last or DEFAULT_LAST) if needs_range and (last is not None or is_name) else None

    @property
    def is_page(self) -> bool:
        """Whether it is about one page."""
        return bool({"limit", "page_info"} & set(self.body))

    def at(self, now: datetime, tenants: Sequence[Tenant] = ()) -> RequestBody:
        """The body with its range at a time: units that have ended for all tenants."""
        if self._range is None or self._format is None:
            return self.body
        return {**self.body, **self._range.resolve(RangeOrigin.of(now, tenants), self._format)}


def _parse(last: str) -> RelativeRange:
    found = parse_range({"last": last}, ErrorCollector())
    if found is None:
        raise UsageError(
            f"--last is {last!r}. Allowed: a number from 1 to {MAX_COUNT} and a unit: h, d, w or mo, such as 7d."
        )
    return found
