"""Queries transactions_history and transactions_stats as a request does, with values by bucket and label."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from clubs import Club
from regulars.auth.tenants import Tenant
from regulars.model.community import Community
from regulars.query.backends import Backends
from regulars.query.formats.statistics import statistics
from regulars.query.formats.timeseries import timeseries
from regulars.query.query import FilterNode, ReportQuery
from regulars.reports.transactions import TRANSACTIONS_HISTORY, TRANSACTIONS_STATS
from regulars.rollups.intervals import Interval

Json = dict[str, Any]


def tenant_of(community: Community) -> Tenant:
    """A club as a customer that a request reaches."""
    return Tenant(
        community.id, community.id, community.id, community.organization_id, community.slug, community.name,
        community.timezone, community.currency, community.minor_digits, {},
    )  # fmt: skip


async def query_statistics(
    clubs: Club | Sequence[Club], start: datetime, end: datetime, by: str | None = None, only: FilterNode | None = None
) -> dict[Any, Json]:
    """The values of a range, by label."""
    some = [clubs] if isinstance(clubs, Club) else clubs
    report = TRANSACTIONS_STATS
    query = ReportQuery(report, only, report.groupings_by_name[by] if by else None, None, start, end)
    customers = [tenant_of(each.community) for each in some]
    answer = await statistics(query, customers, Backends(some[0].database), some[0].clock.at)
    return by_label(answer)


def by_label(answer: Json) -> dict[Any, Json]:
    """The values of statistics, by label."""
    return {next(iter(each["label"].values()), None): each["values"] for each in answer["statistics"]}


async def query_timeseries(
    club: Club,
    interval: Interval,
    start: datetime,
    end: datetime,
    by: str | None = None,
    only: FilterNode | None = None,
) -> dict[Any, Json]:
    """The values of a timeseries, by bucket and label; none where there is no value."""
    report = TRANSACTIONS_HISTORY
    query = ReportQuery(report, only, report.groupings_by_name[by] if by else None, interval, start, end)
    answer = await timeseries(query, [tenant_of(club.community)], Backends(club.database), club.clock.at)
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
