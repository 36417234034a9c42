"""Authentication: caching of valid and invalid tokens, floods of unknown tokens, and recording of token usage."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import structlog

from auth.fake_time import FakeTime
from clubs import Club
from regulars.auth import authentication, tokens
from regulars.auth.authentication import Authenticator
from regulars.auth.authorization import Access, Caller
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import ANONYMOUS, Principal, PrincipalKind
from regulars.auth.token_usage import TokenUsageRecorder
from regulars.auth.tokens import NewToken, Token
from regulars.storage.database import Database

ACCESS = Access(Caller.COMMUNITY, "Profile:Read")


class InstrumentedDatabase(Database):
    """The test's database: counts connections, and can delay them or be unavailable."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.url, 4, database.clock)
        self.pool = database.pool
        self.connections = 0
        self.acquired: asyncio.Queue[int] = asyncio.Queue()
        self.available = asyncio.Event()
        self.available.set()
        self.is_unavailable = False

    @asynccontextmanager
    async def unscoped_connection(self) -> AsyncIterator[Any]:
        if self.is_unavailable:
            raise asyncpg.ConnectionDoesNotExistError("unavailable")
        self.connections += 1
        self.acquired.put_nowait(self.connections)
        await self.available.wait()
        async with super().unscoped_connection() as connection:
            yield connection


@pytest.fixture
def instrumented_database(club: Club) -> InstrumentedDatabase:
    """The instrumented database of the club."""
    return InstrumentedDatabase(club.database)


@pytest.fixture
def authenticator(instrumented_database: InstrumentedDatabase) -> Authenticator:
    """An authenticator that caches valid tokens for ten seconds and invalid ones for two."""
    return Authenticator(instrumented_database, 10.0, 2.0)


def unknown_secret() -> str:
    return tokens.PREFIX + secrets.token_urlsafe(32)


async def create_token(club: Club, **options: Any) -> str:
    async with club.database.unscoped_connection() as connection:
        new_token = NewToken(club.community.organization_id, "test", community_id=club.community.id, **options)
        return await tokens.create(connection, new_token, club.clock())


async def authenticate(authenticator: Authenticator, secret: str) -> Principal:
    return await authenticator.authenticate(ACCESS, {"authorization": f"Bearer {secret}"})


async def denied_status(authenticator: Authenticator, secret: str) -> int:
    with pytest.raises(AccessDenied) as error:
        await authenticate(authenticator, secret)
    return error.value.status


async def test_a_valid_token_is_looked_up_once_until_its_cache_entry_expires(
    club: Club, authenticator: Authenticator, instrumented_database: InstrumentedDatabase, fake_time: FakeTime
) -> None:
    found = [await authenticate(authenticator, club.token) for _ in range(5)]
    assert {(each.kind, each.community_id) for each in found} == {(PrincipalKind.COMMUNITY, club.community.id)}
    assert instrumented_database.connections == 1
    fake_time.seconds += 10
    await authenticate(authenticator, club.token)
    assert instrumented_database.connections == 2
    await authenticator.close()


async def test_an_invalid_token_is_looked_up_once_until_its_cache_entry_expires(
    authenticator: Authenticator, instrumented_database: InstrumentedDatabase, fake_time: FakeTime
) -> None:
    secret = unknown_secret()
    assert [await denied_status(authenticator, secret) for _ in range(5)] == [401] * 5
    assert instrumented_database.connections == 1
    fake_time.seconds += 2
    assert await denied_status(authenticator, secret) == 401
    assert instrumented_database.connections == 2


async def test_text_without_the_format_of_a_token_is_not_looked_up(
    authenticator: Authenticator, instrumented_database: InstrumentedDatabase
) -> None:
    await authenticator.member_key()
    connections = instrumented_database.connections
    for secret in ("rg_", "rg_made-up", "x" * 10_000, f"rg_{'x' * 42}", f"rg_{'x' * 44}", "a.b.c", "rg_" + "ø" * 43):
        assert await denied_status(authenticator, secret) == 401
    assert instrumented_database.connections == connections
    assert await authenticator.authenticate(ACCESS, {"authorization": "Basic x"}) is ANONYMOUS


async def test_a_token_that_became_valid_is_accepted_once_its_negative_cache_entry_expires(
    club: Club, authenticator: Authenticator, fake_time: FakeTime
) -> None:
    secret = await create_token(club)
    hashed = tokens.hash_secret(secret)
    authenticator._invalid[hashed] = fake_time.seconds + 2
    assert await denied_status(authenticator, secret) == 401
    fake_time.seconds += 2
    assert (await authenticate(authenticator, secret)).kind is PrincipalKind.COMMUNITY
    await authenticator.close()


async def test_concurrent_requests_with_the_same_token_share_one_lookup(
    club: Club, authenticator: Authenticator, instrumented_database: InstrumentedDatabase
) -> None:
    several = [asyncio.create_task(authenticate(authenticator, club.token)) for _ in range(20)]
    await asyncio.sleep(0)
    several[0].cancel()
    answers = await asyncio.gather(*several, return_exceptions=True)
    assert [type(each) for each in answers] == [asyncio.CancelledError, *[Principal] * 19]
    assert instrumented_database.connections == 1
    await authenticator.close()


