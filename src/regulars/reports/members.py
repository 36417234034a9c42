"""Reports of members: a list, counts by any fields, and aggregations."""

from dataclasses import replace

from regulars.core.field_type import FieldType
from regulars.reports.member_fields import AGGREGATION_FIELDS, AGGREGATION_FILTERS, MEMBER_FIELDS, MEMBER_ID
from regulars.reports.report import (
    COMMUNITY_ID,
    LOYALTY_CLUB_ID,
    Backend,
    Grouping,
    Report,
    ReportFormat,
    ReportMeasure,
    RowSource,
)

_SOURCE = RowSource(Backend.DUCKDB, "SELECT * FROM members")
"""A replica contains the current members of one community only."""

_COUNT = ReportMeasure("members_count", FieldType.INTEGER, "Number of members.", sql="count(*)")

_LIST_GROUPINGS = (
    Grouping("by_subunit", ("subunit_ids",), "By subunit; a member counts once in each of its subunits."),
    Grouping("by_group", ("group_ids",), "By group; a member counts once in each of its groups."),
    Grouping(
        "by_favorite_store",
        ("favorite_stores",),
        "By favorite store; a member counts once in each of its favorite stores.",
    ),
)

MEMBERS = Report(
    name="members",
    format=ReportFormat.RECORDS,
    description="Members, without personal data.",
    cost=10,
    fields=(*MEMBER_FIELDS, *AGGREGATION_FILTERS),
    source=_SOURCE,
    key=("id",),
    groupings=_LIST_GROUPINGS,
    measures=(_COUNT,),
    count_measure="members_count",
    has_members=True,
)

MEMBERS_COUNT = Report(
    name="members_count",
    format=ReportFormat.RECORDS,
    description="Number of members, in total or in each group.",
    cost=3,
    fields=(*MEMBER_FIELDS, *AGGREGATION_FILTERS),
    source=_SOURCE,
    groupings=_LIST_GROUPINGS,
    measures=(_COUNT,),
    count_measure="members_count",
    has_members=True,
)

_SUMMED = ("spend_12m", "spend_all", "shop_count")
_VALUES = {each.name: each for each in AGGREGATION_FIELDS}

MEMBER_AGGREGATIONS = Report(
    name="member_aggregations",
    format=ReportFormat.RECORDS,
    description="Every aggregation of every member; or, grouped, the number of members with a code and what they have spent.",
    cost=5,
    fields=(MEMBER_ID, COMMUNITY_ID, replace(LOYALTY_CLUB_ID, visible=False), *AGGREGATION_FIELDS),
    source=_SOURCE,
    key=("id",),
    groupings=(
        Grouping(
            "by_recency_and_frequency",
            ("dimension_recency", "dimension_frequency"),
            "By recency and frequency (RFM grid).",
        ),
    ),
    measures=(
        _COUNT,
        *(
            ReportMeasure(f"{name}_sum", _VALUES[name].type, f"Sum of {name}.", sql=f"sum(r.{name})")
            for name in _SUMMED
        ),
    ),
    count_measure="members_count",
    has_members=True,
)

REPORTS: tuple[Report, ...] = (MEMBERS, MEMBERS_COUNT, MEMBER_AGGREGATIONS)
