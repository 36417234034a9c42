"""Who joins and who leaves."""

from collections.abc import Mapping

from regulars.reports.counts import UNFOLDED
from regulars.reports.interval import EVERY
from regulars.reports.report import (
    COMMUNITY_ID,
    Aggregation,
    Field,
    Format,
    Grain,
    Kind,
    Measure,
    Report,
    Source,
    Store,
    Value,
)

PLATFORMS = tuple(map(Value, ("ios", "android", "web", "pos", "api", "import", "other")))

AGES = tuple(map(Value, ("-14", *(f"{years}-{years + 4}" for years in range(15, 80, 5)), "80-")))

OPTIN_CHANNEL = Field("optin_channel", Kind.STRING, "What the member joined through.", filterable=True, groups=True)
OPTIN_SUBCHANNEL = Field("optin_subchannel", Kind.STRING, "Where in that channel.", filterable=True, groups=True)
OPTIN_PLATFORM = Field(
    "optin_platform",
    Kind.STRING,
    "The platform that the first word of the channel names, else other.",
    filterable=True,
    values=PLATFORMS,
    groups=True,
)
GENDER = Field("gender", Kind.STRING, "Gender.", filterable=True, groups=True)
AGE = Field("age", Kind.STRING, "Age in completed years, by five.", filterable=True, values=AGES, groups=True)
CONSENTS = Field(
    "consents",
    Kind.FLAGS,
    "What the member agreed to and what not, by name.",
    filterable=True,
    groups=True,
    labels=("consent", "status"),
    flags=("r.consents_true", "r.consents_false"),
)
DIMENSIONS = (OPTIN_CHANNEL, OPTIN_SUBCHANNEL, OPTIN_PLATFORM, GENDER, AGE, CONSENTS)

COLUMNS: Mapping[str, tuple[str, ...]] = {each.name: (each.name,) for each in DIMENSIONS} | {
    "consents": ("consents_true", "consents_false")
}


def _joins(grain: str, fields: tuple[str, ...]) -> Source:
    """What is kept of a grain, folded and unfolded; what was taken back is not there."""
    columns = "".join(f", {column}" for field in fields for column in COLUMNS[field])
    return Source(
        Store.TABLES,
        f"""
SELECT bucket, type{columns}, CAST(sum(n) AS bigint) AS n
FROM (
    SELECT bucket, type{columns}, n
    FROM balance_rollups
    WHERE community_id = $community AND step = $interval AND grain = '{grain}'
        AND bucket >= ($starts::timestamptz[])[1] AND bucket < ($ends::timestamptz[])[cardinality($ends::timestamptz[])]
    UNION ALL
    SELECT ($starts::timestamptz[])[width_bucket(bucket, $starts::timestamptz[])], type{columns}, n
    FROM balance_deltas
    WHERE community_id = $community
        AND bucket >= ($starts::timestamptz[])[1] AND bucket < ($ends::timestamptz[])[cardinality($ends::timestamptz[])]
        AND {UNFOLDED}
) AS moves
GROUP BY bucket, type{columns}
HAVING sum(n) <> 0
""",
    )


MEMBER_BALANCE = Report(
    "member_balance",
    Format.TIMESERIES,
    "How many members joined and how many left, as they were at that moment.",
    cost=3,
    fields=(
        COMMUNITY_ID,
        Field(
            "type",
            Kind.STRING,
            "Whether the member left or joined; both are counted upwards.",
            filterable=True,
            values=(Value("out", "Left."), Value("in", "Joined.")),
        ),
        *DIMENSIONS,
    ),
    source=_joins("all", tuple(COLUMNS)),
    grains=(
        Grain(("type",), _joins("", ())),
        *(Grain(("type", each.name), _joins(each.name, (each.name,))) for each in DIMENSIONS),
    ),
    grouped_by=("type",),
    aggregations=(
        Aggregation("community_id", ("community_id", "type"), "By community and type."),
        *(Aggregation(each.name, ("type", each.name), f"By type and {each.name}.") for each in DIMENSIONS),
        Aggregation(
            "total",
            (),
            "Who joined less who left.",
            measures=(
                Measure(
                    "members_count",
                    Kind.INTEGER,
                    "Members who joined less those who left",
                    "CAST(sum(CASE r.type WHEN 'in' THEN r.n ELSE -r.n END) AS bigint)",
                ),
            ),
        ),
    ),
    measures=(Measure("members_count", Kind.INTEGER, "Count of members", "CAST(sum(r.n) AS bigint)"),),
    counts="members_count",
    intervals=EVERY,
)

REPORTS: tuple[Report, ...] = (MEMBER_BALANCE,)
