"""What is sent to members, and what comes of it."""

from dataclasses import replace

from regulars.core.field_type import FieldType
from regulars.facts.sending_events import EVENT_TYPE_CODES, EVENT_TYPES
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
    "What it goes out through.",
    filterable=True,
    values=tuple(map(EnumValue, CHANNELS)),
    groupable=True,
)
_REPORTING_ID = ReportField(
    "reporting_id", FieldType.INTEGER, "The number that the sender reports by.", filterable=True, groupable=True
)
_CAMPAIGN_ID = ReportField("campaign_id", FieldType.INTEGER, "ID of the campaign.", filterable=True, groupable=True)
_SENDING_ID = ReportField("sending_id", FieldType.INTEGER, "ID of the sending.", filterable=True, groupable=True)

# Sendings -------------------------------------------------------------------------------------------------------

COUNTERS = {
    "dispatches_count": "Messages to one recipient each.",
    "members_count": "Members among the recipients.",
    "new_count": "Dispatches that were not transmitted yet.",
    "delivered_count": "Deliveries.",
    "failed_count": "Failures.",
    "opened_count": "Times that dispatches were opened.",
    "unique_opened_count": "Dispatches that were opened.",
    "clicked_count": "Clicks.",
    "unique_clicked_count": "Dispatches in which something was clicked.",
    "bounced_count": "Bounces.",
    "unsubscribed_count": "Times that a recipient unsubscribed.",
    "complained_count": "Complaints.",
    "transmitted_count": "Transmissions.",
}

_ATTRIBUTES = (
    "language", "channel", "service_type", "reporting_id", "source_id", "source_app", "source_type", "audience_id",
    "campaign_id",
)  # fmt: skip


def _range(interval: Interval) -> str:
    """From the first bucket that has events, and is kept, to the last one; that is open as long as it runs."""
    step = interval.code
    first = "first_at"
    is_kept = "last_at IS NOT NULL"
    if interval.retention is not None:
        kept_since = f"CAST($now AS timestamptz) - interval '{interval.retention.days} days'"
        first = f"greatest(first_at, {kept_since})"
        is_kept = f"last_at >= {kept_since}"
    return f"""'{step}', CASE WHEN {is_kept} THEN json_build_object(
                'from', iso8601_utc(bucket_start({first}, '{step}', zone)),
                'to', CASE
                    WHEN bucket_start($now, '{step}', zone) > bucket_start(last_at, '{step}', zone)
                    THEN iso8601_utc(bucket_start(last_at, '{step}', zone))
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
WHERE community_id = $community AND is_known
"""

SENDINGS = Report(
    "sendings",
    ReportFormat.RECORDS,
    "What was sent, and what came of it in all.",
    cost=2,
    fields=(
        ReportField("id", FieldType.INTEGER, "ID of the sending."),
        LOYALTY_CLUB_ID,
        ReportField("language", FieldType.STRING, "Language.", filterable=True, groupable=True),
        _CHANNEL,
        ReportField(
            "service_type",
            FieldType.STRING,
            "The service that sent it: campaigns, triggered, generic, rewards_notifications ...",
            filterable=True,
            groupable=True,
        ),
        _REPORTING_ID,
        ReportField("source_id", FieldType.STRING, "ID of what made it be sent.", filterable=True, groupable=True),
        ReportField(
            "source_app", FieldType.STRING, "The application that made it be sent.", filterable=True, groupable=True
        ),
        ReportField(
            "source_type", FieldType.STRING, "The type of what made it be sent.", filterable=True, groupable=True
        ),
        ReportField("audience_id", FieldType.INTEGER, "ID of the audience.", filterable=True, groupable=True),
        _CAMPAIGN_ID,
        *(ReportField(name, FieldType.INTEGER, meaning) for name, meaning in COUNTERS.items()),
        ReportField("created_at", FieldType.TIMESTAMP, "When it was made.", filterable=True),
        ReportField(
            "timeseries_ranges",
            FieldType.OBJECT,
            "By interval from which bucket to which it has events; `to` is null while the last one runs, all of it "
            "where buckets of that width are kept no more.",
        ),
        replace(COMMUNITY_ID, visible=False),
    ),
    source=RowSource(Backend.POSTGRES, _SENDINGS),
    key=("loyalty_club_id", "id"),
    measures=tuple(
        ReportMeasure(name, FieldType.INTEGER, meaning, f"sum(r.{name})") for name, meaning in COUNTERS.items()
    ),
)

# Over time ------------------------------------------------------------------------------------------------------

