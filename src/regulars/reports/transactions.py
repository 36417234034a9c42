"""What is bought: by whom, where and of which brand, over time and in all.

What is asked of one field, or of none, is answered from days and months that are added up, with sets of those who
bought in them. Purchases themselves are read where these do not serve: in five minutes and hours, at the ends of a
range that lie within a day, where several fields are asked for, and of what no fold has added up yet.
"""

from regulars.core.field_type import FieldType
from regulars.facts.purchases import METRIC_FAMILY
from regulars.reports.member_balance import AGE, GENDER
from regulars.reports.report import (
    COMMUNITY_ID,
    LOYALTY_CLUB_ID,
    Backend,
    EnumValue,
    PreAggregation,
    Report,
    ReportField,
    ReportFormat,
    ReportMeasure,
    RowSource,
)
from regulars.rollups import member_bitmaps
from regulars.rollups.intervals import ALL_INTERVALS


def _dimension(name: str, meaning: str, codes: str = "") -> ReportField:
    values = tuple(map(EnumValue, codes.split()))
    return ReportField(
        name, FieldType.STRING, f"{meaning} by this purchase.", filterable=True, values=values, groupable=True
    )


LOCATION = ReportField("location", FieldType.INTEGER, "ID of the location.", filterable=True, groupable=True)
CHANNEL = ReportField(
    "channel",
    FieldType.STRING,
    "Where it was bought: CF at a point of sale, CO on the web, CM both.",
    filterable=True,
    values=tuple(map(EnumValue, ("CM", "CF", "CO"))),
    groupable=True,
)
BRAND = ReportField("brand", FieldType.STRING, "Brand of the items, each of them apart.", groupable=True)
FIELDS = (
    LOCATION,
    CHANNEL,
    _dimension("dimension_frequency", "How often the buyer had bought", "F0 F1 F2 FL FH"),
    _dimension("dimension_recency", "How lately the buyer had bought", "R0 RC RS RA RI"),
    _dimension("dimension_join", "For how long the buyer had been in"),
    GENDER,
    AGE,
)

# What answers are made from -----------------------------------------------------------------------------

_WATERMARK = """coalesce((
        SELECT watermark FROM purchase_marks WHERE community_id = $community AND timezone = $zone
    ), '0')"""

_STARTS = "CAST($starts AS timestamptz[])"
_FIRST = f"({_STARTS})[1]"
_LAST = "(SELECT max(moment) FROM unnest(CAST($ends AS timestamptz[])) AS moment)"

# Where clocks are put back over midnight days are not in the order of their instants; shorter buckets always are.
_BUCKET = f"""CASE
    WHEN $interval IN ('5m', '1h') THEN ({_STARTS})[width_bucket({{at}}, {_STARTS})]
    ELSE bucket_start({{at}}, $interval, $zone)
END"""

_OF_SERIES = f"""
    SELECT bucket_start(whole.bucket, $interval, $zone) AS label, granularity, whole.bucket, whole.ends
    FROM (SELECT CASE $interval WHEN '1mo' THEN '1mo' ELSE '1d' END AS granularity) AS granularities
    CROSS JOIN LATERAL complete_buckets(granularity, {_FIRST}, {_LAST}, $zone) AS whole
    WHERE $interval NOT IN ('5m', '1h')
"""

# Whole months, and the whole days beside them. No further than there are purchases.
_OF_RANGE = """
    SELECT CAST(NULL AS timestamptz) AS label, found.*
    FROM (
        SELECT
            greatest($from, min(at) - interval '62 days') AS since,
            least($to, $now + interval '62 days') AS until
        FROM purchases
        WHERE community_id = $community
    ) AS range
    CROSS JOIN LATERAL (
        WITH months AS MATERIALIZED (
            SELECT bucket, ends FROM complete_buckets('1mo', range.since, range.until, $zone)
        )
        SELECT '1mo' AS granularity, bucket, ends FROM months
        UNION
        SELECT '1d', bucket, ends
        FROM (
            SELECT * FROM complete_buckets(
                '1d', range.since, least(range.until, range.since + interval '33 days'), $zone
            )
            UNION
            SELECT * FROM complete_buckets(
                '1d', greatest(range.since, range.until - interval '33 days'), range.until, $zone
            )
            UNION
            -- Between months there are no other days, and without a month there are less than 62.
            SELECT * FROM complete_buckets('1d', range.since, range.until, $zone)
            WHERE NOT EXISTS (SELECT FROM months)
        ) AS days
        WHERE NOT EXISTS (SELECT FROM months WHERE days.bucket >= months.bucket AND days.bucket < months.ends)
    ) AS found
"""


