"""Asks transactions_history and transactions_stats as a request does, and gives values by bucket and label."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from clubs import Club
from regulars.access.customers import Customer
from regulars.facts.community import Community
from regulars.query.execution import Stores
from regulars.query.query import Node, Query
from regulars.query.statistics import statistics
from regulars.query.timeseries import timeseries
from regulars.reports.interval import Interval
from regulars.reports.transactions import TRANSACTIONS_HISTORY, TRANSACTIONS_STATS

Json = dict[str, Any]


def customer_of(community: Community) -> Customer:
    """A club as a customer that a request reaches."""
    return Customer(
        community.id, community.id, community.id, community.organization_id, community.slug, community.name,
        community.timezone, community.currency, community.minor_digits, {},
    )  # fmt: skip


async def stats(
    clubs: Club | Sequence[Club], start: datetime, end: datetime, by: str | None = None, only: Node | None = None
) -> dict[Any, Json]:
    """The values of a range, by label."""
    some = [clubs] if isinstance(clubs, Club) else clubs
    report = TRANSACTIONS_STATS
    query = Query(report, only, report.by_aggregation[by] if by else None, None, start, end)
    customers = [customer_of(each.community) for each in some]
    answer = await statistics(query, customers, Stores(some[0].database), some[0].clock.at)
    return by_label(answer)


def by_label(answer: Json) -> dict[Any, Json]:
    """The values of statistics, by label."""
    return {next(iter(each["label"].values()), None): each["values"] for each in answer["statistics"]}


async def series(
    club: Club, interval: Interval, start: datetime, end: datetime, by: str | None = None, only: Node | None = None
) -> dict[Any, Json]:
    """The values of a timeseries, by bucket and label; none where there is no value."""
    report = TRANSACTIONS_HISTORY
    query = Query(report, only, report.by_aggregation[by] if by else None, interval, start, end)
    answer = await timeseries(query, [customer_of(club.community)], Stores(club.database), club.clock.at)
    return by_bucket(answer)


def by_bucket(answer: Json) -> dict[Any, Json]:
    """The values of a timeseries that is whole, by bucket and label."""
    assert "truncated" not in answer
    found: dict[Any, Json] = {}
    for each in answer["series"]:
        metric, *value = each["label"].values()
        for bucket, number in zip(answer["time_buckets"], each["values"], strict=True):
            own = found.setdefault((datetime.fromisoformat(bucket), value[0] if value else None), {})
            own[metric] = number
    empty = {"transactions": None, "net_amount": None, "members": None, "average_value": None}
    return {key: empty | values for key, values in found.items() if any(v is not None for v in values.values())}
