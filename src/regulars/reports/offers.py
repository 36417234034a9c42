"""Reports of offers and their events.

An offer counts in each collection that it currently belongs to. An event counts in the store where it happened, or in
the store of the offer if it has none.
"""

from collections.abc import Sequence
from dataclasses import replace

from regulars.core.field_type import FieldType
from regulars.facts.offer_events import EVENT_TYPE_CODES
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
from regulars.rollups import partitions
from regulars.rollups.intervals import ALL_INTERVALS

_OFFER_ID = ReportField("offer_id", FieldType.INTEGER, "ID of the offer.", filterable=True, groupable=True)
_TYPE = ReportField("type", FieldType.STRING, "Type of the offer.", filterable=True, groupable=True)
_COLLECTION_IDS = ReportField(
    "collection_ids",
    FieldType.INTEGER_LIST,
    "IDs of the collections that the offer is in.",
    filterable=True,
    groupable=True,
    group_labels=("collection_id",),
)
_STORE_ID = ReportField(
    "store_id",
    FieldType.INTEGER,
    "ID of the store of the event, or of the offer if the event has none.",
    filterable=True,
    groupable=True,
)
_CAMPAIGN_ID = ReportField("campaign_id", FieldType.INTEGER, "ID of the campaign.", filterable=True, groupable=True)

# Offers -------------------------------------------------------------------------------------------------------

_COUNTERS = {
    "grants_count": ("granted_count", "Grants."),
    "uses_count": ("used_count", "Uses."),
    "seen_count": ("seen_count", "Views."),
    "clicked_count": ("clicked_count", "Clicks."),
}
_COUNTS = tuple(ReportField(name, FieldType.INTEGER, meaning) for name, (_, meaning) in _COUNTERS.items())
_OFFERS_COUNT = "Number of offers."
_SUMS = tuple(ReportMeasure(each.name, each.type, each.description, f"sum(r.{each.name})") for each in _COUNTS)

_EXTERNAL_ID = ReportField("external_id", FieldType.STRING, "ID in the source system.", filterable=True)
_CREATED_AT = ReportField("created_at", FieldType.TIMESTAMP, "When it was created.", filterable=True)

OFFERS = Report(
    "offers",
    ReportFormat.RECORDS,
    "Offers to members with the totals of their events.",
    cost=2,
    fields=(
        ReportField("id", FieldType.INTEGER, "ID of the offer.", filterable=True),
        LOYALTY_CLUB_ID,
        ReportField("name", FieldType.STRING, "Name.", filterable=True),
        _TYPE,
        ReportField("status", FieldType.STRING, "Status, as last imported.", filterable=True, groupable=True),
        _COLLECTION_IDS,
        replace(_STORE_ID, description="ID of the store of the offer."),
        _CAMPAIGN_ID,
        ReportField("usable_since", FieldType.TIMESTAMP, "Start of validity.", filterable=True),
        ReportField("usable_until", FieldType.TIMESTAMP, "End of validity.", filterable=True),
        ReportField("stock", FieldType.INTEGER, "Stock, as last imported.", filterable=True),
        *_COUNTS,
        replace(_EXTERNAL_ID, visible=False),
        replace(_CREATED_AT, visible=False),
        replace(COMMUNITY_ID, visible=False),
    ),
    source=RowSource(
        Backend.POSTGRES,
        f"""
SELECT
    id, name, type, status, collection_ids, location_id AS store_id, campaign_id, usable_since, usable_until, stock,
    {", ".join(f"{column} AS {name}" for name, (column, _) in _COUNTERS.items())}, external_id, created_at
FROM offers
WHERE community_id = $community AND NOT is_placeholder
""",
    ),
    key=("loyalty_club_id", "id"),
    measures=(ReportMeasure("offers_count", FieldType.INTEGER, _OFFERS_COUNT, "count(*)"), *_SUMS),
)

OFFERS_COLLECTIONS = Report(
    "offers_collections",
    ReportFormat.RECORDS,
    "Collections with the totals of the offers that they currently contain.",
    cost=2,
    fields=(
        ReportField("id", FieldType.INTEGER, "ID of the collection.", filterable=True),
        LOYALTY_CLUB_ID,
        _EXTERNAL_ID,
        ReportField(
            "name", FieldType.STRING, "Name; null for a collection that was only referenced by offers.", filterable=True
        ),
        ReportField("offers_count", FieldType.INTEGER, _OFFERS_COUNT),
        *_COUNTS,
        _CREATED_AT,
        replace(COMMUNITY_ID, visible=False),
    ),
    source=RowSource(
        Backend.POSTGRES,
        f"""
SELECT
    c.id, c.external_id, c.name, c.created_at, coalesce(own.offers_count, 0) AS offers_count,
    {", ".join(f"coalesce(own.{name}, 0) AS {name}" for name in _COUNTERS)}
FROM offer_collections AS c
LEFT JOIN (
    SELECT
        collection_id, count(*) AS offers_count,
        {", ".join(f"sum({column}) AS {name}" for name, (column, _) in _COUNTERS.items())}
    FROM (
        SELECT unnest(collection_ids) AS collection_id, {", ".join(column for column, _ in _COUNTERS.values())}
        FROM offers
        WHERE community_id = $community AND NOT is_placeholder
    ) AS listed
    GROUP BY collection_id
) AS own ON own.collection_id = c.id
WHERE c.community_id = $community
""",
    ),
    key=("loyalty_club_id", "id"),
)

# Over time ----------------------------------------------------------------------------------------------------

