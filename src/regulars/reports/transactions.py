"""Reports of purchases: sales, net amount and distinct buyers by buyer, store and brand, over time and in total.

Queries that use at most one field are answered from rollups of days and months, with bitmaps of the buyers. Single
purchases are read for intervals shorter than a day, for incomplete days at the ends of a range, for queries that use
several fields, and where they are not compacted yet.
"""

from regulars.core.field_type import FieldType
from regulars.facts.purchases import METRIC_FAMILY
from regulars.model.member_dimensions import CHANNEL_CODES
from regulars.reports.member_balance import AGE, GENDER
from regulars.reports.member_fields import AGGREGATION_CODES
from regulars.reports.report import (
    COMMUNITY_ID,
    LOYALTY_CLUB_ID,
    Backend,
    PreAggregation,
    Report,
    ReportField,
    ReportFormat,
    ReportMeasure,
    RowSource,
    enum_values,
)
from regulars.rollups import member_bitmaps
from regulars.rollups.intervals import ALL_INTERVALS


def _dimension(name: str, meaning: str) -> ReportField:
    values = AGGREGATION_CODES.get(name, ())
    return ReportField(
        name, FieldType.STRING, f"{meaning} at this purchase.", filterable=True, values=values, groupable=True
    )


LOCATION = ReportField("location", FieldType.INTEGER, "ID of the location.", filterable=True, groupable=True)
CHANNEL = ReportField(
    "channel",
    FieldType.STRING,
    "Channel of the purchase: CF at a point of sale, CO on the web, CM both.",
    filterable=True,
    values=enum_values(dict(CHANNEL_CODES.values())),
    groupable=True,
)
BRAND = ReportField(
    "brand", FieldType.STRING, "Brand; a purchase counts once in each brand of its items.", groupable=True
)
FIELDS = (
    LOCATION,
    CHANNEL,
    _dimension("dimension_frequency", "Frequency code of the buyer"),
    _dimension("dimension_recency", "Recency code of the buyer"),
    _dimension("dimension_join", "Code of the length of membership of the buyer"),
    GENDER,
    AGE,
)

# Row sources --------------------------------------------------------------------------------------------------

_WATERMARK = """coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = $community AND timezone = $zone
    ), '0')"""

_STARTS = "CAST($starts AS timestamptz[])"
_FIRST = f"({_STARTS})[1]"
_LAST = "(SELECT max(moment) FROM unnest(CAST($ends AS timestamptz[])) AS moment)"

# Where clocks are set back across midnight, days are not in the order of their instants; shorter buckets always are.
_BUCKET = f"""CASE
    WHEN $interval IN ('5m', '1h') THEN ({_STARTS})[width_bucket({{at}}, {_STARTS})]
    ELSE bucket_start({{at}}, $interval, $zone)
END"""

_SERIES_COVER = f"""
    SELECT bucket_start(whole.bucket, $interval, $zone) AS label, granularity, whole.bucket, whole.ends
    FROM (SELECT CASE $interval WHEN '1mo' THEN '1mo' ELSE '1d' END AS granularity) AS granularities
    CROSS JOIN LATERAL complete_buckets(granularity, {_FIRST}, {_LAST}, $zone) AS whole
    WHERE $interval NOT IN ('5m', '1h')
"""

# Complete months, and complete days at the ends, limited to the time in which there are purchases.
_RANGE_COVER = """
    SELECT CAST(NULL AS timestamptz) AS label, found.*
    FROM (
        SELECT
            greatest($from, min(purchased_at) - interval '62 days') AS since,
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
            -- Days between months are not needed; without a complete month there are less than 62 days.
            SELECT * FROM complete_buckets('1d', range.since, range.until, $zone)
            WHERE NOT EXISTS (SELECT FROM months)
        ) AS days
        WHERE NOT EXISTS (SELECT FROM months WHERE days.bucket >= months.bucket AND days.bucket < months.ends)
    ) AS found
"""


def _single_purchases(label: str, since: str, until: str, fields: str) -> str:
    """Single purchases, one row each."""
    return f"""
SELECT {label} AS bucket{fields}, p.sales, part.amount, {member_bitmaps.CHUNK_SQL.format(member="p.member_id")} AS chunk,
       bitmap_bit(p.member_id) AS bitmap
FROM purchases AS p
CROSS JOIN LATERAL (SELECT p.amount) AS part (amount)
WHERE p.community_id = $community AND p.is_counted
  AND p.purchased_at >= {since} AND p.purchased_at < {until} AND p.purchased_at <= $now
"""


