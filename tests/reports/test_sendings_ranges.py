"""Statistics of sendings that a range cuts: by whole days and the events beside them, as a plain loop counts them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from clubs import START, Club
from hypothesis_settings import SEED, examples
from loading.file_loader import outcome_counts
from regulars.facts.sending_events import EVENT_TYPES
from reports.sending_recount import SendingClub, counters, deduplicated, rates
from reports.test_maintenance import differences

SENDING = {"external_id": "welcome", "channel": "email", "reporting_id": 42, "service_type": "triggered"}
DAYS = 60


@pytest.fixture
async def post(club: Club) -> SendingClub:
    """A club with a sending that goes on and on."""
    found = SendingClub(club)
    await found.load("sendings", [SENDING])
    return found


def event(number: int, kind: str, dispatch: str, at: datetime) -> dict[str, Any]:
    return {
        "external_id": f"E{number}",
        "sending": "welcome",
        "dispatch": dispatch,
        "event": kind,
        "at": at.isoformat(),
    }


async def statistics(post: SendingClub, since: datetime, until: datetime) -> dict[str, Any] | None:
    """What is counted of all sendings in a range; None of nothing."""
    answer = await post.query("sendings_stats", **{"from": since.isoformat(), "to": until.isoformat()})
    return answer["statistics"][0]["values"] if answer["statistics"] else None


def expected(events: Iterable[Mapping[str, Any]], since: datetime, until: datetime) -> dict[str, Any] | None:
    """The same by a loop."""
    inside = [{**each, "profile": None} for each in events if since <= datetime.fromisoformat(each["at"]) < until]
    if not inside:
        return None
    totals = {name.removesuffix("_count"): n for name, n in counters(inside).items()}
    return {name: n for name, n in totals.items() if name not in ("members", "new")} | rates(inside)


async def test_rates_are_of_distinct_dispatches_and_never_above_1(post: SendingClub) -> None:
    day = START - timedelta(days=20)
    kinds = {
        "D1": ("delivered", "delivered", "delivered", "opened", "opened", "bounced", "bounced"),
        "D2": ("opened", "unsubscribed", "unsubscribed"),
        "D3": ("clicked",),
        "D4": ("unsubscribed",),
        "D5": ("transmitted",),
    }
    pairs = [(kind, dispatch) for dispatch, of_dispatch in kinds.items() for kind in of_dispatch]
    events = [event(number, *pair, day + timedelta(hours=9 * number)) for number, pair in enumerate(pairs)]
    await post.load("sending_events", events)
    found = await statistics(post, day, START)
    assert found is not None
    assert {name: found[name] for name in ("delivery", "open", "click_to_open", "bounce", "unsubscribe")} == {
        "delivery": 0.6, "open": 1, "click_to_open": 0.3333, "bounce": 0.2, "unsubscribe": 0.3333,
    }  # fmt: skip
    assert (found["delivered"], found["opened"], found["unsubscribed"]) == (3, 3, 3)
    for days in ((0.5, 30), (0, 2), (1, 4), (3.2, 4.9)):
        since, until = (day + timedelta(days=each) for each in days)
        values = await statistics(post, since, until)
        assert values is not None
        assert {name: values[name] for name in expected(events, since, until) or ()} == expected(events, since, until)


async def test_a_dispatch_opened_before_and_within_a_range_counts_in_the_range(post: SendingClub) -> None:
    day = START - timedelta(days=20)
    at = [day + timedelta(days=days) for days in (0, 0.1, 4, 4.5, 9)]
    events = [event(number, "opened", "D1", each) for number, each in enumerate(at)]
    events += [event(10, "opened", "D2", day + timedelta(days=1)), event(11, "clicked", "D2", day + timedelta(days=9))]
    assert outcome_counts(await post.load("sending_events", events)) == (7, 0, 0)
    found = {
        days: await statistics(post, day + timedelta(days=days[0]), day + timedelta(days=days[1]))
        for days in ((1, 30), (2, 9), (4, 5), (5, 9), (-9, 9), (1, 2))
    }
    assert {
        days: values and (values["dispatches"], values["opened"], values["unique_opened"], values["unique_clicked"])
        for days, values in found.items()
    } == {
        (1, 30): (2, 4, 2, 1),
        (2, 9): (1, 2, 1, 0),
        (4, 5): (1, 2, 1, 0),
        (5, 9): None,
        (-9, 9): (2, 5, 2, 0),
        (1, 2): (1, 1, 1, 0),
    }


async def test_counts_of_any_range_equal_a_recount(post: SendingClub) -> None:
    chance = random.Random(SEED)
    stored: list[dict[str, Any]] = []
    for number in range(3):
        events = [
            event(
                number * 1000 + n,
                chance.choice(EVENT_TYPES),
                f"D{chance.randrange(25)}",
                START - timedelta(seconds=chance.randrange(DAYS * 86_400)),
            )
            for n in range(150)
        ]
        events += chance.sample(events, 30)
        chance.shuffle(events)
        await post.load("sending_events", events, batch_rows=chance.choice([1, 9, 50, 500]))
        stored += events
    assert await differences(post.club) == []
    once = deduplicated(stored)
    for _ in range(examples(40)):
        since = START - timedelta(days=chance.randrange(DAYS))
        until = since + timedelta(days=chance.randrange(1, DAYS))
        for beside in (timedelta(0), timedelta(seconds=chance.randrange(86_400))):
            params = since - beside, until + beside
            found = await statistics(post, *params)
            if found is not None:
                found = {name: found[name] for name in expected(once, *params) or found}
            assert found == expected(once, *params), params


async def test_verify_finds_wrong_daily_uniques(post: SendingClub) -> None:
    await post.load("sending_events", [event(1, "opened", "D1", START - timedelta(days=2))])
    async with post.club.database.write_transaction(post.club.community.id) as scope:
        await scope.execute(
            "UPDATE sending_daily_uniques SET count = 2 WHERE community_id = $1 AND event_type = 5", scope.community_id
        )
        await scope.execute(
            "UPDATE sending_dispatches SET active_days = '{1}' WHERE community_id = $1", scope.community_id
        )
    found = [each.partition(": ")[2] for each in await differences(post.club)]
    assert found == [
        "active_days is stored as '{1}', expected '{10034209}'",
        "opened on 2026-10-30, previously on -infinity is stored as '2', expected '1'",
    ]
