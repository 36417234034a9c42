"""Sales of a club by store, brand and channel, and the sales of one store."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from regulars.auth import permits
from regulars.charts.label_names import Names
from regulars.dashboard import periods
from regulars.dashboard.api_client import ApiCallError
from regulars.dashboard.page import Answer, Page, Section, View
from regulars.dashboard.periods import Period
from regulars.dashboard.report_figures import figure_of, names_of, subject_of
from regulars.dashboard.report_view import encode_filter, local_date
from regulars.dashboard.sales_figures import sales_figures
from regulars.dashboard.visit import Visit

PRESETS = ("7d", "30d", "90d", "12mo", "this_month", "this_year")

MAX_BARS = 15
"""Bars of a chart, the largest; all groups are in the report."""

MAX_STORES = 100
"""Stores of the table; all of them are in the report."""


def _period(visit: Visit) -> tuple[str, Period]:
    code = visit.query.get("period", "")
    code = code if code in PRESETS else "30d"
    period = periods.resolve(code, local_date(visit))
    assert period is not None  # noqa: S101 - the codes are presets
    return code, period


async def _stats(visit: Visit, period: Period, **more: object) -> Any:
    return await visit.api.query({"report": "transactions_stats", **period.range, **more})


async def _history(visit: Visit, period: Period, **more: object) -> Any:
    return await visit.api.query({"report": "transactions_history", **period.range, **more})


async def show_sales(visit: Visit) -> Answer:
    """Sales by store, brand and channel; nine calls."""
    code, period = _period(visit)
    total, before, year, history, stores, stores_before, brands, channels = await asyncio.gather(
        _stats(visit, period),
        _stats(visit, period.previous),
        _stats(visit, period.year_before),
        _history(visit, period),
        _stats(visit, period, aggregate_by="location"),
        _stats(visit, period.previous, aggregate_by="location"),
        _stats(visit, period, aggregate_by="brand"),
        _stats(visit, period, aggregate_by="channel"),
    )
    names = await names_of(visit, stores)
    figures = sales_figures(total, before, year)
    rows = _stores(stores, stores_before, names, figures["net_amount"].value)
    return View(
        "sales/sales.html",
        {
            **_period_values(visit, code, period),
            "figures": figures,
            "stores": rows[:MAX_STORES],
            "omitted": max(0, len(rows) - MAX_STORES),
            "charts": [
                _history_chart(visit, history),
                _amounts(visit, "brand", brands, visit.locale.gettext("Net amount by brand")),
                _amounts(visit, "channel", channels, visit.locale.gettext("Net amount by channel")),
            ],
            "reports": {
                group: visit.url("/reports/transactions_stats", group=group, period=code)
                for group in ("location", "brand", "channel")
            },
        },
    )


def _period_values(visit: Visit, code: str, period: Period) -> dict[str, Any]:
    return {
        "code": code,
        "presets": {each: periods.PRESETS[each] for each in PRESETS},
        "period": period,
        "currency": visit.one_club.currency,
    }


def _stores(answer: Any, before: Any, names: Names, total: Any) -> list[dict[str, Any]]:
    """A row for each store, the largest amount first, with its share of the total."""
    amounts_before = {each["label"]["location"]: each["values"]["net_amount"] for each in before["statistics"]}
    known = names.get("location", {})
    rows = [
        {
            "id": each["label"]["location"],
            "name": known.get(each["label"]["location"]),
            **each["values"],
            "is_suppressed": "masked" in each,
            "amount_before": amounts_before.get(each["label"]["location"]),
        }
        for each in answer["statistics"]
    ]
    rows.sort(key=lambda row: -(row["net_amount"] or 0))
    return [{**row, "share": _share(row["net_amount"], total)} for row in rows]


def _share(amount: Any, total: Any) -> Any:
    return amount / total if amount is not None and total is not None and total > 0 else None


def _history_chart(visit: Visit, history: Mapping[str, Any], title: str = "") -> Any:
    """Sales and net amount over time."""
    drawn = [each for each in history["series"] if each["label"].get("metric") in ("transactions", "net_amount")]
    heading = title or visit.locale.gettext("Sales over time")
    return figure_of(subject_of(visit, "transactions_history", "", {}, heading), {**history, "series": drawn})


def _amounts(visit: Visit, group: str, answer: Mapping[str, Any], title: str) -> Any:
    """The net amounts of groups, as bars."""
    amounts = [{**each, "values": {"net_amount": each["values"]["net_amount"]}} for each in answer["statistics"]]
    subject = subject_of(visit, "transactions_stats", group, {}, title, MAX_BARS)
    return figure_of(subject, {**answer, "statistics": amounts})


async def show_store(visit: Visit) -> Answer:
    """The sales of one store; nine calls."""
    text = visit.path["id"]
    if not text.isdigit() or len(text) > 10:
        raise ApiCallError(HTTPStatus.NOT_FOUND, {})
    code, period = _period(visit)
    only = {"filter": {"type": "equal", "field": "location", "value": int(text)}}
    store, total, before, year, history, brands, channels, ages, genders = await asyncio.gather(
        visit.api.get(f"/api/v3/locations/{text}"),
        _stats(visit, period, **only),
        _stats(visit, period.previous, **only),
        _stats(visit, period.year_before, **only),
        _history(visit, period, **only),
        _stats(visit, period, aggregate_by="brand", **only),
        _stats(visit, period, aggregate_by="channel", **only),
        _stats(visit, period, aggregate_by="age", **only),
        _stats(visit, period, aggregate_by="gender", **only),
    )
    gettext = visit.locale.gettext
    return View(
        "sales/store.html",
        {
            **_period_values(visit, code, period),
            "store": store["data"],
            "figures": sales_figures(total, before, year),
            "charts": [
                _history_chart(visit, history),
                _amounts(visit, "brand", brands, gettext("Net amount by brand")),
                _amounts(visit, "channel", channels, gettext("Net amount by the buyer's channel")),
                _amounts(visit, "age", ages, gettext("Net amount by the buyer's age")),
                _amounts(visit, "gender", genders, gettext("Net amount by the buyer's gender")),
            ],
            "report": visit.url("/reports/transactions_history", period=code, filter=encode_filter(only["filter"])),
        },
    )


_OF_SALES: dict[str, Any] = {"section": Section.SALES, "permit": permits.QUERY}

PAGES = (
    Page("/sales", "Sales", show_sales, is_entry=True, **_OF_SALES),
    Page("/sales/stores/{id}", "Store", show_store, **_OF_SALES),
)
