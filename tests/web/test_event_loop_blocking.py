"""Hostile requests are charged and never block the event loop for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from api.reporting_client import ReportingClient, reporting_client
from clubs import Club, ManualClock
from regulars.query.errors import MAX_ERRORS
from regulars.query.parser.filter_values import MAX_LIST_VALUES
from regulars.settings import Settings
from regulars.storage.database import Database
from regulars.web.fair_limiter import MAX_WAITING, BusyError, FairLimiter
from web.event_loop_lag import EventLoopLag

LONGEST = 0.1
"""Seconds of processor time for which a hostile request may block the event loop."""


@pytest_asyncio.fixture
async def reporting(database: Database, clock: ManualClock) -> AsyncIterator[ReportingClient]:
    """Two clubs of one organization, and a club of another."""
    async with reporting_client(database, clock) as found:
        await found.query()
        yield found


def in_lists(number: int, values: Sequence[Any]) -> bytes:
    """A request whose filter has this number of lists."""
    lists = [{"type": "in", "field": "name", "value": values}] * number
    return msgspec.json.encode({"report": "samples", "filter": {"type": "or", "operations": lists}})


def leaves(tree: Any) -> int:
    """The number of errors in `details`."""
    return len(tree) if isinstance(tree, list) else sum(map(leaves, tree.values()))


HOSTILE = {
    "99 lists of 10,000 nulls and objects": in_lists(99, [None, {}] * 5_000),
    "99 lists of 1,000 nulls and objects": in_lists(99, [None, {}] * 500),
    "20 lists of 1,000 texts": in_lists(20, ["a"] * 1_000),
    "99 lists of 8,000 texts": in_lists(99, ["abcdefg"] * 8_000),
    "160,000 unknown keys": msgspec.json.encode({"report": "samples"} | {f"k{number}": 1 for number in range(160_000)}),
    "90,000 unknown keys": msgspec.json.encode({"report": "samples"} | {f"k{number}": 1 for number in range(90_000)}),
    "a name of 900,000 letters": msgspec.json.encode({"report": "samples", "k" * 900_000: 1}),
    "300,000 empty lists": b'{"report":"samples","filter":[' + b"[]," * 300_000 + b"1]}",
    "100,000 levels": b'{"report":"samples","filter":' + b"[" * 100_000,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_report_request_is_rejected_quickly_with_a_short_response(
    reporting: ReportingClient, body: bytes
) -> None:
    async with EventLoopLag() as heartbeat:
        answer = await reporting.query(body)
    assert answer.status_code in (400, 413, 422), answer.text[:200]
    assert heartbeat.max_seconds < LONGEST
    assert len(answer.content) < 50_000
    assert answer.headers["ratelimit-cost"] == "1"


async def test_at_most_a_hundred_errors_are_reported_and_marked_as_truncated(
    reporting: ReportingClient,
) -> None:
    answer = (await reporting.query(in_lists(1, [{}] * 500))).json()
    assert (leaves(answer["details"]), answer["truncated"]) == (MAX_ERRORS, True)
    answer = (await reporting.query(in_lists(1, [{}] * (MAX_ERRORS - 1)))).json()
    assert leaves(answer["details"]) == MAX_ERRORS - 1
    assert "truncated" not in answer


async def test_the_values_of_all_lists_of_a_filter_are_limited_and_priced(reporting: ReportingClient) -> None:
    async def cost(number: int, length: int) -> int:
        answer = await reporting.query(in_lists(number, ["a"] * length))
        assert answer.status_code == 200, answer.text
        return int(answer.headers["ratelimit-cost"])

    usual = await cost(1, 1_000)
    assert await cost(1, 1_001) == usual + 1
    assert await cost(2, 1_000) == usual + 1
    assert await cost(4, MAX_LIST_VALUES // 4) == usual + 9
    rejected = await reporting.query(in_lists(4, ["a"] * (MAX_LIST_VALUES // 4 + 1)))
    assert rejected.json()["details"]["filter"]["operations"]["3"]["value"][0]["error"] == "too_long"


async def test_a_large_body_is_charged_before_it_is_parsed(reporting: ReportingClient) -> None:
    await reporting.set_limits(reporting_burst=1, reporting_rate_per_second=1)
    body = in_lists(1, ["abcdefgh"] * 8_000)
    first = await reporting.query(body)
    assert (first.status_code, first.headers["ratelimit-remaining"]) == (
        200,
        str(1 - int(first.headers["ratelimit-cost"])),
    )
    rejected = await reporting.query(body.replace(b"samples", b"other"))
    # If it were parsed, the status would be 422.
    assert rejected.status_code == 429


@pytest.mark.parametrize(
    "body",
    [
        b'{"first_name":"a","attributes":{"custom":[' + b"1," * 4_400_000 + b"1]}}",
        b'{"first_name":"a","attributes":{"custom":[' + b"1," * 99_000 + b"1]}}",
        b'{"first_name":"a","identities":[' + b"{}," * 40_000 + b"{}]}",
    ],
    ids=["4,400,000 integers", "99,000 integers", "40,000 identities"],
)
async def test_a_hostile_profile_is_rejected_quickly(club: Club, body: bytes) -> None:
    async with EventLoopLag() as heartbeat:
        answer = await club.http.post("/api/v3/profiles", content=body)
    assert answer.status_code in (413, 422), answer.text[:200]
    assert heartbeat.max_seconds < LONGEST


async def test_a_response_lists_few_errors_and_states_their_number(club: Club) -> None:
    body = {"total": 1, "transacted_at": "2026-10-01", "timezone": "UTC", "items": [{}] * 1_000}
    answer = (await club.http.post("/api/v3/transactions", json=body)).json()
    assert len(answer["errors"]) == 100
    assert answer["message"].endswith("(and 3999 more)")


async def test_a_batch_is_validated_without_blocking_the_event_loop(club: Club) -> None:
    rows = [{"total": "x" * 10}] * 10_000
    async with EventLoopLag() as heartbeat:
        answer = await club.http.post("/api/v3/transactions/batch.json", json={"transactions": rows})
    assert len(answer.json()["data"]["rejected"]) == 10_000
    assert heartbeat.max_seconds < LONGEST


async def test_errors_of_many_rejected_rows_are_limited_and_do_not_block_the_event_loop(club: Club) -> None:
    row = {"identities": [{"handle": ""}] * 50, "tags": [f"{number:05d}" for number in range(900)]}
    content = msgspec.json.encode({"profiles": [row] * 250})
    async with EventLoopLag() as heartbeat:
        answer = await club.http.post("/api/v3/profiles/batch.json", content=content)
    rejected = answer.json()["data"]["rejected"]
    assert [len(each["errors"]) for each in rejected] == [100] * 200 + [1] * 50
    assert rejected[-1]["message"].endswith("(and 99 more)")
    assert heartbeat.max_seconds < LONGEST


async def test_a_batch_of_profiles_is_written_in_chunks(club: Club) -> None:
    rows = [{"email": f"a{number}@example.com", "first_name": "Kari"} for number in range(2_500)]
    rows[2_200]["email"] = rows[0]["email"]
    async with EventLoopLag() as heartbeat:
        answer = await club.http.post("/api/v3/profiles/batch.json", json={"profiles": rows, "match_criteria": "email"})
    found = answer.json()["data"]
    assert (found["accepted"], found["unchanged"], found["rejected"]) == (2_499, 1, [])
    assert heartbeat.max_seconds < LONGEST


# Large answers ------------------------------------------------------------------------------------------------


async def test_thirty_concurrent_large_reports_do_not_delay_other_requests(
    database: Database, clock: ManualClock
) -> None:
    async with reporting_client(database, clock, Settings(pool_max_size=2)) as reporting:
        await reporting.set_limits(reporting_burst=10_000)
        async with database.write_transaction(reporting.clubs[0].id) as scope:
            await scope.execute(
                """
                INSERT INTO profiles (community_id, profile_id, properties, created_at, updated_at)
                SELECT $1, gen_random_uuid(), jsonb_build_object('id', number, 'name', 'a', 'points', number), $2, $2
                FROM generate_series(1001, 2200) AS number
                """,
                reporting.clubs[0].id,
                scope.now,
            )
        theirs = await reporting.new_token(of=reporting.other_club)
        await reporting.query({"report": "samples", "limit": 1_001})
        finished: list[str] = []

        async def large() -> httpx.Response:
            answer = await reporting.query({"report": "samples", "limit": 10_000})
            finished.append("large")
            return answer

        async with EventLoopLag() as heartbeat:
            many = [asyncio.create_task(large()) for _ in range(30)]
            await asyncio.wait(many, return_when=asyncio.FIRST_COMPLETED)
            other = await reporting.query({"report": "samples", "limit": 10_000}, token=theirs)
            before = len(finished)
            health = await reporting.http.get("/api/health")
            answers = await asyncio.gather(*many)
        assert [each.status_code for each in (other, health, *answers)] == [200] * 32
        assert {len(each.json()["records"]) for each in answers} == {1_202}
        # The other organization is served after the running request and the one that was admitted before it.
        assert before <= 4
        assert heartbeat.max_seconds < LONGEST


async def test_waiting_organizations_are_served_in_rotation() -> None:
    limiter = FairLimiter(1)
    order: list[tuple[int, int]] = []

    async def take(organization: int, number: int) -> None:
        async with limiter.slot(organization):
            order.append((organization, number))
            await asyncio.sleep(0)

    async with limiter.slot(9):
        waiting = [asyncio.create_task(take(*each)) for each in ((1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (2, 2))]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert order == [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (1, 3)]


async def test_the_slot_of_a_cancelled_request_goes_to_the_next() -> None:
    limiter = FairLimiter(1)

    async def take() -> str:
        async with limiter.slot(1):
            return "served"

    async with limiter.slot(1):
        waiting = [asyncio.create_task(take()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
    # The second request has been granted its slot, but has not run yet.
    waiting[1].cancel()
    assert await waiting[2] == "served"
    async with limiter.slot(2):
        pass


async def test_too_many_waiting_requests_of_one_organization_are_rejected() -> None:
    limiter = FairLimiter(1)

    async def take(organization: int) -> None:
        async with limiter.slot(organization):
            pass

    async with limiter.slot(1):
        waiting = [asyncio.create_task(take(1)) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await take(1)
        other = asyncio.create_task(take(2))
        await asyncio.sleep(0)
    await asyncio.gather(*waiting, other)
