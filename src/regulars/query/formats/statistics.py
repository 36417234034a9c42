"""Executes queries of statistics: the measures of each group over a whole time range."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.core import timestamps
from regulars.query import merge
from regulars.query.backends import Backends
from regulars.query.compiler.groups import group_labels, plan_groups
from regulars.query.parser import time_range
from regulars.query.query import ReportQuery


async def statistics(
    query: ReportQuery, tenants: Sequence[Tenant], backends: Backends, now: datetime
) -> dict[str, Any]:
    """Executes a query of statistics on one snapshot at `now`, over from <= t < to. The answer says if `from` is `to`.

    Raises InvalidParametersError for a range that ends before it begins, and for money of several currencies.
    """
    merge.require_single_currency(query, tenants)
    period = time_range.resolve_range(query, tenants)
    keys, plan, backend = group_labels(query), plan_groups(query), query.report.source.backend
    results = []
    async with backends.snapshot(tenants, now) as snapshot:
        for tenant in tenants:
            start, end = period.instants_in(timestamps.zone_info(tenant.timezone))
            values = plan.bind(tenant, now, {"from": start, "to": end})
            results.append((tenant, await snapshot.fetch(tenant, backend, plan.statement.sql, values)))
    sums = merge.merge_groups(query.measures, len(keys), results)
    digits = tenants[0].minor_digits
    return {
        "statistics": [
            {
                "label": merge.serialize_label(keys, label, digits),
                "values": merge.evaluate_measures(query.measures, sums[label]),
            }
            for label in sorted(sums, key=lambda label: merge.sort_key(keys, label, nulls_last=True))
        ],
        "from": period.format(period.start),
        "to": period.format(period.end),
        **({"empty_range": True} if period.start == period.end else {}),
        "result_type": "statistics",
    }
