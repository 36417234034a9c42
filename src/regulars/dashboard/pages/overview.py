"""The overview: how the clubs are doing, compared with the period before and the same time a year ago."""

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from regulars.charts.value_names import VALUE_NAMES
from regulars.dashboard import periods
from regulars.dashboard.api_client import ApiCallError
from regulars.dashboard.page import Answer, Page, Redirect, Section, View
from regulars.dashboard.periods import Period
from regulars.dashboard.report_figures import currency_of, figure_of, subject_of
from regulars.dashboard.report_view import encode_filter, local_date
from regulars.dashboard.sales_figures import Compared, sales_figures
from regulars.dashboard.translations import translatable
from regulars.dashboard.visit import Visit

PRESETS = ("7d", "30d", "60d")
"""Periods that, with the period before, have at most 150 days: one answer has both."""

CHANNELS = {
    "anything": translatable("Any channel"),
    "email": translatable("E-mail"),
    "sms": translatable("SMS"),
    "push": translatable("Push messages"),
}
"""The channels of `marketing_via_*`, and what they are called."""

RECENCIES = ("RC", "RS", "RA", "RI", "R0")
FREQUENCIES = ("FH", "FL", "F2", "F1", "F0")

GRID_WAIT_SECONDS = 2.0
"""How long the page waits for its grid, whose members may first have to be copied into memory."""

_LEVELS = 5
"""Shades of the grid."""


async def show_overview(visit: Visit) -> Answer:
    """Ten calls of the API, side by side. What the person may not query is left out."""
    if visit.user.location_ids is not None:
        ids = visit.user.location_ids
        return Redirect(visit.url(f"/sales/stores/{ids[0]}" if len(ids) == 1 else "/sales"))
    code = visit.query.get("period", "")
    code = code if code in PRESETS else "30d"
    period = periods.resolve(code, local_date(visit))
    assert period is not None  # noqa: S101 - the codes are presets
    both = {"from": period.previous.start.isoformat(), "to": period.end.isoformat(), "interval": "1d"}
    last_year = period.year_before
    day_before = Period(last_year.last_day, last_year.end)
    (
        sales,
        sales_before,
        sales_year,
        history,
        balance,
        balance_year,
        members,
        members_year,
        reach,
        grid,
    ) = await asyncio.gather(
        _query(visit, "transactions_stats", **period.range),
        _query(visit, "transactions_stats", **period.previous.range),
        _query(visit, "transactions_stats", **last_year.range),
        _query(visit, "transactions_history", **both),
        _query(visit, "member_balance", **both),
        _query(visit, "member_balance", **last_year.range, interval="1d"),
        _query(visit, "members_count_history", **both, aggregate_by="total"),
        _query(visit, "members_count_history", **day_before.range, interval="1d", aggregate_by="total"),
        _query(visit, "members_grouped_count", filter=_REACHED, limit=10_000),
        _query_grid(visit),
    )
    figures = {
        **sales_figures(sales, sales_before, sales_year),
        "members": _members(period, day_before, members, members_year),
        **{name: _flow(kind, period, balance, balance_year) for name, kind in (("joined", "in"), ("left", "out"))},
    }
    week = Period(period.end - timedelta(days=7), period.end)
    return View(
        "overview/overview.html",
        {
            "code": code,
            "presets": {each: periods.PRESETS[each] for each in PRESETS},
            "period": period,
            "figures": figures,
            "currency": currency_of(visit),
            "has_currencies": sales is not None and "error" in sales,
            "reach": _reach(reach, figures["members"].value),
            "week": _week(week, history, balance),
            "grid": _grid(visit, grid),
            "is_grid_pending": grid is _PENDING,
            "charts": list(_charts(visit, history, balance)),
            "value_names": VALUE_NAMES,
        },
    )


_REACHED = {"type": "equal", "field": "grouping_type", "value": "marketing_true"}


async def _query(visit: Visit, report: str, **more: object) -> Any:
    """The answer of a report; None without its permit, and an answer with `error` where currencies differ."""
    return await _permitted(visit, visit.api.query({"report": report, **more}))


_PENDING = {"error": "The answer is not there yet."}


async def _query_grid(visit: Visit) -> Any:
    """The members by recency and frequency; _PENDING while they are copied into memory, which takes a minute for millions."""
    body = {"report": "member_aggregations", "aggregate_by": "by_recency_and_frequency"}
    try:
        return await _permitted(visit, visit.api.query(body, wait_seconds=GRID_WAIT_SECONDS))
    except ApiCallError as error:
        if error.status in (0, HTTPStatus.SERVICE_UNAVAILABLE):
            return _PENDING
        raise