def _by_brand(sql: str) -> str:
    """Single purchases, one row for each brand, with the amount paid for it."""
    return sql.replace(
        "(SELECT p.amount) AS part (amount)", "unnest(p.brands, p.brand_amounts) AS part (brand, amount)"
    )


def _totals(cover: str, label: str, since: str, until: str, field: ReportField | None) -> RowSource:
    """The totals by a field, or in total: rollups, corrected by uncompacted and superseded purchases."""
    dimension = field.name if field is not None else ""
    part = "SELECT CAST(NULL AS text), CAST(p.amount AS numeric)"
    if field is not None:
        part = f"SELECT CAST(p.{dimension} AS text), CAST(p.amount AS numeric)"
    if field is BRAND:
        part = "SELECT brand, amount FROM unnest(p.brands, p.brand_amounts) AS line (brand, amount)"
    shown = ""
    if field is not None:
        shown = f", CAST(dimension_value AS {'bigint' if field.type is FieldType.INTEGER else 'text'}) AS {dimension}"
    parts = f"CROSS JOIN LATERAL ({part}) AS part (dimension_value, amount)"
    condition = f"""p.community_id = $community AND p.is_counted
      AND p.purchased_at >= {since} AND p.purchased_at < {until} AND p.purchased_at <= $now"""
    label = label.format(at="purchased_at")
    return RowSource(
        Backend.POSTGRES,
        f"""
WITH cover AS MATERIALIZED ({cover}),
span AS MATERIALIZED (
    SELECT coalesce(min(bucket), 'infinity') AS since, coalesce(max(ends), 'infinity') AS until FROM cover
),
{_corrections(parts, condition)},
{_sums(dimension, label)},
{_buyers(dimension, label, parts, condition)}
SELECT label AS bucket{shown}, sales, amount, CAST(NULL AS bigint) AS chunk, CAST(NULL AS bit(1024)) AS bitmap
FROM totals
UNION ALL
SELECT label{shown}, 0, 0, chunk, bitmap
FROM bitmaps
""",
    )


_SINGLE_COLUMNS = "p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount"


def _corrections(parts: str, condition: str) -> str:
    """CTEs of single purchases that rollups of the cover lack, or count in another version."""
    return f"""uncompacted AS MATERIALIZED (
    SELECT {_SINGLE_COLUMNS}
    FROM (
        SELECT * FROM purchases WHERE community_id = $community AND recorded_xid >= {_WATERMARK}
        UNION ALL
        SELECT * FROM purchases WHERE community_id = $community AND recorded_xid IS NULL
        -- Prevents the planner from merging the two index scans into a sequential scan.
        OFFSET 0
    ) AS p
    {parts}
    WHERE {condition} AND p.purchased_at >= (SELECT since FROM span) AND p.purchased_at < (SELECT until FROM span)
),
outside_cover AS MATERIALIZED (
    SELECT {_SINGLE_COLUMNS}
    FROM purchases AS p
    {parts}
    WHERE {condition} AND p.purchased_at < (SELECT since FROM span)
    UNION ALL
    SELECT {_SINGLE_COLUMNS}
    FROM purchases AS p
    {parts}
    WHERE {condition} AND p.purchased_at >= (SELECT until FROM span)
),
superseded AS MATERIALIZED (
    SELECT {_SINGLE_COLUMNS}
    FROM purchase_versions AS p
    {parts}
    WHERE {condition} AND p.recorded_xid < {_WATERMARK} AND p.superseded_xid >= {_WATERMARK}
      AND p.purchased_at >= (SELECT since FROM span) AND p.purchased_at < (SELECT until FROM span)
),
-- Bitmaps cannot be corrected, so buyers of buckets with superseded purchases are counted from purchases.
corrected_buckets AS MATERIALIZED (
    SELECT cover.*
    FROM cover
    WHERE EXISTS (SELECT FROM superseded WHERE purchased_at >= cover.bucket AND purchased_at < cover.ends)
)"""


def _sums(dimension: str, label: str) -> str:
    """The CTE of sales and amounts by label and value: rollups and single purchases."""
    return f"""totals AS (
    SELECT label, dimension_value, sum(sales) AS sales, sum(amount) AS amount
    FROM (
        SELECT cover.label, rollup.dimension_value, rollup.purchases, rollup.sales, rollup.amount
        FROM cover
        CROSS JOIN LATERAL (
            SELECT dimension_value, purchases, sales, amount
            FROM purchase_rollups
            WHERE community_id = $community AND granularity = cover.granularity AND dimension = '{dimension}'
              AND bucket = cover.bucket
            OFFSET 0
        ) AS rollup
        WHERE {_WATERMARK} > '0'
        UNION ALL
        SELECT {label}, dimension_value, 1, sales, amount FROM uncompacted
        UNION ALL
        SELECT {label}, dimension_value, 1, sales, amount FROM outside_cover
        UNION ALL
        SELECT {label}, dimension_value, -1, -sales, -amount FROM superseded
    ) AS changes
    GROUP BY label, dimension_value
    HAVING sum(purchases) <> 0
)"""


