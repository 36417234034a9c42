"""Answers that the tests draw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from query.sample_reports import REGISTRY
from regulars.charts.answer_chart import Subject, answer_chart
from regulars.charts.chart import Chart

TIMESERIES: dict[str, Any] = {
    "interval": "1d",
    "range_timezone": "Europe/Oslo",
    "time_buckets": ["2026-11-23T00:00:00.000+01:00", "2026-11-24T00:00:00.000+01:00"],
    "series": [
        {"label": {"kind": "out", "platform": None}, "values": [1, None]},
        {"label": {"kind": "</script>", "platform": "ios"}, "values": [2, 3]},
    ],
    "data_points": 3,
    "result_type": "timeseries",
}
STATISTICS: dict[str, Any] = {
    "statistics": [{"label": {"channel": "sms"}, "values": {"count": 10, "average": 0.5}}],
    "from": "2026-11-23T00:00:00",
    "to": "2026-11-24T12:30:00",
    "result_type": "statistics",
}
HISTORY = Subject(replace(REGISTRY["samples_history"], description="a <b> & c. More."))
STATS = REGISTRY["samples_stats"]


def draw(answer: dict[str, Any], subject: Subject = HISTORY, **changes: Any) -> Chart:
    """The chart of an answer."""
    return answer_chart(replace(subject, **changes) if changes else subject, answer)


def series_of(*values: Any, start: int = 1) -> list[dict[str, Any]]:
    """ChartSeries of a store each, with two values."""
    return [{"label": {"store_id": number}, "values": [value, value]} for number, value in enumerate(values, start)]
