"""Different numbers are counted once, in each community that gave them out."""

from __future__ import annotations

import random

from hypothesis_settings import SEED
from regulars.auth.tenants import Tenant
from regulars.core.field_type import FieldType
from regulars.query.merge import MAX_SORTED_IDS, IdSet, evaluate_measures, merge_groups
from regulars.reports.report import ReportMeasure

MEASURES = (ReportMeasure("unique_visits", FieldType.INTEGER, "Different visitors.", "of", is_id_list=True),)


def tenant(community_id: int) -> Tenant:
    return Tenant(community_id, community_id, community_id, 1, "club", "Club", "UTC", "NOK", 2, {})


def packed(numbers: list[int]) -> bytes:
    return b"".join(each.to_bytes(4, "big") for each in numbers)


def test_an_id_in_several_rows_of_a_group_counts_once_for_each_community() -> None:
    rows = [["a", packed([1, 2, 2])], ["a", packed([2, 3])], ["b", packed([2])], ["c", b""]]
    sums = merge_groups(MEASURES, 1, [(tenant(7), rows), (tenant(8), rows)])
    assert {label[0]: evaluate_measures(MEASURES, each)["unique_visits"] for label, each in sums.items()} == {
        "a": 6,
        "b": 2,
        "c": 0,
    }


def test_distinct_ids_are_counted_by_sorting_and_by_bitmap() -> None:
    chance = random.Random(SEED)
    for number in (0, 1, MAX_SORTED_IDS - 1, MAX_SORTED_IDS, 20 * MAX_SORTED_IDS):
        drawn = [chance.choice([chance.randint(1, 2_000), 2**24 + 1]) for _ in range(number)]
        assert IdSet({1: (packed(drawn[:9]), packed(drawn[9:]))}).distinct_count == len(set(drawn))
