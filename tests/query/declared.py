"""Reports of the tests' own: every kind of field, over profiles in PostgreSQL and over a table in DuckDB."""

from __future__ import annotations

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

FIELDS = (
    COMMUNITY_ID,
    LOYALTY_CLUB_ID,
    Field("id", Kind.INTEGER, "Number of the row.", filterable=True),
    Field("name", Kind.STRING, "A text.", filterable=True, groups=True),
    Field(
        "size",
        Kind.STRING,
        "An enum whose order is not that of its letters.",
        filterable=True,
        groups=True,
        values=(Value("small", "The least."), Value("large", "The greatest.")),
    ),
    Field("points", Kind.INTEGER, "A whole number.", filterable=True, groups=True),
    Field("score", Kind.NUMBER, "A number.", filterable=True),
    Field("spent", Kind.MONEY, "An amount.", filterable=True),
    Field("share", Kind.PERCENT, "A percentage.", filterable=True),
    Field("is_good", Kind.BOOLEAN, "A boolean.", filterable=True, groups=True),
    Field("day", Kind.DATE, "A date.", filterable=True, groups=True),
    Field("at", Kind.TIME, "A time.", filterable=True),
    Field("marks", Kind.INTEGERS, "Whole numbers.", filterable=True, groups=True, labels=("mark",)),
    Field("tags", Kind.STRINGS, "Texts.", filterable=True, groups=True, labels=("tag",)),
    Field(
        "consents", Kind.FLAGS, "By name.", filterable=True, groups=True, flags=("r.consents_true", "r.consents_false")
    ),
    Field("properties", Kind.OBJECT, "Anything.", filterable=True),
    Field("note", Kind.STRING, "Can't be filtered by.", sql="coalesce(r.name, '-')"),
    Field("is_many", Kind.BOOLEAN, "An expression.", sql="r.points > 2", filterable=True, groups=True, shown=False),
)

MEASURES = (
    Measure("count", Kind.INTEGER, "Rows.", sql="count(*)"),
    Measure("spent_total", Kind.MONEY, "Amounts added up.", sql="sum(r.spent)"),
    Measure("average", Kind.MONEY, "Amount a row.", quotient=("spent_total", "count"), decimals=2),
)

# Rows are kept as a fact that has room for anything: the properties of profiles.
PROFILES = """
SELECT t.*
FROM profiles AS p
CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
    id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
    day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
    properties jsonb
)
WHERE p.community_id = $community
"""

IN_BUCKETS = PROFILES.replace("t.*", "b.bucket, t.*").replace(
    "WHERE",
    "JOIN unnest($starts, $ends) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends\nWHERE",
)

KINDS = Report(
    name="kinds",
    format=Format.RECORDS,
    meaning="Rows with a field of every kind.",
    cost=2,
    fields=FIELDS,
    source=Source(Store.TABLES, PROFILES),
    key=("community_id", "size", "name", "id"),
    aggregations=(Aggregation("by_size_and_mark", ("size", "marks"), "By size and mark."),),
    measures=MEASURES,
)
KINDS_IN_COLUMNS = Report(
    name="kinds_in_columns",
    format=Format.RECORDS,
    meaning="The same in DuckDB.",
    cost=10,
    fields=FIELDS,
    source=Source(Store.COLUMNS, "SELECT * FROM things WHERE community_id = $community"),
    key=("community_id", "size", "name", "id"),
    aggregations=KINDS.aggregations,
    measures=MEASURES,
)

KINDS_COUNT = Report(
    name="kinds_count",
    format=Format.RECORDS,
    meaning="How many rows there are.",
    cost=3,
    fields=FIELDS,
    source=KINDS.source,
    measures=MEASURES[:1],
)

KINDS_HISTORY = Report(
    name="kinds_history",
    format=Format.TIMESERIES,
    meaning="Rows over time.",
    cost=3,
    fields=FIELDS,
    source=Source(Store.TABLES, IN_BUCKETS),
    grouped_by=("size",),
    measures=MEASURES[:1],
    intervals=EVERY,
)

KINDS_STATS = Report(
    name="kinds_stats",
    format=Format.STATISTICS,
    meaning="Rows in a range.",
    cost=2,
    fields=FIELDS,
    source=Source(Store.TABLES, PROFILES + "  AND p.created_at >= $from AND p.created_at < $to"),
    measures=MEASURES,
)

REGISTRY = {each.name: each for each in (KINDS, KINDS_IN_COLUMNS, KINDS_COUNT, KINDS_HISTORY, KINDS_STATS)}
