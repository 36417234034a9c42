"""Sendings, their events over time, their recipients, and their statistics."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from clubs import START, Club
from hypothesis_settings import SEED
from loading.file_loader import outcome_counts, reasons_by_line
from regulars.core.field_type import FieldType
from regulars.core.validation import hash_key
from regulars.facts.sending_events import EVENT_TYPES, rebuild_if_stale
from regulars.ingest import stored_dispatches
from regulars.ingest.commit import commit
from regulars.model.community_update import update_community
from reports.sending_recount import Recipient, SendingClub, bucket_label, counters, deduplicated, history, recipients
from reports.test_maintenance import differences

DAY = START - timedelta(days=1)
RANGE = {"from": "2026-10-29T00:00:00Z", "to": "2026-11-01T00:00:00Z"}


@pytest.fixture
def post(club: Club) -> SendingClub:
    """A club that sends messages."""
    return SendingClub(club)


def event(number: float, kind: str, dispatch: str = "D1", sending: str = "S1", **more: Any) -> dict[str, Any]:
    """An event of a dispatch, an hour after the one before."""
    at = (DAY + timedelta(hours=number)).isoformat()
    return {"external_id": f"E{number}", "sending": sending, "dispatch": dispatch, "event": kind, "at": at, **more}


SENDING = {"external_id": "S1", "channel": "email", "reporting_id": 42, "campaign_id": 7, "language": "no"}


async def test_a_sending_has_the_documented_fields_in_order(post: SendingClub) -> None:
    assert outcome_counts(await post.load("sendings", [SENDING])) == (1, 0, 0)
    (record,) = (await post.query("sendings"))["records"]
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


async def test_a_repeated_event_changes_nothing_and_an_open_may_arrive_before_its_delivery(post: SendingClub) -> None:
    await post.load("sendings", [SENDING])
    events = [event(3, "opened"), event(4, "opened"), event(1, "transmitted"), event(2, "delivered")]
    assert outcome_counts(await post.load("sending_events", [*events, events[0]])) == (4, 1, 0)
    assert outcome_counts(await post.load("sending_events", events)) == (0, 4, 0)
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


async def test_events_may_arrive_before_their_sending(post: SendingClub) -> None:
    assert outcome_counts(await post.load("sending_events", [event(1, "delivered"), event(2, "opened")])) == (2, 0, 0)
    assert await post.sendings() == {}
    assert await post.query_timeseries("sendings_events_history", **RANGE) == {}
    assert (await post.query("sendings_stats", **RANGE))["statistics"] == []
    await post.load("sendings", [SENDING])
    record = (await post.sendings())[42]
    assert (record["delivered_count"], record["opened_count"]) == (1, 1)
    found = await post.query_timeseries(
        "sendings_events_history",
        **RANGE,
        interval="1d",
        filter={"type": "equal", "field": "reporting_id", "value": 42},
    )
    assert found == {
        ("delivered",): {"2026-10-31T00:00:00.000+00:00": 1},
        ("opened",): {"2026-10-31T00:00:00.000+00:00": 1},
    }


async def test_an_invalid_event_is_rejected_with_its_reason(post: SendingClub) -> None:
    ahead = (START + timedelta(days=2)).isoformat()
    summary = await post.load(
        "sending_events",
        [
            event(1, "read"),
            event(2, "opened", profile="unknown"),
            event(3, "opened") | {"at": ahead},
            {"external_id": "E4", "sending": "S1", "event": "opened", "at": ahead},
            {"sending": "S1", "dispatch": "D1", "at": "yesterday"},
            b'{"external_id": "\xff"}',
            event(7, "opened") | {"external_id": "x" * 10_240},
            event(8, "opened") | {"at": (START + timedelta(hours=23)).isoformat()},
        ],
    )
    assert outcome_counts(summary) == (1, 0, 7)
    assert reasons_by_line(summary) == {
        1: "event must be one of " + ", ".join(EVENT_TYPES),
        2: "profile There is no profile unknown",
        3: "at lies more than a day ahead: set the clock that it comes from",
        4: "dispatch is required, or else a profile",
        5: f"at must be {FieldType.TIMESTAMP.input_format}, not 'yesterday'",
        6: "is not UTF-8 (--encoding states another encoding)",
        7: "external_id must be a text of at most 255 characters",
    }


async def test_loading_a_sending_again_updates_its_fields(post: SendingClub) -> None:
    assert outcome_counts(await post.load("sendings", [SENDING])) == (1, 0, 0)
    post.club.clock.advance(hours=1)
    assert outcome_counts(await post.load("sendings", [SENDING])) == (0, 1, 0)
    changed = SENDING | {"campaign_id": 8}
    assert outcome_counts(await post.load("sendings", [changed, changed])) == (1, 1, 0)
    record = (await post.sendings())[42]
    assert (record["campaign_id"], record["created_at"]) == (8, "2026-11-01T00:00:00.000000Z")
    parts: list[dict[str, Any]] = [
        {"external_id": "S3", "channel": "sms", "reporting_id": 3},
        {"external_id": "S3", "channel": "push"},
    ]
    assert outcome_counts(await post.load("sendings", parts)) == (1, 1, 0)
    assert outcome_counts(await post.load("sendings", [parts[1] | {"created_at": "2026-10-01 00:00:00"}])) == (1, 0, 0)
    record = (await post.sendings())[3]
    assert (record["channel"], record["created_at"]) == ("push", "2026-10-01T00:00:00.000000Z")
    wrong = {"external_id": "S2", "channel": "pigeon", "created_at": "soon"}
    assert reasons_by_line(await post.load("sendings", [wrong, {"channel": "sms"}])) == {
        1: f"created_at must be {FieldType.TIMESTAMP.input_format}, not 'soon'",
        2: "external_id is required",
    }


async def test_a_batch_of_rejected_events_stores_nothing(post: SendingClub) -> None:
    summary = await post.load("sending_events", [event(1, "opened", profile="unknown")])
    assert outcome_counts(summary) == (0, 0, 1)


async def test_a_write_creates_missing_partitions(post: SendingClub) -> None:
    post.club.clock.advance(days=400)
    await post.load("sendings", [SENDING])
    at = (post.club.clock() - timedelta(hours=1)).isoformat()
    assert outcome_counts(await post.load("sending_events", [event(1, "opened") | {"at": at}])) == (1, 0, 0)
    params = {"from": at, "to": at, "interval": "5m"}
    assert await post.query_timeseries("sendings_events_history", **params) == {
        ("opened",): {"2027-12-05T23:00:00.000+00:00": 1}
    }


async def test_a_recipient_that_a_later_event_names_is_counted(post: SendingClub) -> None:
    await with_members(post)
    await post.load("sendings", [SENDING])
    await post.load("sending_events", [event(1, "transmitted"), event(2, "transmitted", dispatch="D2")])
    by_gender = {**RANGE, "interval": "1d", "aggregate_by": "gender"}
    day = "2026-10-31T00:00:00.000+00:00"
    assert await post.query_timeseries("sendings_recipients_statistics", **by_gender) == {(None,): {day: 2}}
    assert (await post.sendings())[42]["members_count"] == 0
    known = [event(3, "opened", profile="M1"), event(4, "opened", dispatch="D2", profile="M1")]
    assert outcome_counts(await post.load("sending_events", known)) == (2, 0, 0)
    assert await post.query_timeseries("sendings_recipients_statistics", **by_gender) == {("female",): {day: 1}}
    assert (await post.sendings())[42]["members_count"] == 1
    assert await differences(post.club) == []


async def test_recipients_are_suppressed_unless_one_sending_reached_the_minimum(post: SendingClub) -> None:
    await with_members(post)
    await post.load("sendings", [SENDING, {**SENDING, "external_id": "S2", "reporting_id": 43}])
    # Two women in both sendings, three men in the first.
    reached = [("S1", "M1"), ("S1", "M3"), ("S2", "M1"), ("S2", "M3"), ("S1", "M2"), ("S1", "M4"), ("S1", "M6")]
    await post.load(
        "sending_events",
        [
            event(number, "transmitted", f"D{number}", sending, profile=profile)
            for number, (sending, profile) in enumerate(reached)
        ],
    )
    day = "2026-10-31T00:00:00.000+00:00"
    by = {**RANGE, "interval": "1d"}
    for minimum, by_gender in (
        (2, {("female",): {day: 4}, ("male",): {day: 3}}),
        (3, {("female",): {}, ("male",): {}}),
    ):
        post.min_cell_size = minimum
        report = "sendings_recipients_statistics"
        assert await post.query_timeseries(report, **by, aggregate_by="gender") == by_gender
        assert await post.query_timeseries(report, **by) == {(): {day: 7}}
    values = await post.field_values("sendings_recipients_statistics", "gender", **RANGE)
    assert values == {"male": None}
    post.min_cell_size = 6
    assert await post.query_timeseries("sendings_recipients_statistics", **by) == {(): {}}


async def profile_ids(post: SendingClub) -> dict[str, str]:
    """The ids of the members by external id."""
    answer = (await post.club.http.get("/api/v3/profiles?page[size]=500")).json()
    return {each["external_id"]: each["id"] for each in answer["data"]}


def by_profile(number: float, kind: str, profile: str) -> dict[str, Any]:
    """An event without a dispatch of its own."""
    return {key: value for key, value in event(number, kind, profile=profile).items() if key != "dispatch"}


async def test_a_recipient_by_external_id_and_by_id_has_one_dispatch(post: SendingClub) -> None:
    await with_members(post)
    await post.load("sendings", [SENDING])
    profile_id = (await profile_ids(post))["M3"]
    await post.load("sending_events", [by_profile(1, "transmitted", "M3")])
    events = [by_profile(2, "delivered", profile_id), by_profile(1, "transmitted", profile_id)]
    assert outcome_counts(await post.load("sending_events", events)) == (1, 1, 0)
    record = (await post.sendings())[42]
    assert (record["dispatches_count"], record["members_count"], record["transmitted_count"]) == (1, 1, 1)
    ((found,),) = ((await post.query("sendings_stats", **RANGE))["statistics"],)
    assert (found["values"]["unique_delivered"], found["values"]["delivery"]) == (1, 1.0)
    assert await differences(post.club) == []


@pytest.mark.parametrize("is_merged_first", [True, False])
async def test_a_merged_recipient_has_one_dispatch(post: SendingClub, is_merged_first: bool) -> None:
    await with_members(post)
    await post.load("sendings", [SENDING])
    ids = await profile_ids(post)
    merge = {"source_profile_id": ids["M1"], "destination_profile_id": ids["M2"]}
    await post.load("sending_events", [by_profile(1, "transmitted", "M1")])
    if is_merged_first:
        assert (await post.club.http.post("/api/v3/profiles/merge", json=merge)).status_code == 200
    await post.load("sending_events", [by_profile(1.5, "transmitted", "M2"), by_profile(2, "delivered", "M1")])
    if not is_merged_first:
        assert (await post.club.http.post("/api/v3/profiles/merge", json=merge)).status_code == 200
    await post.load("sending_events", [by_profile(3, "opened", "M1"), by_profile(4, "opened", ids["M2"])])
    record = (await post.sendings())[42]
    assert (record["dispatches_count"], record["members_count"]) == (1, 1)
    assert (record["transmitted_count"], record["unique_opened_count"], record["opened_count"]) == (2, 1, 2)
    assert await differences(post.club) == []


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
async def test_the_recipient_of_a_dispatch_does_not_depend_on_the_order_of_arrival(
    post: SendingClub, order: tuple[int, ...]
) -> None:
    await with_members(post)
    await post.load("sendings", [SENDING])
    ids = await profile_ids(post)
    smallest, other = sorted(("M1", "M2"), key=lambda name: ids[name])
    events = [
        event(1, "transmitted", profile=other),
        event(2, "transmitted", profile=smallest),
        event(3, "transmitted", dispatch="D2", profile=other),
    ]
    for index in order:
        await post.load("sending_events", [events[index]])
    async with post.club.database.read_transaction(post.club.community.id) as scope:
        rows = await scope.fetch(
            "SELECT profile_id FROM sending_dispatches WHERE community_id = $1 ORDER BY transmitted_at",
            scope.community_id,
        )
    assert [str(row["profile_id"]) for row in rows] == [ids[smallest], ids[other]]
    assert (await post.sendings())[42]["members_count"] == 2
    day = "2026-10-31T00:00:00.000+00:00"
    assert await post.query_timeseries(
        "sendings_recipients_statistics", **RANGE, interval="1d", aggregate_by="gender"
    ) == {("female",): {day: 1}, ("male",): {day: 1}}
    assert await differences(post.club) == []


async def test_one_dispatch_may_have_any_number_of_events(post: SendingClub) -> None:
    await post.load("sendings", [SENDING])
    events = [event(n / 3600, "opened") | {"external_id": f"E{n}"} for n in range(20_000)]
    assert outcome_counts(await post.load("sending_events", events)) == (20_000, 0, 0)
    record = (await post.sendings())[42]
    assert (record["opened_count"], record["unique_opened_count"], record["dispatches_count"]) == (20_000, 1, 1)


# Drawn ------------------------------------------------------------------------------------------------------


MEMBERS = {
    f"M{n}": Recipient(
        "female" if n % 2 else "male", datetime(1950 + 3 * n, 11, 1 + n, tzinfo=UTC), ("ios", "android", "web")[n % 3]
    )
    for n in range(12)
}
SENDINGS = ("S1", "S2", "S3")


async def with_members(post: SendingClub) -> None:
    """Loads the members."""
    rows = [
        {
            "external_id": name,
            "gender": member.gender,
            "birth_year": member.birth_date.year,
            "birth_month": member.birth_date.month,
            "birth_day": member.birth_date.day,
            "optin_channel": member.platform,
            "joined_at": "2026-01-01T00:00:00Z",
        }
        for name, member in MEMBERS.items()
    ]
    assert outcome_counts(await post.load("profiles", rows)) == (len(rows), 0, 0)


def drawn(chance: random.Random, number: int) -> list[dict[str, Any]]:
    """Events of dispatches, several to some members, some of them twice."""
    profiles = {f"D{n}": chance.choice(list(MEMBERS)) for n in range(15)}
    found = []
    for n in range(number):
        dispatch = chance.choice(list(profiles))
        at = START - timedelta(minutes=chance.choice([chance.randint(1, 300), chance.randint(1, 60 * 24 * 40)]))
        found.append(
            {
                "external_id": f"E{n}",
                "sending": chance.choice(SENDINGS),
                "dispatch": dispatch,
                "profile": profiles[dispatch],
                "event": chance.choice(EVENT_TYPES),
                "at": at.isoformat(),
            }
        )
    return found + chance.sample(found, number // 3)


@pytest.mark.slow
async def test_counts_equal_a_recount_for_events_in_any_order(post: SendingClub) -> None:
    await with_members(post)
    chance = random.Random(SEED)
    for round_number in range(2):
        events = drawn(chance, 150)
        prefix = f"R{round_number}-"
        events = [each | {"sending": prefix + each["sending"]} for each in events]
        chance.shuffle(events)
        known = [
            {"external_id": prefix + each, "channel": "email", "reporting_id": 100 * (round_number + 1) + n}
            for n, each in enumerate(SENDINGS)
        ]
        await post.load("sendings", known[:1])
        await post.load("sending_events", events, batch_rows=chance.choice([1, 7, 40, 1000]))
        await post.load("sendings", known[1:])
        await equal(
            post, deduplicated(events), {prefix + each: known[n]["reporting_id"] for n, each in enumerate(SENDINGS)}
        )


async def equal(post: SendingClub, events: Sequence[Mapping[str, Any]], reporting_ids: dict[str, Any]) -> None:
    """Holds that every report says of these sendings what a plain loop does."""
    zone = ZoneInfo(post.club.community.timezone)
    records = await post.sendings()
    for name, reporting_id in reporting_ids.items():
        own = [each for each in events if each["sending"] == name]
        expected = counters(own)
        assert {key: records[reporting_id][key] for key in expected} == expected
    ours = {"type": "in", "field": "reporting_id", "value": list(reporting_ids.values())}
    for interval, days in (("5m", 0.3), ("1h", 3), ("1d", 50), ("1mo", 80)):
        params = {
            "from": (START - timedelta(days=days)).isoformat(),
            "to": START.isoformat(),
            "interval": interval,
            "filter": ours,
        }
        shown = await post.query_timeseries("sendings_events_history", **params)
        assert shown == within(history(events, interval, zone), post, params)
        if interval != "5m":
            for by in ("gender", "age", "optin_platform"):
                shown = await post.query_timeseries("sendings_recipients_statistics", **params, aggregate_by=by)
                expected_series = recipients(events, by, interval, zone, MEMBERS)
                assert shown == within(expected_series, post, params), by
    assert await differences(post.club) == []
    for days in (1, 12, 60):
        since, until = START - timedelta(days=days), START - timedelta(days=days / 8)
        own = [each for each in events if since <= datetime.fromisoformat(each["at"]) < until]
        answer = await post.query(
            "sendings_stats", **{"from": since.isoformat(), "to": until.isoformat(), "filter": ours}
        )
        if not own:
            assert answer["statistics"] == []
            continue
        keyed = [{**each, "dispatch": f"{each['sending']} {each['dispatch']}"} for each in own]
        expected = {key.removesuffix("_count"): value for key, value in counters(keyed).items()}
        ((found),) = answer["statistics"]
        assert {key: found["values"][key] for key in expected if key not in ("members", "new")} == {
            key: value for key, value in expected.items() if key not in ("members", "new")
        }


def within(
    series: dict[tuple[Any, ...], dict[str, int]], post: SendingClub, params: dict[str, Any]
) -> dict[tuple[Any, ...], dict[str, int]]:
    """The values in the requested buckets."""
    zone = ZoneInfo(post.club.community.timezone)
    since, until = (
        bucket_label(datetime.fromisoformat(params[end]), params["interval"], zone) for end in ("from", "to")
    )
    found = {
        label: {
            each: n
            for each, n in values.items()
            if datetime.fromisoformat(since) <= datetime.fromisoformat(each) <= datetime.fromisoformat(until)
        }
        for label, values in series.items()
    }
    return {label: values for label, values in found.items() if values}


async def test_verify_finds_wrong_counts_of_a_sending(post: SendingClub) -> None:
    await post.load("sendings", [SENDING])
    await post.load("sending_events", [event(1, "transmitted"), event(2, "opened")])
    assert await differences(post.club) == []
    async with post.club.database.write_transaction(post.club.community.id) as scope:
        await scope.execute("UPDATE sendings SET opened_count = 3 WHERE community_id = $1", scope.community_id)
        await scope.execute(
            "UPDATE sending_rollups SET count = 4 WHERE community_id = $1 AND granularity = '1w'", scope.community_id
        )
        await scope.execute(
            "UPDATE recipient_rollups SET count = 5 WHERE community_id = $1 AND granularity = '1mo'", scope.community_id
        )
        await scope.execute("UPDATE sending_dispatches SET event_mask = 2 WHERE community_id = $1", scope.community_id)
    found = [each.partition(": ")[2] for each in await differences(post.club)]
    assert found == [
        "event_mask, transmitted_at is stored as '2, 2026-10-31 01:00:00+00', expected '36, 2026-10-31 01:00:00+00'",
        "opened in the 1w from 2026-10-26 00:00:00+00 is stored as '4', expected '1'",
        "opened_count is stored as '3', expected '1'",
        "recipients  in the 1mo from 2026-10-01 00:00:00+00 is stored as '5', expected '1'",
        "transmitted in the 1w from 2026-10-26 00:00:00+00 is stored as '4', expected '1'",
    ]


async def test_a_purge_subtracts_dispatches_and_a_merge_reassigns_them(post: SendingClub) -> None:
    await with_members(post)
    chance = random.Random(SEED + 1)
    events = drawn(chance, 150)
    reporting_ids = {}
    for n, name in enumerate(SENDINGS):
        reporting_ids[name] = n
        await post.load("sendings", [{"external_id": name, "channel": "push", "reporting_id": n + 1}])
        reporting_ids[name] = n + 1
    await post.load("sending_events", events)
    ids = await profile_ids(post)
    gone = sorted({each["profile"] for each in events})[:2]
    for name in gone:
        answer = await post.club.http.delete(f"/api/v3/profiles/{ids[name]}/purge")
        assert answer.status_code in (200, 204), answer.text
    left = [each for each in deduplicated(events) if each["profile"] not in gone]
    await equal(post, left, reporting_ids)
    source, destination = sorted({each["profile"] for each in left})[:2]
    answer = await post.club.http.post(
        "/api/v3/profiles/merge",
        json={"source_profile_id": ids[source], "destination_profile_id": ids[destination]},
    )
    assert answer.status_code == 200, answer.text
    merged = [{**each, "profile": destination if each["profile"] == source else each["profile"]} for each in left]
    records = await post.sendings()
    for name, reporting_id in reporting_ids.items():
        expected = counters([each for each in merged if each["sending"] == name])
        assert {key: records[reporting_id][key] for key in expected} == expected
    total = await post.query_timeseries(
        "sendings_recipients_statistics", **{"from": "2026-09-01", "to": "2026-11-01", "interval": "1mo"}
    )
    once = {(each["sending"], each["profile"]) for each in merged if each["event"] == "transmitted"}
    assert sum(sum(values.values()) for values in total.values()) == len(once)


async def with_sendings(post: SendingClub) -> None:
    """Loads the sendings, with reporting ids from 1."""
    rows = [{"external_id": name, "channel": "email", "reporting_id": n} for n, name in enumerate(SENDINGS, 1)]
    assert outcome_counts(await post.load("sendings", rows)) == (len(rows), 0, 0)


def by_two(chance: random.Random, names: Sequence[str]) -> list[dict[str, Any]]:
    """Events without a dispatch, of a recipient by several names, some by more than one, and others with a dispatch."""
    found = []
    for n in range(150):
        sending, kind = chance.choice(SENDINGS), chance.choice(EVENT_TYPES)
        row = event(-chance.randint(1, 300), kind, sending=sending) | {"external_id": f"E{n}"}
        if chance.random() < 0.2:
            found.append(row | {"profile": chance.choice(names), "dispatch": f"D{chance.randint(1, 3)}"})
        else:
            del row["dispatch"]
            found += [row | {"profile": name} for name in chance.sample(names, chance.choice([1, 1, 2]))]
    return found


def of_one(events: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The events of one recipient once."""
    return deduplicated([{"dispatch": "without an id", **each, "profile": "M1"} for each in events])


