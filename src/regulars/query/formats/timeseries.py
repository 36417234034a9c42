"""Timeseries: what a report measures in each bucket of local time, one series a group."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.core import timestamps
from regulars.query import local_buckets, merge, suppression
from regulars.query.backends import Backends
from regulars.query.compiler.compiler import GroupLabel, group_labels, plan_groups
from regulars.query.local_buckets import Bucket
from regulars.query.parser import time_range
from regulars.query.parser.time_range import TimeRange
from regulars.query.query import ReportQuery
from regulars.reports.report import COMMUNITY_ID, EnumValue, FieldType, Report, ReportField
from regulars.rollups.intervals import Interval

MAX_POINTS = 1_000
"""So many values that are not null go out; what comes after them is cut off."""

_MOST_ROWS = 2 * (MAX_POINTS + 1)
"""So many values of one community, of those that go out first, are more than go out: across zones two buckets may share
a wall time.
"""

Row = Sequence[Any]
ReportResult = dict[str, Any]


async def timeseries(query: ReportQuery, customers: Sequence[Tenant], stores: Backends, now: datetime) -> ReportResult:
    """The answer to a query in timeseries, from one snapshot at `now`.

    With customers in one zone, buckets are its instants; with several, they are wall times that all zones share.
    Raises InvalidParametersError for a range that ends before it begins or has too many buckets, and for money of
    several currencies.
    """
    merge.require_single_currency(query, customers)
    asked = time_range.resolve_range(query, customers)
    interval = _interval(query, asked, customers, now)
    grid = _Grid(asked, interval, customers, now)
    keys = _Keys(query, asked.zone is None)
    plan, store = plan_groups(query), query.report.source.backend
    answers = []
    async with stores.snapshot(customers, now) as snapshot:
        for customer in customers:
            buckets = grid.buckets[customer.timezone]
            if not buckets:
                continue
            given = {
                "interval": interval.code,
                "starts": [each.start for each in buckets],
                "ends": [each.end for each in buckets],
                # What is hidden is no value, so there is no telling how many rows it takes.
                "most": None if suppression.min_cell_size(customers) else _MOST_ROWS,
            }
            values = plan.bind(customer, now, given)
            rows = await snapshot.fetch(customer, store, plan.statement.sql, values)
            if query.report.is_gauge:
                rows = grid.last(customer, rows, len(keys.labels))
            answers.append((customer, keys.told_apart(grid.placed(customer, rows), customer)))
    series = _series(query, keys, answers, customers)
    return build_result(asked, interval, series)


def _interval(query: ReportQuery, asked: TimeRange, customers: Sequence[Tenant], now: datetime) -> Interval:
    if query.interval is not None:
        return query.interval
    zones = [timestamps.zone_info(name) for name in {each.timezone for each in customers}]
    begins = [(asked.instants_in(zone)[0], zone) for zone in zones]
    return local_buckets.choose_interval(query.report.intervals, asked.duration, begins, now)


class _Grid:
    """The buckets that are asked for and still kept, in each zone, and the times that they go out as."""

    def __init__(self, asked: TimeRange, interval: Interval, customers: Iterable[Tenant], now: datetime) -> None:
        self.buckets: dict[str, list[Bucket]] = {}
        self._times: dict[str, dict[datetime, datetime]] = {}
        for name in {each.timezone for each in customers}:
            times = _times(asked, interval, name)
            kept = [each for each in times if each.is_retained(interval, now)]
            self.buckets[name] = kept
            self._times[name] = {each.start: times[each] for each in kept}

    def placed(self, customer: Tenant, rows: Iterable[Row]) -> Iterator[Row]:
        """A customer's rows, each in the bucket that it goes out in."""
        times = self._times[customer.timezone]
        return ((times[row[0]], *row[1:]) for row in rows)

    def last(self, customer: Tenant, rows: Iterable[Row], labels: int) -> list[Row]:
        """A customer's rows, of each group only the latest in the bucket that it goes out in."""
        times = self._times[customer.timezone]
        in_order = sorted(rows, key=lambda row: row[0])
        return list({(times[row[0]], *row[1 : 1 + labels]): row for row in in_order}.values())


def _times(asked: TimeRange, interval: Interval, name: str) -> Mapping[Bucket, datetime]:
    zone = timestamps.zone_info(name)
    if asked.zone is None:
        return local_buckets.buckets_by_local_time(asked.start, asked.end, interval, zone)
    return {each: each.start for each in local_buckets.buckets_between(asked.start, asked.end, interval, zone)}


# Series ---------------------------------------------------------------------------------------------------------


