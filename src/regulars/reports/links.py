"""Reports of visits of links, and of their distinct visitors.

A bucket of a link contains the ids of its visitors, so the distinct visitors of any links and buckets are counted when
they are queried. A range is composed of complete months, complete days at its ends, and single visits for the rest.
"""

from datetime import timedelta

from regulars.core.field_type import FieldType
from regulars.core.urls import UTM_PARAMETERS
from regulars.facts.links import SOURCE_TYPES
from regulars.reports.report import (
    COMMUNITY_ID,
    LOYALTY_CLUB_ID,
    Backend,
    EnumValue,
    Report,
    ReportField,
    ReportFormat,
    ReportMeasure,
    RowSource,
)
from regulars.rollups.intervals import ALL_INTERVALS, Interval


def _text(name: str, meaning: str) -> ReportField:
    return ReportField(name, FieldType.STRING, meaning, filterable=True, groupable=True)


_SOURCE_TYPE = ReportField(
    "source_type",
    FieldType.STRING,
    "The type of the source that contains the link.",
    filterable=True,
    values=tuple(map(EnumValue, SOURCE_TYPES)),
    groupable=True,
)
_SOURCE_ID = _text(
    "source_id",
    "For a sending its reporting_id, or its service_type if it has none; for an offer its external id.",
)
_HOST = _text("host", "Host name, in lower case and ASCII.")
_PATH = _text("path", "Path, unchanged.")
_UTM = {name: _text(name, f"The parameter {name} of the link.") for name in UTM_PARAMETERS}


def _measures(visits: str, unique_visits: str) -> tuple[ReportMeasure, ...]:
    return (
        ReportMeasure(visits, FieldType.INTEGER, "Visits.", "sum(r.visits)"),
        ReportMeasure(
            unique_visits,
            FieldType.INTEGER,
            "Distinct visitors: members by profile, others by visitor key.",
            "coalesce(string_agg(r.visitors, ''), '')",
            distinct_partition="r.part",
            is_id_list=True,
        ),
    )


# Concatenating in parts is cheaper: a value that grows to megabytes is copied with every step.
_LINK_COLUMNS = f"""l.source_type,
    CASE l.source_type
        WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
        ELSE l.offer_external_id
    END AS source_id,
    l.host, l.path, {", ".join(f"l.{name}" for name in UTM_PARAMETERS)}, l.id & 3 AS part"""

# Links of a placeholder sending are not reported.
_LINKS = """FROM links AS l
LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id"""
_IS_REPORTED = "l.community_id = $community AND (l.sending_id IS NULL OR NOT s.is_placeholder)"

# Sendings' links ----------------------------------------------------------------------------------------------

_ALL_TIME = RowSource(
    Backend.POSTGRES,
    f"""
SELECT {_LINK_COLUMNS}, k.visits, k.visitor_nos AS visitors
{_LINKS}
JOIN link_rollups AS k ON k.link_id = l.id
WHERE {_IS_REPORTED} AND l.sending_id IS NOT NULL
  AND k.community_id = $community AND k.granularity = '1mo'
""",
)


def _of_sendings(name: str, meaning: str, cost: int, fields: tuple[ReportField, ...]) -> Report:
    return Report(
        name,
        ReportFormat.RECORDS,
        meaning,
        cost=cost,
        fields=(LOYALTY_CLUB_ID, *fields, COMMUNITY_ID),
        source=_ALL_TIME,
        default_group_by=(LOYALTY_CLUB_ID.name, *(each.name for each in fields)),
        measures=_measures("visits_count", "unique_visits_count"),
    )


SENDINGS_LINKS = _of_sendings(
    "sendings_links",
    "Links of sendings and the number of their visits.",
    3,
    (_SOURCE_ID, _HOST, _PATH, *(_UTM[name] for name in sorted(UTM_PARAMETERS))),
)
SENDINGS_LINKS_STATS = _of_sendings(
    "sendings_links_stats", "Number of visits of the links of sendings.", 2, (_SOURCE_ID,)
)

# All links ----------------------------------------------------------------------------------------------------

_FIELDS = (COMMUNITY_ID, LOYALTY_CLUB_ID, _SOURCE_TYPE, _SOURCE_ID, _HOST, _PATH, *_UTM.values())

