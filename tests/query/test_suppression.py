"""Suppression of small groups: which groups of a result are suppressed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.auth.tenants import Tenant
from regulars.query import suppression
from regulars.query.compiler.groups import GroupLabel, group_labels
from regulars.query.query import Comparison, ReportQuery
from regulars.reports.member_fields import MEMBER_FIELDS
from regulars.reports.registry import REPORTS, REPORTS_BY_NAME

MINIMUM = 5


def query_of(report: str, aggregate_by: str | None = None, **more: Any) -> ReportQuery:
    found = REPORTS_BY_NAME[report]
    grouping = None if aggregate_by is None else found.groupings_by_name[aggregate_by]
    return ReportQuery(found, aggregate_by=grouping, **more)


def suppressed(query: ReportQuery, counts: dict[tuple[Any, ...], int], minimum: int = MINIMUM) -> set[Any]:
    sums = {group: [count] for group, count in counts.items()}
    return suppression.suppressed_groups(query, group_labels(query), sums, minimum)


BY_GENDER = query_of("members_count", "by_gender")


def test_the_largest_minimum_of_the_organizations_is_used() -> None:
    of = {size: Tenant(1, 1, 1, 1, "a", "A", "UTC", "NOK", 2, {}, size) for size in (None, 5, 3)}
    assert suppression.min_cell_size([of[None], of[5], of[3]]) == 5
    assert suppression.min_cell_size([]) == suppression.min_cell_size([of[None]]) == 0


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"a": 5, "b": 6}, ""),
        ({"a": 0, "b": 6}, ""),
        ({"a": 4}, "a"),
        ({"a": 4, "b": 9, "c": 7}, "ac"),
        ({"a": 4, "b": 0, "c": 7}, "ac"),
        ({"a": 4, "b": 3, "c": 7}, "ab"),
        # Together fewer than the minimum: a group of both would be suppressed.
        ({"a": 1, "b": 1, "c": 7, "d": 7}, "abc"),
        # With the sum known, a single member each.
        ({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 6}, "abcdef"),
    ],
)
def test_the_smallest_groups_are_suppressed_until_they_hide_each_other(counts: dict[str, int], expected: str) -> None:
    assert suppressed(BY_GENDER, {(each,): count for each, count in counts.items()}) == {(each,) for each in expected}


def test_groups_that_have_a_common_label_are_a_set() -> None:
    grid = query_of("member_aggregations", "by_recency_and_frequency")
    counts = {("R0", "F0"): 4, ("R0", "F1"): 9, ("RA", "F0"): 7, ("RB", "F0"): 30}
    assert suppressed(grid, counts) == {("R0", "F0"), ("R0", "F1")}
    # A row with a single group is suppressed with groups of other rows.
    assert suppressed(grid, {**counts, ("R0", "F1"): 0}) == {("R0", "F0"), ("RA", "F0")}


def test_groups_of_different_consents_are_different_sets() -> None:
    by_consents = query_of("members_count", "by_consents")
    counts = {("email", True): 4, ("email", False): 9, ("sms", True): 6, ("push", True): 2}
    assert suppressed(by_consents, counts) == {("email", True), ("email", False), ("push", True)}


def test_joins_and_leaves_are_a_set() -> None:
    assert suppressed(query_of("member_balance"), {("in",): 4, ("out",): 20}) == {("in",), ("out",)}
    by_platform = query_of("member_balance", "optin_platform")
    counts = {("in", "web"): 4, ("in", "ios"): 20, ("out", "web"): 10, ("out", "ios"): 20}
    assert suppressed(by_platform, counts) == {("in", "web"), ("in", "ios")}
    assert suppressed(query_of("member_balance", "total"), {(): -4}) == {()}


def test_groups_are_suppressed_for_each_community_and_grouping_type() -> None:
    by_community = query_of("members_count_history", "community_id")
    counts = {(1, "gender", "a"): 4, (1, "gender", "b"): 30, (1, "country", "NO"): 6, (2, "gender", "b"): 6}
    assert suppressed(by_community, counts) == {(1, "gender", "a"), (1, "gender", "b")}
    pairs = {(1, f"marketing_{status}", name): 10 for status in ("true", "false") for name in ("sms", "email")}
    pairs[1, "marketing_true", "sms"] = 4
    assert suppressed(by_community, pairs) == {(1, "marketing_true", "sms"), (1, "marketing_false", "sms")}


def test_sums_of_groups_are_suppressed() -> None:
    history = REPORTS_BY_NAME["members_count_history"]
    of_gender = Comparison("equal", history.fields_by_name["grouping_type"], None, "gender")
    total = query_of("members_count_history", "total")
    assert suppressed(total, {(): 100}) == set()
    assert suppressed(query_of("members_count_history", "total", filter=of_gender), {(): 100}) == {()}
    assert suppressed(query_of("members_grouped_count", "by_community_id"), {(1,): 100, (2,): 0}) == {(1,)}


def test_a_filter_of_groups_does_not_decide_which_are_suppressed() -> None:
    history, by_gender = (
        REPORTS_BY_NAME["members_count_history"],
        REPORTS_BY_NAME["members_count"].fields_by_name["gender"],
    )
    of_gender = Comparison("equal", history.fields_by_name["grouping_type"], None, "gender")
    query = query_of("members_count_history", filter=of_gender)
    assert suppression.query_of_all_groups(query, MINIMUM) == query_of("members_count_history")
    assert suppression.query_of_all_groups(query, 1) is query
    for other in (
        query_of("members_count_history"),
        query_of("members_count_history", "total", filter=of_gender),
        query_of("members_count", "by_gender", filter=Comparison("equal", by_gender, None, "a")),
    ):
        assert suppression.query_of_all_groups(other, MINIMUM) is other


def test_a_sum_over_the_communities_that_a_filter_selects_may_be_small() -> None:
    query = query_of("members_grouped_count", "by_grouping_type_and_value")
    every = {("gender", "a"): [9], ("gender", "b"): [9], ("country", "NO"): [3]}
    some = {("gender", "a"): [4], ("gender", "b"): [5]}
    found = suppression.suppressed_groups(query, group_labels(query), some, MINIMUM, every)
    assert found == {("gender", "a"), ("country", "NO")}


def test_groups_with_members_in_common_are_suppressed_with_one_that_has_the_minimum() -> None:
    sums = {(store,): [9, 900, members] for store, members in enumerate((4, 3, 8, 7, 0))}
    by_store = query_of("transactions_stats", "location")
    assert suppression.suppressed_groups(by_store, group_labels(by_store), sums, MINIMUM) == {(0,), (1,), (3,)}
    assert suppressed(query_of("members_count", "by_country"), {(0,): 4, (1,): 3, (2,): 8}) == {(0,), (1,)}


def test_recipients_of_several_sendings_are_as_many_members_as_those_of_one() -> None:
    query = query_of("sendings_recipients_statistics", "gender")
    sums = {("a",): [30, 4], ("b",): [5, 5], ("c",): [40, 20]}
    assert suppression.suppressed_groups(query, group_labels(query), sums, MINIMUM) == {("a",), ("b",)}


def test_reports_with_attributes_of_members_are_suppressed() -> None:
    attributes = {each.name for each in MEMBER_FIELDS if each.groupable and not each.is_tenant_field}
    found = {
        report.name
        for report in REPORTS
        for field in report.fields
        if field.name in attributes or field.name.startswith("dimension_")
    }
    assert {"transactions_stats", "sendings_recipients_statistics", "members_count"} < found
    assert found <= {each.name for each in REPORTS if each.count_measure}


def test_the_page_on_small_groups_says_of_each_report_whether_it_is_suppressed() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "small-groups.md").read_text()
    _, _, reports = page.partition("## Which reports")
    covered, _, others = reports.partition("These reports are not suppressed.")

    def listed(text: str) -> set[str]:
        rows = [line for line in text.splitlines() if line.startswith(("| `", "- `"))]
        return {name for row in rows for name in re.findall(r"`(\w+)`", row)} & REPORTS_BY_NAME.keys()

    assert listed(covered) == {each.name for each in REPORTS if each.count_measure}
    assert listed(others) == {each.name for each in REPORTS if not each.count_measure}


def test_only_counts_of_members_are_suppressed() -> None:
    assert suppressed(query_of("sendings_events_history"), {(1,): 1}) == set()
    assert suppressed(BY_GENDER, {("a",): 1}, 1) == set()


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(2, 6))
def test_suppressed_groups_do_not_follow_from_the_sum(counts: list[int], minimum: int) -> None:
    groups = {(str(name),): count for name, count in enumerate(counts)}
    found = [groups[each] for each in suppressed(BY_GENDER, groups, minimum)]
    shown = [count for group, count in groups.items() if group not in suppressed(BY_GENDER, groups, minimum) and count]
    assert all(count >= minimum for count in shown)
    if shown and found:
        assert sum(found) >= minimum
        assert len(found) < sum(found)
        assert len(found) > 1


# Values of fields ---------------------------------------------------------------------------------------------


def values_of(report: str, field: str, counts: dict[Any, int], minimum: int = MINIMUM, **more: Any) -> tuple[Any, Any]:
    found = REPORTS_BY_NAME[report]
    label = GroupLabel(field, found.fields_by_name[field], **more)
    return suppression.suppressed_values(found, (label,), counts, minimum)


def test_values_that_are_too_small_and_values_that_reveal_them() -> None:
    counts = {"a": 4, "b": 9, None: 7}
    assert values_of("members_count", "gender", counts) == ({"a"}, {None})
    assert values_of("members_count", "gender", counts, 0) == (set(), set())
    assert values_of("members_count", "consents", counts) == ({"a"}, set())
    assert values_of("members_count", "consents", {True: 9, False: 4}, is_status=True) == ({False}, {True})
    assert values_of("sendings", "channel", counts) == ({"a"}, set())


def test_values_of_groups_are_no_members_in_records_and_sums_in_timeseries() -> None:
    counts = {"gender": 2, "country": 9}
    assert values_of("members_grouped_count", "grouping_type", counts) == (set(), set())
    assert values_of("members_count_history", "grouping_type", counts) == (set(), set(counts))
    assert values_of("members_count_history", "grouping_type", counts, 1) == (set(), set())
