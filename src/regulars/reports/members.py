"""What is known of single members, and how many there are."""

from dataclasses import replace

from regulars.reports.member_fields import FIELDS, FILTERS, ID, VALUES
from regulars.reports.report import (
    COMMUNITY_ID,
    LOYALTY_CLUB_ID,
    Aggregation,
    Format,
    Kind,
    Measure,
    Report,
    Source,
    Store,
)

_SOURCE = Source(Store.COLUMNS, "SELECT * FROM members")
"""The copy holds the members of one community, and nobody else."""

_COUNT = Measure("members_count", Kind.INTEGER, "How many members.", sql="count(*)")

_GROUPED = (
    Aggregation("by_subunit", ("subunit_ids",), "By subunit, once for each that a member has."),
    Aggregation("by_group", ("group_ids",), "By group, once for each that a member has."),
    Aggregation("by_favorite_store", ("favorite_stores",), "By favorite store, once for each that a member has."),
)

MEMBERS = Report(
    name="members",
    format=Format.RECORDS,
    meaning="The members, without what tells who they are.",
    cost=10,
    fields=(*FIELDS, *FILTERS),
    source=_SOURCE,
    key=("id",),
    aggregations=_GROUPED,
    measures=(_COUNT,),
    counts="members_count",
)

MEMBERS_COUNT = Report(
    name="members_count",
    format=Format.RECORDS,
    meaning="How many members there are, or in each group.",
    cost=3,
    fields=(*FIELDS, *FILTERS),
    source=_SOURCE,
    aggregations=_GROUPED,
    measures=(_COUNT,),
    counts="members_count",
)

_SUMMED = ("spend_12m", "spend_all", "shop_count")
_VALUES = {each.name: each for each in VALUES}

MEMBER_AGGREGATIONS = Report(
    name="member_aggregations",
    format=Format.RECORDS,
    meaning="Every aggregation of every member; or how many members share a code, and what they have spent.",
    cost=5,
    fields=(ID, COMMUNITY_ID, replace(LOYALTY_CLUB_ID, shown=False), *VALUES),
    source=_SOURCE,
    key=("id",),
    aggregations=(
        Aggregation(
            "by_recency_and_frequency",
            ("dimension_recency", "dimension_frequency"),
            "The grid of how recently by how often.",
        ),
    ),
    measures=(
        _COUNT,
        *(
            Measure(f"{name}_sum", _VALUES[name].kind, f"{name} of them all, added up.", sql=f"sum(r.{name})")
            for name in _SUMMED
        ),
    ),
    counts="members_count",
)

REPORTS: tuple[Report, ...] = (MEMBERS, MEMBERS_COUNT, MEMBER_AGGREGATIONS)
