"""Timeseries: what a report measures in each bucket of local time, one series a group."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from regulars.access.customers import Customer
from regulars.facts import instants
from regulars.query import groups, intervals, ranges, small_groups
from regulars.query.compiling import Label, grouped, labels
from regulars.query.execution import Stores
from regulars.query.intervals import Bucket
from regulars.query.query import Query
from regulars.query.ranges import Range
from regulars.reports.interval import Interval
from regulars.reports.report import COMMUNITY_ID, Field, Kind, Report, Value

MOST_POINTS = 1_000
"""So many values that are not null go out; what comes after them is cut off."""

_MOST_ROWS = 2 * (MOST_POINTS + 1)
"""So many values of one community, of those that go out first, are more than go out: across zones two buckets may share
a wall time.
"""

Row = Sequence[Any]
Answer = dict[str, Any]


async def timeseries(query: Query, customers: Sequence[Customer], stores: Stores, now: datetime) -> Answer:
    """The answer to a query in timeseries, from one snapshot at `now`.

    With customers in one zone, buckets are its instants; with several, they are wall times that all zones share.
    Raises InvalidParametersError for a range that ends before it begins or has too many buckets, and for money of
    several currencies.
    """
    groups.require_one_currency(query, customers)
    asked = ranges.asked(query, customers)
    interval = _interval(query, asked, customers, now)
    grid = _Grid(asked, interval, customers, now)
    keys = _Keys(query, asked.zone is None)
    plan, store = grouped(query), query.report.source.store
    answers = []
    async with stores.snapshot(customers, now) as snapshot:
        for customer in customers:
            buckets = grid.buckets[customer.timezone]
            if not buckets:
                continue
            given = {
                "interval": interval.written,
                "starts": [each.start for each in buckets],
                "ends": [each.end for each in buckets],
                # What is hidden is no value, so there is no telling how many rows it takes.
                "most": None if small_groups.smallest_cell(customers) else _MOST_ROWS,
            }
            values = plan.values(customer, now, given)
            rows = await snapshot.rows(customer, store, plan.statement.sql, values)
            if query.report.at_end:
                rows = grid.last(customer, rows, len(keys.labels))
            answers.append((customer, keys.told_apart(grid.placed(customer, rows), customer)))
    series = _series(query, keys, answers, customers)
    return answer(asked, interval, series)


def _interval(query: Query, asked: Range, customers: Sequence[Customer], now: datetime) -> Interval:
    if query.interval is not None:
        return query.interval
    zones = [instants.zone(name) for name in {each.timezone for each in customers}]
    begins = [(asked.within(zone)[0], zone) for zone in zones]
    return intervals.automatic(query.report.intervals, asked.length, begins, now)


class _Grid:
    """The buckets that are asked for and still kept, in each zone, and the times that they go out as."""

    def __init__(self, asked: Range, interval: Interval, customers: Iterable[Customer], now: datetime) -> None:
        self.buckets: dict[str, list[Bucket]] = {}
        self._times: dict[str, dict[datetime, datetime]] = {}
        for name in {each.timezone for each in customers}:
            times = _times(asked, interval, name)
            kept = [each for each in times if each.is_kept(interval, now)]
            self.buckets[name] = kept
            self._times[name] = {each.start: times[each] for each in kept}

    def placed(self, customer: Customer, rows: Iterable[Row]) -> Iterator[Row]:
        """A customer's rows, each in the bucket that it goes out in."""
        times = self._times[customer.timezone]
        return ((times[row[0]], *row[1:]) for row in rows)

    def last(self, customer: Customer, rows: Iterable[Row], labels: int) -> list[Row]:
        """A customer's rows, of each group only the latest in the bucket that it goes out in."""
        times = self._times[customer.timezone]
        in_order = sorted(rows, key=lambda row: row[0])
        return list({(times[row[0]], *row[1 : 1 + labels]): row for row in in_order}.values())


def _times(asked: Range, interval: Interval, name: str) -> Mapping[Bucket, datetime]:
    zone = instants.zone(name)
    if asked.zone is None:
        return intervals.on_walls(asked.start, asked.end, interval, zone)
    return {each: each.start for each in intervals.between(asked.start, asked.end, interval, zone)}


