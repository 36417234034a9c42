"""Sample reports with a field of every type, over profiles in PostgreSQL and over a table in DuckDB."""

from __future__ import annotations

from regulars.core.field_type import FieldType
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
from regulars.rollups.intervals import ALL_INTERVALS

FIELDS = (
    COMMUNITY_ID,
    LOYALTY_CLUB_ID,
    ReportField("id", FieldType.INTEGER, "Number of the row.", filterable=True),
    ReportField("name", FieldType.STRING, "A text.", filterable=True, groupable=True),
    ReportField(
        "size",
        FieldType.STRING,
        "An enum whose order is not that of its letters.",
        filterable=True,
        groupable=True,
        values=(EnumValue("small", "The least."), EnumValue("large", "The greatest.")),
    ),
    ReportField("points", FieldType.INTEGER, "A whole number.", filterable=True, groupable=True),
    ReportField("score", FieldType.NUMBER, "A number.", filterable=True),
    ReportField("spent", FieldType.MONEY, "An amount.", filterable=True),
    ReportField("share", FieldType.PERCENT, "A percentage.", filterable=True),
    ReportField("is_good", FieldType.BOOLEAN, "A boolean.", filterable=True, groupable=True),
    ReportField("day", FieldType.DATE, "A date.", filterable=True, groupable=True),
    ReportField("at", FieldType.TIMESTAMP, "A time.", filterable=True),
    ReportField(
        "marks", FieldType.INTEGER_LIST, "Whole numbers.", filterable=True, groupable=True, group_labels=("mark",)
    ),
    ReportField("tags", FieldType.STRING_LIST, "Texts.", filterable=True, groupable=True, group_labels=("tag",)),
    ReportField(
        "consents",
        FieldType.FLAGS,
        "By name.",
        filterable=True,
        groupable=True,
        flag_columns=("r.consents_true", "r.consents_false"),
    ),
    ReportField("properties", FieldType.OBJECT, "Anything.", filterable=True),
    ReportField("note", FieldType.STRING, "Can't be filtered by.", sql="coalesce(r.name, '-')"),
    ReportField(
        "is_many",
        FieldType.BOOLEAN,
        "An expression.",
        sql="r.points > 2",
        filterable=True,
        groupable=True,
        visible=False,
    ),
)

MEASURES = (
    ReportMeasure("count", FieldType.INTEGER, "Rows.", sql="count(*)"),
    ReportMeasure("spent_total", FieldType.MONEY, "Amounts added up.", sql="sum(r.spent)"),
    ReportMeasure("average", FieldType.MONEY, "Amount a row.", quotient=("spent_total", "count"), decimals=2),
)

# Rows are stored in the properties of profiles.
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

BUCKETED_PROFILES = PROFILES.replace("t.*", "b.bucket, t.*").replace(
    "WHERE",
    "JOIN unnest($starts, $ends) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends\nWHERE",
)

SAMPLES = Report(
    name="samples",
    format=ReportFormat.RECORDS,
    description="Rows with a field of every kind.",
    cost=2,
    fields=FIELDS,
    source=RowSource(Backend.POSTGRES, PROFILES),
    key=("community_id", "size", "name", "id"),
    groupings=(Grouping("by_size_and_mark", ("size", "marks"), "By size and mark."),),
    measures=MEASURES,
)
SAMPLES_IN_DUCKDB = Report(
    name="samples_in_duckdb",
    format=ReportFormat.RECORDS,
    description="The same in DuckDB.",
    cost=10,
    fields=FIELDS,
    source=RowSource(Backend.DUCKDB, "SELECT * FROM samples WHERE community_id = $community"),
    key=("community_id", "size", "name", "id"),
    groupings=SAMPLES.groupings,
    measures=MEASURES,
)

SAMPLES_COUNT = Report(
    name="samples_count",
    format=ReportFormat.RECORDS,
    description="How many rows there are.",
    cost=3,
    fields=FIELDS,
    source=SAMPLES.source,
    measures=MEASURES[:1],
)

SAMPLES_HISTORY = Report(
    name="samples_history",
    format=ReportFormat.TIMESERIES,
    description="Rows over time.",
    cost=3,
    fields=FIELDS,
    source=RowSource(Backend.POSTGRES, BUCKETED_PROFILES),
    default_group_by=("size",),
    measures=MEASURES[:1],
    intervals=ALL_INTERVALS,
)

SAMPLES_STATS = Report(
    name="samples_stats",
    format=ReportFormat.STATISTICS,
    description="Rows in a range.",
    cost=2,
    fields=FIELDS,
    source=RowSource(Backend.POSTGRES, PROFILES + "  AND p.created_at >= $from AND p.created_at < $to"),
    measures=MEASURES,
)

REGISTRY = {each.name: each for each in (SAMPLES, SAMPLES_IN_DUCKDB, SAMPLES_COUNT, SAMPLES_HISTORY, SAMPLES_STATS)}
