"""Who joins and who leaves."""

from collections.abc import Mapping

from regulars.core.field_type import FieldType
from regulars.model import member_dimensions
from regulars.reports.member_counts import UNCOMPACTED
from regulars.reports.report import (
    COMMUNITY_ID,
    Backend,
    EnumValue,
    Grouping,
    PreAggregation,
    Report,
    ReportField,
    ReportFormat,
    ReportMeasure,
    RowSource,
    enum_values,
)
from regulars.rollups.intervals import ALL_INTERVALS

PLATFORMS = enum_values(member_dimensions.PLATFORMS)
AGE_GROUPS = enum_values(member_dimensions.AGE_GROUPS)

OPTIN_CHANNEL = ReportField(
    "optin_channel", FieldType.STRING, "What the member joined through.", filterable=True, groupable=True
)
OPTIN_SUBCHANNEL = ReportField(
    "optin_subchannel", FieldType.STRING, "Where in that channel.", filterable=True, groupable=True
)
OPTIN_PLATFORM = ReportField(
    "optin_platform",
    FieldType.STRING,
    "The platform that the first word of the channel names, else other.",
    filterable=True,
    values=PLATFORMS,
    groupable=True,
)
GENDER = ReportField("gender", FieldType.STRING, "Gender.", filterable=True, groupable=True)
AGE = ReportField(
    "age", FieldType.STRING, "Age in completed years, by five.", filterable=True, values=AGE_GROUPS, groupable=True
)
CONSENTS = ReportField(
    "consents",
    FieldType.FLAGS,
    "What the member agreed to and what not, by name.",
    filterable=True,
    groupable=True,
    group_labels=("consent", "status"),
    flag_columns=("r.consents_true", "r.consents_false"),
)
DIMENSIONS = (OPTIN_CHANNEL, OPTIN_SUBCHANNEL, OPTIN_PLATFORM, GENDER, AGE, CONSENTS)

DIMENSION_COLUMNS: Mapping[str, tuple[str, ...]] = {each.name: (each.name,) for each in DIMENSIONS} | {
    "consents": ("consents_true", "consents_false")
}


def _joins(grain: str, fields: tuple[str, ...]) -> RowSource:
    """What is kept of a grain, folded and unfolded; what was taken back is not there."""
    columns = "".join(f", {column}" for field in fields for column in DIMENSION_COLUMNS[field])
    return RowSource(
        Backend.POSTGRES,
        f"""
SELECT bucket, type{columns}, CAST(sum(n) AS bigint) AS n
FROM (
    SELECT bucket, type{columns}, n
    FROM balance_rollups
    WHERE community_id = $community AND granularity = $interval AND grain = '{grain}'
        AND bucket >= ($starts::timestamptz[])[1] AND bucket < ($ends::timestamptz[])[cardinality($ends::timestamptz[])]
    UNION ALL
    SELECT ($starts::timestamptz[])[width_bucket(bucket, $starts::timestamptz[])], type{columns}, n
    FROM balance_deltas
    WHERE community_id = $community
        AND bucket >= ($starts::timestamptz[])[1] AND bucket < ($ends::timestamptz[])[cardinality($ends::timestamptz[])]
        AND {UNCOMPACTED}
) AS moves
GROUP BY bucket, type{columns}
HAVING sum(n) <> 0
""",
    )


MEMBER_BALANCE = Report(
    "member_balance",
    ReportFormat.TIMESERIES,
    "How many members joined and how many left, as they were at that moment.",
    cost=3,
    fields=(
        COMMUNITY_ID,
        ReportField(
            "type",
            FieldType.STRING,
            "Whether the member left or joined; both are counted upwards.",
            filterable=True,
            values=(EnumValue("out", "Left."), EnumValue("in", "Joined.")),
        ),
        *DIMENSIONS,
    ),
    source=_joins("all", tuple(DIMENSION_COLUMNS)),
    pre_aggregations=(
        PreAggregation(("type",), _joins("", ())),
        *(PreAggregation(("type", each.name), _joins(each.name, (each.name,))) for each in DIMENSIONS),
    ),
    default_group_by=("type",),
    groupings=(
        Grouping("community_id", ("community_id", "type"), "By community and type."),
        *(Grouping(each.name, ("type", each.name), f"By type and {each.name}.") for each in DIMENSIONS),
        Grouping(
            "total",
            (),
            "Who joined less who left.",
            measures=(
                ReportMeasure(
                    "members_count",
                    FieldType.INTEGER,
                    "Members who joined less those who left",
                    "CAST(sum(CASE r.type WHEN 'in' THEN r.n ELSE -r.n END) AS bigint)",
                ),
            ),
        ),
    ),
    measures=(ReportMeasure("members_count", FieldType.INTEGER, "Count of members", "CAST(sum(r.n) AS bigint)"),),
    count_measure="members_count",
    intervals=ALL_INTERVALS,
)

REPORTS: tuple[Report, ...] = (MEMBER_BALANCE,)