async def _permitted(visit: Visit, answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except ApiCallError as error:
        if error.status == HTTPStatus.FORBIDDEN:
            return None
        if error.status == HTTPStatus.UNPROCESSABLE_ENTITY and currency_of(visit) == "":
            return {"error": error.message, "statistics": [], "series": [], "time_buckets": []}
        raise


# Figures of answers -------------------------------------------------------------------------------------------


def sum_between(answer: Any, period: Period, **label: str) -> int | None:
    """The sum of the values of buckets of a period, over all series with these labels.

    None without an answer, and if one of the values may be suppressed: a day without a value in a series that has such.
    """
    if answer is None:
        return None
    total = 0
    for series in answer["series"]:
        if any(series["label"].get(key) != value for key, value in label.items()):
            continue
        days = _values_by_day(answer, series)
        values = [value for day, value in days.items() if period.start.isoformat() <= day < period.end.isoformat()]
        if "masked" in series and len(values) < period.days:
            return None
        total += sum(values)
    return total


def value_at(answer: Any, day: date) -> int | None:
    """The value of the bucket of a day, added up over series; of the latest bucket before it if that has not ended yet.

    None without an answer, and if one of the values may be suppressed.
    """
    if answer is None:
        return None
    total: int | None = None
    for series in answer["series"]:
        days = {each: value for each, value in _values_by_day(answer, series).items() if each <= day.isoformat()}
        if "masked" in series and day.isoformat() not in days:
            return None
        if days:
            total = (total or 0) + days[max(days)]
    return total


def _values_by_day(answer: Any, series: Mapping[str, Any]) -> dict[str, Any]:
    values = zip(answer["time_buckets"], series["values"], strict=True)
    return {bucket[:10]: value for bucket, value in values if value is not None}


def _members(period: Period, day_before: Period, answer: Any, last_year: Any) -> Compared:
    value = value_at(answer, period.last_day)
    return Compared(
        value,
        value_at(answer, period.previous.last_day),
        value_at(last_year, day_before.start),
        is_suppressed=value is None and answer is not None and any("masked" in each for each in answer["series"]),
    )


def _flow(kind: str, period: Period, answer: Any, last_year: Any) -> Compared:
    value = sum_between(answer, period, type=kind)
    return Compared(
        value,
        sum_between(answer, period.previous, type=kind),
        sum_between(last_year, period.year_before, type=kind),
        is_suppressed=value is None and answer is not None,
    )


def _reach(answer: Any, members: int | None) -> list[dict[str, Any]]:
    """The number of members that each channel reaches, and their share; None if it is suppressed."""
    if answer is None:
        return []
    counts: dict[str, int | None] = {}
    for each in answer["records"]:
        before, count = counts.get(each["grouping_value"], 0), each["members_count"]
        counts[each["grouping_value"]] = None if before is None or count is None else before + count
    return [{"channel": name, **_share(counts.get(code, 0), members)} for code, name in CHANNELS.items()]


def _share(count: int | None, members: int | None) -> dict[str, Any]:
    return {"count": count, "share": count / members if members and count is not None else None}


def _week(week: Period, history: Any, balance: Any) -> list[dict[str, Any]]:
    """The figures of the last seven days and of the seven before, of the daily answers."""
    sales = (("transactions", "transactions"), ("net_amount", "net_amount"))
    found = [
        {
            "name": name,
            "value": sum_between(history, week, metric=metric),
            "before": sum_between(history, week.previous, metric=metric),
        }
        for name, metric in sales
        if history is not None and "error" not in history
    ]
    return found + [
        {
            "name": name,
            "value": sum_between(balance, week, type=kind),
            "before": sum_between(balance, week.previous, type=kind),
        }
        for name, kind in (("joined", "in"), ("left", "out"))
        if balance is not None
    ]


def _grid(visit: Visit, answer: Any) -> dict[str, Any] | None:
    """The grid of recency by frequency; each cell has the address of a new segment of its members."""
    if answer is None or "error" in answer:
        return None
    counts: dict[tuple[str, str], int | None] = {
        (each["dimension_recency"], each["dimension_frequency"]): each["members_count"] for each in answer["records"]
    }
    highest = max((each for each in counts.values() if each is not None), default=0)
    rows = []
    for recency in RECENCIES:
        cells = []
        for frequency in FREQUENCIES:
            count = counts.get((recency, frequency), 0)
            level = 0 if not count else 1 + min(_LEVELS - 1, int(_LEVELS * Decimal(count) / (highest + 1)))
            cells.append(
                {"count": count, "level": level, "url": _segment_url(visit, recency, frequency), "frequency": frequency}
            )
        rows.append({"recency": recency, "cells": cells})
    return {"rows": rows, "frequencies": FREQUENCIES}


def _segment_url(visit: Visit, recency: str, frequency: str) -> str:
    conditions = [
        {"type": "equal", "field": "aggregations.dimension_recency", "value": recency},
        {"type": "equal", "field": "aggregations.dimension_frequency", "value": frequency},
    ]
    return visit.url("/segments/new", filter=encode_filter({"type": "and", "operations": conditions}))


def _charts(visit: Visit, history: Any, balance: Any) -> Iterator[Any]:
    for report, answer, title in (
        ("transactions_history", history, visit.locale.gettext("Sales by day")),
        ("member_balance", balance, visit.locale.gettext("Joins and leaves by day")),
    ):
        if answer is not None and "error" not in answer:
            drawn = [
                each for each in answer["series"] if each["label"].get("metric") not in ("members", "average_value")
            ]
            yield figure_of(subject_of(visit, report, "", {}, title), {**answer, "series": drawn})


PAGES = (Page("/", "Overview", show_overview, section=Section.OVERVIEW, is_entry=True, needs_one_club=False),)