async def test_a_flood_of_unknown_tokens_uses_two_connections_and_delays_no_valid_token(
    club: Club, authenticator: Authenticator, instrumented_database: InstrumentedDatabase, fake_time: FakeTime
) -> None:
    await authenticate(authenticator, club.token)
    assert await instrumented_database.acquired.get() == 1
    fake_time.seconds += 10
    instrumented_database.available.clear()
    flood = [
        asyncio.create_task(denied_status(authenticator, unknown_secret()))
        for _ in range(authentication.MAX_PENDING_LOOKUPS)
    ]
    assert [await instrumented_database.acquired.get() for _ in range(authentication.MAX_CONCURRENT_LOOKUPS)] == [2, 3]
    # The queue is full: a new unknown token is denied with 503, a token that was valid before is not.
    assert await denied_status(authenticator, unknown_secret()) == 503
    valid = asyncio.create_task(authenticate(authenticator, club.token))
    assert await instrumented_database.acquired.get() == 4
    assert instrumented_database.acquired.empty()
    instrumented_database.available.set()
    assert (await valid).kind is PrincipalKind.COMMUNITY
    assert set(await asyncio.gather(*flood)) == {401}
    await authenticator.close()


async def test_invalid_tokens_evict_no_valid_token(
    club: Club,
    authenticator: Authenticator,
    instrumented_database: InstrumentedDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(authentication, "MAX_CACHED_TOKENS", 3)
    await authenticate(authenticator, club.token)
    invalid = [unknown_secret() for _ in range(5)]
    assert [await denied_status(authenticator, each) for each in invalid] == [401] * 5
    assert list(authenticator._invalid) == [tokens.hash_secret(each) for each in invalid[-3:]]
    connections = instrumented_database.connections
    await authenticate(authenticator, club.token)
    assert instrumented_database.connections == connections
    for _ in range(3):
        await authenticate(authenticator, await create_token(club))
    assert len(authenticator._valid) == 3
    assert club.token not in authenticator._valid
    await authenticator.close()


async def test_a_failed_lookup_is_not_cached(
    club: Club, authenticator: Authenticator, instrumented_database: InstrumentedDatabase
) -> None:
    instrumented_database.is_unavailable = True
    with pytest.raises(asyncpg.ConnectionDoesNotExistError):
        await authenticate(authenticator, club.token)
    instrumented_database.is_unavailable = False
    assert (await authenticate(authenticator, club.token)).kind is PrincipalKind.COMMUNITY
    await authenticator.close()


async def test_the_reporting_api_prefers_its_own_header(club: Club, authenticator: Authenticator) -> None:
    reporting = Access(Caller.REPORTING, "Reporting:Api:Query")
    headers = {"x-client-authorization": f" {club.token} ", "authorization": "Bearer rg_made-up"}
    assert (await authenticator.authenticate(reporting, headers)).community_id == club.community.id
    with pytest.raises(AccessDenied):
        await authenticator.authenticate(ACCESS, headers)
    with pytest.raises(AccessDenied):
        await authenticator.authenticate(reporting, {**headers, "x-client-authorization": " "})
    await authenticator.close()


# Usage ---------------------------------------------------------------------------------------------------------


async def find_token(club: Club, secret: str) -> Token:
    async with club.database.unscoped_connection() as connection:
        found = await tokens.find_by_secret(connection, secret)
    assert found is not None
    return found


async def test_uses_are_written_in_one_batch_with_the_latest_time(
    club: Club, instrumented_database: InstrumentedDatabase
) -> None:
    usage = TokenUsageRecorder(instrumented_database)
    first, second = [await find_token(club, await create_token(club)) for _ in range(2)]
    usage.record(first)
    usage.record(second)
    used_at = club.clock.advance(seconds=30)
    usage.record(first)
    assert instrumented_database.connections == 0
    await usage.close()
    assert instrumented_database.connections == 1
    async with club.database.unscoped_connection() as connection:
        found = {
            each.id: each.used_at
            for each in await tokens.list_for_organization(connection, club.community.organization_id)
        }
    assert (found[first.id], found[second.id]) == (used_at, used_at - timedelta(seconds=30))


async def test_uses_are_written_after_the_interval(club: Club, instrumented_database: InstrumentedDatabase) -> None:
    usage = TokenUsageRecorder(instrumented_database, flush_interval_seconds=0.0)
    token = await find_token(club, await create_token(club))
    usage.record(token)
    assert usage._flush_task is not None
    await usage._flush_task
    async with club.database.unscoped_connection() as connection:
        (found,) = [
            each
            for each in await tokens.list_for_organization(connection, club.community.organization_id)
            if each.id == token.id
        ]
    assert found.used_at == club.clock()
    await usage.close()


async def test_uses_that_could_not_be_written_are_retried_with_the_next_write(
    club: Club, instrumented_database: InstrumentedDatabase
) -> None:
    usage = TokenUsageRecorder(instrumented_database)
    first, second = [await find_token(club, await create_token(club)) for _ in range(2)]
    instrumented_database.is_unavailable = True
    usage.record(first)
    with structlog.testing.capture_logs() as logs:
        await usage.close()
    assert [each["event"] for each in logs] == ["token.usage_not_written"]
    instrumented_database.is_unavailable = False
    usage.record(second)
    await usage.close()
    async with club.database.unscoped_connection() as connection:
        found = {
            each.id: each.used_at
            for each in await tokens.list_for_organization(connection, club.community.organization_id)
        }
    assert found[first.id] == found[second.id] == club.clock()


async def test_a_request_records_the_use_of_its_token(club: Club) -> None:
    secret = await create_token(club)
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await club.http.get("/api/v3/locations", headers=headers)).status_code == 200
    await club.server.authenticator.close()
    assert (await find_token(club, secret)).used_at == club.clock()
