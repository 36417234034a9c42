"""Records: rows and groups in an order that does not move, as they go out."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from clubs import START, Club
from hypothesis_settings import SEED
from query.report_client import all_records, iter_pages, query_records
from query.sample_reports import REGISTRY, SAMPLES
from query.sample_rows import Row, SampleStore, create_samples, random_rows, tenant_of
from regulars.core.field_type import FieldType
from regulars.query.backends import Backends
from regulars.query.errors import InvalidParametersError
from regulars.reports.report import (
    COMMUNITY_ID,
    Backend,
    EnumValue,
    Grouping,
    Report,
    ReportField,
    ReportFormat,
    ReportMeasure,
    RowSource,
)

BLANK: Row = {
    **dict.fromkeys(("name", "size", "points", "score", "spent", "share", "is_good", "day", "at")),
    "marks": [],
    "tags": [],
    "consents_true": [],
    "consents_false": [],
    "properties": {},
}

REPORTS = pytest.mark.parametrize("report", ["samples", "samples_in_duckdb"])


def sample(number: int, **values: Any) -> Row:
    """A row with some values and nothing else."""
    return {"id": number, **BLANK, **values}


# Rows -----------------------------------------------------------------------------------------------------------


@REPORTS
async def test_every_type_of_field_is_encoded(club: Club, report: str) -> None:
    of = create_samples(club, club.database)
    rows = sample(
        7,
        name="Åse",
        size="large",
        points=2**63 - 1,
        score=Decimal("2.5"),
        spent=123_450,
        share=1_250,
        is_good=False,
        day=date(2024, 2, 29),
        at=datetime(2026, 11, 24, 8, 0, 0, 98, tzinfo=UTC),
        marks=[3, 1],
        tags=["b", "a"],
        consents_true=["sms"],
        consents_false=["email"],
        properties={"language": "no", "more": [1, {"a": None}]},
    )
    await of.insert([rows])
    answer = await query_records(of.backends, [of.tenant], report)
    assert answer == {
        "records": [
            {
                "community_id": of.tenant.community_id,
                "loyalty_club_id": of.tenant.loyalty_club_id,
                "id": 7,
                "name": "Åse",
                "size": "large",
                "points": 2**63 - 1,
                "score": 2.5,
                "spent": 1234.5,
                "share": 12.5,
                "is_good": False,
                "day": "2024-02-29",
                "at": "2026-11-24T08:00:00.000098Z",
                "marks": [3, 1],
                "tags": ["b", "a"],
                "consents": {"email": False, "sms": True},
                "properties": {"language": "no", "more": [1, {"a": None}]},
                "note": "Åse",
            }
        ],
        "pagination": {"next_page_info": None},
        "result_type": "records",
    }
    assert list(answer) == ["records", "pagination", "result_type"]
    assert list(answer["records"][0]) == [each.name for each in SAMPLES.fields if each.visible]


@REPORTS
async def test_records_are_sorted_by_community_and_key(club: Club, other_club: Club, report: str) -> None:
    of = create_samples(club, club.database)
    names = (None, "", "B", "a", "é", "\uffff", "\U00010000")
    sizes = (None, "small", "large", "unheard-of")
    expected = [(size, name) for size in sizes for name in names]
    rows = [sample(number, size=size, name=name) for number, (size, name) in enumerate(expected)]
    random.Random(SEED).shuffle(rows)
    await of.insert(rows)
    found = await all_records(of.backends, [of.tenant], report, limit=3)
    assert [(each["size"], each["name"]) for each in found] == expected


async def test_rows_of_several_communities_are_sorted_by_community(club: Club, other_club: Club) -> None:
    first, second = create_samples(club, club.database), create_samples(other_club, other_club.database)
    await first.insert([sample(number, name=f"{number:02}") for number in range(5)])
    await second.insert([sample(number, name=f"{number:02}") for number in range(4)])
    both = [second.tenant, first.tenant]
    for limit in range(1, 11):
        found = await all_records(first.backends, both, "samples", limit=limit)
        assert [(each["community_id"], each["id"]) for each in found] == [
            *((club.community.id, number) for number in range(5)),
            *((other_club.community.id, number) for number in range(4)),
        ]


@REPORTS
async def test_pages_of_any_size_have_the_same_rows(club: Club, report: str) -> None:
    of, rows = create_samples(club, club.database), random_rows(random.Random(SEED), 60)
    await of.insert(rows)
    whole = await all_records(of.backends, [of.tenant], report)
    assert len(whole) == 60
    for limit in (1, 7, 30, 59, 60, 61):
        found = [page async for page in iter_pages(of.backends, [of.tenant], report, limit=limit)]
        assert [each for page in found for each in page] == whole
        assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
        assert 0 < len(found[-1]) <= limit


async def test_no_rows_are_an_empty_page(club: Club) -> None:
    of = create_samples(club, club.database)
    assert await query_records(of.backends, [of.tenant], "samples") == {
        "records": [],
        "pagination": {"next_page_info": None},
        "result_type": "records",
    }


async def test_a_process_without_replicas_raises_an_error(club: Club) -> None:
    with pytest.raises(RuntimeError, match="has no columnar replicas"):
        await query_records(Backends(club.database), [tenant_of(club)], "samples_in_duckdb")


# Groups ---------------------------------------------------------------------------------------------------------


@REPORTS
async def test_groups_are_sorted_by_label_and_quotients_are_computed_from_sums(club: Club, report: str) -> None:
    of = create_samples(club, club.database)
    await of.insert(
        [
            sample(1, size="large", spent=100),
            sample(2, size="large", spent=101),
            sample(3, size="small"),
            sample(4, spent=7),
        ]
    )
    answer = await query_records(of.backends, [of.tenant], report, aggregate_by="by_size")
    assert answer["records"] == [
        {"size": None, "count": 1, "spent_total": 0.07, "average": 0.07},
        {"size": "small", "count": 1, "spent_total": None, "average": None},
        # 1.005 to the nearest even cent.
        {"size": "large", "count": 2, "spent_total": 2.01, "average": 1.0},
    ]
    assert list(answer["records"][0]) == ["size", "count", "spent_total", "average"]


@REPORTS
async def test_an_array_counts_once_for_each_element_and_once_where_it_is_empty(club: Club, report: str) -> None:
    of = create_samples(club, club.database)
    await of.insert([sample(1, marks=[1, 2], tags=["a"]), sample(2, marks=[2]), sample(3), sample(4, marks=None)])
    found = await all_records(of.backends, [of.tenant], report, aggregate_by="by_marks", limit=2)
    assert [(each["mark"], each["count"]) for each in found] == [(None, 2), (1, 1), (2, 2)]
    found = await all_records(of.backends, [of.tenant], report, aggregate_by="by_size_and_mark")
    assert [(each["size"], each["mark"], each["count"]) for each in found] == [
        (None, None, 2),
        (None, 1, 1),
        (None, 2, 2),
    ]
    tags = await all_records(of.backends, [of.tenant], report, aggregate_by="by_tags")
    assert [(each["tag"], each["count"]) for each in tags] == [(None, 3), ("a", 1)]


@REPORTS
async def test_flags_count_once_for_each_name_and_status(club: Club, report: str) -> None:
    of = create_samples(club, club.database)
    await of.insert(
        [
            sample(1, consents_true=["sms", "email"]),
            sample(2, consents_true=["email"], consents_false=["sms"]),
            sample(3),
        ]
    )
    found = await all_records(of.backends, [of.tenant], report, aggregate_by="by_consents", limit=1)
    assert [(each["consent"], each["status"], each["count"]) for each in found] == [
        ("email", True, 2),
        ("sms", False, 1),
        ("sms", True, 1),
    ]


@REPORTS
async def test_groups_by_booleans_dates_and_expressions(club: Club, report: str) -> None:
    of = create_samples(club, club.database)
    await of.insert([sample(1, points=3, is_good=True, day=date(2026, 11, 1)), sample(2, points=2, is_good=False)])
    for aggregation, labels in (
        ("by_is_many", [False, True]),
        ("by_is_good", [False, True]),
        ("by_day", [None, "2026-11-01"]),
        ("by_points", [2, 3]),
    ):
        found = await all_records(of.backends, [of.tenant], report, aggregate_by=aggregation, limit=1)
        assert [next(iter(each.values())) for each in found] == labels


async def test_groups_are_added_up_over_communities_each_in_its_own_minor_units(club: Club, other_club: Club) -> None:
    first, second = create_samples(club, club.database), create_samples(other_club, other_club.database)
    await first.insert([sample(1, name="a", spent=100), sample(2, name="b"), sample(3, name="c", spent=1)])
    await second.insert([sample(1, name="a", spent=1_005), sample(2, name="a"), sample(3, name="b", spent=10)])
    both = [first.tenant, replace(second.tenant, minor_digits=3, currency=first.tenant.currency)]
    found = await all_records(first.backends, both, "samples", aggregate_by="by_name")
    assert found == [
        {"name": "a", "count": 3, "spent_total": 2.005, "average": 0.67},
        {"name": "b", "count": 2, "spent_total": 0.01, "average": 0.0},
        {"name": "c", "count": 1, "spent_total": 0.01, "average": 0.01},
    ]


async def test_money_of_several_currencies_is_not_added_up(club: Club, other_club: Club) -> None:
    first, second = create_samples(club, club.database), create_samples(other_club, other_club.database)
    both = [first.tenant, second.tenant]
    with pytest.raises(InvalidParametersError, match="different currencies"):
        await query_records(first.backends, both, "samples", aggregate_by="by_name")


async def test_a_report_without_a_key_has_a_group_for_every_community(club: Club, other_club: Club) -> None:
    first, second = create_samples(club, club.database), create_samples(other_club, other_club.database)
    await first.insert([sample(1, size="small"), sample(2)])
    both = [first.tenant, second.tenant]
    counted = await query_records(first.backends, both, "samples_count")
    assert counted["records"] == [
        {"community_id": club.community.id, "count": 2},
        {"community_id": other_club.community.id, "count": 0},
    ]
    by_club = await query_records(first.backends, both, "samples_count", aggregate_by="by_loyalty_club_id")
    assert [each["count"] for each in by_club["records"]] == [2, 0]
    small = {"type": "equal", "field": "size", "value": "small"}
    assert [
        each["count"] for each in (await query_records(first.backends, both, "samples_count", filter=small))["records"]
    ] == [1, 0]
    grouped = await query_records(first.backends, both, "samples_count", aggregate_by="by_size")
    assert grouped["records"] == [{"size": None, "count": 1}, {"size": "small", "count": 1}]


async def test_a_community_without_rows_is_no_group_of_a_report_of_rows(club: Club, other_club: Club) -> None:
    first, second = create_samples(club, club.database), create_samples(other_club, other_club.database)
    await first.insert([sample(1)])
    found = await all_records(first.backends, [first.tenant, second.tenant], "samples", aggregate_by="by_community_id")
    assert [each["community_id"] for each in found] == [club.community.id]


# As it is documented --------------------------------------------------------------------------------------------

GROUPED_COUNT = Report(
    name="grouped_count",
    format=ReportFormat.RECORDS,
    description="Simply aggregated counts.",
    cost=2,
    fields=(
        COMMUNITY_ID,
        ReportField(
            "grouping_type",
            FieldType.STRING,
            "Aggregation group type.",
            values=tuple(map(EnumValue, ("optin_channel", "optin_subchannel", "optin_platform", "country"))),
        ),
        ReportField("grouping_value", FieldType.STRING, "Aggregation group value."),
        ReportField("members_count", FieldType.INTEGER, "Count of members."),
        ReportField("updated_at", FieldType.TIMESTAMP, "Time of the last change."),
        ReportField(
            "rank", FieldType.INTEGER, "A number that is not shown.", sql="length(r.grouping_value)", visible=False
        ),
    ),
    source=RowSource(
        Backend.POSTGRES,
        """
        SELECT p.title AS grouping_type, p.first_name AS grouping_value, p.birth_year AS members_count, p.updated_at
        FROM profiles AS p
        WHERE p.community_id = $community
        """,
    ),
    key=("community_id", "grouping_type", "rank", "grouping_value"),
    groupings=(
        Grouping("by_grouping_type_and_value", ("grouping_type", "grouping_value"), "Counts added up over clubs."),
    ),
    measures=(ReportMeasure("members_count", FieldType.INTEGER, "Count of members.", sql="sum(r.members_count)"),),
)

_COUNTS = """
INSERT INTO profiles (community_id, profile_id, title, first_name, birth_year, created_at, updated_at)
SELECT $1, md5(type)::uuid, type, value, members_count, $2, $2
FROM (VALUES ('country', 'NO', 680), ('optin_channel', 'default', 159), ('optin_platform', 'other', 633))
    AS values_table (type, value, members_count)
