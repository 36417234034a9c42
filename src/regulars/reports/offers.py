"""What members are offered, and what they make of it.

An offer is counted in each of the collections that it is in now. What happened in a store is counted there; what did
not say where, in the store of the offer.
"""

from collections.abc import Sequence
from dataclasses import replace

from regulars.facts.offer_events import CODES
from regulars.reports import rollups
from regulars.reports.interval import EVERY
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

_OFFER_ID = Field("offer_id", Kind.INTEGER, "ID of the offer.", filterable=True, groups=True)
_TYPE = Field("type", Kind.STRING, "Type of the offer.", filterable=True, groups=True)
_COLLECTION_IDS = Field(
    "collection_ids",
    Kind.INTEGERS,
    "IDs of the collections that the offer is in.",
    filterable=True,
    groups=True,
    labels=("collection_id",),
)
_STORE_ID = Field(
    "store_id",
    Kind.INTEGER,
    "ID of the store where it happened, else of the offer's.",
    filterable=True,
    groups=True,
)
_CAMPAIGN_ID = Field("campaign_id", Kind.INTEGER, "ID of the campaign.", filterable=True, groups=True)

# Offers ---------------------------------------------------------------------------------------------------------

_COUNTERS = {
    "grants_count": ("granted_count", "Times that it was granted."),
    "uses_count": ("used_count", "Times that it was used."),
    "seen_count": ("seen_count", "Times that it was seen."),
    "clicked_count": ("clicked_count", "Clicks."),
}
_COUNTS = tuple(Field(name, Kind.INTEGER, meaning) for name, (_, meaning) in _COUNTERS.items())
_OFFERS_COUNT = "Count of offers."
_SUMS = tuple(Measure(each.name, each.kind, each.meaning, f"sum(r.{each.name})") for each in _COUNTS)

_EXTERNAL_ID = Field("external_id", Kind.STRING, "The id that it came with.", filterable=True)
_CREATED_AT = Field("created_at", Kind.TIME, "When it was made.", filterable=True)

OFFERS = Report(
    "offers",
    Format.RECORDS,
    "What is offered to members, and what came of it in all.",
    cost=2,
    fields=(
        Field("id", Kind.INTEGER, "ID of the offer.", filterable=True),
        LOYALTY_CLUB_ID,
        Field("name", Kind.STRING, "Name.", filterable=True),
        _TYPE,
        Field("status", Kind.STRING, "Status, as it was last told.", filterable=True, groups=True),
        _COLLECTION_IDS,
        replace(_STORE_ID, meaning="ID of the store that it is of."),
        _CAMPAIGN_ID,
        Field("usable_since", Kind.TIME, "When it may first be used.", filterable=True),
        Field("usable_until", Kind.TIME, "Until when it may be used.", filterable=True),
        Field("stock", Kind.INTEGER, "How many there are, as it was last told.", filterable=True),
        *_COUNTS,
        replace(_EXTERNAL_ID, shown=False),
        replace(_CREATED_AT, shown=False),
        replace(COMMUNITY_ID, shown=False),
    ),
    source=Source(
        Store.TABLES,
        f"""
SELECT
    id, name, type, status, collection_ids, location_id AS store_id, campaign_id, usable_since, usable_until, stock,
    {", ".join(f"{kept} AS {name}" for name, (kept, _) in _COUNTERS.items())}, external_id, created_at
FROM offers
WHERE community_id = $community AND is_known
""",
    ),
    key=("loyalty_club_id", "id"),
    measures=(Measure("offers_count", Kind.INTEGER, _OFFERS_COUNT, "count(*)"), *_SUMS),
)

OFFERS_COLLECTIONS = Report(
    "offers_collections",
    Format.RECORDS,
    "Collections, and what came of the offers that are in them now.",
    cost=2,
    fields=(
        Field("id", Kind.INTEGER, "ID of the collection.", filterable=True),
        LOYALTY_CLUB_ID,
        _EXTERNAL_ID,
        Field("name", Kind.STRING, "Name; null where only offers named it.", filterable=True),
        Field("offers_count", Kind.INTEGER, _OFFERS_COUNT),
        *_COUNTS,
        _CREATED_AT,
        replace(COMMUNITY_ID, shown=False),
    ),
    source=Source(
        Store.TABLES,
        f"""
SELECT
    c.id, c.external_id, c.name, c.created_at, coalesce(own.offers_count, 0) AS offers_count,
    {", ".join(f"coalesce(own.{name}, 0) AS {name}" for name in _COUNTERS)}
FROM offer_collections AS c
LEFT JOIN (
    SELECT
        collection_id, count(*) AS offers_count,
        {", ".join(f"sum({kept}) AS {name}" for name, (kept, _) in _COUNTERS.items())}
    FROM (
        SELECT unnest(collection_ids) AS collection_id, {", ".join(kept for kept, _ in _COUNTERS.values())}
        FROM offers
        WHERE community_id = $community AND is_known
    ) AS listed
    GROUP BY collection_id
) AS own ON own.collection_id = c.id
WHERE c.community_id = $community
""",
    ),
    key=("loyalty_club_id", "id"),
)

