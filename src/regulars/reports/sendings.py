"""Reports of sendings: totals, events over time, recipients, and rates."""

from collections.abc import Mapping
from dataclasses import replace

from regulars.core.field_type import FieldType
from regulars.facts.sending_events import COUNTED_MASKS, EVENT_TYPE_CODES, EVENT_TYPES
from regulars.facts.sendings import CHANNELS
from regulars.reports.member_balance import AGE, GENDER, OPTIN_PLATFORM
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
from regulars.rollups.intervals import ALL_INTERVALS, HOURLY_AND_UP, Interval

_CHANNEL = ReportField(
    "channel",
    FieldType.STRING,
    "Channel.",
    filterable=True,
    values=tuple(map(EnumValue, CHANNELS)),
    groupable=True,
)
_REPORTING_ID = ReportField(
    "reporting_id", FieldType.INTEGER, "ID of the sender for reporting.", filterable=True, groupable=True
)
_CAMPAIGN_ID = ReportField("campaign_id", FieldType.INTEGER, "ID of the campaign.", filterable=True, groupable=True)
_SENDING_ID = ReportField("sending_id", FieldType.INTEGER, "ID of the sending.", filterable=True, groupable=True)

# Sendings -----------------------------------------------------------------------------------------------------

COUNTERS = {
    "dispatches_count": "Messages, each to one recipient.",
    "members_count": "Members among the recipients.",
    "new_count": "Dispatches that are not transmitted yet.",
    "delivered_count": "Deliveries.",
    "failed_count": "Failures.",
    "opened_count": "Opens.",
    "unique_opened_count": "Dispatches that were opened.",
    "clicked_count": "Clicks.",
    "unique_clicked_count": "Dispatches with a click.",
    "bounced_count": "Bounces.",
    "unsubscribed_count": "Unsubscriptions.",
    "complained_count": "Complaints.",
    "transmitted_count": "Transmissions.",
}

_ATTRIBUTES = (
    "language", "channel", "service_type", "reporting_id", "source_id", "source_app", "source_type", "audience_id",
    "campaign_id",
)  # fmt: skip


def _range(interval: Interval) -> str:
    """The range of retained buckets that have events; its end is null while the last bucket is current."""
    granularity = interval.code
    first = "first_event_at"
    is_retained = "last_event_at IS NOT NULL"
    if interval.retention is not None:
        retention_start = f"CAST($now AS timestamptz) - interval '{interval.retention.days} days'"
        first = f"greatest(first_event_at, {retention_start})"
        is_retained = f"last_event_at >= {retention_start}"
    return f"""'{granularity}', CASE WHEN {is_retained} THEN json_build_object(
                'from', iso8601_utc(bucket_start({first}, '{granularity}', zone)),
                'to', CASE
                    WHEN bucket_start($now, '{granularity}', zone) > bucket_start(last_event_at, '{granularity}', zone)
                    THEN iso8601_utc(bucket_start(last_event_at, '{granularity}', zone))
                END
            ) END"""


_RANGES = ",\n            ".join(map(_range, ALL_INTERVALS))

_SENDINGS = f"""
SELECT
    id, {", ".join(_ATTRIBUTES)}, {", ".join(COUNTERS)}, created_at,
    CAST((
        SELECT json_build_object(
            {_RANGES}
        )
        FROM (SELECT timezone AS zone FROM communities WHERE id = $community) AS own
    ) AS text) AS timeseries_ranges
FROM sendings
WHERE community_id = $community AND NOT is_placeholder
"""

