"""What is sent to members, and what comes of it."""

from dataclasses import replace

from regulars.facts.sending_events import EVENTS
from regulars.facts.sendings import CHANNELS
from regulars.reports import rollups
from regulars.reports.balance import AGE, GENDER, OPTIN_PLATFORM
from regulars.reports.interval import EVERY, FROM_AN_HOUR, Interval
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

_CHANNEL = Field(
    "channel",
    Kind.STRING,
    "What it goes out through.",
    filterable=True,
    values=tuple(map(Value, CHANNELS)),
    groups=True,
)
_REPORTING_ID = Field(
    "reporting_id", Kind.INTEGER, "The number that the sender reports by.", filterable=True, groups=True
)
_CAMPAIGN_ID = Field("campaign_id", Kind.INTEGER, "ID of the campaign.", filterable=True, groups=True)
_SENDING_ID = Field("sending_id", Kind.INTEGER, "ID of the sending.", filterable=True, groups=True)

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
    step = interval.written
    first = "first_at"
    is_kept = "last_at IS NOT NULL"
    if interval.kept is not None:
        kept_since = f"CAST($now AS timestamptz) - interval '{interval.kept.days} days'"
        first = f"greatest(first_at, {kept_since})"
        is_kept = f"last_at >= {kept_since}"
    return f"""'{step}', CASE WHEN {is_kept} THEN json_build_object(
                'from', utc_text(bucket_start({first}, '{step}', zone)),
                'to', CASE
                    WHEN bucket_start($now, '{step}', zone) > bucket_start(last_at, '{step}', zone)
                    THEN utc_text(bucket_start(last_at, '{step}', zone))
                END
            ) END"""


_RANGES = ",\n            ".join(map(_range, EVERY))

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
    Format.RECORDS,
    "What was sent, and what came of it in all.",
    cost=2,
    fields=(
        Field("id", Kind.INTEGER, "ID of the sending."),
        LOYALTY_CLUB_ID,
        Field("language", Kind.STRING, "Language.", filterable=True, groups=True),
        _CHANNEL,
        Field(
            "service_type",
            Kind.STRING,
            "The service that sent it: campaigns, triggered, generic, rewards_notifications ...",
            filterable=True,
            groups=True,
        ),
        _REPORTING_ID,
        Field("source_id", Kind.STRING, "ID of what made it be sent.", filterable=True, groups=True),
        Field("source_app", Kind.STRING, "The application that made it be sent.", filterable=True, groups=True),
        Field("source_type", Kind.STRING, "The type of what made it be sent.", filterable=True, groups=True),
        Field("audience_id", Kind.INTEGER, "ID of the audience.", filterable=True, groups=True),
        _CAMPAIGN_ID,
        *(Field(name, Kind.INTEGER, meaning) for name, meaning in COUNTERS.items()),
        Field("created_at", Kind.TIME, "When it was made.", filterable=True),
        Field(
            "timeseries_ranges",
            Kind.OBJECT,
            "By interval from which bucket to which it has events; `to` is null while the last one runs, all of it "
            "where buckets of that width are kept no more.",
        ),
        replace(COMMUNITY_ID, shown=False),
    ),
    source=Source(Store.TABLES, _SENDINGS),
    key=("loyalty_club_id", "id"),
    measures=tuple(Measure(name, Kind.INTEGER, meaning, f"sum(r.{name})") for name, meaning in COUNTERS.items()),
)

# Over time ------------------------------------------------------------------------------------------------------

_EVENT = Field(
    "event",
    Kind.STRING,
    "What happened.",
    filterable=True,
    values=tuple(map(Value, EVENTS)),
    groups=True,
)

SENDINGS_EVENTS_HISTORY = Report(
    "sendings_events_history",
    Format.TIMESERIES,
    "What happened to dispatches, when it happened.",
    cost=3,
    fields=(COMMUNITY_ID, _SENDING_ID, _REPORTING_ID, _CAMPAIGN_ID, _CHANNEL, _EVENT),
    source=Source(
        Store.TABLES,
        f"""
SELECT k.bucket, k.sending_id, s.reporting_id, s.campaign_id, s.channel, k.event, k.n
FROM sendings AS s
JOIN sending_rollups AS k ON k.sending_id = s.id
WHERE s.community_id = $community AND s.is_known
  AND {rollups.WITHIN}
""",
    ),
    grouped_by=("event",),
    aggregations=(
        Aggregation("community_id", ("community_id", "event"), "By community and event."),
        *(
            Aggregation(each, ("event", each), f"By event and {each}.")
            for each in ("sending_id", "reporting_id", "campaign_id", "channel")
        ),
    ),
    measures=(Measure("events_count", Kind.INTEGER, "Count of events", "sum(r.n)"),),
    adds=False,
    intervals=EVERY,
)