_EVENT = ReportField(
    "event",
    FieldType.STRING,
    "What happened.",
    filterable=True,
    values=tuple(map(EnumValue, EVENT_TYPES)),
    groupable=True,
)

SENDINGS_EVENTS_HISTORY = Report(
    "sendings_events_history",
    ReportFormat.TIMESERIES,
    "What happened to dispatches, when it happened.",
    cost=3,
    fields=(COMMUNITY_ID, _SENDING_ID, _REPORTING_ID, _CAMPAIGN_ID, _CHANNEL, _EVENT),
    source=RowSource(
        Backend.POSTGRES,
        f"""
SELECT k.bucket, k.sending_id, s.reporting_id, s.campaign_id, s.channel, k.event, k.n
FROM sendings AS s
JOIN sending_rollups AS k ON k.sending_id = s.id
WHERE s.community_id = $community AND s.is_known
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
    measures=(ReportMeasure("events_count", FieldType.INTEGER, "Count of events", "sum(r.n)"),),
    is_additive=False,
    intervals=ALL_INTERVALS,
)

SENDINGS_RECIPIENTS_STATISTICS = Report(
    "sendings_recipients_statistics",
    ReportFormat.TIMESERIES,
    "Recipients as they were when a sending was first transmitted to them: each once a sending, at that moment.",
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
SELECT k.bucket, k.sending_id, s.reporting_id, k.gender, k.age, k.optin_platform, k.country, k.n
FROM sendings AS s
JOIN recipient_rollups AS k ON k.sending_id = s.id
WHERE s.community_id = $community AND s.is_known
  AND {partitions.BUCKETS_IN_RANGE}
""",
    ),
    measures=(ReportMeasure("recipients_count", FieldType.INTEGER, "Count of recipients", "sum(r.n)"),),
    intervals=HOURLY_AND_UP,
)

# In all ---------------------------------------------------------------------------------------------------------

_TOTALS = {
    "dispatches": "Dispatches to which anything happened.",
    **{
        name: f"Events {name}."
        for name in ("transmitted", "delivered", "failed", "opened", "clicked", "bounced", "unsubscribed", "complained")
    },
    "unique_opened": "Dispatches that were opened.",
    "unique_clicked": "Dispatches in which something was clicked.",
}

_UNIQUE = {"dispatches": 0, "unique_opened": EVENT_TYPE_CODES["opened"], "unique_clicked": EVENT_TYPE_CODES["clicked"]}
"""The event, 0 for any, that a dispatch counts once of."""


def _total(name: str) -> str:
    if name in _UNIQUE:
        return f"coalesce(sum(t.dispatches) FILTER (WHERE t.event = {_UNIQUE[name]}), 0) AS {name}"
    return f"coalesce(sum(t.n) FILTER (WHERE t.event = {EVENT_TYPE_CODES[name]}), 0) AS {name}"


_EACH_TOTAL = ",\n    ".join(map(_total, _TOTALS))
_CODES = ", ".join(map(str, [0, *EVENT_TYPE_CODES.values()]))

_AS_EVENTS = 8
"""To look for a dispatch costs as much as to read so many events."""