def _log(label: str, since: str, until: str, fields: str) -> str:
    """Purchases themselves, one row each."""
    return f"""
SELECT {label} AS bucket{fields}, p.sales, part.amount, {member_bitmaps.CHUNK_SQL.format(member="p.member_id")} AS chunk,
       member_bit(p.member_id) AS members
FROM purchases AS p
CROSS JOIN LATERAL (SELECT p.amount) AS part (amount)
WHERE p.community_id = $community AND p.counted AND p.at >= {since} AND p.at < {until} AND p.at <= $now
"""


def _brands(sql: str) -> str:
    """The same, once for each brand, with what was paid for it."""
    return sql.replace(
        "(SELECT p.amount) AS part (amount)", "unnest(p.brands, p.brand_amounts) AS part (brand, amount)"
    )


def _added_up(cover: str, label: str, since: str, until: str, field: ReportField | None) -> RowSource:
    """What is kept of a field's values, or of all, with what no fold has added up."""
    grain = field.name if field is not None else ""
    part = "SELECT CAST(NULL AS text), CAST(p.amount AS numeric)"
    if field is not None:
        part = f"SELECT CAST(p.{grain} AS text), CAST(p.amount AS numeric)"
    if field is BRAND:
        part = "SELECT brand, amount FROM unnest(p.brands, p.brand_amounts) AS line (brand, amount)"
    shown = ""
    if field is not None:
        shown = f", CAST(value AS {'bigint' if field.type is FieldType.INTEGER else 'text'}) AS {grain}"
    kept = "p.at, p.sales, p.member_id, part.value, part.amount"
    read = f"CROSS JOIN LATERAL ({part}) AS part (value, amount)"
    asked = f"p.community_id = $community AND p.counted AND p.at >= {since} AND p.at < {until} AND p.at <= $now"
    return RowSource(
        Backend.POSTGRES,
        f"""
WITH cover AS MATERIALIZED ({cover}),
span AS MATERIALIZED (
    SELECT coalesce(min(bucket), 'infinity') AS since, coalesce(max(ends), 'infinity') AS until FROM cover
),
late AS MATERIALIZED (
    SELECT {kept}
    FROM (
        SELECT * FROM purchases WHERE community_id = $community AND since >= {_WATERMARK}
        UNION ALL
        SELECT * FROM purchases WHERE community_id = $community AND since IS NULL
        -- Found by what told them, whatever the planner believes of their number.
        OFFSET 0
    ) AS p
    {read}
    WHERE {asked} AND p.at >= (SELECT since FROM span) AND p.at < (SELECT until FROM span)
),
beside AS MATERIALIZED (
    SELECT {kept}
    FROM purchases AS p
    {read}
    WHERE {asked} AND p.at < (SELECT since FROM span)
    UNION ALL
    SELECT {kept}
    FROM purchases AS p
    {read}
    WHERE {asked} AND p.at >= (SELECT until FROM span)
),
taken_back AS MATERIALIZED (
    SELECT {kept}
    FROM purchase_changes AS p
    {read}
    WHERE {asked} AND p.since < {_WATERMARK} AND p.until >= {_WATERMARK}
      AND p.at >= (SELECT since FROM span) AND p.at < (SELECT until FROM span)
),
-- Where something was taken back, who is left is asked of the purchases.
doubtful AS MATERIALIZED (
    SELECT cover.*
    FROM cover
    WHERE EXISTS (SELECT FROM taken_back WHERE at >= cover.bucket AND at < cover.ends)
),
numbers AS (
    SELECT label, value, sum(sales) AS sales, sum(amount) AS amount
    FROM (
        SELECT cover.label, kept.value, kept.purchases, kept.sales, kept.amount
        FROM cover
        CROSS JOIN LATERAL (
            SELECT value, purchases, sales, amount
            FROM purchase_rollups
            WHERE community_id = $community AND granularity = cover.granularity AND grain = '{grain}' AND bucket = cover.bucket
            OFFSET 0
        ) AS kept
        WHERE {_WATERMARK} > '0'
        UNION ALL
        SELECT {label.format(at="at")}, value, 1, sales, amount FROM late
        UNION ALL
        SELECT {label.format(at="at")}, value, 1, sales, amount FROM beside
        UNION ALL
        SELECT {label.format(at="at")}, value, -1, -sales, -amount FROM taken_back
    ) AS told
    GROUP BY label, value
    HAVING sum(purchases) <> 0
),
sets AS (
    SELECT cover.label, kept.value, kept.chunk, kept.members
    FROM cover
    CROSS JOIN LATERAL (
        SELECT value, chunk, members
        FROM unique_sets
        WHERE community_id = $community AND family = '{METRIC_FAMILY}' AND granularity = cover.granularity AND grain = '{grain}'
          AND bucket = cover.bucket
        OFFSET 0
    ) AS kept
    WHERE {_WATERMARK} > '0' AND cover.bucket NOT IN (SELECT bucket FROM doubtful)
    UNION ALL
    SELECT label, value, member_chunk(member_id), bit_or(member_bit(member_id))
    FROM (
        SELECT {label.format(at="at")} AS label, value, member_id FROM late
        UNION
        SELECT {label.format(at="at")}, value, member_id FROM beside
        UNION
        SELECT doubtful.label, part.value, p.member_id
        FROM doubtful
        JOIN purchases AS p ON p.at >= doubtful.bucket AND p.at < doubtful.ends
        {read}
        WHERE {asked}
    ) AS buyers
    WHERE member_id IS NOT NULL
    GROUP BY label, value, member_chunk(member_id)
)
SELECT label AS bucket{shown}, sales, amount, CAST(NULL AS bigint) AS chunk, CAST(NULL AS bit(1024)) AS members
FROM numbers
UNION ALL
SELECT label{shown}, 0, 0, chunk, members
FROM sets
""",
    )