# Over time ------------------------------------------------------------------------------------------------------

_LABELS = (_OFFER_ID, _COLLECTION_IDS, _STORE_ID, _CAMPAIGN_ID, _TYPE)


# By the key of each offer that has anything in the range, for the buckets of a range lie far apart.
def _history(name: str, events: Sequence[str], meaning: str, counted: Measure) -> Report:
    return Report(
        name,
        Format.TIMESERIES,
        meaning,
        cost=3,
        fields=(
            COMMUNITY_ID,
            LOYALTY_CLUB_ID,
            *_LABELS,
            Field(
                "event",
                Kind.STRING,
                "What happened.",
                filterable=True,
                values=tuple(map(Value, events)),
                groups=True,
            ),
        ),
        source=Source(
            Store.TABLES,
            f"""
SELECT
    k.bucket, o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, k.event, k.n,
    CASE k.location_id WHEN 0 THEN o.location_id ELSE k.location_id END AS store_id
FROM offers AS o
CROSS JOIN LATERAL (
    SELECT k.bucket, k.event, k.location_id, k.n
    FROM offer_rollups AS k
    WHERE k.offer_id = o.id AND k.event IN ({", ".join(f"'{each}'" for each in events)})
      AND {rollups.WITHIN}
    OFFSET 0
) AS k
WHERE o.community_id = $community AND o.is_known
  AND o.first_at < (SELECT max(ends) FROM unnest($ends) AS ending (ends))
  AND o.last_at >= (SELECT min(start) FROM unnest($starts) AS begins (start))
""",
        ),
        grouped_by=("event",),
        aggregations=(
            Aggregation("community_id", ("community_id", "event"), "By community and event."),
            Aggregation("loyalty_club_id", ("loyalty_club_id", "event"), "By loyalty club and event."),
            *(Aggregation(each.name, ("event", each.name), f"By event and {each.keys[0]}.") for each in _LABELS),
        ),
        measures=(counted,),
        adds=False,
        intervals=EVERY,
    )


OFFERS_EVENTS_HISTORY = _history(
    "offers_events_history",
    ("seen", "clicked"),
    "Offers that were seen and clicked, when it happened.",
    Measure("events_count", Kind.INTEGER, "Count of events", "sum(r.n)"),
)
OFFERS_USAGES_HISTORY = _history(
    "offers_usages_history",
    ("granted", "used"),
    "Offers that were granted and used, when it happened.",
    Measure("usages_count", Kind.INTEGER, "Count of grants and uses", "sum(r.n)"),
)

# In all ---------------------------------------------------------------------------------------------------------

_DOES = {"seen": "saw", "clicked": "clicked", "granted": "were granted", "used": "used"}


def _stats(name: str, events: Sequence[str], meaning: str, rate: Measure) -> Report:
    return Report(
        name,
        Format.STATISTICS,
        meaning,
        cost=2,
        fields=(COMMUNITY_ID, LOYALTY_CLUB_ID, *_LABELS),
        source=Source(
            Store.TABLES,
            f"""
SELECT
    o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
    CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
FROM offers AS o
CROSS JOIN LATERAL (
    SELECT event, profile_id, location_id
    FROM offer_events
    WHERE community_id = $community AND offer_id = o.id
      AND event IN ({", ".join(str(CODES[each]) for each in events)}) AND at >= $from AND at < $to
    OFFSET 0
) AS e
WHERE o.community_id = $community AND o.is_known AND o.first_at < $to AND o.last_at >= $from
""",
        ),
        measures=(
            *(
                Measure(
                    each,
                    Kind.INTEGER,
                    f"Times that offers were {each}.",
                    f"count(*) FILTER (WHERE r.event = {CODES[each]})",
                )
                for each in events
            ),
            # A set of one member each, which are counted by the member.
            *(
                Measure(
                    f"unique_{each}",
                    Kind.INTEGER,
                    f"Different members who {_DOES[each]} them.",
                    f"bit_or(CASE WHEN r.event = {CODES[each]} AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END)",
                    unique_by="r.profile_id",
                )
                for each in events
            ),
            rate,
        ),
        # A member of several groups is one of all.
        adds=False,
    )


OFFERS_EVENTS_STATS = _stats(
    "offers_events_stats",
    ("seen", "clicked"),
    "How often offers were seen and clicked in all, and by how many members.",
    Measure("click", Kind.NUMBER, "Clicked, of what was seen.", quotient=("clicked", "seen")),
)
OFFERS_USAGES_STATS = _stats(
    "offers_usages_stats",
    ("granted", "used"),
    "How often offers were granted and used in all, and by how many members.",
    Measure("usage", Kind.NUMBER, "Used, of what was granted.", quotient=("used", "granted")),
)

REPORTS: tuple[Report, ...] = (
    OFFERS,
    OFFERS_EVENTS_HISTORY,
    OFFERS_USAGES_HISTORY,
    OFFERS_EVENTS_STATS,
    OFFERS_USAGES_STATS,
    OFFERS_COLLECTIONS,
)
