"""Token buckets: full charges, refills by the second, concurrent processes and exact Retry-After."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from clubs import START, ManualClock
from hypothesis_settings import property_test
from postgres_servers import on_both_servers
from regulars.auth.errors import AccessDenied
from regulars.auth.organizations import list_all, update
from regulars.auth.rate_limits import BucketConfig, BucketKind, BucketOwner, Charge, adjust_charge, charge
from regulars.model.community import get_or_create_organization
from regulars.storage.database import Database

pytestmark = on_both_servers

_numbers = itertools.count(1)
DEFAULT_LIMIT = BucketConfig(capacity=10, refill_rate=2)


@dataclass(frozen=True)
class Buckets:
    """The buckets of one organization."""

    database: Database
    clock: ManualClock
    name: str
    organization_id: int
    default: BucketConfig = DEFAULT_LIMIT

    async def charge(
        self, cost: int, customer_id: int | None = None, kind: BucketKind = BucketKind.REPORTING
    ) -> Charge:
        """Charges a request."""
        async with self.database.unscoped_connection() as connection:
            owner = BucketOwner(self.organization_id, customer_id)
            return await charge(connection, owner, kind, cost, self.clock(), self.default)

    async def remaining(self, cost: int, customer_id: int | None = None) -> int:
        """Charges a request and returns the remaining tokens."""
        return (await self.charge(cost, customer_id)).remaining

    async def retry_after(self, cost: int = 1) -> int:
        """Sends a request that must be denied, and returns its Retry-After."""
        with pytest.raises(AccessDenied) as error:
            await self.charge(cost)
        assert error.value.status == 429
        return int(error.value.headers["retry-after"])

    async def set_limits(self, **limits: int | None) -> None:
        """Sets limits of the organization."""
        async with self.database.unscoped_connection() as connection:
            assert await update(connection, self.name, limits) is not None


async def create_buckets(database: Database, clock: ManualClock) -> Buckets:
    """Returns the buckets of a new organization."""
    name = f"Limited {next(_numbers)}"
    async with database.unscoped_connection() as connection:
        return Buckets(database, clock, name, await get_or_create_organization(connection, name, clock()))


@pytest_asyncio.fixture
async def buckets(database: Database, clock: ManualClock) -> Buckets:
    """The buckets of a new organization, which are full."""
    return await create_buckets(database, clock)


async def test_a_request_is_allowed_while_a_token_is_left_and_charged_in_full(buckets: Buckets) -> None:
    assert await buckets.charge(9) == Charge(f"organization:{buckets.organization_id}:reporting", 1, 9)
    assert await buckets.remaining(7) == -6
    assert await buckets.retry_after() == 4


async def test_a_denied_request_costs_nothing_and_has_retry_after(buckets: Buckets) -> None:
    await buckets.charge(15)
    for _ in range(3):
        with pytest.raises(AccessDenied) as error:
            await buckets.charge(100)
        assert error.value.headers == {
            "ratelimit-bucket": f"organization:{buckets.organization_id}:reporting",
            "ratelimit-remaining": "-5",
            "ratelimit-cost": "0",
            "retry-after": "3",
        }
    buckets.clock.advance(seconds=2)
    assert await buckets.retry_after() == 1
    buckets.clock.advance(seconds=1)
    assert await buckets.remaining(1) == 0
    assert await buckets.retry_after() == 1


async def test_tokens_are_added_at_the_start_of_each_second_up_to_the_capacity(buckets: Buckets) -> None:
    await buckets.charge(10)
    buckets.clock.advance(milliseconds=999)
    assert await buckets.retry_after() == 1
    buckets.clock.advance(milliseconds=1)
    assert await buckets.remaining(1) == 1
    buckets.clock.advance(days=1)
    assert await buckets.remaining(1) == 9


async def test_a_process_with_a_slow_clock_removes_no_tokens_and_waits_longer(buckets: Buckets) -> None:
    await buckets.charge(10)
    behind = replace(buckets, clock=ManualClock(buckets.clock.at - timedelta(seconds=5)))
    assert await behind.retry_after() == 6
    behind.clock.advance(seconds=6)
    assert await behind.remaining(1) == 1


async def test_each_owner_and_kind_has_its_own_bucket(buckets: Buckets, database: Database, clock: ManualClock) -> None:
    other = await create_buckets(database, clock)
    assert await buckets.remaining(3) == 7
    assert await buckets.remaining(4, customer_id=0) == 6
    assert await buckets.remaining(5, customer_id=7) == 5
    assert await other.remaining(6, customer_id=7) == 4
    general = await buckets.charge(1, customer_id=7, kind=BucketKind.GENERAL)
    assert (general.bucket, general.remaining) == ("customer:7:general", 9)
    assert general.headers == {
        "ratelimit-bucket": "customer:7:general",
        "ratelimit-remaining": "9",
        "ratelimit-cost": "1",
    }


async def test_limits_of_an_organization_take_effect_immediately(buckets: Buckets) -> None:
    assert await buckets.remaining(1) == 9
    await buckets.set_limits(reporting_burst=4)
    assert await buckets.remaining(1) == 3
    await buckets.set_limits(
        reporting_burst=1000, reporting_rate_per_second=100, general_burst=2, general_rate_per_second=1
    )
    buckets.clock.advance(seconds=2)
    assert await buckets.remaining(1) == 202
    assert (await buckets.charge(1, kind=BucketKind.GENERAL)).remaining == 1
    async with buckets.database.unscoped_connection() as connection:
        (found,) = (each for each in await list_all(connection) if each.name == buckets.name)
    assert (found.reporting_burst, found.reporting_rate_per_second, found.min_cell_size) == (1000, 100, None)
    await buckets.set_limits(reporting_burst=None, reporting_rate_per_second=None)
    assert await buckets.remaining(1) == 9


async def test_a_charge_is_reduced_to_the_actual_cost(buckets: Buckets) -> None:
    for customer_id in (None, 7):
        owner = BucketOwner(buckets.organization_id, customer_id)
        charged = await buckets.charge(12, customer_id)
        assert charged.remaining == -2
        async with buckets.database.unscoped_connection() as connection:
            adjusted = await adjust_charge(connection, owner, BucketKind.REPORTING, charged, 1)
        assert adjusted == Charge(charged.bucket, 9, 1)
        assert await buckets.remaining(1, customer_id) == 8


async def test_updating_an_unknown_organization_returns_none(database: Database) -> None:
    async with database.unscoped_connection() as connection:
        assert await update(connection, "Unknown", {"min_cell_size": 5}) is None


async def test_concurrent_charges_of_two_processes_are_all_counted(
    buckets: Buckets, database_urls: tuple[str, str], clock: ManualClock
) -> None:
    await buckets.set_limits(reporting_burst=100)
    async with Database(database_urls[1], 4, clock) as second:
        both = (buckets, replace(buckets, database=second))
        charged = await asyncio.gather(*(both[number % 2].charge(2) for number in range(50)))
        assert sorted(each.remaining for each in charged) == list(range(0, 100, 2))
        for each in both:
            assert await each.retry_after() == 1
        denied = await asyncio.gather(*(both[number % 2].charge(1) for number in range(20)), return_exceptions=True)
        assert all(isinstance(each, AccessDenied) for each in denied)
        clock.advance(seconds=1)
        allowed = await asyncio.gather(*(both[number % 2].charge(1) for number in range(20)), return_exceptions=True)
        assert sum(isinstance(each, Charge) for each in allowed) == 2


@property_test(30)
@given(
    capacity=st.integers(1, 50),
    refill=st.integers(1, 20),
    requests=st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(1, 120)), min_size=1, max_size=12),
    phase=st.integers(0, 999_999),
)
async def test_a_client_that_waits_for_retry_after_is_never_denied_twice(
    database: Database,
    capacity: int,
    refill: int,
    requests: list[tuple[int, int]],
    phase: int,
) -> None:
    clock = ManualClock(START + timedelta(microseconds=phase))
    buckets = replace(await create_buckets(database, clock), default=BucketConfig(capacity, refill))
    remaining, second = capacity, clock().replace(microsecond=0)
    for pause, cost in requests:
        clock.advance(microseconds=pause)
        now = clock().replace(microsecond=0)
        remaining, second = min(capacity, remaining + refill * int((now - second).total_seconds())), now
        if remaining <= 0:
            seconds = await buckets.retry_after(cost)
            assert seconds >= 1
            # The wait is not a second too long either.
            assert remaining + refill * (seconds - 1) <= 0 < remaining + refill * seconds
            second += timedelta(seconds=seconds)
            clock.advance(seconds=seconds)
            remaining = min(capacity, remaining + refill * seconds)
        remaining -= cost
        assert await buckets.remaining(cost) == remaining
