"""Sample reports of events in communities of any time zone; events are stored in the properties of one profile."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from clubs import START
from regulars.auth.tenants import Tenant
from regulars.core.field_type import FieldType
from regulars.model import community as communities
from regulars.model.community import NewCommunity
from regulars.query.query import ReportQuery
from regulars.reports.report import (
    COMMUNITY_ID,
    LOYALTY_CLUB_ID,
    Backend,
    EnumValue,
    Grouping,
    Report,
    ReportField,
    ReportFormat,
    ReportMeasure,
    RowSource,
)
from regulars.rollups.intervals import ALL_INTERVALS, Interval
from regulars.storage.database import Database

_numbers = itertools.count(1)


@dataclass(frozen=True)
class SampleEvent:
    """One sample event."""

    at: datetime
    kind: str | None = "out"
    place: int | None = None
    amount: int | None = None


_EVENTS = """
FROM profiles AS p
CROSS JOIN LATERAL jsonb_to_recordset(p.properties -> 'events') AS h (
    at timestamptz, kind text, place bigint, amount bigint
)
WHERE p.community_id = $community
"""

# All buckets from the first to the last, as the reports of rollups read them.
_OVER_TIME = f"""
SELECT bucket_start(h.at, $interval, $zone) AS bucket, h.*
{_EVENTS}
  AND bucket_start(h.at, $interval, $zone) BETWEEN ($starts)[1] AND ($starts)[cardinality($starts)]
"""

FIELDS = (
    COMMUNITY_ID,
    LOYALTY_CLUB_ID,
    ReportField(
        "kind",
        FieldType.STRING,
        "An enum.",
        filterable=True,
        groupable=True,
        values=(EnumValue("out"), EnumValue("in")),
    ),
    ReportField("place", FieldType.INTEGER, "Where.", filterable=True, groupable=True),
)
COUNT = ReportMeasure("count", FieldType.INTEGER, "How many.", sql="count(*)")
AMOUNT = ReportMeasure("amount", FieldType.MONEY, "Of what amount.", sql="sum(r.amount)::bigint")
SALES = ReportMeasure("sales", FieldType.INTEGER, "With an amount.", sql="count(r.amount)")
AVERAGE = ReportMeasure("average", FieldType.MONEY, "Amount by sales.", quotient=("amount", "sales"))

HISTORY = Report(
    name="events_history",
    format=ReportFormat.TIMESERIES,
    description="Events over time.",
    cost=3,
    fields=FIELDS,
    source=RowSource(Backend.POSTGRES, _OVER_TIME),
    default_group_by=("kind",),
    groupings=(Grouping("kind_and_place", ("kind", "place"), "By both."),),
    measures=(COUNT,),
    intervals=ALL_INTERVALS,
)

AMOUNTS = Report(
    name="amounts_history",
    format=ReportFormat.TIMESERIES,
    description="Amounts over time.",
    cost=3,
    fields=FIELDS,
    source=RowSource(Backend.POSTGRES, _OVER_TIME),
    measures=(SALES, AMOUNT, AVERAGE),
    metric="metric",
    intervals=(Interval.DAY, Interval.MONTH),
)

HIGHEST = Report(
    name="highest_history",
    format=ReportFormat.TIMESERIES,
    description="The place at the end of each bucket.",
    cost=3,
    fields=FIELDS,
    source=RowSource(Backend.POSTGRES, _OVER_TIME),
    default_group_by=("kind",),
    measures=(
        ReportMeasure("place", FieldType.INTEGER, "The last place.", sql="(array_agg(r.place ORDER BY r.at DESC))[1]"),
    ),
    is_gauge=True,
    intervals=ALL_INTERVALS,
)

STATS = Report(
    name="events_stats",
    format=ReportFormat.STATISTICS,
    description="Events in a range.",
    cost=2,
    fields=FIELDS,
    source=RowSource(Backend.POSTGRES, f"SELECT h.*\n{_EVENTS}\n  AND h.at >= $from AND h.at < $to"),
    measures=(
        COUNT,
        SALES,
        AMOUNT,
        AVERAGE,
        ReportMeasure("rate", FieldType.NUMBER, "Rate.", quotient=("sales", "count")),
    ),
)


async def create_tenant(database: Database, zone: str, events: Sequence[SampleEvent], currency: str = "NOK") -> Tenant:
    """Creates a tenant in a time zone with events."""
    number = next(_numbers)
    new = NewCommunity(slug=f"happy-{number}", name="Happy", country="NO", timezone=zone, currency=currency)
    async with database.unscoped_connection() as connection:
        community = await communities.create(connection, new, START)
    properties = msgspec.json.encode({"events": events}).decode()
    async with database.write_transaction(community.id) as scope:
        await scope.connection.execute(
            "INSERT INTO profiles (community_id, profile_id, properties, created_at, updated_at)"
            " VALUES ($1, $2, $3::text::jsonb, $4, $4)",
            community.id,
            uuid.uuid4(),
            properties,
            START,
        )
    return Tenant(community.id, community.id + 1_000_000, community.id, 1, new.slug, new.name, zone, currency, 2, {})


def build_query(
    report: Report, start: str | datetime, end: str | datetime, by: str | None = None, interval: Interval | None = None
) -> ReportQuery:
    """A query by its range, aggregation and interval."""
    aggregation = None if by is None else report.groupings_by_name[by]
    return ReportQuery(report, aggregate_by=aggregation, interval=interval, start=_time(start), end=_time(end))


def _time(written: str | datetime) -> datetime:
    return datetime.fromisoformat(written) if isinstance(written, str) else written
