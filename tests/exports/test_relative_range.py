"""Ranges relative to a run."""

from __future__ import annotations

from datetime import datetime

import pytest

from regulars.exports.relative_range import RelativeRange, parse_range
from regulars.query.errors import ErrorCollector
from regulars.reports.report import ReportFormat


@pytest.mark.parametrize(
    ("last", "start", "end"),
    [
        ("2h", "2026-03-12T04:00:00", "2026-03-12T06:00:00"),
        ("7d", "2026-03-05T00:00:00", "2026-03-12T00:00:00"),
        ("1w", "2026-03-02T00:00:00", "2026-03-09T00:00:00"),
        ("1mo", "2026-02-01T00:00:00", "2026-03-01T00:00:00"),
        ("15mo", "2024-12-01T00:00:00", "2026-03-01T00:00:00"),
    ],
)
def test_a_range_is_whole_units_before_the_run(last: str, start: str, end: str) -> None:
    found = parse_range({"last": last}, ErrorCollector())
    assert found is not None
    at = datetime.fromisoformat("2026-03-12T06:30:15+01:00")
    assert found.resolve(at, ReportFormat.STATISTICS) == {"from": start, "to": end}


def test_a_time_series_ends_with_the_bucket_before_the_run() -> None:
    at = datetime.fromisoformat("2026-03-12T06:30:15")
    found = RelativeRange(1, "d").resolve(at, ReportFormat.TIMESERIES)
    assert found == {"from": "2026-03-11T00:00:00", "to": "2026-03-11T23:59:59"}


@pytest.mark.parametrize(
    "value",
    [None, "7d", {}, {"last": 7}, {"last": "0d"}, {"last": "1001d"}, {"last": "7y"}, {"last": "7d", "x": 1}],
)
def test_other_ranges_are_an_error(value: object) -> None:
    errors = ErrorCollector()
    assert parse_range(value, errors) is None
    assert errors.errors[("range",)][0].code == "invalid_range"