_LABELS = (_OFFER_ID, _COLLECTION_IDS, _STORE_ID, _CAMPAIGN_ID, _TYPE)


# Rollups are read by the key of each offer that has events in the range, because buckets of a range are far apart.
def _history(name: str, events: Sequence[str], meaning: str, counted: ReportMeasure) -> Report:
    return Report(
        name,
        ReportFormat.TIMESERIES,
        meaning,
        cost=3,
        fields=(
            COMMUNITY_ID,
            LOYALTY_CLUB_ID,
            *_LABELS,
            ReportField(
                "event",
                FieldType.STRING,
                "Type of event.",
                filterable=True,
                values=tuple(map(EnumValue, events)),
                groupable=True,
            ),
        ),
        source=RowSource(
            Backend.POSTGRES,
            f"""
SELECT
    k.bucket, o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, k.event_type AS event, k.count,
    CASE k.location_id WHEN 0 THEN o.location_id ELSE k.location_id END AS store_id
FROM offers AS o
CROSS JOIN LATERAL (
    SELECT k.bucket, k.event_type, k.location_id, k.count
    FROM offer_rollups AS k
    WHERE k.offer_id = o.id AND k.event_type IN ({", ".join(f"'{each}'" for each in events)})
      AND {partitions.BUCKETS_IN_RANGE}
    OFFSET 0
) AS k
WHERE o.community_id = $community AND NOT o.is_placeholder
  AND o.first_event_at < (SELECT max(ends) FROM unnest($ends) AS ending (ends))
  AND o.last_event_at >= (SELECT min(start) FROM unnest($starts) AS begins (start))
""",
        ),
        default_group_by=("event",),
        groupings=(
            Grouping("community_id", ("community_id", "event"), "By community and event."),
            Grouping("loyalty_club_id", ("loyalty_club_id", "event"), "By loyalty club and event."),
            *(Grouping(each.name, ("event", each.name), f"By event and {each.label_names[0]}.") for each in _LABELS),
        ),
        measures=(counted,),
        is_additive=False,
        intervals=ALL_INTERVALS,
    )


OFFERS_EVENTS_HISTORY = _history(
    "offers_events_history",
    ("seen", "clicked"),
    "Views and clicks of offers over time.",
    ReportMeasure("events_count", FieldType.INTEGER, "Number of events", "sum(r.count)"),
)
OFFERS_USAGES_HISTORY = _history(
    "offers_usages_history",
    ("granted", "used"),
    "Grants and uses of offers over time.",
    ReportMeasure("usages_count", FieldType.INTEGER, "Number of grants and uses", "sum(r.count)"),
)

# In all -------------------------------------------------------------------------------------------------------

_VERBS = {"seen": "saw", "clicked": "clicked", "granted": "were granted", "used": "used"}


def _stats(name: str, events: Sequence[str], meaning: str, rate: ReportMeasure) -> Report:
    return Report(
        name,
        ReportFormat.STATISTICS,
        meaning,
        cost=2,
        fields=(COMMUNITY_ID, LOYALTY_CLUB_ID, *_LABELS),
        source=RowSource(
            Backend.POSTGRES,
            f"""
SELECT
    o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event_type, e.profile_id,
    CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
FROM offers AS o
CROSS JOIN LATERAL (
    SELECT event_type, profile_id, location_id
    FROM offer_events
    WHERE community_id = $community AND offer_id = o.id
      AND event_type IN ({", ".join(str(EVENT_TYPE_CODES[each]) for each in events)})
      AND occurred_at >= $from AND occurred_at < $to
    OFFSET 0
) AS e
WHERE o.community_id = $community AND NOT o.is_placeholder AND o.first_event_at < $to AND o.last_event_at >= $from
""",
        ),
        measures=(
            *(
                ReportMeasure(
                    each,
                    FieldType.INTEGER,
                    f"Number of times that offers were {each}.",
                    f"count(*) FILTER (WHERE r.event_type = {EVENT_TYPE_CODES[each]})",
                )
                for each in events
            ),
            # Bitmaps of one bit, partitioned by member.
            *(
                ReportMeasure(
                    f"unique_{each}",
                    FieldType.INTEGER,
                    f"Distinct members who {_VERBS[each]} them.",
                    f"bit_or(CASE WHEN r.event_type = {EVENT_TYPE_CODES[each]} AND r.profile_id IS NOT NULL "
                    "THEN B'1' ELSE B'0' END)",
                    distinct_partition="r.profile_id",
                )
                for each in events
            ),
            rate,
        ),
        # A member may be in several groups, so groups cannot be added up.
        is_additive=False,
    )


OFFERS_EVENTS_STATS = _stats(
    "offers_events_stats",
    ("seen", "clicked"),
    "Views and clicks of offers in a time range, and distinct members.",
    ReportMeasure("click", FieldType.NUMBER, "Clicks divided by views.", quotient=("clicked", "seen")),
)
OFFERS_USAGES_STATS = _stats(
    "offers_usages_stats",
    ("granted", "used"),
    "Grants and uses of offers in a time range, and distinct members.",
    ReportMeasure("usage", FieldType.NUMBER, "Uses divided by grants.", quotient=("used", "granted")),
)

REPORTS: tuple[Report, ...] = (
    OFFERS,
    OFFERS_EVENTS_HISTORY,
    OFFERS_USAGES_HISTORY,
    OFFERS_EVENTS_STATS,
    OFFERS_USAGES_STATS,
    OFFERS_COLLECTIONS,
)