SENDINGS = Report(
    "sendings",
    ReportFormat.RECORDS,
    "Sendings with the totals of their events.",
    cost=2,
    fields=(
        ReportField("id", FieldType.INTEGER, "ID of the sending."),
        LOYALTY_CLUB_ID,
        ReportField("language", FieldType.STRING, "Language.", filterable=True, groupable=True),
        _CHANNEL,
        ReportField(
            "service_type",
            FieldType.STRING,
            "The service that created it: campaigns, triggered, generic, rewards_notifications ...",
            filterable=True,
            groupable=True,
        ),
        _REPORTING_ID,
        ReportField(
            "source_id", FieldType.STRING, "ID of the source that triggered it.", filterable=True, groupable=True
        ),
        ReportField(
            "source_app", FieldType.STRING, "The application that triggered it.", filterable=True, groupable=True
        ),
        ReportField(
            "source_type",
            FieldType.STRING,
            "The type of the source that triggered it.",
            filterable=True,
            groupable=True,
        ),
        ReportField("audience_id", FieldType.INTEGER, "ID of the audience.", filterable=True, groupable=True),
        _CAMPAIGN_ID,
        *(ReportField(name, FieldType.INTEGER, meaning) for name, meaning in COUNTERS.items()),
        ReportField("created_at", FieldType.TIMESTAMP, "When it was created.", filterable=True),
        ReportField(
            "timeseries_ranges",
            FieldType.OBJECT,
            "For each interval the first and last bucket with events; `to` is null while the last bucket is current, and the "
            "range is null where buckets are no longer retained.",
        ),
        replace(COMMUNITY_ID, visible=False),
    ),
    source=RowSource(Backend.POSTGRES, _SENDINGS),
    key=("loyalty_club_id", "id"),
    measures=tuple(
        ReportMeasure(name, FieldType.INTEGER, meaning, f"sum(r.{name})") for name, meaning in COUNTERS.items()
    ),
)

# Over time ----------------------------------------------------------------------------------------------------

_EVENT = ReportField(
    "event",
    FieldType.STRING,
    "Type of event.",
    filterable=True,
    values=tuple(map(EnumValue, EVENT_TYPES)),
    groupable=True,
)

SENDINGS_EVENTS_HISTORY = Report(
    "sendings_events_history",
    ReportFormat.TIMESERIES,
    "Events of dispatches over time.",
    cost=3,
    fields=(COMMUNITY_ID, _SENDING_ID, _REPORTING_ID, _CAMPAIGN_ID, _CHANNEL, _EVENT),
    source=RowSource(
        Backend.POSTGRES,
        f"""
SELECT k.bucket, k.sending_id, s.reporting_id, s.campaign_id, s.channel, k.event_type AS event, k.count
FROM sendings AS s
JOIN sending_rollups AS k ON k.sending_id = s.id
WHERE s.community_id = $community AND NOT s.is_placeholder
  AND {partitions.BUCKETS_IN_RANGE}
""",
    ),
    default_group_by=("event",),
    groupings=(
        Grouping("community_id", ("community_id", "event"), "By community and event."),
        *(
            Grouping(each, ("event", each), f"By event and {each}.")
            for each in ("sending_id", "reporting_id", "campaign_id", "channel")
        ),
    ),
    measures=(ReportMeasure("events_count", FieldType.INTEGER, "Number of events", "sum(r.count)"),),
    is_additive=False,
    intervals=ALL_INTERVALS,
)

SENDINGS_RECIPIENTS_STATISTICS = Report(
    "sendings_recipients_statistics",
    ReportFormat.TIMESERIES,
    "Recipients by their attributes at the time of the first transmission; each counts once for each sending, at that time.",
    cost=3,
    fields=(
        COMMUNITY_ID,
        _SENDING_ID,
        _REPORTING_ID,
        GENDER,
        AGE,
        OPTIN_PLATFORM,
        ReportField("country", FieldType.STRING, "ISO 3166-1 alpha-2.", filterable=True, groupable=True),
    ),
    source=RowSource(
        Backend.POSTGRES,
        f"""
SELECT k.bucket, k.sending_id, s.reporting_id, k.gender, k.age, k.optin_platform, k.country, k.count
FROM sendings AS s
JOIN recipient_rollups AS k ON k.sending_id = s.id
WHERE s.community_id = $community AND NOT s.is_placeholder
  AND {partitions.BUCKETS_IN_RANGE}
""",
    ),
    measures=(ReportMeasure("recipients_count", FieldType.INTEGER, "Number of recipients", "sum(r.count)"),),
    # Recipients of several sendings may be the same members; those of one are distinct.
    hidden_measures=(
        ReportMeasure("members", FieldType.INTEGER, "Most of one sending.", "sum(r.count)", largest_of="r.sending_id"),
    ),
    count_measure="members",
    has_overlapping_groups=True,
    intervals=HOURLY_AND_UP,
)

# In all -------------------------------------------------------------------------------------------------------

_TOTALS = {
    "dispatches": "Dispatches with any event.",
    **{
        name: f"Events of type {name}."
        for name in ("transmitted", "delivered", "failed", "opened", "clicked", "bounced", "unsubscribed", "complained")
    },
    "unique_opened": "Dispatches that were opened.",
    "unique_clicked": "Dispatches with a click.",
    "unique_delivered": "Dispatches that were delivered, opened or clicked.",
    "unique_engaged": "Dispatches that were opened or clicked.",
    "unique_bounced": "Dispatches that bounced.",
    "unique_unsubscribed": "Of the delivered dispatches, those with an unsubscription.",
}

