"""What is known of single members, and how many there are."""

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
"""The copy holds the members of one community, and nobody else."""

_COUNT = ReportMeasure("members_count", FieldType.INTEGER, "How many members.", sql="count(*)")

_GROUPED = (
    Grouping("by_subunit", ("subunit_ids",), "By subunit, once for each that a member has."),
    Grouping("by_group", ("group_ids",), "By group, once for each that a member has."),
    Grouping("by_favorite_store", ("favorite_stores",), "By favorite store, once for each that a member has."),
)

MEMBERS = Report(
    name="members",
    format=ReportFormat.RECORDS,
    description="The members, without what tells who they are.",
    cost=10,
    fields=(*MEMBER_FIELDS, *AGGREGATION_FILTERS),
    source=_SOURCE,
    key=("id",),
    groupings=_GROUPED,
    measures=(_COUNT,),
    count_measure="members_count",
)

MEMBERS_COUNT = Report(
    name="members_count",
    format=ReportFormat.RECORDS,
    description="How many members there are, or in each group.",
    cost=3,
    fields=(*MEMBER_FIELDS, *AGGREGATION_FILTERS),
    source=_SOURCE,
    groupings=_GROUPED,
    measures=(_COUNT,),
    count_measure="members_count",
)

_SUMMED = ("spend_12m", "spend_all", "shop_count")
_VALUES = {each.name: each for each in AGGREGATION_FIELDS}

MEMBER_AGGREGATIONS = Report(
    name="member_aggregations",
    format=ReportFormat.RECORDS,
    description="Every aggregation of every member; or how many members share a code, and what they have spent.",
    cost=5,
    fields=(MEMBER_ID, COMMUNITY_ID, replace(LOYALTY_CLUB_ID, visible=False), *AGGREGATION_FIELDS),
    source=_SOURCE,
    key=("id",),
    groupings=(
        Grouping(
            "by_recency_and_frequency",
            ("dimension_recency", "dimension_frequency"),
            "The grid of how recently by how often.",
        ),
    ),
    measures=(
        _COUNT,
        *(
            ReportMeasure(f"{name}_sum", _VALUES[name].type, f"{name} of them all, added up.", sql=f"sum(r.{name})")
            for name in _SUMMED
        ),
    ),
    count_measure="members_count",
)

REPORTS: tuple[Report, ...] = (MEMBERS, MEMBERS_COUNT, MEMBER_AGGREGATIONS)
