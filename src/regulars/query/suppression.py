"""Suppression of groups that are so small that they might identify a person, as configured by the organization."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.core.field_type import FieldType
from regulars.query.compiler import filter_sql
from regulars.query.compiler.groups import GroupLabel, aggregated_measures, group_fields
from regulars.query.merge import Totals, sort_key
from regulars.query.query import ReportQuery
from regulars.reports.report import Report, ReportFormat, ReportMeasure
from regulars.reports.small_groups import complementary_groups, set_of_group, small_groups

Group = tuple[Any, ...]
"""The values of a group's labels; in timeseries after the time zone and the bucket."""


def masked_measures(measures: Iterable[ReportMeasure]) -> dict[str, Any]:
    """The measures of a suppressed group: null each, and `masked`."""
    return {**dict.fromkeys(each.name for each in measures), "masked": True}


def min_cell_size(tenants: Iterable[Tenant]) -> int:
    """The smallest count that is shown for these tenants; 0 shows all."""
    return max((each.min_cell_size or 0 for each in tenants), default=0)


def query_of_all_groups(query: ReportQuery, minimum: int) -> ReportQuery:
    """The query whose groups decide which groups of `query` are suppressed.

    A filter that selects groups does not change which of them are suppressed.
    """
    if minimum <= 1 or query.filter is None or not query.report.group_key or _adds_up_groups(query):
        return query
    return replace(query, filter=None)


def suppressed_groups(
    query: ReportQuery,
    keys: Sequence[GroupLabel],
    sums: Mapping[Group, Totals],
    minimum: int,
    all_sums: Mapping[Group, Totals] | None = None,
) -> set[Group]:
    """The groups of a result to suppress, see `reports/small_groups.py`; `keys` are their labels.

    `all_sums` are the groups of query_of_all_groups, if these are others.
    """
    if not query.report.count_measure or minimum <= 1:
        return set()
    counts = _counts(query, sums)
    if _adds_up_groups(query):
        return set(counts)
    found = _decide(query.report, keys, counts if all_sums is None else _counts(query, all_sums), minimum)
    # Where a filter selects a group of some communities only, its sum may be small.
    return found if all_sums is None else found | small_groups(counts.items(), minimum)


def suppressed_values(
    report: Report, keys: Sequence[GroupLabel], counts: Mapping[Any, int], minimum: int
) -> tuple[set[Any], set[Any]]:
    """Of the values of a field with their counts: those that are too small, and the others to suppress."""
    if report.group_key:
        # Records of groups are counted, not members; in timeseries members of several groups are added up.
        is_records = report.format is ReportFormat.RECORDS
        return set(), set() if is_records or minimum <= 1 else set(counts)
    small = small_groups(counts.items(), minimum)
    if not report.count_measure:
        return small, set()
    return small, {
        value for (value,) in _decide(report, keys, {(each,): counts[each] for each in counts}, minimum)
    } - small


def _counts(query: ReportQuery, sums: Mapping[Group, Totals]) -> dict[Group, int]:
    """The members of each group that has any; of differences their size."""
    names = [each.name for each in aggregated_measures(query.all_measures)]
    index = names.index(query.report.count_measure)
    return {group: abs(found[index]) for group, found in sums.items() if found[index]}


def _adds_up_groups(query: ReportQuery) -> bool:
    """Whether the query adds up groups of members, so that a sum may contain what is suppressed."""
    report, fields = query.report, {each.name for each in group_fields(query)}
    if fields.issuperset(report.group_key):
        return False
    return report.source_for(fields | filter_sql.field_names(query.filter)) is report.source


def _decide(report: Report, keys: Sequence[GroupLabel], counts: Mapping[Group, int], minimum: int) -> set[Group]:
    found = small_groups(counts.items(), minimum)
    if not found:
        return found
    places = {group: _place(report, keys, group) for group in counts}
    in_order = sorted(counts, key=lambda group: (counts[group], sort_key(keys, group[len(group) - len(keys) :])))
    # Parts that a part of the labels distinguishes have sums of their own, so they are sets before all groups are.
    for depth in reversed(range(max(len(path) for _, path in places.values()))):
        sets: dict[tuple[Group, Group], list[tuple[Group, int]]] = {}
        for group in in_order:
            overlapping, path = places[group]
            sets.setdefault((overlapping, path[:depth]), []).append((group, counts[group]))
        for members in sets.values():
            found |= complementary_groups(members, found, minimum, report.has_overlapping_groups)
    return found


def _place(report: Report, keys: Sequence[GroupLabel], group: Group) -> tuple[Group, Group]:
    """The labels of a group whose values overlap or are never added up, and the others, beginning with the community."""
    begin = len(group) - len(keys)
    overlapping, communities, path = [*group[:begin]], list[Any](), list[Any]()
    named = dict(zip((each.key for each in keys), group[begin:], strict=True))
    if report.group_key and named.keys() >= set(report.group_key):
        identity = tuple(named.pop(each) for each in report.group_key)
        overlapping.append(set_of_group(*identity))
        path.append(identity)
    for each in keys:
        if each.key in named:
            is_name = each.field.type is FieldType.FLAGS and not each.is_status
            part = overlapping if is_name else communities if each.field.is_tenant_field else path
            part.append(named[each.key])
    return tuple(overlapping), (*communities, *path)