# A sending all of whose events lie within the range has been counted already. Of one that the range cuts whole days are
# counted by the days, and the hours beside them by events, without the dispatches that the days have counted; where
# most of it lies beside them, all is counted by events.
_STATS = f"""
WITH whole AS MATERIALIZED (
    SELECT
        since, until, CAST(since AS timestamp) AT TIME ZONE 'UTC' AS begins,
        CAST(until AS timestamp) AT TIME ZONE 'UTC' AS ends
    FROM (SELECT utc_day($from - interval '1 microsecond') + 1 AS since, utc_day($to) AS until) AS days
),
cut AS MATERIALIZED (
    SELECT s.id, s.reporting_id, s.campaign_id, s.channel, d.inside > {_AS_EVENTS} * d.beside AS has_days
    FROM sendings AS s
    CROSS JOIN whole
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(n) FILTER (WHERE day >= whole.since AND day < whole.until), 0) AS inside,
            coalesce(sum(n) FILTER (WHERE day < whole.since OR day >= whole.until), 0) AS beside
        FROM sending_days
        WHERE community_id = $community AND sending_id = s.id AND event = 0
          AND day >= utc_day($from) AND day <= utc_day($to - interval '1 microsecond')
        OFFSET 0
    ) AS d
    WHERE s.community_id = $community AND s.is_known
      AND s.first_at < $to AND s.last_at >= $from AND (s.first_at < $from OR s.last_at >= $to)
),
beside AS MATERIALIZED (
    SELECT c.id, c.has_days, e.dispatch_id, e.event, count(*) AS n
    FROM cut AS c
    CROSS JOIN whole
    CROSS JOIN LATERAL (
        SELECT $from AS since, CASE WHEN c.has_days THEN whole.begins ELSE $to END AS until
        UNION ALL
        SELECT whole.ends, $to WHERE c.has_days
    ) AS span
    CROSS JOIN generate_series(1, {len(EVENT_TYPES)}) AS kind (event)
    CROSS JOIN LATERAL (
        SELECT dispatch_id, event
        FROM sending_events
        WHERE community_id = $community AND sending_id = c.id AND event = CAST(kind.event AS smallint)
          AND at >= span.since AND at < span.until
        OFFSET 0
    ) AS e
    GROUP BY c.id, c.has_days, e.dispatch_id, e.event
),
others AS MATERIALIZED (
    SELECT d.id, d.bits & ~coalesce(counted.bits, 0) AS bits
    FROM (
        SELECT id, has_days, dispatch_id, bit_or(1 << event) | 1 AS bits FROM beside GROUP BY id, has_days, dispatch_id
    ) AS d
    CROSS JOIN whole
    CROSS JOIN LATERAL (
        SELECT bit_or(1 << event) | 1 AS bits
        FROM sending_events
        WHERE d.has_days AND community_id = $community AND dispatch_id = d.dispatch_id
          AND at >= whole.begins AND at < whole.ends
        OFFSET 0
    ) AS counted
),
totals AS MATERIALIZED (
    SELECT c.id, k.event, sum(k.n) AS n, sum(k.n) FILTER (WHERE k.previous < whole.since) AS dispatches
    FROM cut AS c
    CROSS JOIN whole
    CROSS JOIN LATERAL (
        SELECT event, previous, n
        FROM sending_days
        WHERE c.has_days AND community_id = $community AND sending_id = c.id
          AND event = ANY ('{{{_CODES}}}')
          AND day >= whole.since AND day < whole.until
        OFFSET 0
    ) AS k
    GROUP BY c.id, k.event
    UNION ALL
    SELECT id, event, sum(n), 0
    FROM beside
    GROUP BY id, event
    UNION ALL
    SELECT o.id, kind.event, 0, count(*)
    FROM others AS o
    JOIN unnest(CAST('{{{", ".join(map(str, _UNIQUE.values()))}}}' AS int[])) AS kind (event)
        ON o.bits & (1 << kind.event) <> 0
    GROUP BY o.id, kind.event
)
SELECT
    id AS sending_id, reporting_id, campaign_id, channel,
    {", ".join(f"{name}_count AS {name}" for name in _TOTALS)}
FROM sendings
WHERE community_id = $community AND is_known AND first_at >= $from AND last_at < $to
UNION ALL
SELECT
    c.id, c.reporting_id, c.campaign_id, c.channel,
    {_EACH_TOTAL}
FROM cut AS c
JOIN totals AS t ON t.id = c.id
GROUP BY c.id, c.reporting_id, c.campaign_id, c.channel
"""

SENDINGS_STATS = Report(
    "sendings_stats",
    ReportFormat.STATISTICS,
    "What happened to dispatches in all, and how often.",
    cost=2,
    fields=(COMMUNITY_ID, _SENDING_ID, _REPORTING_ID, _CAMPAIGN_ID, _CHANNEL),
    source=RowSource(Backend.POSTGRES, _STATS),
    measures=(
        *(ReportMeasure(name, FieldType.INTEGER, meaning, f"sum(r.{name})") for name, meaning in _TOTALS.items()),
        ReportMeasure("delivery", FieldType.NUMBER, "Delivered by dispatches.", quotient=("delivered", "dispatches")),
        ReportMeasure("open", FieldType.NUMBER, "Unique opened by delivered.", quotient=("unique_opened", "delivered")),
        ReportMeasure(
            "click_to_open",
            FieldType.NUMBER,
            "Unique clicked by unique opened.",
            quotient=("unique_clicked", "unique_opened"),
        ),
        ReportMeasure("bounce", FieldType.NUMBER, "Bounced by dispatches.", quotient=("bounced", "dispatches")),
        ReportMeasure(
            "unsubscribe", FieldType.NUMBER, "Unsubscribed by delivered.", quotient=("unsubscribed", "delivered")
        ),
    ),
)

REPORTS: tuple[Report, ...] = (
    SENDINGS,
    SENDINGS_EVENTS_HISTORY,
    SENDINGS_RECIPIENTS_STATISTICS,
    SENDINGS_STATS,
)
