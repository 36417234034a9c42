"""Sendings, their events over time, their recipients, and their statistics."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clubs import START, Club
from ingest.loading import counts, reasons
from regulars.facts.sending_events import EVENTS
from reports.messaging import Post

DAY = START - timedelta(days=1)
RANGE = {"from": "2026-10-29T00:00:00Z", "to": "2026-11-01T00:00:00Z"}


@pytest.fixture
def post(club: Club) -> Post:
    """A club that sends messages."""
    return Post(club)


def event(number: int, kind: str, dispatch: str = "D1", sending: str = "S1", **more: Any) -> dict[str, Any]:
    """An event of a dispatch, an hour after the one before."""
    at = (DAY + timedelta(hours=number)).isoformat()
    return {"external_id": f"E{number}", "sending": sending, "dispatch": dispatch, "event": kind, "at": at, **more}


SENDING = {"external_id": "S1", "channel": "email", "reporting_id": 42, "campaign_id": 7, "language": "no"}


async def test_a_sending_tells_what_came_of_it_in_the_documented_order(post: Post) -> None:
    assert counts(await post.load("sendings", [SENDING])) == (1, 0, 0)
    (record,) = (await post.ask("sendings"))["records"]
    assert list(record) == [
        "id", "loyalty_club_id", "language", "channel", "service_type", "reporting_id", "source_id", "source_app",
        "source_type", "audience_id", "campaign_id", "dispatches_count", "members_count", "new_count",
        "delivered_count", "failed_count", "opened_count", "unique_opened_count", "clicked_count",
        "unique_clicked_count", "bounced_count", "unsubscribed_count", "complained_count", "transmitted_count",
        "created_at", "timeseries_ranges",
    ]  # fmt: skip
    assert record["timeseries_ranges"] == dict.fromkeys(["5m", "1h", "1d", "1w", "1mo"])
    assert record["created_at"] == "2026-11-01T00:00:00.000000Z"
    assert record["dispatches_count"] == 0


async def test_a_repeat_changes_nothing_and_an_open_may_come_before_its_delivery(post: Post) -> None:
    await post.load("sendings", [SENDING])
    events = [event(3, "opened"), event(4, "opened"), event(1, "transmitted"), event(2, "delivered")]
    assert counts(await post.load("sending_events", [*events, events[0]])) == (4, 1, 0)
    assert counts(await post.load("sending_events", events)) == (0, 4, 0)
    record = (await post.sendings())[42]
    assert (record["opened_count"], record["unique_opened_count"], record["delivered_count"]) == (2, 1, 1)
    assert (record["dispatches_count"], record["new_count"], record["members_count"]) == (1, 0, 0)
    assert record["timeseries_ranges"]["1h"] == {
        "from": "2026-10-31T01:00:00.000000Z",
        "to": "2026-10-31T04:00:00.000000Z",
    }
    assert record["timeseries_ranges"]["1mo"] == {
        "from": "2026-10-01T00:00:00.000000Z",
        "to": "2026-10-01T00:00:00.000000Z",
    }
    # A week that runs is open.
    assert record["timeseries_ranges"]["1w"] == {"from": "2026-10-26T00:00:00.000000Z", "to": None}


async def test_events_wait_for_the_sending_that_they_name(post: Post) -> None:
    assert counts(await post.load("sending_events", [event(1, "delivered"), event(2, "opened")])) == (2, 0, 0)
    assert await post.sendings() == {}
    assert await post.series("sendings_events_history", **RANGE) == {}
    assert (await post.ask("sendings_stats", **RANGE))["statistics"] == []
    await post.load("sendings", [SENDING])
    record = (await post.sendings())[42]
    assert (record["delivered_count"], record["opened_count"]) == (1, 1)
    found = await post.series(
        "sendings_events_history",
        **RANGE,
        interval="1d",
        filter={"type": "equal", "field": "reporting_id", "value": 42},
    )
    assert found == {
        ("delivered",): {"2026-10-31T00:00:00.000+00:00": 1},
        ("opened",): {"2026-10-31T00:00:00.000+00:00": 1},
    }


async def test_what_is_no_event_is_rejected_with_its_reason(post: Post) -> None:
    ahead = (START + timedelta(days=2)).isoformat()
    summary = await post.load(
        "sending_events",
        [
            event(1, "read"),
            event(2, "opened", profile="nobody"),
            event(3, "opened") | {"at": ahead},
            {"external_id": "E4", "sending": "S1", "event": "opened", "at": ahead},
            {"sending": "S1", "dispatch": "D1", "at": "yesterday"},
            b'{"external_id": "\xff"}',
            event(7, "opened") | {"external_id": "x" * 10_240},
            event(8, "opened") | {"at": (START + timedelta(hours=23)).isoformat()},
        ],
    )
    assert counts(summary) == (1, 0, 7)
    assert reasons(summary) == {
        1: "event must be one of " + ", ".join(EVENTS),
        2: "profile There is no profile nobody",
        3: "at lies more than a day ahead: set the clock that it comes from",
        4: "dispatch is required, or else a profile",
        5: "at must be a time: YYYY-MM-DD HH:MM:SS in UTC, or ISO 8601 with an offset; external_id is required; "
        "event is required",
        6: "is not UTF-8",
        7: "external_id expected `str` of length <= 255",
    }


async def test_a_sending_that_comes_again_changes_what_it_said(post: Post) -> None:
    assert counts(await post.load("sendings", [SENDING])) == (1, 0, 0)
    post.club.clock.step(hours=1)
    assert counts(await post.load("sendings", [SENDING])) == (0, 1, 0)
    changed = SENDING | {"campaign_id": 8}
    assert counts(await post.load("sendings", [changed, changed])) == (1, 1, 0)
    record = (await post.sendings())[42]
    assert (record["campaign_id"], record["created_at"]) == (8, "2026-11-01T00:00:00.000000Z")
    wrong = {"external_id": "S2", "channel": "pigeon", "created_at": "soon"}
    assert reasons(await post.load("sendings", [wrong, {"channel": "sms"}])) == {
        1: "channel must be one of sms, email, push; "
        "created_at must be a time: YYYY-MM-DD HH:MM:SS in UTC, or ISO 8601 with an offset",
        2: "external_id is required",
    }
