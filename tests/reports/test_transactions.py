"""Purchases in reports: worked cases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from api.transaction_calls import change, line, make, profile, sale
from clubs import Club
from regulars.access.customers import Customer
from regulars.query.execution import Stores
from regulars.query.problems import InvalidParametersError
from regulars.query.query import Query
from regulars.query.statistics import statistics
from regulars.query.timeseries import timeseries
from regulars.reports import purchases
from regulars.reports.interval import Interval
from regulars.reports.transactions import TRANSACTIONS_HISTORY, TRANSACTIONS_STATS

Json = dict[str, Any]


def customer_of(community: Any) -> Customer:
    return Customer(
        community.id, community.id, community.id, 1, community.slug, "Club", community.timezone, community.currency,
        community.minor_digits, {},
    )  # fmt: skip


async def stats(club: Club, start: str, end: str, by: str | None = None, *others: Club) -> dict[Any, Json]:
    """The values of a range, by label."""
    report = TRANSACTIONS_STATS
    query = Query(
        report,
        aggregate_by=report.by_aggregation[by] if by else None,
        start=datetime.fromisoformat(start),
        end=datetime.fromisoformat(end),
    )
    customers = [customer_of(each.community) for each in (club, *others)]
    answer = await statistics(query, customers, Stores(club.database), club.clock.at)
    return {tuple(each["label"].values()): each["values"] for each in answer["statistics"]}


async def test_smoke(club: Club) -> None:
    a = await profile(club, gender="female", birth_year=1990)
    await make(club, sale(100, profile_id=a))
    await make(club, sale(50, "2026-10-02 10:00:00"))
    for _ in range(2):
        print(await stats(club, "2026-01-01", "2026-12-01"))
        print(await stats(club, "2026-10-01T13:00", "2026-12-01"))
        for by in ("gender", "brand", "location", "dimension_frequency", "age", "community_id"):
            print(by, await stats(club, "2026-01-01", "2026-12-01", by))
        report = TRANSACTIONS_HISTORY
        for interval in report.intervals:
            query = Query(report, interval=interval, start=datetime.fromisoformat("2026-10-01T11:00"), end=datetime.fromisoformat("2026-10-01T13:00"))
            print(await timeseries(query, [customer_of(club.community)], Stores(club.database), club.clock.at))
        print(await purchases.fold(club.database, club.community.id))