async def holds(post: SendingClub, events: Sequence[Mapping[str, Any]]) -> None:
    """Holds that the sendings have these events of one recipient."""
    records = await post.sendings()
    for n, name in enumerate(SENDINGS, 1):
        expected = counters([each for each in of_one(events) if each["sending"] == name])
        assert {key: records[n][key] for key in expected} == expected
    assert await differences(post.club) == []


async def test_a_merge_unites_dispatches_without_an_id(post: SendingClub) -> None:
    await with_members(post)
    await with_sendings(post)
    ids = await profile_ids(post)
    events = by_two(random.Random(SEED + 2), ("M1", "M2"))
    await post.load("sending_events", [each for each in events if each["sending"] != "S3"])
    await post.load("sending_events", [each for each in events if each["profile"] == "M1"])
    merge = {"source_profile_id": ids["M1"], "destination_profile_id": ids["M2"]}
    assert (await post.club.http.post("/api/v3/profiles/merge", json=merge)).status_code == 200
    await post.load("sending_events", events)
    await holds(post, events)
    assert (await post.club.http.delete(f"/api/v3/profiles/{ids['M2']}/purge")).status_code in (200, 204)
    await holds(post, [])


async def test_stored_dispatches_by_a_name_get_the_id_of_the_recipient(
    post: SendingClub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_dispatches, "RECIPIENTS_PER_COMMIT", 1)
    await with_members(post)
    await with_sendings(post)
    ids = await profile_ids(post)
    names = ("M1", ids["M1"], ids["M1"].upper(), "M2")
    events = by_two(random.Random(SEED + 3), names)
    await post.load("sending_events", [{"dispatch": each["profile"], **each} for each in events])
    merge = {"source_profile_id": ids["M2"], "destination_profile_id": ids["M1"]}
    assert (await post.club.http.post("/api/v3/profiles/merge", json=merge)).status_code == 200
    async with post.club.database.write_transaction(post.club.community.id) as scope:
        await scope.execute(
            """
            UPDATE sending_dispatches SET dispatch_key_hash = new_key
            FROM unnest($2::uuid[], $3::uuid[]) AS keys (key, new_key)
            WHERE community_id = $1 AND dispatch_key_hash = key
            """,
            scope.community_id,
            [hash_key(f"dispatch {name}") for name in names],
            [hash_key(f"profile {name}") for name in names],
        )
        await scope.execute(
            "UPDATE communities SET has_former_dispatch_keys = true WHERE id = $1", post.club.community.id
        )
    # An event that is repeated before the restatement is united as well.
    await post.load("sending_events", events[:20])
    assert post.club.community.id in await stored_dispatches.list_pending(post.club.database)
    assert await stored_dispatches.restate_keys(post.club.database, post.club.community.id) == 1
    assert post.club.community.id not in await stored_dispatches.list_pending(post.club.database)
    await holds(post, events)
    assert outcome_counts(await post.load("sending_events", events)) == (0, len(events), 0)
    assert await stored_dispatches.restate_keys(post.club.database, post.club.community.id) == 1
    await holds(post, events)