def _buyers(dimension: str, label: str, parts: str, condition: str) -> str:
    """The CTE of the bitmaps of buyers by label and value: rollups, and single purchases where rollups don't count."""
    return f"""bitmaps AS (
    SELECT cover.label, rollup.dimension_value, rollup.chunk, rollup.bitmap
    FROM cover
    CROSS JOIN LATERAL (
        SELECT dimension_value, chunk, bitmap
        FROM member_bitmaps
        WHERE community_id = $community AND metric_family = '{METRIC_FAMILY}'
          AND granularity = cover.granularity AND dimension = '{dimension}' AND bucket = cover.bucket
        OFFSET 0
    ) AS rollup
    WHERE {_WATERMARK} > '0' AND cover.bucket NOT IN (SELECT bucket FROM corrected_buckets)
    UNION ALL
    SELECT label, dimension_value, bitmap_chunk(member_id), bit_or(bitmap_bit(member_id))
    FROM (
        SELECT {label} AS label, dimension_value, member_id FROM uncompacted
        UNION
        SELECT {label}, dimension_value, member_id FROM outside_cover
        UNION
        SELECT corrected_buckets.label, part.dimension_value, p.member_id
        FROM corrected_buckets
        JOIN purchases AS p ON p.purchased_at >= corrected_buckets.bucket AND p.purchased_at < corrected_buckets.ends
        {parts}
        WHERE {condition}
    ) AS buyers
    WHERE member_id IS NOT NULL
    GROUP BY label, dimension_value, bitmap_chunk(member_id)
)"""


def _report(name: str, form: ReportFormat, meaning: str, cost: int) -> Report:
    if form is ReportFormat.TIMESERIES:
        cover, since, until, label = _SERIES_COVER, _FIRST, _LAST, _BUCKET
    else:
        cover, since, until, label = _RANGE_COVER, "$from", "$to", "CAST(NULL AS timestamptz)"
    fields = "".join(f", p.{each.name}" for each in FIELDS)
    single = _single_purchases(label.format(at="p.purchased_at"), since, until, fields)
    return Report(
        name,
        form,
        meaning,
        cost=cost,
        fields=(COMMUNITY_ID, LOYALTY_CLUB_ID, *FIELDS, BRAND),
        source=RowSource(Backend.POSTGRES, _by_brand(single.replace(fields, f"{fields}, part.brand"))),
        pre_aggregations=(
            PreAggregation((), _totals(cover, label, since, until, None)),
            *(PreAggregation((each.name,), _totals(cover, label, since, until, each)) for each in (*FIELDS, BRAND)),
            PreAggregation(tuple(each.name for each in FIELDS), RowSource(Backend.POSTGRES, single)),
        ),
        measures=(
            ReportMeasure("transactions", FieldType.INTEGER, "Number of sales.", "sum(r.sales)"),
            ReportMeasure("net_amount", FieldType.MONEY, "Amount of sales minus returns.", "sum(r.amount)"),
            ReportMeasure(
                "members", FieldType.INTEGER, "Distinct members.", "bit_or(r.bitmap)", distinct_partition="r.chunk"
            ),
            ReportMeasure(
                "average_value",
                FieldType.MONEY,
                "Net amount divided by sales.",
                quotient=("net_amount", "transactions"),
                decimals=None,
            ),
        ),
        metric="metric",
        is_additive=False,
        count_measure="members",
        has_overlapping_groups=True,
        intervals=ALL_INTERVALS if form is ReportFormat.TIMESERIES else (),
    )


TRANSACTIONS_HISTORY = _report(
    "transactions_history",
    ReportFormat.TIMESERIES,
    "Sales, net amount and distinct buyers over time, including purchases without a member.",
    3,
)
TRANSACTIONS_STATS = _report(
    "transactions_stats", ReportFormat.STATISTICS, "Sales, net amount and distinct buyers in a time range.", 2
)

REPORTS: tuple[Report, ...] = (TRANSACTIONS_HISTORY, TRANSACTIONS_STATS)