SENDINGS_RECIPIENTS_STATISTICS = Report(
    "sendings_recipients_statistics",
    Format.TIMESERIES,
    "Recipients as they were when a sending was first transmitted to them: each once a sending, at that moment.",
    cost=3,
    fields=(
        COMMUNITY_ID,
        _SENDING_ID,
        _REPORTING_ID,
        GENDER,
        AGE,
        OPTIN_PLATFORM,
        Field("country", Kind.STRING, "ISO 3166-1 alpha-2.", filterable=True, groups=True),
    ),
    source=Source(
        Store.TABLES,
        f"""
SELECT k.bucket, k.sending_id, s.reporting_id, k.gender, k.age, k.optin_platform, k.country, k.n
FROM sendings AS s
JOIN recipient_rollups AS k ON k.sending_id = s.id
WHERE s.community_id = $community AND s.is_known
  AND {rollups.WITHIN}
""",
    ),
    measures=(Measure("recipients_count", Kind.INTEGER, "Count of recipients", "sum(r.n)"),),
    intervals=FROM_AN_HOUR,
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

# A sending all of whose events lie within the range has been counted already.
_STATS = f"""
SELECT
    id AS sending_id, reporting_id, campaign_id, channel,
    {", ".join(f"{name}_count AS {name}" for name in _TOTALS)}
FROM sendings
WHERE community_id = $community AND is_known AND first_at >= $from AND last_at < $to
UNION ALL
SELECT s.id, s.reporting_id, s.campaign_id, s.channel, {", ".join(f"e.{name}" for name in _TOTALS)}
FROM sendings AS s
CROSS JOIN LATERAL (
    SELECT
        count(DISTINCT dispatch_id) AS dispatches,
        count(DISTINCT dispatch_id) FILTER (WHERE event = 5) AS unique_opened,
        count(DISTINCT dispatch_id) FILTER (WHERE event = 6) AS unique_clicked,
        {", ".join(f"count(*) FILTER (WHERE event = {code}) AS {name}" for code, name in enumerate(EVENTS, 1))}
    FROM sending_events
    WHERE community_id = $community AND sending_id = s.id AND at >= $from AND at < $to
    OFFSET 0
) AS e
WHERE s.community_id = $community AND s.is_known
  AND s.first_at < $to AND s.last_at >= $from AND (s.first_at < $from OR s.last_at >= $to)
  AND e.dispatches > 0
"""

SENDINGS_STATS = Report(
    "sendings_stats",
    Format.STATISTICS,
    "What happened to dispatches in all, and how often.",
    cost=2,
    fields=(COMMUNITY_ID, _SENDING_ID, _REPORTING_ID, _CAMPAIGN_ID, _CHANNEL),
    source=Source(Store.TABLES, _STATS),
    measures=(
        *(Measure(name, Kind.INTEGER, meaning, f"sum(r.{name})") for name, meaning in _TOTALS.items()),
        Measure("delivery", Kind.NUMBER, "Delivered by dispatches.", quotient=("delivered", "dispatches")),
        Measure("open", Kind.NUMBER, "Unique opened by delivered.", quotient=("unique_opened", "delivered")),
        Measure(
            "click_to_open",
            Kind.NUMBER,
            "Unique clicked by unique opened.",
            quotient=("unique_clicked", "unique_opened"),
        ),
        Measure("bounce", Kind.NUMBER, "Bounced by dispatches.", quotient=("bounced", "dispatches")),
        Measure("unsubscribe", Kind.NUMBER, "Unsubscribed by delivered.", quotient=("unsubscribed", "delivered")),
    ),
)

REPORTS: tuple[Report, ...] = (
    SENDINGS,
    SENDINGS_EVENTS_HISTORY,
    SENDINGS_RECIPIENTS_STATISTICS,
    SENDINGS_STATS,
)
