"""The oracle gives what the specification says, and knows when that changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregations.case import ME, Case, at, case, purchase
from aggregations.cases import CASES
from aggregations.histories import History, histories, replay
from oracle import Community, Facts, Location, expected_values, next_change_at

MICROSECOND = timedelta(microseconds=1)
NORWAY = Location(1, country="NO")
IN_THE_ZONE = {zone: Community(zone) for zone in ("America/Sao_Paulo", "America/Havana", "Pacific/Auckland")}


@pytest.mark.parametrize("worked", CASES, ids=lambda worked: worked.name)
def test_a_case_has_its_expected_values(worked: Case) -> None:
    found = expected_values(worked.facts, ME, worked.as_of)
    assert {name: found[name] for name in worked.expected} == worked.expected
    for name, value in worked.expected.items():
        if isinstance(value, Decimal):
            assert str(found[name]) == str(value), f"{name} has its decimals"


def test_cases_have_names_of_their_own() -> None:
    assert len({worked.name for worked in CASES}) == len(CASES)


SALE = purchase("2026-10-01 12:00", "10.00")
NEXT_CHANGES = [
    (case("nothing that the clock moves", [], {}, joined=None), None),
    (case("day 91 after joining", [], {}), "2026-11-02"),
    (case("3 months of a sale", [SALE], {}, joined=None), "2027-01-01 12:00"),
    (case("6 months", [SALE], {}, joined=None, as_of="2027-01-01 12:00"), "2027-04-01 12:00"),
    (case("12 months", [SALE], {}, joined=None, as_of="2027-04-01 12:00"), "2027-10-01 12:00"),
    (case("24 months of no place", [SALE], {}, joined=None, as_of="2027-10-01 12:00"), None),
    (
        # All time steps in for the 24 months and gives the same place.
        case(
            "24 months of the only place",
            [replace(SALE, location_id=1)],
            {},
            joined=None,
            as_of="2027-10-01 12:00",
        ),
        None,
    ),
    (
        case(
            "24 months of a vote",
            [replace(SALE, location_id=1)],
            {},
            joined=None,
            as_of="2027-10-01 12:00",
            locations=[NORWAY],
        ),
        "2028-10-01 12:00",
    ),
    (case("a zero total", [replace(SALE, total=Decimal(0))], {}, joined=None), None),
    (case("a return", [replace(SALE, total=Decimal(-1))], {}, joined=None), "2027-10-01 12:00"),
    (
        case("a sale falling due", [purchase("2026-11-01 00:00:00.000001", "1")], {}, joined=None),
        "2026-11-01 00:00:00.000001",
    ),
    (case("a void sale", [replace(SALE, is_void=True)], {}, joined=None), None),
    (
        case(
            "the later sale leaving first",
            [purchase("2024-02-28 20:00", "10.00"), purchase("2024-02-29 10:00", "5.00")],
            {},
            joined=None,
            as_of="2025-02-28 09:59",
        ),
        "2025-02-28 10:00",
    ),
    (case("day 91 after a join to come", [], {}, joined="2027-01-01 12:00"), "2027-04-02"),
    (case("the second year", [], {}, joined="2024-02-29", as_of="2025-03-01"), "2026-03-01"),
    (
        case("a midnight in summer time", [], {}, community=IN_THE_ZONE["Pacific/Auckland"], as_of="2026-10-31"),
        "2026-11-01 11:00",
    ),
    *(
        (
            case(
                f"a skipped midnight of {zone}",
                [],
                {},
                joined=joined,
                as_of=as_of,
                community=IN_THE_ZONE[zone],
            ),
            expected,
        )
        for zone, joined, as_of, expected in [
            ("America/Sao_Paulo", "2018-08-05 12:00", "2018-11-01", "2018-11-04 03:00"),
            ("America/Havana", "2023-12-10 12:00", "2024-03-01", "2024-03-10 05:00"),
        ]
    ),
]


@pytest.mark.parametrize(("world", "expected"), NEXT_CHANGES, ids=lambda part: getattr(part, "name", ""))
def test_the_next_change_is_where_a_value_differs(world: Case, expected: str | None) -> None:
    assert next_change_at(world.facts, ME, world.as_of) == (None if expected is None else at(expected))


def test_a_clock_set_back_over_midnight_returns_to_the_stage_before() -> None:
    # On 7 November 2010 the clock of St. John's went from 00:01 back to 23:01 of the day before.
    world = case("St. John's", [], {}, joined="2010-08-08 12:00", community=Community("America/St_Johns"))
    changes: list[tuple[datetime, object]] = [(at("2010-11-06"), "JN")]
    for _ in range(3):
        changed_at = next_change_at(world.facts, ME, changes[-1][0])
        assert changed_at is not None
        changes.append((changed_at, expected_values(world.facts, ME, changed_at)["dimension_join"]))
    assert changes[1:] == [
        (at("2010-11-07 02:30"), "JC"),
        (at("2010-11-07 02:31"), "JN"),
        (at("2010-11-07 03:30"), "JC"),
    ]


@pytest.mark.slow
@given(histories(), st.data())
@settings(max_examples=40, deadline=None)
def test_no_value_changes_before_the_next_change(history: History, data: st.DataObject) -> None:
    *_, (_, facts, now) = replay(history)
    for profile_id in facts.profiles:
        changes_at = next_change_at(facts, profile_id, now) or now + timedelta(days=2000)
        before = data.draw(st.timedeltas(timedelta(0), changes_at - MICROSECOND - now))
        assert _but_the_time(facts, profile_id, now + before) == _but_the_time(facts, profile_id, now)


def _but_the_time(facts: Facts, profile_id: UUID, as_of: datetime) -> dict[str, object]:
    return expected_values(facts, profile_id, as_of) | {"calculated_at": None}