def _report(name: str, form: ReportFormat, meaning: str, cost: int) -> Report:
    if form is ReportFormat.TIMESERIES:
        cover, since, until, label = _OF_SERIES, _FIRST, _LAST, _BUCKET
    else:
        cover, since, until, label = _OF_RANGE, "$from", "$to", "CAST(NULL AS timestamptz)"
    fields = "".join(f", p.{each.name}" for each in FIELDS)
    log = _log(label.format(at="p.at"), since, until, fields)
    return Report(
        name,
        form,
        meaning,
        cost=cost,
        fields=(COMMUNITY_ID, LOYALTY_CLUB_ID, *FIELDS, BRAND),
        source=RowSource(Backend.POSTGRES, _brands(log.replace(fields, f"{fields}, part.brand"))),
        pre_aggregations=(
            PreAggregation((), _added_up(cover, label, since, until, None)),
            *(PreAggregation((each.name,), _added_up(cover, label, since, until, each)) for each in (*FIELDS, BRAND)),
            PreAggregation(tuple(each.name for each in FIELDS), RowSource(Backend.POSTGRES, log)),
        ),
        measures=(
            ReportMeasure("transactions", FieldType.INTEGER, "Sales.", "sum(r.sales)"),
            ReportMeasure("net_amount", FieldType.MONEY, "What was paid, less what was given back.", "sum(r.amount)"),
            ReportMeasure(
                "members", FieldType.INTEGER, "Different members.", "bit_or(r.members)", distinct_partition="r.chunk"
            ),
            ReportMeasure(
                "average_value",
                FieldType.MONEY,
                "Net amount of a sale.",
                quotient=("net_amount", "transactions"),
                decimals=None,
            ),
        ),
        metric="metric",
        is_additive=False,
        intervals=ALL_INTERVALS if form is ReportFormat.TIMESERIES else (),
    )


TRANSACTIONS_HISTORY = _report(
    "transactions_history", ReportFormat.TIMESERIES, "Sales, net amount and buyers over time, whoever bought.", 3
)
TRANSACTIONS_STATS = _report(
    "transactions_stats", ReportFormat.STATISTICS, "Sales, net amount and buyers of a range of time.", 2
)

REPORTS: tuple[Report, ...] = (TRANSACTIONS_HISTORY, TRANSACTIONS_STATS)
