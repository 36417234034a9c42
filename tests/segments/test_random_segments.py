"""After any changes of a club, its segments are what an oracle computes from the facts: members, events and the past."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregations.histories import BRANDS, History, histories, replay
from aggregations.system_under_test import SystemUnderTest
from aggregations.test_live import product_of
from clubs import Club, ManualClock
from hypothesis_settings import SEED, examples, property_test
from oracle import Facts, expected_values
from regulars.jobs.refresh_due import refresh_community
from regulars.storage.database import Database
from regulars.verify.verify import verify
from reports.member_recount import MemberRecount, age_group
from reports.test_member_histories import CHANNELS, CONSENTS, World
from segments.segment_client import in_segment, negated
from segments.segment_recorder import SegmentRecorder, expected_memberships, segment_recorder

pytestmark = pytest.mark.timeout(3000)


def compare(operation: str, field: str, value: Any) -> dict[str, Any]:
    """A comparison as it is sent."""
    return {"type": operation, "field": field, "value": value}


def random_tree(pick: random.Random, leaf: Any, level: int = 1) -> dict[str, Any]:
    """A filter of at most three levels."""
    kind = pick.choice(("and", "or", "not", "leaf", "leaf")) if level < 3 else "leaf"
    if kind == "not":
        return negated(random_tree(pick, leaf, level + 1))
    if kind == "leaf":
        found: dict[str, Any] = leaf(pick)
        return found
    return {"type": kind, "operations": [random_tree(pick, leaf, level + 1) for _ in range(2)]}


# Values -------------------------------------------------------------------------------------------------------


def value_leaf(pick: random.Random) -> dict[str, Any]:
    """A comparison of a value that purchases and the clock change."""
    order = pick.choice(("greater_than", "greater_or_equal_to", "less_than", "less_or_equal_to"))
    return pick.choice(
        (
            compare(order, "aggregations.shop_count", pick.randint(0, 3)),
            compare(order, "aggregations.spend_12m", pick.choice((0, 50, 100.5))),
            compare(order, "aggregations.spend_12m_now", pick.choice((0, 99))),
            compare("in", "aggregations.dimension_recency", pick.sample(["R0", "RC", "RS", "RA", "RI", None], 3)),
            compare("not_in", "aggregations.dimension_frequency", pick.sample(["F0", "F1", "F2", "FL", "FH"], 2)),
            compare("equal", "aggregations.latest_shop_date", None),
            compare("starts_with", "aggregations.dimension_join", "J"),
            compare("contains", "aggregations.purchased_brands", pick.choice([each for each in BRANDS if each])),
            compare("not_equal", "aggregations.likely_country", pick.choice(("NOR", "SWE"))),
            compare(order, "aggregations.latest_shop_days", pick.choice((0, 90, 400))),
        )
    )


def value_rows(product: SystemUnderTest, facts: Facts, now: datetime, members: set[UUID]) -> dict[UUID, dict[str, Any]]:
    """The oracle's values of the members."""
    return {
        product.profiles[profile_id]: {
            f"aggregations.{name}": value for name, value in expected_values(facts, profile_id, now).items()
        }
        for profile_id in facts.profiles
        if product.profiles[profile_id] in members
    }


async def members_at(club: Club, now: datetime) -> set[UUID]:
    """The members by the last of their memberships."""
    async with club.database.read_transaction(club.community.id) as scope:
        rows = await scope.fetch(
            "SELECT profile_id, type FROM memberships WHERE community_id = $1 AND occurred_at <= $2"
            " ORDER BY occurred_at, id",
            scope.community_id,
            now,
        )
    latest = {row["profile_id"]: row["type"] for row in rows}
    return {profile_id for profile_id, kind in latest.items() if kind == "in"}


@property_test(1)
@given(history=histories(max_actions=20), seed=st.integers(0, 2**32))
async def test_segments_of_values_are_those_of_the_oracle(
    history: History, seed: int, database: Database, clock: ManualClock
) -> None:
    pick = random.Random(seed)
    async with product_of(history, database, clock) as product:
        recorder = await segment_recorder(product.club)
        facts = history.world
        for number in range(4):
            await recorder.create(f"segment-{number}", random_tree(pick, value_leaf), set())
        await recorder.create("others", negated(in_segment("segment-0")), set())
        for number, (action, after, now) in enumerate(replay(history)):
            clock.at = now
            await product.perform(action, facts, after)
            facts = after
            rows = value_rows(product, facts, now, await members_at(product.club, now))
            expected = expected_memberships(recorder.trees, rows)
            if number % 5 == 0:
                await recorder.check_live(expected)
            await settle(recorder)
            await recorder.check_stored(expected)
            if number == 8:
                tree = random_tree(pick, value_leaf)
                late = expected_memberships({**recorder.trees, "late": tree}, rows)["late"]
                await recorder.create("late", tree, late)
        assert [each async for each in verify(database, product.club.community.id) if not isinstance(each, int)] == []
        for at in pick.sample(list(recorder.past), min(4, len(recorder.past))):
            await recorder.check_past(at)


async def settle(recorder: SegmentRecorder) -> None:
    """Runs the jobs that follow the clock."""
    await refresh_community(recorder.club.database, recorder.club.community.id, lambda: False)
    await recorder.maintain()


# Members ------------------------------------------------------------------------------------------------------


def member_leaf(pick: random.Random) -> dict[str, Any]:
    """A comparison of a field of members."""
    return pick.choice(
        (
            compare("equal", "gender", pick.choice(("female", "male", None))),
            compare("in", "age", pick.sample(["-14", "25-29", "35-39", "70-74", "75-79"], 3)),
            compare("equal", f"consents.{pick.choice(CONSENTS)}", pick.choice((True, False, None))),
            compare("not_in", "optin_channel", [pick.choice(CHANNELS), "web"]),
            compare("contains", "optin_subchannel", "a"),
        )
    )


def member_rows(recount: MemberRecount, now: datetime) -> dict[UUID, dict[str, Any]]:
    """The fields of the members by a plain recount."""
    day = now.astimezone(ZoneInfo(recount.timezone)).date()
    rows: dict[UUID, dict[str, Any]] = {}
    for profile_id, versions in recount.versions.items():
        if recount.groups(profile_id, now):
            state = versions[-1][1]
            rows[profile_id] = {
                "gender": state.gender,
                "age": age_group(state.birth_date, day),
                "optin_channel": state.channel,
                "optin_subchannel": state.subchannel,
                "consents_true": state.consents_granted,
                "consents_false": state.consents_denied,
            }
    return rows


@pytest.mark.parametrize("example", range(examples(1)))
async def test_segments_of_members_equal_a_plain_recount(club: Club, example: int) -> None:
    world = World(club, SEED + example)
    recorder = await segment_recorder(club)
    for number in range(5):
        await recorder.create(f"segment-{number}", random_tree(world.random, member_leaf), set())
    await recorder.create("others", negated(in_segment("segment-1")), set())
    for number in range(15):
        await world.pass_on()
        club.clock.advance(days=world.random.choice((0, 0, 1, 40)))
        expected = expected_memberships(recorder.trees, member_rows(world.standing, club.clock()))
        if number % 6 == 0:
            await recorder.check_live(expected)
        await settle(recorder)
        recorder.remove_purged(world.standing.versions.keys())
        await recorder.check_stored(expected)
        # What happens later at the same instant would change its memberships.
        club.clock.advance(seconds=1)
    await world.check_verified()
    for at in world.random.sample(list(recorder.past), 5):
        await recorder.check_past(at)
