"""Checked tokens are trusted for seconds, invalid ones denied for seconds: a flood of them costs no connections."""

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


class Watched(Database):
    """The test's database, which counts connections, and can hold them or be unavailable."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.url, 4, database.clock)
        self.pool = database.pool
        self.taken = 0
        self.entered: asyncio.Queue[int] = asyncio.Queue()
        self.opened = asyncio.Event()
        self.opened.set()
        self.is_away = False

    @asynccontextmanager
    async def unscoped_connection(self) -> AsyncIterator[Any]:
        """A connection."""
        if self.is_away:
            raise asyncpg.ConnectionDoesNotExistError("away")
        self.taken += 1
        self.entered.put_nowait(self.taken)
        await self.opened.wait()
        async with super().unscoped_connection() as connection:
            yield connection


@pytest.fixture
def database_of(club: Club) -> Watched:
    """The club's database, watched."""
    return Watched(club.database)


@pytest.fixture
def authenticator(database_of: Watched) -> Authenticator:
    """One that trusts tokens for ten seconds, and distrusts them for two."""
    return Authenticator(database_of, 10.0, 2.0)


def unknown() -> str:
    """A secret as of a token that was never made."""
    return tokens.PREFIX + secrets.token_urlsafe(32)


async def new(club: Club, **more: Any) -> str:
    """The secret of a token of the club."""
    async with club.database.unscoped_connection() as connection:
        asked = NewToken(club.community.organization_id, "test", community_id=club.community.id, **more)
        return await tokens.create(connection, asked, club.clock())


async def principal(authenticator: Authenticator, secret: str) -> Principal:
    """Who carries a secret."""
    return await authenticator.authenticate(ACCESS, {"authorization": f"Bearer {secret}"})


async def status(authenticator: Authenticator, secret: str) -> int:
    """How a secret is denied."""
    with pytest.raises(AccessDenied) as denied:
        await principal(authenticator, secret)
    return denied.value.status


async def test_a_valid_token_is_looked_up_once_in_the_seconds_that_it_is_trusted(
    club: Club, authenticator: Authenticator, database_of: Watched, watch: FakeTime
) -> None:
    found = [await principal(authenticator, club.token) for _ in range(5)]
    assert {(each.kind, each.community_id) for each in found} == {(PrincipalKind.COMMUNITY, club.community.id)}
    assert database_of.taken == 1
    watch.seconds += 10
    await principal(authenticator, club.token)
    assert database_of.taken == 2
    await authenticator.close()


async def test_an_invalid_token_is_looked_up_once_in_the_seconds_that_it_is_denied(
    authenticator: Authenticator, database_of: Watched, watch: FakeTime
) -> None:
    secret = unknown()
    assert [await status(authenticator, secret) for _ in range(5)] == [401] * 5
    assert database_of.taken == 1
    watch.seconds += 2
    assert await status(authenticator, secret) == 401
    assert database_of.taken == 2


async def test_what_is_no_secret_of_ours_costs_no_look_up(authenticator: Authenticator, database_of: Watched) -> None:
    await authenticator.member_key()
    taken = database_of.taken
    for secret in ("rg_", "rg_made-up", "x" * 10_000, f"rg_{'x' * 42}", f"rg_{'x' * 44}", "a.b.c", "rg_" + "ø" * 43):
        assert await status(authenticator, secret) == 401
    assert database_of.taken == taken
    assert await authenticator.authenticate(ACCESS, {"authorization": "Basic x"}) is ANONYMOUS


async def test_a_token_that_became_valid_is_accepted_once_its_denial_expires(
    club: Club, authenticator: Authenticator, watch: FakeTime
) -> None:
    secret = await new(club)
    hashed = tokens.hash_secret(secret)
    authenticator._invalid[hashed] = watch.seconds + 2
    assert await status(authenticator, secret) == 401
    watch.seconds += 2
    assert (await principal(authenticator, secret)).kind is PrincipalKind.COMMUNITY
    await authenticator.close()


async def test_requests_with_the_same_secret_share_one_look_up(
    club: Club, authenticator: Authenticator, database_of: Watched
) -> None:
    several = [asyncio.create_task(principal(authenticator, club.token)) for _ in range(20)]
    await asyncio.sleep(0)
    several[0].cancel()
    answers = await asyncio.gather(*several, return_exceptions=True)
    assert [type(each) for each in answers] == [asyncio.CancelledError, *[Principal] * 19]
    assert database_of.taken == 1
    await authenticator.close()


