"""Executes queries of statistics: the measures of each group over a whole time range."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.query import merge, suppression
from regulars.query.backends import Backends
from regulars.query.compiler.groups import group_labels
from regulars.query.group_sums import GroupSums, fetch_group_sums
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
    keys, minimum = group_labels(query), suppression.min_cell_size(tenants)
    async with backends.snapshot(tenants, now) as snapshot:
        groups = await fetch_group_sums(query, tenants, snapshot, now, minimum, period)
    in_order = sorted(groups.sums, key=lambda label: merge.sort_key(keys, label, nulls_last=True))
    return {
        "statistics": [_statistic(query, groups, label, tenants[0].minor_digits) for label in in_order],
        "from": period.format(period.start),
        "to": period.format(period.end),
        **({"empty_range": True} if period.start == period.end else {}),
        "result_type": "statistics",
    }


def _statistic(query: ReportQuery, groups: GroupSums, label: tuple[Any, ...], minor_digits: int) -> dict[str, Any]:
    shown = merge.serialize_label(group_labels(query), label, minor_digits)
    if label in groups.suppressed:
        return {"label": shown, "values": dict.fromkeys(each.name for each in query.measures), "masked": True}
    return {"label": shown, "values": merge.evaluate_measures(query.measures, groups.sums[label])}
