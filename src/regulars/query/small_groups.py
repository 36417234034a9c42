"""Groups so small that they might tell of a person: what an organization hides of them."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from regulars.access.customers import Customer
from regulars.query.compiling import summed
from regulars.query.groups import Sums
from regulars.reports.report import Report

Group = TypeVar("Group", bound=Hashable)


def masked(report: Report) -> dict[str, Any]:
    """What a group that is hidden shows: no number, and a mark."""
    return {**dict.fromkeys(each.name for each in report.measures), "masked": True}


def smallest_cell(customers: Iterable[Customer]) -> int:
    """The least count that is shown of these customers; 0 shows all."""
    return max((each.smallest_cell or 0 for each in customers), default=0)


def hidden(report: Report, sums: Mapping[Group, Sums], smallest: int) -> set[Group]:
    """The groups of an answer that are hidden: those of fewer members than the smallest cell, but some.

    One alone might be had from the total of all, so then the smallest of the others goes with it.
    """
    if not report.counts or not smallest:
        return set()
    place = next(n for n, each in enumerate(summed(report)) if each.name == report.counts)
    counts = {group: found[place] for group, found in sums.items() if found[place]}
    small = {group for group, count in counts.items() if count < smallest}
    if len(small) == 1 and len(counts) > 1:
        small.add(min((group for group in counts if group not in small), key=lambda group: counts[group]))
    return small


def shown(values: Sequence[Any], smallest: int) -> tuple[list[Any], bool]:
    """The counts of a series, small ones as null; and whether any of them is hidden."""
    found = [None if each is not None and 0 < abs(each) < smallest else each for each in values]
    return found, found != list(values)