LINKS_VISITS_HISTORY = Report(
    "links_visits_history",
    ReportFormat.TIMESERIES,
    "Visits of links over time, and the distinct visitors of each bucket.",
    cost=3,
    fields=_FIELDS,
    source=RowSource(
        Backend.POSTGRES,
        f"""
SELECT k.bucket, {_LINK_COLUMNS}, k.visits, k.visitor_nos AS visitors
{_LINKS}
JOIN link_rollups AS k ON k.link_id = l.id
WHERE {_IS_REPORTED}
  AND k.community_id = $community AND k.granularity = $interval
  AND k.bucket >= (SELECT min(start) FROM unnest($starts) AS begins (start))
  AND k.bucket <= (SELECT max(start) FROM unnest($starts) AS begins (start))
""",
    ),
    measures=_measures("visits", "unique_visits"),
    metric="metric",
    is_additive=False,
    intervals=ALL_INTERVALS,
)

_DAY_RETENTION_START = f"CAST($now AS timestamptz) - interval '{(Interval.DAY.retention or timedelta.max).days} days'"


def _end(of: str, granularity: str, is_after: bool) -> str:
    return f"(SELECT {of} FROM pieces WHERE granularity = '{granularity}' AND is_after = {is_after})"


def _piece(granularity: str, *, is_after: bool) -> str:
    """The rollups of one part of the range, read link by link, in the order of the index."""
    return f"""
SELECT {_LINK_COLUMNS}, k.visits, k.visitor_nos AS visitors
{_LINKS}
CROSS JOIN LATERAL (
    SELECT visits, visitor_nos
    FROM link_rollups
    WHERE community_id = $community AND granularity = '{granularity}' AND link_id = l.id
      AND bucket >= {_end("since", granularity, is_after)}
      AND bucket < {_end("until", granularity, is_after)}
    OFFSET 0
) AS k
WHERE {_IS_REPORTED}"""


# Complete months; complete retained days before and after them, or without months; and visits for the gaps.
_STATS = f"""
WITH span AS MATERIALIZED (
    SELECT
        greatest($from, min(visited_at) - interval '62 days') AS since,
        least($to, $now + interval '62 days') AS until
    FROM link_visits
    WHERE community_id = $community
),
months AS MATERIALIZED (
    SELECT m.bucket, m.ends FROM span CROSS JOIN LATERAL complete_buckets('1mo', since, until, $zone) AS m
),
middle AS MATERIALIZED (
    SELECT min(bucket) AS since, max(ends) AS until FROM months
),
days AS MATERIALIZED (
    SELECT d.bucket, d.ends, coalesce(d.bucket >= middle.until, FALSE) AS is_after
    FROM span
    CROSS JOIN middle
    CROSS JOIN LATERAL (
        SELECT * FROM complete_buckets('1d', span.since, least(span.until, span.since + interval '62 days'), $zone)
        UNION
        SELECT * FROM complete_buckets('1d', greatest(span.since, span.until - interval '62 days'), span.until, $zone)
    ) AS d
    WHERE d.bucket >= {_DAY_RETENTION_START} AND (d.ends <= middle.since OR d.bucket >= middle.until OR middle.since IS NULL)
),
pieces AS MATERIALIZED (
    SELECT '1mo' AS granularity, FALSE AS is_after, since, until FROM middle WHERE since IS NOT NULL
    UNION ALL
    SELECT '1d', is_after, min(bucket), max(ends) FROM days GROUP BY is_after
),
gaps AS MATERIALIZED (
    SELECT since, until
    FROM (
        SELECT coalesce(lag(until) OVER (ORDER BY since), $from) AS since, since AS until
        FROM (SELECT since, until FROM pieces UNION ALL SELECT $to, $to) AS ends
    ) AS boundaries
    WHERE since < until
),
remaining AS MATERIALIZED (
    SELECT v.link_id, count(*) AS visits, string_agg(int4send(v.visitor_no), '') AS visitors
    FROM gaps AS g
    CROSS JOIN LATERAL (
        SELECT link_id, visitor_no
        FROM link_visits
        WHERE community_id = $community AND visited_at >= g.since AND visited_at < g.until
        OFFSET 0
    ) AS v
    GROUP BY v.link_id
)
SELECT {_LINK_COLUMNS}, b.visits, b.visitors
{_LINKS}
JOIN remaining AS b ON b.link_id = l.id
WHERE {_IS_REPORTED}
UNION ALL{_piece("1mo", is_after=False)}
UNION ALL{_piece("1d", is_after=False)}
UNION ALL{_piece("1d", is_after=True)}
"""

LINKS_VISITS_STATS = Report(
    "links_visits_stats",
    ReportFormat.STATISTICS,
    "Visits of links in a time range, and their distinct visitors.",
    cost=2,
    fields=_FIELDS,
    source=RowSource(Backend.POSTGRES, _STATS),
    measures=_measures("visits", "unique_visits"),
    is_additive=False,
)

REPORTS: tuple[Report, ...] = (SENDINGS_LINKS, SENDINGS_LINKS_STATS, LINKS_VISITS_HISTORY, LINKS_VISITS_STATS)