_UNIQUE: Mapping[str, Mapping[int, int]] = {
    "dispatches": {0: 1},
    "unique_opened": {EVENT_TYPE_CODES["opened"]: 1},
    "unique_clicked": {EVENT_TYPE_CODES["clicked"]: 1},
    "unique_delivered": {10: 1},
    "unique_engaged": {11: 1},
    "unique_bounced": {EVENT_TYPE_CODES["bounced"]: 1},
    # Those in both sets are those in either, less those in only one.
    "unique_unsubscribed": {EVENT_TYPE_CODES["unsubscribed"]: 1, 10: 1, 12: -1},
}
"""What is counted once for each dispatch, by `COUNTED_MASKS`, and its sign in the sum."""


def _total(name: str) -> str:
    if name in _UNIQUE:
        signs = " ".join(f"WHEN {number} THEN {sign} * t.dispatches" for number, sign in _UNIQUE[name].items())
        return f"coalesce(sum(CASE t.event_type {signs} END), 0) AS {name}"
    return f"coalesce(sum(t.events) FILTER (WHERE t.event_type = {EVENT_TYPE_CODES[name]}), 0) AS {name}"


_TOTAL_COLUMNS = ",\n    ".join(map(_total, _TOTALS))
_CODES = ", ".join(map(str, COUNTED_MASKS))
_COUNTED_ONCE = sorted({number for signs in _UNIQUE.values() for number in signs})

_DISPATCH_LOOKUP_COST = 8
"""Looking up a dispatch costs as much as reading this many events."""

# A sending with all of its events in the range is counted by its counters. Of a sending that the range cuts, whole UTC
# days are counted by sending_daily_uniques, and the hours before and after them by their events, without the dispatches
# that the days have counted; if most of its events are in these hours, everything is counted by events.
_STATS = f"""
WITH whole_days AS MATERIALIZED (
    SELECT
        first_day, end_day, CAST(first_day AS timestamp) AT TIME ZONE 'UTC' AS starts,
        CAST(end_day AS timestamp) AT TIME ZONE 'UTC' AS ends
    FROM (SELECT utc_day($from - interval '1 microsecond') + 1 AS first_day, utc_day($to) AS end_day) AS days
),
cut_sendings AS MATERIALIZED (
    SELECT
        s.id, s.reporting_id, s.campaign_id, s.channel,
        d.events_inside > {_DISPATCH_LOOKUP_COST} * d.events_outside AS uses_days
    FROM sendings AS s
    CROSS JOIN whole_days
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(count) FILTER (WHERE day >= whole_days.first_day AND day < whole_days.end_day), 0)
                AS events_inside,
            coalesce(sum(count) FILTER (WHERE day < whole_days.first_day OR day >= whole_days.end_day), 0)
                AS events_outside
        FROM sending_daily_uniques
        WHERE community_id = $community AND sending_id = s.id AND event_type = 0
          AND day >= utc_day($from) AND day <= utc_day($to - interval '1 microsecond')
        OFFSET 0
    ) AS d
    WHERE s.community_id = $community AND NOT s.is_placeholder
      AND s.first_event_at < $to AND s.last_event_at >= $from AND (s.first_event_at < $from OR s.last_event_at >= $to)
),
events_outside AS MATERIALIZED (
    SELECT c.id, c.uses_days, e.dispatch_id, e.event_type, count(*) AS count
    FROM cut_sendings AS c
    CROSS JOIN whole_days
    CROSS JOIN LATERAL (
        SELECT $from AS starts, CASE WHEN c.uses_days THEN whole_days.starts ELSE $to END AS ends
        UNION ALL
        SELECT whole_days.ends, $to WHERE c.uses_days
    ) AS span
    CROSS JOIN generate_series(1, {len(EVENT_TYPES)}) AS types (event_type)
    CROSS JOIN LATERAL (
        SELECT dispatch_id, event_type
        FROM sending_events
        WHERE community_id = $community AND sending_id = c.id AND event_type = CAST(types.event_type AS smallint)
          AND occurred_at >= span.starts AND occurred_at < span.ends
        OFFSET 0
    ) AS e
    GROUP BY c.id, c.uses_days, e.dispatch_id, e.event_type
),
-- Of each dispatch with events outside whole days, the mask of their types, and of those that the days have counted.
uncounted_dispatches AS MATERIALIZED (
    SELECT d.id, d.event_mask, coalesce(counted.event_mask, 0) AS counted_mask
    FROM (
        SELECT id, uses_days, dispatch_id, bit_or(1 << event_type) | 1 AS event_mask
        FROM events_outside
        GROUP BY id, uses_days, dispatch_id
    ) AS d
    CROSS JOIN whole_days
    CROSS JOIN LATERAL (
        SELECT bit_or(1 << event_type) | 1 AS event_mask
        FROM sending_events
        WHERE d.uses_days AND community_id = $community AND dispatch_id = d.dispatch_id
          AND occurred_at >= whole_days.starts AND occurred_at < whole_days.ends
        OFFSET 0
    ) AS counted
),
totals AS MATERIALIZED (
    SELECT
        c.id, d.event_type, sum(d.count) AS events,
        sum(d.count) FILTER (WHERE d.previous_day < whole_days.first_day) AS dispatches
    FROM cut_sendings AS c
    CROSS JOIN whole_days
    CROSS JOIN LATERAL (
        SELECT event_type, previous_day, count
        FROM sending_daily_uniques
        WHERE c.uses_days AND community_id = $community AND sending_id = c.id
          AND event_type = ANY ('{{{_CODES}}}')
          AND day >= whole_days.first_day AND day < whole_days.end_day
        OFFSET 0
    ) AS d
    GROUP BY c.id, d.event_type
    UNION ALL
    SELECT id, event_type, sum(count), 0
    FROM events_outside
    GROUP BY id, event_type
    UNION ALL
    SELECT d.id, types.event_type, 0, count(*)
    FROM uncounted_dispatches AS d
    JOIN (VALUES {", ".join(f"({number}, {COUNTED_MASKS[number]})" for number in _COUNTED_ONCE)}) AS types (event_type, mask)
        ON d.event_mask & types.mask <> 0 AND d.counted_mask & types.mask = 0
    GROUP BY d.id, types.event_type
)
SELECT
    id AS sending_id, reporting_id, campaign_id, channel,
    {", ".join(f"{name}_count AS {name}" for name in _TOTALS)}
FROM sendings
WHERE community_id = $community AND NOT is_placeholder AND first_event_at >= $from AND last_event_at < $to
UNION ALL
SELECT
    c.id, c.reporting_id, c.campaign_id, c.channel,
    {_TOTAL_COLUMNS}
FROM cut_sendings AS c
JOIN totals AS t ON t.id = c.id
GROUP BY c.id, c.reporting_id, c.campaign_id, c.channel
"""

