"""Rate limit of the Profile API: shared by all processes, without a round trip for each request."""

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


class InstrumentedDatabase(Database):
    """The test's database: counts connections, and can be unavailable."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.url, 4, database.clock)
        self.pool = database.pool
        self.connections = 0
        self.is_unavailable = False

    @asynccontextmanager
    async def unscoped_connection(self) -> AsyncIterator[Any]:
        self.connections += 1
        if self.is_unavailable:
            raise asyncpg.ConnectionDoesNotExistError("unavailable")
        async with super().unscoped_connection() as connection:
            yield connection


@dataclass(frozen=True)
class Processes:
    """Processes that charge requests to one organization."""

    database: InstrumentedDatabase
    clock: ManualClock
    organization_id: int
    limit: BucketConfig

    def start(self) -> LeasedRateLimiter:
        """Starts a process."""
        return LeasedRateLimiter(self.database, self.limit)

    async def count_allowed(self, process: LeasedRateLimiter, requests: int) -> int:
        """Sends requests until one is denied, and returns the number of allowed ones."""
        allowed = 0
        with suppress(AccessDenied):
            while allowed < requests:
                await process.charge(self.organization_id)
                allowed += 1
        return allowed


async def create_processes(database: Database, clock: ManualClock, limit: BucketConfig) -> Processes:
    """Returns processes of a new organization."""
    async with database.unscoped_connection() as connection:
        number = await get_or_create_organization(connection, f"Leasing {next(_numbers)}", clock())
    return Processes(InstrumentedDatabase(database), clock, number, limit)


@pytest_asyncio.fixture
async def processes(database: Database, clock: ManualClock) -> Processes:
    """Processes of an organization with a burst of a thousand requests."""
    return await create_processes(database, clock, BucketConfig(1000, 10))


@on_both_servers
async def test_all_processes_together_spend_no_more_than_the_capacity(processes: Processes) -> None:
    several = [processes.start() for _ in range(4)]
    spent = [await processes.count_allowed(each, 90) for each in several]
    spent += [await processes.count_allowed(each, 1000) for each in several]
    # Tokens that another process holds can't be spent: at most the lease of an idle process, 5 of 1000, is left in each.
    assert 1000 - 4 * 5 <= sum(spent) <= 1000


async def test_few_requests_need_the_database(processes: Processes) -> None:
    process = processes.start()
    assert await processes.count_allowed(process, 900) == 900
    assert processes.database.connections < 30


async def test_one_lease_covers_hundreds_of_requests_with_the_default_limits(
    database: Database, clock: ManualClock
) -> None:
    processes = await create_processes(database, clock, BucketConfig(200_000, 20_000))
    process = processes.start()
    assert await processes.count_allowed(process, 400) == 400
    # The first statement created the bucket, the second leased from it.
    assert processes.database.connections == 2


async def test_a_denied_request_has_retry_after_and_needs_no_query(processes: Processes) -> None:
    process = processes.start()
    await processes.count_allowed(process, 2000)
    connections = processes.database.connections
    for _ in range(100):
        with pytest.raises(AccessDenied) as error:
            await process.charge(processes.organization_id)
    assert error.value.status == 429
    assert error.value.headers["retry-after"] == "1"
    assert error.value.headers["ratelimit-bucket"] == f"organization:{processes.organization_id}:general"
    assert processes.database.connections == connections
    processes.clock.advance(seconds=1)
    assert await processes.count_allowed(process, 100) == 10


async def test_the_headers_show_the_remaining_tokens(processes: Processes) -> None:
    process = processes.start()
    bucket = f"organization:{processes.organization_id}:general"
    assert [await process.charge(processes.organization_id) for _ in range(2)] == [
        Charge(bucket, 999, 1),
        Charge(bucket, 998, 1),
    ]
    process.refund(processes.organization_id)
    assert await process.charge(processes.organization_id) == Charge(bucket, 998, 1)


async def test_an_expired_lease_is_not_spent(processes: Processes) -> None:
    process = processes.start()
    await process.charge(processes.organization_id)
    processes.clock.advance(seconds=LEASE_DURATION.total_seconds())
    assert process.try_charge(processes.organization_id) is None
    # The four unspent tokens of the lease are lost. While they were leased, the bucket could not refill.
    assert await processes.count_allowed(process, 2000) == 995


async def test_a_changed_limit_applies_from_the_next_lease(processes: Processes, database: Database) -> None:
    process = processes.start()
    await process.charge(processes.organization_id)
    async with database.unscoped_connection() as connection:
        name = await connection.fetchval("SELECT name FROM organizations WHERE id = $1", processes.organization_id)
        await update(connection, name, {"general_burst": 3, "general_rate_per_second": 1})
    processes.clock.advance(minutes=1)
    assert await processes.count_allowed(process, 10) == 3


async def test_without_the_database_requests_pass_until_the_lease_is_spent(processes: Processes) -> None:
    process = processes.start()
    await process.charge(processes.organization_id)
    processes.database.is_unavailable = True
    with structlog.testing.capture_logs() as logs:
        # Four of the five leased tokens are left.
        for _ in range(4):
            assert process.try_charge(processes.organization_id) is not None
        await process.close()
        with pytest.raises(AccessDenied) as error:
            await process.charge(processes.organization_id)
    assert error.value.status == 503
    assert error.value.headers == {"retry-after": "1"}
    assert {each["event"] for each in logs} == {"rate_limit.lease_failed"}
    processes.database.is_unavailable = False
    await process.charge(processes.organization_id)


async def test_a_cancelled_request_does_not_cancel_the_lease_of_others(processes: Processes) -> None:
    process = processes.start()
    several = [asyncio.create_task(process.charge(processes.organization_id)) for _ in range(3)]
    await asyncio.sleep(0)
    several[0].cancel()
    answers = await asyncio.gather(*several, return_exceptions=True)
    assert [type(each) for each in answers] == [asyncio.CancelledError, Charge, Charge]
    assert processes.database.connections == 2


@property_test(20)
@given(
    capacity=st.integers(1, 60),
    refill=st.integers(1, 10),
    steps=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 20)), max_size=12),
)
async def test_no_period_allows_more_requests_than_burst_and_refill(
    database: Database, clock: ManualClock, capacity: int, refill: int, steps: list[tuple[int, int, int]]
) -> None:
    clock.at = START
    processes = await create_processes(database, clock, BucketConfig(capacity, refill))
    several = [processes.start() for _ in range(3)]
    spent: list[tuple[float, int]] = []
    for which, requests, seconds in steps:
        allowed = await processes.count_allowed(several[which], requests)
        spent.append(((clock() - START).total_seconds(), allowed))
        clock.advance(seconds=seconds)
    for first in range(len(spent)):
        for last in range(first, len(spent)):
            total = sum(allowed for _, allowed in spent[first : last + 1])
            assert total <= capacity + refill * (spent[last][0] - spent[first][0])
    for each in several:
        await each.close()


async def test_every_request_of_the_profile_api_is_charged_and_has_the_headers(club: Club) -> None:
    profile = (await club.http.post("/api/v3/profiles", json={"first_name": "Kari"})).json()["data"]["id"]
    bucket = f"organization:{club.community.organization_id}:general"
    created = await club.http.post("/id/api/v1/auth/token", json={"id": profile})
    member = {"Authorization": f"Bearer {created.json()['data']['token']}"}
    quick = await club.http.get(f"/api/v3/profiles/{profile}/aggregations")
    own = await club.http.get("/id/api/v1/profiles/me", headers=member)
    missing = await club.http.get("/api/v3/profiles/unknown")
    denied = await club.http.get("/api/v3/profiles", headers=member)
    answers = [created, quick, own, missing, denied]
    assert [each.status_code for each in answers] == [200, 200, 200, 404, 403]
    assert {each.headers["ratelimit-bucket"] for each in answers} == {bucket}
    remaining = [int(each.headers["ratelimit-remaining"]) for each in answers]
    assert remaining == list(range(remaining[0], remaining[0] - 5, -1))
    unauthorized = await club.http.get("/api/v3/profiles", headers={"Authorization": ""})
    assert unauthorized.status_code == 401
    assert "ratelimit-bucket" not in unauthorized.headers


async def test_requests_above_the_limit_are_429_on_every_path(club: Club) -> None:
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