# Series ---------------------------------------------------------------------------------------------------------


class _Keys:
    """What tells the series of an answer apart: the labels of their groups; across zones, the customer and its zone.

    Across zones each customer has series of its own, labelled with its number, but for what is labelled with that
    anyway, and for a total, which is one of each zone.
    """

    def __init__(self, query: Query, is_across_zones: bool) -> None:
        self.labels = labels(query)
        self._is_across_zones = is_across_zones
        is_total = query.aggregate_by is not None and not self.labels
        self._has_community = is_across_zones and not is_total and not any(each.field.by_header for each in self.labels)
        self.all = (*self.labels, Label("community_id", COMMUNITY_ID)) if self._has_community else self.labels

    def told_apart(self, rows: Iterable[Row], customer: Customer) -> Iterator[Row]:
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
    query: Query, keys: _Keys, answers: Iterable[tuple[Customer, Iterable[Row]]], customers: Sequence[Customer]
) -> Iterator[Series]:
    """What the customers' rows add up to, in the order in which it goes out, each series made when it is asked for."""
    metric = _metric(query.report)
    minor_digits, smallest = customers[0].minor_digits, small_groups.smallest_cell(customers)
    found: dict[tuple[tuple[Any, ...], str | None], dict[datetime, groups.Sums]] = {}
    for (zone, bucket, *label), sums in groups.added(query.measures, 2 + len(keys.all), answers).items():
        found.setdefault((tuple(label), zone), {})[bucket] = sums
    in_order = sorted(found, key=lambda key: (groups.order(keys.all, key[0], nulls_last=True), key[1] or ""))
    for measure in query.measures:
        take = groups.taken(measure, query.measures)
        for label, zone in in_order:
            values = {bucket: value for bucket, sums in found[label, zone].items() if (value := take(sums)) is not None}
            shown = values if not smallest else _large(query.report, values, smallest)
            if values:
                name = (measure.name, *label) if metric else label
                labelled = groups.labelled((*metric, *keys.all), name, minor_digits)
                yield Series(labelled, shown, zone, is_masked=len(shown) < len(values))


def _large(report: Report, values: Mapping[datetime, Any], smallest: int) -> Mapping[datetime, Any]:
    return {bucket: value for bucket, value in values.items() if not small_groups.is_small(report, value, smallest)}


def _metric(report: Report) -> tuple[Label, ...]:
    """The label that tells a report's measures apart, where it has several."""
    if not report.metric:
        return ()
    names = tuple(Value(each.name, each.meaning) for each in report.measures)
    return (Label(report.metric, Field(report.metric, Kind.STRING, "What is measured.", values=names)),)


# The answer -----------------------------------------------------------------------------------------------------


def answer(asked: Range, interval: Interval, series: Iterable[Series]) -> Answer:
    """Series as they go out, cut to as many values as go out; those behind the cut are not asked for."""
    shown, is_cut = _cut(series)
    buckets = sorted({bucket for each in shown for bucket in each.values})
    points = sum(len(each.values) for each in shown)
    return {
        "interval": interval.written,
        "range_timezone": asked.name,
        "time_buckets": [asked.written(each) for each in buckets],
        "series": [_written(each, buckets) for each in shown],
        "data_points": points,
        **({"truncated": True} if is_cut else {}),
        "result_type": "timeseries",
    }


def _written(series: Series, buckets: Sequence[datetime]) -> Answer:
    zone = {"timezone": series.timezone} if series.timezone is not None else {}
    mark = {"masked": True} if series.is_masked else {}
    return {**zone, "label": series.label, "values": [series.values.get(each) for each in buckets], **mark}


def _cut(series: Iterable[Series]) -> tuple[list[Series], bool]:
    """Whole series in their order, of the last one its earliest values, and whether anything is left out."""
    shown: list[Series] = []
    left = MOST_POINTS
    for each in series:
        if len(each.values) > left:
            earliest = dict(sorted(each.values.items())[:left])
            return shown + ([replace(each, values=earliest)] if earliest else []), True
        shown.append(each)
        left -= len(each.values)
    return shown, False