SENDINGS_STATS = Report(
    "sendings_stats",
    ReportFormat.STATISTICS,
    "Totals and rates of events of dispatches in a time range.",
    cost=2,
    fields=(COMMUNITY_ID, _SENDING_ID, _REPORTING_ID, _CAMPAIGN_ID, _CHANNEL),
    source=RowSource(Backend.POSTGRES, _STATS),
    measures=(
        *(ReportMeasure(name, FieldType.INTEGER, meaning, f"sum(r.{name})") for name, meaning in _TOTALS.items()),
        ReportMeasure(
            "delivery",
            FieldType.NUMBER,
            "Delivered dispatches, also those that were only opened or clicked, divided by dispatches.",
            quotient=("unique_delivered", "dispatches"),
        ),
        ReportMeasure(
            "open",
            FieldType.NUMBER,
            "Opened dispatches, also those that were only clicked, divided by delivered dispatches.",
            quotient=("unique_engaged", "unique_delivered"),
        ),
        ReportMeasure(
            "click_to_open",
            FieldType.NUMBER,
            "Clicked dispatches divided by opened dispatches.",
            quotient=("unique_clicked", "unique_engaged"),
        ),
        ReportMeasure(
            "bounce",
            FieldType.NUMBER,
            "Bounced dispatches divided by dispatches.",
            quotient=("unique_bounced", "dispatches"),
        ),
        ReportMeasure(
            "unsubscribe",
            FieldType.NUMBER,
            "Unsubscribed dispatches divided by delivered dispatches.",
            quotient=("unique_unsubscribed", "unique_delivered"),
        ),
    ),
)

REPORTS: tuple[Report, ...] = (
    SENDINGS,
    SENDINGS_EVENTS_HISTORY,
    SENDINGS_RECIPIENTS_STATISTICS,
    SENDINGS_STATS,
)
