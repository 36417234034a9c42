"""Visits of links: in any order, over any links and any range, each visitor counts once."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from clubs import START, Club
from hypothesis_settings import SEED
from loading.file_loader import outcome_counts
from regulars.facts import maintenance
from regulars.facts.link_visits import rebuild_if_stale
from regulars.ingest.commit import commit
from regulars.model import community as communities
from regulars.model.community_update import update_community
from regulars.query.backends import Backends
from regulars.query.field_metadata import field_metadata
from regulars.query.parser.request import parse_field_metadata_request
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.rollups import partitions
from reports.sending_recount import SendingClub, bucket_label
from reports.test_maintenance import differences
from reports.visit_recount import (
    FIELDS,
    MEMBERS,
    SENDINGS,
    WHOLE_RANGE,
    Row,
    bucket_of,
    count_visits,
    deduplicated,
    link_fields,
    make_visit,
    random_visits,
)

ZONES = ("UTC", "America/New_York", "Asia/Kathmandu")


@pytest.fixture
def post(club: Club) -> SendingClub:
    """A club whose links are visited."""
    return SendingClub(club)


async def visited(post: SendingClub, visits: Sequence[Row], chance: random.Random, zone: str = "UTC") -> None:
    """Loads members, and visits in some order, with sendings that come before, between and after them."""
    await commit(post.club.database, post.club.community.id, lambda uow: update_community(uow, timezone=zone))
    async with post.club.database.unscoped_connection() as connection:
        post.club.community = await communities.get_by_id(connection, post.club.community.id)
    await post.load("profiles", [{"external_id": name} for name in MEMBERS])
    await post.load("sendings", [SENDINGS["S1"]])
    in_order = list(visits)
    chance.shuffle(in_order)
    half = len(in_order) // 2
    first = await post.load("link_visits", in_order[:half], batch_rows=chance.choice([1, 7, 40, 1000]))
    await post.load("sendings", [SENDINGS["S3"], SENDINGS["S5"]])
    second = await post.load("link_visits", in_order[half:], batch_rows=chance.choice([7, 40, 1000]))
    await post.load("sendings", [SENDINGS["S2"], SENDINGS["S4"]])
    assert first.accepted + second.accepted == len(deduplicated(visits))


# As a plain loop counts -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("zone", ["UTC", *(pytest.param(each, marks=pytest.mark.long) for each in ZONES[1:])])
async def test_counts_equal_a_recount_for_visits_in_any_order(post: SendingClub, zone: str) -> None:
    chance = random.Random(SEED + ZONES.index(zone))
    visits = random_visits(chance, 200)
    await visited(post, visits, chance, zone)
    await equal(post, deduplicated(visits), zone, chance)


async def equal(post: SendingClub, visits: Sequence[Row], zone: str, chance: random.Random) -> None:
    """Holds that every report says of visits what a plain loop does."""
    await equal_in_all(post, [each for each in visits if "sending" in each])
    for interval, days in (("5m", 0.3), ("1h", 3), ("1d", 50), ("1w", 60), ("1mo", 80)):
        await equal_over_time(post, visits, interval, days, zone)
    for _ in range(3):
        ends = sorted(START - timedelta(minutes=chance.randint(0, 60 * 24 * 60)) for _ in range(2))
        await equal_in_range(post, visits, *ends)
    assert await differences(post.club) == []


async def equal_in_all(post: SendingClub, visits: Sequence[Row]) -> None:
    names = ["source_id", "host", "path", "utm_campaign", "utm_content", "utm_medium", "utm_source", "utm_term"]
    for body, wanted, is_of in (
        ({}, names, lambda own: True),
        ({"aggregate_by": "by_host"}, ["host"], lambda own: True),
        ({"aggregate_by": "by_source_id", "filter": A_PATH}, ["source_id"], lambda own: own["path"] == "/x"),
        ({"aggregate_by": "by_utm_source", "filter": NO_TERM}, ["utm_source"], lambda own: own["utm_term"] is None),
    ):
        expected = count_visits((each for each in visits if is_of(link_fields(each))), labels(wanted))
        assert await records(post, "sendings_links", wanted, **body) == expected
    assert await records(post, "sendings_links_stats", ["source_id"]) == count_visits(visits, labels(["source_id"]))


A_PATH = {"type": "equal", "field": "path", "value": "/x"}
NO_TERM = {"type": "equal", "field": "utm_term", "value": None}
FILTERS: tuple[tuple[Any, Callable[[Mapping[str, Any]], bool]], ...] = (
    (None, lambda own: True),
    (A_PATH, lambda own: bool(own["path"] == "/x")),
    ({"type": "equal", "field": "source_id", "value": "42"}, lambda own: bool(own["source_id"] == "42")),
    (
        {
            "type": "or",
            "operations": [
                NO_TERM,
                {"type": "not", "operation": {"type": "in", "field": "host", "value": ["a.example"]}},
            ],
        },
        lambda own: bool(own["utm_term"] is None or own["host"] != "a.example"),
    ),
)


async def equal_over_time(post: SendingClub, visits: Sequence[Row], interval: str, days: float, zone: str) -> None:
    since, until = START - timedelta(days=days), START
    first, last = (bucket_label(at, interval, ZoneInfo(zone)) for at in (since, until))
    place = bucket_of(interval, zone)
    within = [each for each in visits if datetime.fromisoformat(first) <= datetime.fromisoformat(place(each))]
    within = [each for each in within if datetime.fromisoformat(place(each)) <= datetime.fromisoformat(last)]
    for by in (None, "source_id", "utm_medium"):
        for condition, is_of in FILTERS:
            params = {"aggregate_by": by, "filter": condition, "interval": interval}
            shown = await post.query_timeseries("links_visits_history", **params, **range_params(since, until))
            expected = count_visits(
                (each for each in within if is_of(link_fields(each))), both(labels([by] if by else []), place)
            )
            assert shown == {
                ("visits" if n == 0 else "unique_visits", *label): {
                    at: each[n] for (other, at), each in expected.items() if other == label
                }
                for label in {label for label, _ in expected}
                for n in (0, 1)
            }, (interval, by, condition)


async def equal_in_range(post: SendingClub, visits: Sequence[Row], since: datetime, until: datetime) -> None:
    within = [each for each in visits if since <= datetime.fromisoformat(each["at"]) < until]
    for by in (None, "source_id", "path"):
        for condition, is_of in FILTERS:
            answer = await post.query(
                "links_visits_stats", aggregate_by=by, filter=condition, **range_params(since, until)
            )
            shown = {
                tuple(each["label"].values()): (each["values"]["visits"], each["values"]["unique_visits"])
                for each in answer["statistics"]
            }
            expected = count_visits((each for each in within if is_of(link_fields(each))), labels([by] if by else []))
            assert shown == expected, (since, until, by, condition)


def range_params(since: datetime, until: datetime) -> dict[str, str]:
    return {"from": since.isoformat(), "to": until.isoformat()}


def both(one: Callable[[Row], Hashable], other: Callable[[Row], Hashable]) -> Callable[[Row], Hashable]:
    return lambda visit: (one(visit), other(visit))


def labels(names: Sequence[str]) -> Callable[[Row], Hashable]:
    return lambda visit: tuple(link_fields(visit)[name] for name in names)


async def records(post: SendingClub, report: str, names: Sequence[str], **body: Any) -> dict[Any, tuple[int, int]]:
    """What a report of records counts, page by page, by the values of fields."""
    found: dict[Any, tuple[int, int]] = {}
    page = None
    while True:
        answer = await post.query(report, limit=7, page_info=page, **body)
        for each in answer["records"]:
            found[tuple(each[name] for name in names)] = each["visits_count"], each["unique_visits_count"]
        page = answer["pagination"]["next_page_info"]
        if page is None:
            return found


# Changes of profiles -----------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_purge_removes_a_visitor_and_a_merge_makes_two_one(post: SendingClub) -> None:
    chance = random.Random(SEED + 10)
    visits = [*random_visits(chance, 150), make_visit(1, utm_term="my-own", profile="M0") | {"at": START.isoformat()}]
    await visited(post, visits, chance)
    ids = {each["external_id"]: each["id"] for each in (await post.club.http.get("/api/v3/profiles")).json()["data"]}
    assert (await post.club.http.delete(f"/api/v3/profiles/{ids['M0']}/purge")).status_code in (200, 204)
    left = [each for each in deduplicated(visits) if each.get("profile") != "M0"]
    await equal(post, left, "UTC", chance)
    async with post.club.database.read_transaction(post.club.community.id) as scope:
        assert not await scope.fetchval(
            "SELECT count(*) FROM links WHERE community_id = $1 AND utm_term = 'my-own'", scope.community_id
        )
    # One has visited, and so has the other; who has not has nothing to hand over, or takes it as it is.
    await post.load("profiles", [{"external_id": name} for name in ("N1", "N2")])
    answer = (await post.club.http.get("/api/v3/profiles")).json()["data"]
    ids = {each["external_id"]: each["id"] for each in answer}
    now = {name: name for name in MEMBERS}
    for source, destination in (("M1", "M2"), ("M3", "N1"), ("N2", "M4")):
        merged = {"source_profile_id": ids[source], "destination_profile_id": ids[destination]}
        assert (await post.club.http.post("/api/v3/profiles/merge", json=merged)).status_code == 200
        now[source] = destination
    left = [{**each, "profile": now[each["profile"]]} if "profile" in each else each for each in left]
    await equal(post, left, "UTC", chance)


async def test_a_profile_without_visits_can_be_purged(post: SendingClub) -> None:
    await post.load("profiles", [{"external_id": "M1"}])
    (one,) = (await post.club.http.get("/api/v3/profiles")).json()["data"]
    assert (await post.club.http.delete(f"/api/v3/profiles/{one['id']}/purge")).status_code in (200, 204)


@pytest.mark.slow
async def test_a_change_of_the_time_zone_rebuilds_all_buckets(post: SendingClub) -> None:
    chance = random.Random(SEED + 11)
    visits = random_visits(chance, 150)
    await visited(post, visits, chance)
    club = post.club
    assert await rebuild_if_stale(club.database, club.community.id) == 0
    await commit(club.database, club.community.id, lambda uow: update_community(uow, timezone="Asia/Kathmandu"))
    assert await differences(club) == []
    assert await rebuild_if_stale(club.database, club.community.id) == 1
    assert await rebuild_if_stale(club.database, club.community.id) == 0
    async with club.database.unscoped_connection() as connection:
        club.community = await communities.get_by_id(connection, club.community.id)
    await equal(post, deduplicated(visits), "Asia/Kathmandu", chance)


async def test_ranges_with_expired_buckets_are_counted_from_visits(post: SendingClub) -> None:
    chance = random.Random(SEED + 12)
    visits = random_visits(chance, 150)
    await visited(post, visits, chance)
    post.club.clock.advance(days=700)
    await partitions.ensure(post.club.database)
    await maintenance.drop_expired(post.club.database, post.club.community.id)
    # Those of the last days before are still stored, so that a range begins without them and ends with them.
    for _ in range(4):
        ends = sorted(START - timedelta(minutes=chance.randint(0, 60 * 24 * 60)) for _ in range(2))
        await equal_in_range(post, deduplicated(visits), *ends)
    await equal_over_time(post, deduplicated(visits), "1w", 60, "UTC")
    assert await differences(post.club) == []
    assert outcome_counts(await post.load("link_visits", [make_visit(1)])) == (1, 0, 0)
    assert await differences(post.club) == []


async def test_a_visitor_counts_once_in_a_year(post: SendingClub) -> None:
    chance = random.Random(SEED + 13)
    visits = random_visits(chance, 300, days=500)
    await visited(post, visits, chance, "America/New_York")
    for days in (365, 366, 480):
        until = START - timedelta(minutes=chance.randint(0, 60 * 24 * 20))
        await equal_in_range(post, deduplicated(visits), until - timedelta(days=days), until)


async def test_every_field_of_a_link_has_values(post: SendingClub) -> None:
    chance = random.Random(SEED + 14)
    visits = deduplicated(random_visits(chance, 60))
    await visited(post, visits, chance)
    for field in FIELDS:
        answer = await post.query("links_visits_stats", aggregate_by=field, **WHOLE_RANGE | {"from": "2026-01-01"})
        shown = {each["label"][field]: each["values"]["visits"] for each in answer["statistics"]}
        assert shown == Counter(link_fields(each)[field] for each in visits), field
        body = {"report": "links_visits_stats", "field": field, **WHOLE_RANGE, "from": "2026-01-01"}
        found = await field_metadata(
            parse_field_metadata_request(json.dumps(body).encode(), REPORTS_BY_NAME),
            [post.tenant],
            Backends(post.club.database),
            START,
        )
        assert {each["value"]: each["count"] for each in found["values"]} == shown, field


@pytest.mark.slow
async def test_concurrent_batches_of_visits_are_recorded_one_after_the_other(post: SendingClub) -> None:
    chance = random.Random(SEED + 15)
    visits = random_visits(chance, 150)
    await visited(post, [], chance)
    halves = [chance.sample(visits, len(visits)) for _ in range(3)]
    summaries = await asyncio.gather(*(post.load("link_visits", each, batch_rows=11) for each in halves))
    assert sum(each.accepted for each in summaries) == len(deduplicated(visits))
    assert not any(each.rejected for each in summaries)
    await equal(post, deduplicated(visits), "UTC", chance)
