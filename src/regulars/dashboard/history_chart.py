"""The chart of a figure over time, read at evenly spaced instants."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup

from regulars.charts.chart import Chart, ChartSeries, Figure, Panel, Shape, TimeAxis, TimeBucket, Unit
from regulars.charts.figure import render_figure
from regulars.dashboard.report_figures import language_of
from regulars.dashboard.visit import Visit


def history_figure(
    visit: Visit, title: str, unit: Unit, points: Sequence[tuple[datetime, Figure | None]], *, has_table: bool
) -> Markup | None:
    """A line through the points; None if fewer than two of them have a figure."""
    if sum(value is not None for _, value in points) < 2:
        return None
    language = language_of(visit)
    zone = ZoneInfo(visit.one_club.timezone)
    local = [at.astimezone(zone).replace(tzinfo=None) for at, _ in points]
    # A point is drawn in the middle of its bucket.
    half = (local[-1] - local[0]) / (len(local) - 1) / 2
    buckets = tuple(TimeBucket(at - half, at + half, language.day(at)) for at in local)
    subtitle = f"{language.day(local[0])} – {language.day(local[-1])}"
    series = ChartSeries(title, tuple(value for _, value in points))
    panel = Panel(unit, Shape.LINES, (series,), title, is_state=True)
    chart = Chart(title, subtitle, TimeAxis(language.words("time"), buckets), (panel,), (), language)
    return Markup(render_figure(chart, has_table=has_table))  # noqa: S704 - the figure escapes its texts
