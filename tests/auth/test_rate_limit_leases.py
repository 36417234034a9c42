"""The general rate limit: held by all processes together, charged without a round trip for each request."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
import structlog
from hypothesis import given
from hypothesis import strategies as st

from clubs import START, Club, ManualClock
from hypothesis_settings import property_test
from postgres_servers import on_both_servers
from regulars.auth.errors import AccessDenied
from regulars.auth.organizations import update
from regulars.auth.rate_limit_leases import LEASE_DURATION, LeasedRateLimiter
from regulars.auth.rate_limits import BucketConfig, Charge
from regulars.model.community import get_or_create_organization
from regulars.storage.database import Database

_numbers = itertools.count(1)


class Counted(Database):
    """The test's database, which counts the connections that are taken, and can be away."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.url, 4, database.clock)
        self.pool = database.pool
        self.taken = 0
        self.is_away = False

    @asynccontextmanager
    async def unscoped_connection(self) -> AsyncIterator[Any]:
        """A connection."""
        self.taken += 1
        if self.is_away:
            raise asyncpg.ConnectionDoesNotExistError("away")
        async with super().unscoped_connection() as connection:
            yield connection


@dataclass(frozen=True)
class Processes:
    """Processes that charge one organization."""

    database: Counted
    clock: ManualClock
    organization_id: int
    limit: BucketConfig

    def process(self) -> LeasedRateLimiter:
        """Another process."""
        return LeasedRateLimiter(self.database, self.limit)

    async def spent(self, process: LeasedRateLimiter, most: int) -> int:
        """How many of so many requests pass."""
        passed = 0
        with suppress(AccessDenied):
            while passed < most:
                await process.charge(self.organization_id)
                passed += 1
        return passed


async def new(database: Database, clock: ManualClock, limit: BucketConfig) -> Processes:
    """Those of a new organization."""
    async with database.unscoped_connection() as connection:
        number = await get_or_create_organization(connection, f"Leasing {next(_numbers)}", clock())
    return Processes(Counted(database), clock, number, limit)


@pytest_asyncio.fixture
async def processes(database: Database, clock: ManualClock) -> Processes:
    """Processes that may make a thousand requests at once."""
    return await new(database, clock, BucketConfig(1000, 10))


@on_both_servers
async def test_processes_together_spend_the_capacity_and_no_more(processes: Processes) -> None:
    several = [processes.process() for _ in range(4)]
    spent = [await processes.spent(each, 90) for each in several]
    spent += [await processes.spent(each, 1000) for each in several]
    # What another process holds is not to be had: at most a lease of an idle one, 5 of 1000, is left in each.
    assert 1000 - 4 * 5 <= sum(spent) <= 1000


async def test_few_requests_wait_for_the_database(processes: Processes) -> None:
    process = processes.process()
    assert await processes.spent(process, 900) == 900
    assert processes.database.taken < 30


async def test_at_the_defaults_a_process_charges_thousands_of_requests_by_one_lease(
    database: Database, clock: ManualClock
) -> None:
    processes = await new(database, clock, BucketConfig(200_000, 20_000))
    process = processes.process()
    assert await processes.spent(process, 400) == 400
    # The first lease made the bucket, and took from it.
    assert processes.database.taken == 2


async def test_a_denied_caller_gets_retry_after_and_costs_no_further_query(processes: Processes) -> None:
    process = processes.process()
    await processes.spent(process, 2000)
    taken = processes.database.taken
    for _ in range(100):
        with pytest.raises(AccessDenied) as denied:
            await process.charge(processes.organization_id)
    assert denied.value.status == 429
    assert denied.value.headers["retry-after"] == "1"
    assert denied.value.headers["ratelimit-bucket"] == f"organization:{processes.organization_id}:general"
    assert processes.database.taken == taken
    processes.clock.advance(seconds=1)
    assert await processes.spent(process, 100) == 10


async def test_the_headers_show_what_is_left(processes: Processes) -> None:
    process = processes.process()
    bucket = f"organization:{processes.organization_id}:general"
    assert [await process.charge(processes.organization_id) for _ in range(2)] == [
        Charge(bucket, 999, 1),
        Charge(bucket, 998, 1),
    ]
    process.refund(processes.organization_id)
    assert await process.charge(processes.organization_id) == Charge(bucket, 998, 1)


async def test_a_lease_that_expired_is_not_spent(processes: Processes) -> None:
    process = processes.process()
    await process.charge(processes.organization_id)
    processes.clock.advance(seconds=LEASE_DURATION.total_seconds())
    assert process.try_charge(processes.organization_id) is None
    # The four tokens that were left of five are lost; while they were held there was no room to refill.
    assert await processes.spent(process, 2000) == 995


