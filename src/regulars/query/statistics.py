"""Statistics: what a report measures over a range of time as a whole, group by group."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from regulars.access.customers import Customer
from regulars.facts import instants
from regulars.query import groups, ranges
from regulars.query.compiling import grouped, labels
from regulars.query.execution import Stores
from regulars.query.query import Query


async def statistics(query: Query, customers: Sequence[Customer], stores: Stores, now: datetime) -> dict[str, Any]:
    """The answer to a query in statistics, from one snapshot at `now`: what happened at from <= t < to.

    Raises InvalidParametersError for a range that ends before it begins, and for money of several currencies.
    """
    groups.require_one_currency(query, customers)
    asked = ranges.asked(query, customers)
    keys, plan, store = labels(query), grouped(query), query.report.source.store
    answers = []
    async with stores.snapshot(customers, now) as snapshot:
        for customer in customers:
            start, end = asked.within(instants.zone(customer.timezone))
            values = plan.values(customer, now, {"from": start, "to": end})
            answers.append((customer, await snapshot.rows(customer, store, plan.statement.sql, values)))
    sums = groups.added(query.measures, len(keys), answers)
    digits = customers[0].minor_digits
    return {
        "statistics": [
            {
                "label": groups.labelled(keys, label, digits),
                "values": groups.measured(query.measures, sums[label]),
            }
            for label in sorted(sums, key=lambda label: groups.order(keys, label, nulls_last=True))
        ],
        "from": asked.written(asked.start),
        "to": asked.written(asked.end),
        "result_type": "statistics",
    }
