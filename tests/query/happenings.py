"""Reports of what happened in communities of any zone, each kept with its moment in one profile of its community."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from clubs import START
from regulars.access.customers import Customer
from regulars.facts import community as communities
from regulars.facts.community import NewCommunity
from regulars.query.query import Query
from regulars.reports.interval import EVERY, Interval
from regulars.reports.report import (
    COMMUNITY_ID,
    LOYALTY_CLUB_ID,
    Aggregation,
    Field,
    Format,
    Kind,
    Measure,
    Report,
    Source,
    Store,
    Value,
)
from regulars.storage.database import Database

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Happening:
    """Something that happened."""

    at: datetime
    kind: str | None = "out"
    place: int | None = None
    amount: int | None = None


_HAPPENINGS = """
FROM profiles AS p
CROSS JOIN LATERAL jsonb_to_recordset(p.properties -> 'happenings') AS h (
    at timestamptz, kind text, place bigint, amount bigint
)
WHERE p.community_id = $community
"""

_OVER_TIME = f"""
SELECT bucket_start(h.at, $interval, $zone) AS bucket, h.*
{_HAPPENINGS}
  AND bucket_start(h.at, $interval, $zone) = ANY ($starts)
"""

FIELDS = (
    COMMUNITY_ID,
    LOYALTY_CLUB_ID,
    Field("kind", Kind.STRING, "An enum.", filterable=True, groups=True, values=(Value("out"), Value("in"))),
    Field("place", Kind.INTEGER, "Where.", filterable=True, groups=True),
)
COUNT = Measure("count", Kind.INTEGER, "How many.", sql="count(*)")
AMOUNT = Measure("amount", Kind.MONEY, "Of what amount.", sql="sum(r.amount)::bigint")
SALES = Measure("sales", Kind.INTEGER, "With an amount.", sql="count(r.amount)")
AVERAGE = Measure("average", Kind.MONEY, "Amount by sales.", quotient=("amount", "sales"))

HISTORY = Report(
    name="happenings_history",
    format=Format.TIMESERIES,
    meaning="What happened, over time.",
    cost=3,
    fields=FIELDS,
    source=Source(Store.TABLES, _OVER_TIME),
    grouped_by=("kind",),
    aggregations=(Aggregation("kind_and_place", ("kind", "place"), "By both."),),
    measures=(COUNT,),
    intervals=EVERY,
)

AMOUNTS = Report(
    name="amounts_history",
    format=Format.TIMESERIES,
    meaning="What it came to, over time.",
    cost=3,
    fields=FIELDS,
    source=Source(Store.TABLES, _OVER_TIME),
    measures=(SALES, AMOUNT, AVERAGE),
    metric="metric",
    intervals=(Interval.DAY, Interval.MONTH),
)

HIGHEST = Report(
    name="highest_history",
    format=Format.TIMESERIES,
    meaning="The place at the end of each bucket.",
    cost=3,
    fields=FIELDS,
    source=Source(Store.TABLES, _OVER_TIME),
    grouped_by=("kind",),
    measures=(Measure("place", Kind.INTEGER, "The last place.", sql="(array_agg(r.place ORDER BY r.at DESC))[1]"),),
    at_end=True,
    intervals=EVERY,
)

STATS = Report(
    name="happenings_stats",
    format=Format.STATISTICS,
    meaning="What happened in a range.",
    cost=2,
    fields=FIELDS,
    source=Source(Store.TABLES, f"SELECT h.*\n{_HAPPENINGS}\n  AND h.at >= $from AND h.at < $to"),
    measures=(COUNT, SALES, AMOUNT, AVERAGE, Measure("rate", Kind.NUMBER, "Rate.", quotient=("sales", "count"))),
)


async def customer(database: Database, zone: str, happenings: Sequence[Happening], currency: str = "NOK") -> Customer:
    """A customer in a zone in whose community that happened."""
    number = next(_numbers)
    new = NewCommunity(slug=f"happy-{number}", name="Happy", country="NO", timezone=zone, currency=currency)
    async with database.unscoped() as connection:
        made = await communities.create(connection, new, START)
    properties = msgspec.json.encode({"happenings": happenings}).decode()
    async with database.writing(made.id) as scope:
        await scope.connection.execute(
            "INSERT INTO profiles (community_id, profile_id, properties, created_at, updated_at)"
            " VALUES ($1, $2, $3::text::jsonb, $4, $4)",
            made.id,
            uuid.uuid4(),
            properties,
            START,
        )
    return Customer(made.id, made.id + 1_000_000, made.id, 1, new.slug, new.name, zone, currency, 2, {})


def asked(
    report: Report, start: str | datetime, end: str | datetime, by: str | None = None, interval: Interval | None = None
) -> Query:
    """A query by its range, aggregation and interval."""
    aggregation = None if by is None else report.by_aggregation[by]
    return Query(report, aggregate_by=aggregation, interval=interval, start=_time(start), end=_time(end))


def _time(written: str | datetime) -> datetime:
    return datetime.fromisoformat(written) if isinstance(written, str) else written
