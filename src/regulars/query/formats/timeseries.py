"""Executes queries of timeseries: the measures of each bucket of local time, one series for each group."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.core import timestamps
from regulars.core.field_type import FieldType
from regulars.query import local_buckets, merge, suppression
from regulars.query.backends import Backends, ReadSnapshot
from regulars.query.compiler.groups import GroupLabel, group_labels, plan_groups
from regulars.query.local_buckets import Bucket
from regulars.query.parser import time_range
from regulars.query.parser.time_range import TimeRange
from regulars.query.query import ReportQuery
from regulars.reports.report import COMMUNITY_ID, EnumValue, Report, ReportField
from regulars.rollups.intervals import Interval

MAX_POINTS = 1_000
"""Non-null values of a result; it is truncated after them."""

_MAX_ROWS = 2 * (MAX_POINTS + 1)
"""Rows of one community that are enough to fill a result: across time zones two buckets may share a local time."""

Row = Sequence[Any]
ReportResult = dict[str, Any]


async def timeseries(query: ReportQuery, tenants: Sequence[Tenant], backends: Backends, now: datetime) -> ReportResult:
    """Executes a query of timeseries on one snapshot at `now`.

    If all tenants share a time zone, buckets are instants; otherwise they are local times, the same in each zone.
    Raises InvalidParametersError for a range that ends before it begins or has too many buckets, and for money of
    several currencies.
    """
    merge.require_single_currency(query, tenants)
    period = time_range.resolve_range(query, tenants)
    interval = resolve_interval(query, period, tenants, now)
    grid = BucketGrid(period, interval, tenants, now)
    keys = SeriesKeys(query, period.zone is None)
    async with backends.snapshot(tenants, now) as snapshot:
        fetched = await fetch_series(query, keys, grid, tenants, snapshot, now, _MAX_ROWS)
    return build_result(period, interval, merge_series(query, keys, fetched, tenants))


def resolve_interval(query: ReportQuery, period: TimeRange, tenants: Sequence[Tenant], now: datetime) -> Interval:
    """The interval of a query: the requested one, or one that is chosen by the length of the range."""
    if query.interval is not None:
        return query.interval
    zones = [timestamps.zone_info(name) for name in {each.timezone for each in tenants}]
    begins = [(period.instants_in(zone)[0], zone) for zone in zones]
    return local_buckets.choose_interval(query.report.intervals, period.duration, begins, now)


class BucketGrid:
    """The requested buckets that are retained, by time zone, and their times in the result.

    Statements get contiguous buckets: also those between the requested ones, whose rows are dropped.
    """

    def __init__(self, period: TimeRange, interval: Interval, tenants: Iterable[Tenant], now: datetime) -> None:
        self.buckets: dict[str, Sequence[Bucket]] = {}
        self._interval = interval
        self._times: dict[str, dict[datetime, datetime]] = {}
        for name in {each.timezone for each in tenants}:
            times = _times(period, interval, name)
            retained = [each for each in times if each.is_retained(interval, now)]
            self.buckets[name] = local_buckets.fill_gaps(retained, interval, timestamps.zone_info(name))
            self._times[name] = {each.start: times[each] for each in retained}

    def parameters(self, tenant: Tenant) -> dict[str, Any] | None:
        """The parameters of a statement for the buckets of a tenant; None where it has none."""
        buckets = self.buckets[tenant.timezone]
        if not buckets:
            return None
        return {
            "interval": self._interval.code,
            "starts": [each.start for each in buckets],
            "ends": [each.end for each in buckets],
        }

    def has_gaps(self, tenant: Tenant) -> bool:
        """Whether there are buckets between the requested ones, in a repeated hour at an end of the range."""
        return len(self.buckets[tenant.timezone]) > len(self._times[tenant.timezone])

    def assign(self, tenant: Tenant, rows: Iterable[Row], query: ReportQuery) -> Iterator[Row]:
        """Replaces the bucket of each requested row by its time in the result; of a gauge, only the latest row of a time."""
        times = self._times[tenant.timezone]
        rows = (row for row in rows if row[0] in times)
        if query.report.is_gauge:
            rows = self._last(tenant, rows, len(group_labels(query)))
        return ((times[row[0]], *row[1:]) for row in rows)

    def _last(self, tenant: Tenant, rows: Iterable[Row], labels: int) -> list[Row]:
        """The latest row of each group and time in the result."""
        times = self._times[tenant.timezone]
        in_order = sorted(rows, key=lambda row: row[0])
        return list({(times[row[0]], *row[1 : 1 + labels]): row for row in in_order}.values())


def _times(period: TimeRange, interval: Interval, name: str) -> Mapping[Bucket, datetime]:
    zone = timestamps.zone_info(name)
    if period.zone is None:
        return local_buckets.buckets_by_local_time(period.start, period.end, interval, zone)
    return {each: each.start for each in local_buckets.buckets_between(period.start, period.end, interval, zone)}


# Series -------------------------------------------------------------------------------------------------------


class SeriesKeys:
    """The key of each series: the labels of its group and, across time zones, the zone and the tenant.

    Across time zones each tenant has its own series, labelled with its community_id unless that is a label already. A
    total has one series for each zone instead.
    """

    def __init__(self, query: ReportQuery, is_across_zones: bool) -> None:
        self.labels = group_labels(query)
        self._is_across_zones = is_across_zones
        is_total = query.aggregate_by is not None and not self.labels
        self._has_community = (
            is_across_zones and not is_total and not any(each.field.is_tenant_field for each in self.labels)
        )
        self.all = (*self.labels, GroupLabel("community_id", COMMUNITY_ID)) if self._has_community else self.labels

    def add_to_rows(self, rows: Iterable[Row], tenant: Tenant) -> Iterator[Row]:
        """Adds the time zone before, and the community_id after, the labels of rows where they are part of the key."""
        zone = tenant.timezone if self._is_across_zones else None
        community = (tenant.community_id,) if self._has_community else ()
        end = 1 + len(self.labels)
        return ((zone, *row[:end], *community, *row[end:]) for row in rows)


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its serialized label, its non-null values by bucket and, across time zones, its zone.

    `is_masked` is set where values are suppressed.
    """

    label: Mapping[str, Any]
    values: Mapping[datetime, Any]
    timezone: str | None = None
    is_masked: bool = False


