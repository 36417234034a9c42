"""members, members_count and member_aggregations say what plain Python says of the same members."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import msgspec
import pytest

from clubs import Club
from hypothesis_settings import SEED
from query.filter_oracle import matches
from query.replica_client import tenant_of
from regulars.aggregations.definitions import REGISTRY
from regulars.auth.tenants import Tenant
from regulars.query.backends import Backends
from regulars.query.formats.records import records
from regulars.query.formats.timeseries import timeseries
from regulars.query.parser.request import parse_query
from regulars.query.replica.cache import ReplicaCache
from regulars.reports import member_fields
from regulars.reports.members import REPORTS
from regulars.reports.registry import REPORTS_BY_NAME
from reports import random_members as drawn

_encoder = msgspec.json.Encoder(decimal_format="number")

Members = dict[str, drawn.RandomMember]


class MemberReports:
    """Queries reports of a club, and has its members by their ids."""

    def __init__(self, club: Club, min_cell_size: int | None = None) -> None:
        self.club = club
        self.members: Members = {}
        self.stores = Backends(club.database, ReplicaCache(club.database, 200))
        self.customer = tenant_of(club, min_cell_size)

    async def answer(self, *customers: Tenant, **body: Any) -> dict[str, Any]:
        """What a request is answered."""
        query = parse_query(msgspec.json.encode(body), REPORTS_BY_NAME)
        tenants = customers or (self.customer,)
        found = await records(query, tenants, self.stores, self.club.clock())
        answer: dict[str, Any] = msgspec.json.decode(_encoder.encode(found))
        return answer

    async def records(self, **body: Any) -> list[dict[str, Any]]:
        """The records of one page."""
        found: list[dict[str, Any]] = (await self.answer(**body))["records"]
        return found

    async def join(self, member: drawn.RandomMember) -> str:
        """A member joins, and buys."""
        sent = {"joined_at": "2026-10-01 12:00:00", **drawn.as_request(member)}
        made = await self.club.http.post("/api/v3/profiles", json=sent)
        assert made.status_code == 201, made.text
        profile_id: str = made.json()["data"]["id"]
        if member["spent"]:
            body = {
                "external_id": profile_id,
                "profile_id": profile_id,
                "transacted_at": "2026-10-31 12:00:00",
                "timezone": "UTC",
                "total": member["spent"],
                "systems": ["pos"],
                "items": [],
            }
            answer = await self.club.http.post("/api/v3/transactions", json=body)
            assert answer.status_code == 201, answer.text
        self.members[profile_id] = member
        return profile_id

    async def change(self, profile_id: str, member: drawn.RandomMember) -> None:
        """A member becomes another, but has spent what it has spent."""
        member = member | {"spent": self.members[profile_id]["spent"]}
        sent = {name: value for name, value in member.items() if name != "spent"}
        sent["consents"] = {name: member["consents"].get(name) for name in drawn.CONSENTS}
        answer = await self.club.http.put(f"/api/v3/profiles/{profile_id}", json=sent)
        assert answer.status_code == 200, answer.text
        self.members[profile_id] = member

    def rows(self) -> list[drawn.RandomMember]:
        """The members as the reports have them."""
        return [drawn.report_fields(each, self.club.clock().date()) for each in self.members.values()]


@pytest.mark.slow
async def test_counts_equal_a_recount_while_members_change(club: Club) -> None:
    chance = random.Random(SEED)
    reports = MemberReports(club)
    for _ in range(25):
        await reports.join(drawn.random_member(chance))
    for _ in range(40):
        await reports.change(chance.choice(list(reports.members)), drawn.random_member(chance))
        tree = drawn.random_filter(chance)
        expected = sum(matches(tree, row) for row in reports.rows())
        count, listed = await asyncio.gather(
            reports.records(report="members_count", filter=tree),
            reports.records(report="members", filter=tree),
        )
        assert count == [{"community_id": club.community.id, "members_count": expected}], tree
        assert len(listed) == expected, tree


async def test_counts_during_writes_are_consistent(club: Club) -> None:
    chance = random.Random(SEED)
    reports = MemberReports(club)
    await reports.join(drawn.random_member(chance))

    async def count() -> None:
        counts: list[int] = []
        while len(reports.members) < 15:
            before = len(reports.members)
            (row,) = await reports.records(report="members_count")
            assert before <= row["members_count"] <= 15
            counts.append(row["members_count"])
        assert counts == sorted(counts)

    async def write() -> None:
        for _ in range(14):
            await reports.join(drawn.random_member(chance))

    await asyncio.gather(write(), count(), count())


async def test_groups_equal_a_recount(club: Club) -> None:
    chance = random.Random(SEED)
    reports = MemberReports(club)
    for _ in range(25):
        await reports.join(drawn.random_member(chance))
    for name in ("gender", "optin_channel", "optin_platform", "age", "birth_year_group", "marketing_via_email"):
        found = await reports.records(report="members_count", aggregate_by=f"by_{name}")
        assert {row[name]: row["members_count"] for row in found} == Counter(row[name] for row in reports.rows())
    found = await reports.records(report="members_count", aggregate_by="by_subunit")
    expected = Counter(each for row in reports.rows() for each in row["subunit_ids"] or [None])
    assert {row["subunit"]: row["members_count"] for row in found} == expected
    found = await reports.records(report="members_count", aggregate_by="by_consents")
    given = Counter(pair for each in reports.members.values() for pair in each["consents"].items())
    assert {(row["consent"], row["status"]): row["members_count"] for row in found} == given
    found = await reports.records(report="members_count", aggregate_by="by_aggregations.dimension_frequency")
    frequency = "aggregations.dimension_frequency"
    assert {row[frequency]: row["members_count"] for row in found} == Counter(row[frequency] for row in reports.rows())


async def test_members_are_listed_in_pages_without_personal_data(club: Club) -> None:
    reports = MemberReports(club)
    for number in range(5):
        await reports.join(drawn.random_member(random.Random(number)) | {"gender": "female"})
    first = await reports.answer(report="members", limit=3)
    rest = await reports.answer(report="members", limit=3, page_info=first["pagination"]["next_page_info"])
    found = [*first["records"], *rest["records"]]
    assert len({row["id"] for row in found}) == 5
    assert [row["id"] for row in found] == sorted(row["id"] for row in found)
    assert rest["pagination"]["next_page_info"] is None
    assert list(found[0]) == [
        *("id", "community_id", "optin_channel", "optin_subchannel", "optin_platform", "gender", "age"),
        *("birth_year_group", "subunit_ids", "group_ids", "favorite_stores", "properties", "consents"),
        *("marketing_via_sms", "marketing_via_email", "marketing_via_push", "marketing_via_anything"),
        *("sms_status", "email_status", "push_status", "country", "created_at", "updated_at"),
    ]
    assert found[0]["created_at"] == "2026-11-01T00:00:00.000000Z"
    assert found[0]["gender"] == "female"


async def test_a_community_without_members_has_a_count_of_zero(club: Club) -> None:
    reports = MemberReports(club)
    assert await reports.records(report="members_count") == [{"community_id": club.community.id, "members_count": 0}]
    assert await reports.records(report="members_count", aggregate_by="by_gender") == []


async def test_counts_of_several_communities_are_added(club: Club, other_club: Club) -> None:
    reports, other = MemberReports(club), MemberReports(other_club)
    for one in (reports, reports, other):
        await one.join(drawn.random_member(random.Random(1)) | {"gender": "male"})
    both = (reports.customer, other.customer)
    found = await reports.answer(*both, report="members_count")
    assert [row["members_count"] for row in found["records"]] == [2, 1]
    found = await reports.answer(*both, report="members_count", aggregate_by="by_gender")
    assert found["records"] == [{"gender": "male", "members_count": 3}]


async def test_aggregations_of_members_are_listed_and_summed(club: Club) -> None:
    reports = MemberReports(club)
    for spent in (0, 250, 1000):
        await reports.join(drawn.random_member(random.Random(1)) | {"spent": spent})
    found = await reports.records(report="member_aggregations")
    assert [row["spend_all"] for row in found] == [0, 250, 1000]
    assert list(found[0]) == ["id", "community_id", *(each.name for each in REGISTRY.stored)]
    assert await reports.records(report="member_aggregations", aggregate_by="by_recency_and_frequency") == [
        {
            "dimension_recency": recency,
            "dimension_frequency": frequency,
            "members_count": count,
            "spend_12m_sum": spent,
            "spend_all_sum": spent,
            "shop_count_sum": sales,
        }
        for recency, frequency, count, spent, sales in (("R0", "F0", 1, 0, 0), ("RC", "F1", 2, 1250, 2))
    ]


async def test_countries_in_filters_have_three_letters_if_the_field_does(club: Club) -> None:
    reports = MemberReports(club)
    sent = {"joined_at": "2026-10-01 12:00:00", "addresses": [{"iso": "NO", "is_default": True}]}
    assert (await club.http.post("/api/v3/profiles", json=sent)).status_code == 201
    tree = {"type": "equal", "field": "aggregations.likely_country_iso", "value": "NOR"}
    assert (await reports.records(report="members_count", filter=tree))[0]["members_count"] == 1


# Small groups -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"a": 5, "b": 6}, {"a": 5, "b": 6}),
        ({"a": 2, "b": 6, "c": 7}, {"a": None, "b": None, "c": 7}),
        ({"a": 2, "b": 1, "c": 7}, {"a": None, "b": None, "c": 7}),
        ({"a": 2}, {"a": None}),
    ],
)
async def test_small_groups_are_suppressed(club: Club, sizes: dict[str, int], expected: dict[str, int | None]) -> None:
    reports = MemberReports(club, min_cell_size=3)
    for gender, size in sizes.items():
        for _ in range(size):
            await reports.join(drawn.random_member(random.Random(1)) | {"gender": gender})
    found = await reports.records(report="members_count", aggregate_by="by_gender")
    assert {row["gender"]: row["members_count"] for row in found} == expected
    assert [row.get("masked", False) for row in found] == [row["members_count"] is None for row in found]
    found = await reports.records(report="member_aggregations", aggregate_by="by_channel", filter=None)
    assert all(row["spend_all_sum"] is not None or row["masked"] for row in found)


async def test_a_small_count_is_suppressed_and_zero_is_not(club: Club) -> None:
    reports = MemberReports(club, min_cell_size=3)
    assert (await reports.records(report="members_count"))[0]["members_count"] == 0
    await reports.join(drawn.random_member(random.Random(1)))
    assert await reports.records(report="members_count") == [
        {"community_id": club.community.id, "members_count": None, "masked": True}
    ]


async def test_a_small_count_is_suppressed_in_filters_and_series(club: Club) -> None:
    reports = MemberReports(club, min_cell_size=3)
    for gender in ("a", "b", "b", "b"):
        await reports.join(drawn.random_member(random.Random(1)) | {"gender": gender})
    of_gender = {"type": "equal", "field": "grouping_type", "value": "gender"}
    found = await reports.records(report="members_grouped_count", filter=of_gender)
    assert [(row["grouping_value"], row["members_count"], row.get("masked")) for row in found] == [
        ("a", None, True),
        ("b", None, True),
    ]
    is_one = {"type": "equal", "field": "members_count", "value": 1}
    both = {"type": "and", "operations": [of_gender, is_one]}
    assert await reports.records(report="members_grouped_count", filter=both) == []
    body = {"report": "members_count_history", "filter": of_gender, "from": "2026-10-31", "to": "2026-10-31"}
    query = parse_query(msgspec.json.encode({**body, "interval": "1d"}), REPORTS_BY_NAME)
    answer = await timeseries(query, [reports.customer], reports.stores, club.clock())
    assert [(each["values"], each.get("masked")) for each in answer["series"]] == [([], True), ([], True)]


async def all_counts(reports: MemberReports, *tenants: Tenant, **body: Any) -> list[dict[Any, int | None]]:
    """The counts of groups as records, as sums over communities, and at the end of the last day."""
    found = []
    for more in ({}, {"aggregate_by": "by_grouping_type_and_value"}):
        answer = await reports.answer(*tenants, report="members_grouped_count", **body, **more)
        found.append({(row["grouping_type"], row["grouping_value"]): row["members_count"] for row in answer["records"]})
    days = {"from": "2026-11-01", "to": "2026-11-01", "interval": "1d"}
    query = parse_query(msgspec.json.encode({"report": "members_count_history", **days, **body}), REPORTS_BY_NAME)
    answer = await timeseries(query, tenants or [reports.customer], reports.stores, reports.club.clock())
    found.append({tuple(each["label"].values()): next(iter(each["values"]), None) for each in answer["series"]})
    return found


async def test_every_format_suppresses_the_same_groups(club: Club) -> None:
    chance = random.Random(SEED)
    reports = MemberReports(club)
    for _ in range(25):
        await reports.join(drawn.random_member(chance))
    (exact, _, _) = await all_counts(reports)
    for minimum in (1, 5, 8):
        reports.customer = tenant_of(club, minimum)
        records_, sums, last = await all_counts(reports)
        assert records_ == sums == last
        assert all(count is None or count == exact[group] for group, count in records_.items())
        assert all(count == 0 or count >= minimum for count in records_.values() if count is not None)
        assert (None in records_.values()) == (minimum > 1)
        # A filter selects groups, and does not change which of them are suppressed.
        for kind, value in list(records_)[::5]:
            of_group = [
                {"type": "equal", "field": name, "value": wanted}
                for name, wanted in (("grouping_type", kind), ("grouping_value", value))
            ]
            expected = {(kind, value): records_[kind, value]}
            assert await all_counts(reports, filter={"type": "and", "operations": of_group}) == [expected] * 3


async def test_a_group_is_suppressed_with_others_of_its_set_only(club: Club) -> None:
    reports = MemberReports(club, min_cell_size=3)
    for gender, channel, consents in (
        *(("a", "web", {"sms_marketing": True}) for _ in range(3)),
        *(("b", "web", {"sms_marketing": False}) for _ in range(4)),
        ("b", "ios", {"sms_marketing": False, "email_marketing": True}),
    ):
        sent = {"joined_at": "2026-10-01 12:00:00", "gender": gender, "optin_channel": channel, "consents": consents}
        assert (await club.http.post("/api/v3/profiles", json=sent)).status_code == 201
    for found in await all_counts(reports):
        assert {(kind, value): count for (kind, value), count in found.items() if "marketing" not in kind} == {
            ("gender", "a"): 3,
            ("gender", "b"): 5,
            ("optin_channel", "ios"): None,
            ("optin_channel", "web"): None,
            ("optin_platform", "ios"): None,
            ("optin_platform", "web"): None,
            ("consent_true", "sms_marketing"): 3,
            ("consent_false", "sms_marketing"): 5,
            ("consent_true", "email_marketing"): None,
        }


async def test_the_minimum_applies_to_the_sum_over_communities(club: Club, other_club: Club) -> None:
    reports, other = MemberReports(club), MemberReports(other_club)
    for one, gender, number in (
        (reports, "a", 2),
        (reports, "b", 4),
        (other, "a", 2),
        (other, "c", 1),
        (other, "b", 9),
    ):
        for _ in range(number):
            await one.join(drawn.random_member(random.Random(1)) | {"gender": gender})
    tenants = (tenant_of(club, 3), tenant_of(other_club, 3))
    of_gender = {"type": "equal", "field": "grouping_type", "value": "gender"}
    _, sums, last = await all_counts(reports, *tenants, filter=of_gender)
    assert sums == last == {("gender", "a"): None, ("gender", "b"): 13, ("gender", "c"): None}
    # Filters compare the counts of a community, which are suppressed by themselves.
    is_two = {"type": "and", "operations": [of_gender, {"type": "equal", "field": "members_count", "value": 2}]}
    grouped = {"report": "members_grouped_count", "aggregate_by": "by_grouping_type_and_value"}
    assert (await reports.answer(*tenants, **grouped, filter=is_two))["records"] == []


# Declarations -----------------------------------------------------------------------------------------------


def test_every_stored_aggregation_filters_members() -> None:
    for report in REPORTS[:2]:
        for each in REGISTRY.stored:
            assert report.fields_by_name[f"aggregations.{each.name}"].filterable


def test_codes_are_those_of_the_definitions() -> None:
    for name, values in member_fields.AGGREGATION_CODES.items():
        for value in values:
            assert f"'{value.name}'" in REGISTRY.by_name[name].sql
        assert len(values) == REGISTRY.by_name[name].sql.count("THEN '") + REGISTRY.by_name[name].sql.count("ELSE '")


def test_no_aggregation_has_the_name_of_a_member_field() -> None:
    assert not {each.name for each in REGISTRY.stored} & {each.name for each in member_fields.MEMBER_FIELDS}


def test_reports_have_no_personal_fields() -> None:
    personal = {"first_name", "last_name", "email", "mobile_phone", "birth_date", "birth_day", "address", "profile_id"}
    for report in REPORTS:
        assert not personal & set(report.fields_by_name)