async def test_a_flood_of_unknown_tokens_holds_two_connections_and_no_valid_token_waits_for_it(
    club: Club, authenticator: Authenticator, database_of: Watched, watch: FakeTime
) -> None:
    await principal(authenticator, club.token)
    assert await database_of.entered.get() == 1
    watch.seconds += 10
    database_of.opened.clear()
    flood = [asyncio.create_task(status(authenticator, unknown())) for _ in range(authentication.MAX_PENDING_LOOKUPS)]
    assert [await database_of.entered.get() for _ in range(authentication.MAX_CONCURRENT_LOOKUPS)] == [2, 3]
    # The queue is full: a token that nobody has seen yet has to come again, one that was valid has not.
    assert await status(authenticator, unknown()) == 503
    valid = asyncio.create_task(principal(authenticator, club.token))
    assert await database_of.entered.get() == 4
    assert database_of.entered.empty()
    database_of.opened.set()
    assert (await valid).kind is PrincipalKind.COMMUNITY
    assert set(await asyncio.gather(*flood)) == {401}
    await authenticator.close()


async def test_invalid_tokens_displace_no_valid_one(
    club: Club, authenticator: Authenticator, database_of: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "MAX_CACHED_TOKENS", 3)
    await principal(authenticator, club.token)
    invalid = [unknown() for _ in range(5)]
    assert [await status(authenticator, each) for each in invalid] == [401] * 5
    assert list(authenticator._invalid) == [tokens.hash_secret(each) for each in invalid[-3:]]
    taken = database_of.taken
    await principal(authenticator, club.token)
    assert database_of.taken == taken
    for _ in range(3):
        await principal(authenticator, await new(club))
    assert len(authenticator._valid) == 3
    assert club.token not in authenticator._valid
    await authenticator.close()


async def test_a_look_up_that_fails_denies_nobody(
    club: Club, authenticator: Authenticator, database_of: Watched
) -> None:
    database_of.is_away = True
    with pytest.raises(asyncpg.ConnectionDoesNotExistError):
        await principal(authenticator, club.token)
    database_of.is_away = False
    assert (await principal(authenticator, club.token)).kind is PrincipalKind.COMMUNITY
    await authenticator.close()


async def test_the_reporting_api_reads_its_own_header_first(club: Club, authenticator: Authenticator) -> None:
    reporting = Access(Caller.REPORTING, "Reporting:Api:Query")
    headers = {"x-client-authorization": f" {club.token} ", "authorization": "Bearer rg_made-up"}
    assert (await authenticator.authenticate(reporting, headers)).community_id == club.community.id
    with pytest.raises(AccessDenied):
        await authenticator.authenticate(ACCESS, headers)
    with pytest.raises(AccessDenied):
        await authenticator.authenticate(reporting, {**headers, "x-client-authorization": " "})
    await authenticator.close()


# When tokens were used -----------------------------------------------------------------------------------------


async def shown(club: Club, secret: str) -> Token:
    """The token of a secret."""
    async with club.database.unscoped_connection() as connection:
        found = await tokens.find_by_secret(connection, secret)
    assert found is not None
    return found


async def test_last_uses_are_written_together_and_the_latest_counts(club: Club, database_of: Watched) -> None:
    uses = TokenUsageRecorder(database_of)
    first, second = [await shown(club, await new(club)) for _ in range(2)]
    uses.record(first)
    uses.record(second)
    used_at = club.clock.advance(seconds=30)
    uses.record(first)
    assert database_of.taken == 0
    await uses.close()
    assert database_of.taken == 1
    async with club.database.unscoped_connection() as connection:
        found = {
            each.id: each.used_at
            for each in await tokens.list_for_organization(connection, club.community.organization_id)
        }
    assert (found[first.id], found[second.id]) == (used_at, used_at - timedelta(seconds=30))


async def test_uses_are_written_after_a_while_by_themselves(club: Club, database_of: Watched) -> None:
    uses = TokenUsageRecorder(database_of, flush_interval_seconds=0.0)
    token = await shown(club, await new(club))
    uses.record(token)
    assert uses._writing is not None
    await uses._writing
    async with club.database.unscoped_connection() as connection:
        (found,) = [
            each
            for each in await tokens.list_for_organization(connection, club.community.organization_id)
            if each.id == token.id
        ]
    assert found.used_at == club.clock()
    await uses.close()


async def test_uses_that_could_not_be_written_are_written_with_the_next(club: Club, database_of: Watched) -> None:
    uses = TokenUsageRecorder(database_of)
    first, second = [await shown(club, await new(club)) for _ in range(2)]
    database_of.is_away = True
    uses.record(first)
    with structlog.testing.capture_logs() as logs:
        await uses.close()
    assert [each["event"] for each in logs] == ["token.uses_not_written"]
    database_of.is_away = False
    uses.record(second)
    await uses.close()
    async with club.database.unscoped_connection() as connection:
        found = {
            each.id: each.used_at
            for each in await tokens.list_for_organization(connection, club.community.organization_id)
        }
    assert found[first.id] == found[second.id] == club.clock()


async def test_a_request_is_a_use(club: Club) -> None:
    secret = await new(club)
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await club.http.get("/api/v3/locations", headers=headers)).status_code == 200
    await club.server.authenticator.close()
    assert (await shown(club, secret)).used_at == club.clock()
