"""Sums of the groups of a query over all communities, and which of them are suppressed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from regulars.auth.tenants import Tenant
from regulars.query import merge, suppression
from regulars.query.backends import ReadSnapshot
from regulars.query.compiler.groups import group_labels, plan_groups
from regulars.query.parser.time_range import TimeRange
from regulars.query.query import ReportQuery


@dataclass(frozen=True, slots=True)
class GroupSums:
    """The sums of each group, by the values of its labels, and the groups to suppress."""

    sums: Mapping[suppression.Group, merge.Totals]
    suppressed: set[suppression.Group]


async def fetch_group_sums(
    query: ReportQuery,
    tenants: Sequence[Tenant],
    snapshot: ReadSnapshot,
    now: datetime,
    minimum: int,
    period: TimeRange | None = None,
) -> GroupSums:
    """Adds up the groups of a query of records, or of statistics over a period. Counts below `minimum` are suppressed."""
    keys = group_labels(query)

    async def fetch(which: ReportQuery) -> Mapping[suppression.Group, merge.Totals]:
        results = []
        for tenant in tenants:
            plan = plan_groups(which.for_community(tenant.community_id))
            values = plan.bind(tenant, now, {} if period is None else period.parameters(tenant))
            rows = await snapshot.fetch(tenant, query.report.source.backend, plan.statement.sql, values)
            results.append((tenant, rows))
        return merge.merge_groups(query.all_measures, len(keys), results)

    sums = await fetch(query)
    every = suppression.query_of_all_groups(query, minimum)
    all_sums = None if every is query else await fetch(every)
    return GroupSums(sums, suppression.suppressed_groups(query, keys, sums, minimum, all_sums))
