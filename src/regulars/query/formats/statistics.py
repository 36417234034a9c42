"""Statistics: what a report measures over a range of time as a whole, group by group."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.core import timestamps
from regulars.query import merge
from regulars.query.backends import Backends
from regulars.query.compiler.compiler import group_labels, plan_groups
from regulars.query.parser import time_range
from regulars.query.query import ReportQuery


async def statistics(
    query: ReportQuery, customers: Sequence[Tenant], stores: Backends, now: datetime
) -> dict[str, Any]:
    """The answer to a query in statistics, from one snapshot at `now`: what happened at from <= t < to.

    Raises InvalidParametersError for a range that ends before it begins, and for money of several currencies.
    """
    merge.require_single_currency(query, customers)
    asked = time_range.resolve_range(query, customers)
    keys, plan, store = group_labels(query), plan_groups(query), query.report.source.backend
    answers = []
    async with stores.snapshot(customers, now) as snapshot:
        for customer in customers:
            start, end = asked.instants_in(timestamps.zone_info(customer.timezone))
            values = plan.bind(customer, now, {"from": start, "to": end})
            answers.append((customer, await snapshot.fetch(customer, store, plan.statement.sql, values)))
    sums = merge.merge_groups(query.measures, len(keys), answers)
    digits = customers[0].minor_digits
    return {
        "statistics": [
            {
                "label": merge.serialize_label(keys, label, digits),
                "values": merge.evaluate_measures(query.measures, sums[label]),
            }
            for label in sorted(sums, key=lambda label: merge.sort_key(keys, label, nulls_last=True))
        ],
        "from": asked.format(asked.start),
        "to": asked.format(asked.end),
        "result_type": "statistics",
    }