"""


async def documented(club: Club) -> SampleStore:
    """The counts of the documentation's example."""
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute(_COUNTS, club.community.id, datetime(2024, 8, 14, 5, 56, 40, 98_000, tzinfo=UTC))
    return create_samples(club, club.database)


async def test_records_have_the_documented_form(club: Club) -> None:
    of = await documented(club)
    registry = {**REGISTRY, "grouped_count": GROUPED_COUNT}
    plain = await query_records(of.backends, [of.tenant], "grouped_count", registry=registry)
    assert [list(each.items()) for each in plain["records"]] == [
        [
            ("community_id", club.community.id),
            ("grouping_type", type_),
            ("grouping_value", value),
            ("members_count", count),
            ("updated_at", "2024-08-14T05:56:40.098000Z"),
        ]
        for type_, value, count in (
            ("optin_channel", "default", 159),
            ("optin_platform", "other", 633),
            ("country", "NO", 680),
        )
    ]
    assert await all_records(of.backends, [of.tenant], "grouped_count", registry=registry, limit=1) == plain["records"]


async def test_groups_have_the_documented_form(club: Club) -> None:
    of = await documented(club)
    registry = {**REGISTRY, "grouped_count": GROUPED_COUNT}
    grouped = await query_records(
        of.backends,
        [of.tenant],
        "grouped_count",
        registry=registry,
        aggregate_by="by_grouping_type_and_value",
    )
    assert [list(each.items()) for each in grouped["records"]] == [
        [("grouping_type", "optin_channel"), ("grouping_value", "default"), ("members_count", 159)],
        [("grouping_type", "optin_platform"), ("grouping_value", "other"), ("members_count", 633)],
        [("grouping_type", "country"), ("grouping_value", "NO"), ("members_count", 680)],
    ]


async def test_all_communities_are_read_at_one_instant(club: Club, other_club: Club) -> None:
    first, second = create_samples(club, club.database), create_samples(other_club, other_club.database)
    await second.insert([sample(1)])
    statement = "SELECT count(*) FROM profiles"
    async with first.backends.snapshot([first.tenant, second.tenant]) as snapshot:
        assert snapshot.now == START
        assert (await snapshot.fetch(first.tenant, Backend.POSTGRES, statement, []))[0][0] == 0
        await second.insert([sample(2)])
        await first.insert([sample(1)])
        assert (await snapshot.fetch(second.tenant, Backend.POSTGRES, statement, []))[0][0] == 1
        assert (await snapshot.fetch(first.tenant, Backend.POSTGRES, statement, []))[0][0] == 0