class _Keys:
    """What tells the series of an answer apart: the labels of their groups; across zones, the customer and its zone.

    Across zones each customer has series of its own, labelled with its number, but for what is labelled with that
    anyway, and for a total, which is one of each zone.
    """

    def __init__(self, query: ReportQuery, is_across_zones: bool) -> None:
        self.labels = group_labels(query)
        self._is_across_zones = is_across_zones
        is_total = query.aggregate_by is not None and not self.labels
        self._has_community = (
            is_across_zones and not is_total and not any(each.field.is_tenant_field for each in self.labels)
        )
        self.all = (*self.labels, GroupLabel("community_id", COMMUNITY_ID)) if self._has_community else self.labels

    def told_apart(self, rows: Iterable[Row], customer: Tenant) -> Iterator[Row]:
        """A customer's rows with its zone first and its number behind the labels, where they are told apart by it."""
        zone = customer.timezone if self._is_across_zones else None
        community = (customer.community_id,) if self._has_community else ()
        behind = 1 + len(self.labels)
        return ((zone, *row[:behind], *community, *row[behind:]) for row in rows)


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its label as it goes out, its values by bucket, none of them null, and, across zones, its zone.

    `is_masked` says that some of them are hidden, for they count too few members.
    """

    label: Mapping[str, Any]
    values: Mapping[datetime, Any]
    timezone: str | None = None
    is_masked: bool = False


def _series(
    query: ReportQuery, keys: _Keys, answers: Iterable[tuple[Tenant, Iterable[Row]]], customers: Sequence[Tenant]
) -> Iterator[Series]:
    """What the customers' rows add up to, in the order in which it goes out, each series made when it is asked for."""
    metric = _metric(query.report)
    minor_digits, smallest = customers[0].minor_digits, suppression.min_cell_size(customers)
    found: dict[tuple[tuple[Any, ...], str | None], dict[datetime, merge.Totals]] = {}
    for (zone, bucket, *label), sums in merge.merge_groups(query.measures, 2 + len(keys.all), answers).items():
        found.setdefault((tuple(label), zone), {})[bucket] = sums
    in_order = sorted(found, key=lambda key: (merge.sort_key(keys.all, key[0], nulls_last=True), key[1] or ""))
    for measure in query.measures:
        take = merge.measure_getter(measure, query.measures)
        for label, zone in in_order:
            values = {bucket: value for bucket, sums in found[label, zone].items() if (value := take(sums)) is not None}
            shown = values if not smallest else _large(query.report, values, smallest)
            if values:
                name = (measure.name, *label) if metric else label
                labelled = merge.serialize_label((*metric, *keys.all), name, minor_digits)
                yield Series(labelled, shown, zone, is_masked=len(shown) < len(values))


def _large(report: Report, values: Mapping[datetime, Any], smallest: int) -> Mapping[datetime, Any]:
    return {bucket: value for bucket, value in values.items() if not suppression.is_suppressed(report, value, smallest)}


def _metric(report: Report) -> tuple[GroupLabel, ...]:
    """The label that tells a report's measures apart, where it has several."""
    if not report.metric:
        return ()
    names = tuple(EnumValue(each.name, each.description) for each in report.measures)
    return (GroupLabel(report.metric, ReportField(report.metric, FieldType.STRING, "What is measured.", values=names)),)


# The answer -----------------------------------------------------------------------------------------------------


def build_result(asked: TimeRange, interval: Interval, series: Iterable[Series]) -> ReportResult:
    """Series as they go out, cut to as many values as go out; those behind the cut are not asked for."""
    shown, is_cut = _cut(series)
    buckets = sorted({bucket for each in shown for bucket in each.values})
    points = sum(len(each.values) for each in shown)
    return {
        "interval": interval.code,
        "range_timezone": asked.timezone_name,
        "time_buckets": [asked.format(each) for each in buckets],
        "series": [_written(each, buckets) for each in shown],
        "data_points": points,
        **({"truncated": True} if is_cut else {}),
        "result_type": "timeseries",
    }


def _written(series: Series, buckets: Sequence[datetime]) -> ReportResult:
    zone = {"timezone": series.timezone} if series.timezone is not None else {}
    mark = {"masked": True} if series.is_masked else {}
    return {**zone, "label": series.label, "values": [series.values.get(each) for each in buckets], **mark}


def _cut(series: Iterable[Series]) -> tuple[list[Series], bool]:
    """Whole series in their order, of the last one its earliest values, and whether anything is left out."""
    shown: list[Series] = []
    left = MAX_POINTS
    for each in series:
        if len(each.values) > left:
            earliest = dict(sorted(each.values.items())[:left])
            return shown + ([replace(each, values=earliest)] if earliest else []), True
        shown.append(each)
        left -= len(each.values)
    return shown, False