TenantRows = Sequence[tuple[Tenant, Iterable[Row]]]


@dataclass(frozen=True, slots=True)
class FetchedSeries:
    """The rows of each tenant; `every` are those of all groups, if a filter selects some of them and others decide what
    is suppressed.
    """

    selected: TenantRows
    every: TenantRows | None


async def fetch_series(
    query: ReportQuery,
    keys: SeriesKeys,
    grid: BucketGrid,
    tenants: Sequence[Tenant],
    snapshot: ReadSnapshot,
    now: datetime,
    max_rows: int | None,
) -> FetchedSeries:
    """The rows that the series of a query are merged from; `max_rows` of a tenant are enough, None for all."""
    minimum = suppression.min_cell_size(tenants)

    async def fetch(which: ReportQuery) -> TenantRows:
        results = []
        for tenant in tenants:
            parameters = grid.parameters(tenant)
            if parameters is not None:
                # Suppressed values and rows that are dropped do not count, so the number of rows needed is unknown.
                parameters["max_rows"] = None if minimum or grid.has_gaps(tenant) else max_rows
                plan = plan_groups(which.for_community(tenant.community_id))
                values = plan.bind(tenant, now, parameters)
                rows = await snapshot.fetch(tenant, query.report.source.backend, plan.statement.sql, values)
                results.append((tenant, keys.add_to_rows(grid.assign(tenant, rows, query), tenant)))
        return results

    every = suppression.query_of_all_groups(query, minimum)
    return FetchedSeries(await fetch(query), None if every is query else await fetch(every))


def merge_series(
    query: ReportQuery, keys: SeriesKeys, fetched: FetchedSeries, tenants: Sequence[Tenant]
) -> Iterator[Series]:
    """Merges the rows of all tenants to series, lazily and in the order of the result."""
    metric = metric_labels(query.report)
    minor_digits, minimum = tenants[0].minor_digits, suppression.min_cell_size(tenants)
    width = 2 + len(keys.all)
    merged = merge.merge_groups(query.all_measures, width, fetched.selected)
    every = None if fetched.every is None else merge.merge_groups(query.all_measures, width, fetched.every)
    suppressed = suppression.suppressed_groups(query, keys.all, merged, minimum, every)
    found: dict[tuple[tuple[Any, ...], str | None], dict[datetime, merge.Totals]] = {}
    for (zone, bucket, *label), sums in merged.items():
        found.setdefault((tuple(label), zone), {})[bucket] = sums
    in_order = sorted(found, key=lambda key: (merge.sort_key(keys.all, key[0], nulls_last=True), key[1] or ""))
    for measure in query.measures:
        take = merge.measure_getter(measure, query.measures)
        for label, zone in in_order:
            values = {bucket: value for bucket, sums in found[label, zone].items() if (value := take(sums)) is not None}
            if values:
                shown = {bucket: value for bucket, value in values.items() if (zone, bucket, *label) not in suppressed}
                name = (measure.name, *label) if metric else label
                labelled = merge.serialize_label((*metric, *keys.all), name, minor_digits)
                yield Series(labelled, shown, zone, is_masked=len(shown) < len(values))


def metric_labels(report: Report) -> tuple[GroupLabel, ...]:
    """The label that identifies the measure of a series, where the report has several."""
    if not report.metric:
        return ()
    names = tuple(EnumValue(each.name, each.description) for each in report.measures)
    return (GroupLabel(report.metric, ReportField(report.metric, FieldType.STRING, "What is measured.", values=names)),)


# Result -------------------------------------------------------------------------------------------------------


def build_result(period: TimeRange, interval: Interval, series: Iterable[Series]) -> ReportResult:
    """Builds the result from series, truncated to MAX_POINTS values; series after that are not computed."""
    shown, is_truncated = _truncate(series)
    buckets = sorted({bucket for each in shown for bucket in each.values})
    points = sum(len(each.values) for each in shown)
    return {
        "interval": interval.code,
        "range_timezone": period.timezone_name,
        "time_buckets": [period.format(each) for each in buckets],
        "series": [_serialize(each, buckets) for each in shown],
        "data_points": points,
        **({"truncated": True} if is_truncated else {}),
        "result_type": "timeseries",
    }


def _serialize(series: Series, buckets: Sequence[datetime]) -> ReportResult:
    zone = {"timezone": series.timezone} if series.timezone is not None else {}
    mark = {"masked": True} if series.is_masked else {}
    return {**zone, "label": series.label, "values": [series.values.get(each) for each in buckets], **mark}


def _truncate(series: Iterable[Series]) -> tuple[list[Series], bool]:
    """The first series, the last of them with its earliest values only, and whether anything is omitted."""
    shown: list[Series] = []
    remaining = MAX_POINTS
    for each in series:
        if len(each.values) > remaining:
            earliest = dict(sorted(each.values.items())[:remaining])
            return shown + ([replace(each, values=earliest)] if earliest else []), True
        shown.append(each)
        remaining -= len(each.values)
    return shown, False