async def test_a_limit_that_is_changed_holds_from_the_next_lease(processes: Processes, database: Database) -> None:
    process = processes.process()
    await process.charge(processes.organization_id)
    async with database.unscoped_connection() as connection:
        name = await connection.fetchval("SELECT name FROM organizations WHERE id = $1", processes.organization_id)
        await update(connection, name, {"general_burst": 3, "general_rate_per_second": 1})
    processes.clock.advance(minutes=1)
    assert await processes.spent(process, 10) == 3


async def test_without_the_database_requests_pass_until_the_lease_is_spent_and_then_wait(processes: Processes) -> None:
    process = processes.process()
    await process.charge(processes.organization_id)
    processes.database.is_away = True
    with structlog.testing.capture_logs() as logs:
        # Of a lease of five tokens four are left.
        for _ in range(4):
            assert process.try_charge(processes.organization_id) is not None
        await process.close()
        with pytest.raises(AccessDenied) as denied:
            await process.charge(processes.organization_id)
    assert denied.value.status == 503
    assert denied.value.headers == {"retry-after": "1"}
    assert {each["event"] for each in logs} == {"rate_limit.lease_failed"}
    processes.database.is_away = False
    await process.charge(processes.organization_id)


async def test_a_request_that_is_cancelled_leaves_the_lease_to_the_others(processes: Processes) -> None:
    process = processes.process()
    several = [asyncio.create_task(process.charge(processes.organization_id)) for _ in range(3)]
    await asyncio.sleep(0)
    several[0].cancel()
    answers = await asyncio.gather(*several, return_exceptions=True)
    assert [type(each) for each in answers] == [asyncio.CancelledError, Charge, Charge]
    assert processes.database.taken == 2


@property_test(20)
@given(
    capacity=st.integers(1, 60),
    refill=st.integers(1, 10),
    steps=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 20)), max_size=12),
)
async def test_at_no_time_more_is_spent_than_the_bucket_could_hold(
    database: Database, clock: ManualClock, capacity: int, refill: int, steps: list[tuple[int, int, int]]
) -> None:
    clock.at = START
    processes = await new(database, clock, BucketConfig(capacity, refill))
    several = [processes.process() for _ in range(3)]
    spent: list[tuple[float, int]] = []
    for which, requests, seconds in steps:
        passed = await processes.spent(several[which], requests)
        spent.append(((clock() - START).total_seconds(), passed))
        clock.advance(seconds=seconds)
    for first in range(len(spent)):
        for last in range(first, len(spent)):
            within = sum(passed for _, passed in spent[first : last + 1])
            assert within <= capacity + refill * (spent[last][0] - spent[first][0])
    for each in several:
        await each.close()


async def test_every_request_of_the_profile_api_is_charged_and_says_so(club: Club) -> None:
    profile = (await club.http.post("/api/v3/profiles", json={"first_name": "Kari"})).json()["data"]["id"]
    bucket = f"organization:{club.community.organization_id}:general"
    made = await club.http.post("/id/api/v1/auth/token", json={"id": profile})
    member = {"Authorization": f"Bearer {made.json()['data']['token']}"}
    quick = await club.http.get(f"/api/v3/profiles/{profile}/aggregations")
    own = await club.http.get("/id/api/v1/profiles/me", headers=member)
    missing = await club.http.get("/api/v3/profiles/nobody")
    denied = await club.http.get("/api/v3/profiles", headers=member)
    answers = [made, quick, own, missing, denied]
    assert [each.status_code for each in answers] == [200, 200, 200, 404, 403]
    assert {each.headers["ratelimit-bucket"] for each in answers} == {bucket}
    remaining = [int(each.headers["ratelimit-remaining"]) for each in answers]
    assert remaining == list(range(remaining[0], remaining[0] - 5, -1))
    nobody = await club.http.get("/api/v3/profiles", headers={"Authorization": ""})
    assert nobody.status_code == 401
    assert "ratelimit-bucket" not in nobody.headers


async def test_above_the_limit_every_way_is_429(club: Club) -> None:
    profile = (await club.http.post("/api/v3/profiles", json={"first_name": "Kari"})).json()["data"]["id"]
    quick = f"/api/v3/profiles/{profile}/aggregations"
    async with club.database.unscoped_connection() as connection:
        name = await connection.fetchval("SELECT name FROM organizations WHERE id = $1", club.community.organization_id)
        await update(connection, name, {"general_burst": 2, "general_rate_per_second": 1})
    club.clock.advance(minutes=1)
    assert [(await club.http.get(quick)).status_code for _ in range(3)] == [200, 200, 429]
    for path in ("/api/v3/profiles", quick):
        answer = await club.http.get(path)
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["ratelimit-cost"] == "0"
        assert "Rate limit of organization" in answer.json()["message"]
    club.clock.advance(seconds=1)
    assert [(await club.http.get(quick)).status_code for _ in range(2)] == [200, 429]