async def test_verify_finds_a_dispatch_with_the_id_of_another_profile(post: SendingClub) -> None:
    await with_members(post)
    await post.load("sendings", [SENDING])
    await post.load("sending_events", [by_profile(1, "transmitted", "M1")])
    ids = await profile_ids(post)
    async with post.club.database.write_transaction(post.club.community.id) as scope:
        await scope.execute(
            "UPDATE sending_dispatches SET dispatch_key_hash = $2 WHERE community_id = $1",
            scope.community_id,
            UUID(ids["M2"]),
        )
    (found,) = await differences(post.club)
    assert found.endswith(f"dispatch_key_hash is stored as '{ids['M2']}', expected '{ids['M1']}'")


async def test_a_change_of_the_time_zone_rebuilds_all_buckets(post: SendingClub) -> None:
    await post.load("sendings", [SENDING])
    await post.load("sending_events", [event(1, "transmitted"), event(23, "opened"), event(23.1, "clicked")])
    assert await rebuild_if_stale(post.club.database, post.club.community.id) == 0
    await commit(
        post.club.database,
        post.club.community.id,
        lambda uow: update_community(uow, timezone="Asia/Kathmandu"),
    )
    assert await rebuild_if_stale(post.club.database, post.club.community.id) == 1
    assert await rebuild_if_stale(post.club.database, post.club.community.id) == 0
    async with post.club.database.read_transaction(post.club.community.id) as scope:
        rows = await scope.fetch(
            "SELECT bucket, event_type, count FROM sending_rollups WHERE community_id = $1 AND granularity = '1d'",
            scope.community_id,
        )
        recipients_there = await scope.fetch(
            "SELECT bucket, count FROM recipient_rollups WHERE community_id = $1 AND granularity = '1d'",
            scope.community_id,
        )
    assert sorted((f"{row['bucket']:%m-%d %H:%M}", row["event_type"], row["count"]) for row in rows) == [
        ("10-30 18:15", "transmitted", 1),
        ("10-31 18:15", "clicked", 1),
        ("10-31 18:15", "opened", 1),
    ]
    assert [(f"{row['bucket']:%m-%d %H:%M}", row["count"]) for row in recipients_there] == [("10-30 18:15", 1)]
