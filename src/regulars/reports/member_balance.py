"""The report of joins and leaves over time."""

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
    "optin_channel", FieldType.STRING, "The channel through which the member joined.", filterable=True, groupable=True
)
OPTIN_SUBCHANNEL = ReportField(
    "optin_subchannel",
    FieldType.STRING,
    "The subchannel through which the member joined.",
    filterable=True,
    groupable=True,
)
OPTIN_PLATFORM = ReportField(
    "optin_platform",
    FieldType.STRING,
    "The platform, which is the first word of the channel if that is a known platform, else other.",
    filterable=True,
    values=PLATFORMS,
    groupable=True,
)
GENDER = ReportField("gender", FieldType.STRING, "Gender.", filterable=True, groupable=True)
AGE = ReportField(
    "age",
    FieldType.STRING,
    "Age in completed years, in groups of five.",
    filterable=True,
    values=AGE_GROUPS,
    groupable=True,
)
CONSENTS = ReportField(
    "consents",
    FieldType.FLAGS,
    "Consents by name: granted or denied.",
    filterable=True,
    groupable=True,
    group_labels=("consent", "status"),
    flag_columns=("r.consents_true", "r.consents_false"),
)
DIMENSIONS = (OPTIN_CHANNEL, OPTIN_SUBCHANNEL, OPTIN_PLATFORM, GENDER, AGE, CONSENTS)

DIMENSION_COLUMNS: Mapping[str, tuple[str, ...]] = {each.name: (each.name,) for each in DIMENSIONS} | {
    "consents": ("consents_true", "consents_false")
}


def _flows(dimension_set: str, fields: tuple[str, ...]) -> RowSource:
    """Joins and leaves by some dimensions: rollups and uncompacted deltas, netted."""
    columns = "".join(f", {column}" for field in fields for column in DIMENSION_COLUMNS[field])
    return RowSource(
        Backend.POSTGRES,
        f"""
SELECT bucket, type{columns}, CAST(sum(count) AS bigint) AS count
FROM (
    SELECT bucket, type{columns}, count
    FROM balance_rollups
    WHERE community_id = $community AND granularity = $interval AND dimension_set = '{dimension_set}'
        AND bucket >= ($starts::timestamptz[])[1] AND bucket < ($ends::timestamptz[])[cardinality($ends::timestamptz[])]
    UNION ALL
    SELECT ($starts::timestamptz[])[width_bucket(bucket, $starts::timestamptz[])], type{columns}, delta
    FROM member_flow_deltas
    WHERE community_id = $community
        AND bucket >= ($starts::timestamptz[])[1] AND bucket < ($ends::timestamptz[])[cardinality($ends::timestamptz[])]
        AND {UNCOMPACTED}
) AS flows
GROUP BY bucket, type{columns}
HAVING sum(count) <> 0
""",
    )


MEMBER_BALANCE = Report(
    "member_balance",
    ReportFormat.TIMESERIES,
    "Number of members who joined and who left, by their attributes at that moment.",
    cost=3,
    fields=(
        COMMUNITY_ID,
        ReportField(
            "type",
            FieldType.STRING,
            "Whether members left or joined; both are positive numbers.",
            filterable=True,
            values=(EnumValue("out", "Left."), EnumValue("in", "Joined.")),
        ),
        *DIMENSIONS,
    ),
    source=_flows("all", tuple(DIMENSION_COLUMNS)),
    pre_aggregations=(
        PreAggregation(("type",), _flows("", ())),
        *(PreAggregation(("type", each.name), _flows(each.name, (each.name,))) for each in DIMENSIONS),
    ),
    default_group_by=("type",),
    groupings=(
        Grouping("community_id", ("community_id", "type"), "By community and type."),
        *(Grouping(each.name, ("type", each.name), f"By type and {each.name}.") for each in DIMENSIONS),
        Grouping(
            "total",
            (),
            "Joins minus leaves.",
            measures=(
                ReportMeasure(
                    "members_count",
                    FieldType.INTEGER,
                    "Joins minus leaves",
                    "CAST(sum(CASE r.type WHEN 'in' THEN r.count ELSE -r.count END) AS bigint)",
                ),
            ),
        ),
    ),
    measures=(ReportMeasure("members_count", FieldType.INTEGER, "Count of members", "CAST(sum(r.count) AS bigint)"),),
    count_measure="members_count",
    intervals=ALL_INTERVALS,
)

REPORTS: tuple[Report, ...] = (MEMBER_BALANCE,)
