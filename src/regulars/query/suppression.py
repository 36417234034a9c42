"""Suppression of groups that are so small that they might identify a person, as configured by the organization."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, TypeVar

from regulars.auth.tenants import Tenant
from regulars.query.compiler.groups import aggregated_measures
from regulars.query.merge import Totals
from regulars.query.query import ReportQuery
from regulars.reports.report import Report, ReportMeasure

Group = TypeVar("Group", bound=Hashable)


def masked_measures(measures: Iterable[ReportMeasure]) -> dict[str, Any]:
    """The measures of a suppressed group: null each, and `masked`."""
    return {**dict.fromkeys(each.name for each in measures), "masked": True}


def min_cell_size(tenants: Iterable[Tenant]) -> int:
    """The smallest count that is shown for these tenants; 0 shows all."""
    return max((each.min_cell_size or 0 for each in tenants), default=0)


def suppressed_groups(query: ReportQuery, sums: Mapping[Group, Totals], threshold: int) -> set[Group]:
    """The groups of a result to suppress: those with at least one but fewer than `threshold` members.

    A single suppressed group could be derived from the total, so then the smallest other group is suppressed as well
    (complementary suppression).
    """
    count_measure = query.report.count_measure
    if not count_measure or not threshold:
        return set()
    index = next(n for n, each in enumerate(aggregated_measures(query.measures)) if each.name == count_measure)
    unknown = {group for group, found in sums.items() if found[index] is None}
    counts = {group: found[index] for group, found in sums.items() if found[index]}
    small = unknown | {group for group, count in counts.items() if count < threshold}
    if len(small) == 1 and len(counts) > 1:
        small.add(min((group for group in counts if group not in small), key=lambda group: counts[group]))
    return small


def is_suppressed(report: Report, value: Any, threshold: int) -> bool:
    """Whether a value of a series counts so few members that it is suppressed."""
    return bool(report.count_measure) and 0 < abs(value) < threshold
