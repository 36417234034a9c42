"""Groups so small that they might tell of a person: what an organization hides of them."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, TypeVar

from regulars.auth.tenants import Tenant
from regulars.query.compiler.compiler import aggregated_measures
from regulars.query.merge import Totals
from regulars.query.query import ReportQuery
from regulars.reports.report import Report, ReportMeasure

Group = TypeVar("Group", bound=Hashable)


def masked_measures(measures: Iterable[ReportMeasure]) -> dict[str, Any]:
    """What a group that is hidden shows: no number, and a mark."""
    return {**dict.fromkeys(each.name for each in measures), "masked": True}


def min_cell_size(customers: Iterable[Tenant]) -> int:
    """The least count that is shown of these customers; 0 shows all."""
    return max((each.min_cell_size or 0 for each in customers), default=0)


def suppressed_groups(query: ReportQuery, sums: Mapping[Group, Totals], smallest: int) -> set[Group]:
    """The groups of an answer that are hidden: those of fewer members than the smallest cell, but some.

    One alone might be had from the total of all, so then the smallest of the others goes with it.
    """
    counts_by = query.report.count_measure
    if not counts_by or not smallest:
        return set()
    place = next(n for n, each in enumerate(aggregated_measures(query.measures)) if each.name == counts_by)
    unknown = {group for group, found in sums.items() if found[place] is None}
    counts = {group: found[place] for group, found in sums.items() if found[place]}
    small = unknown | {group for group, count in counts.items() if count < smallest}
    if len(small) == 1 and len(counts) > 1:
        small.add(min((group for group in counts if group not in small), key=lambda group: counts[group]))
    return small


def is_suppressed(report: Report, value: Any, smallest: int) -> bool:
    """Whether a value of a series counts so few members that it is hidden."""
    return bool(report.count_measure) and 0 < abs(value) < smallest
