"""API tokens: stored as hashes, bound to a community, valid until they expire or are revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from api.profile_calls import create_profile
from auth.fake_time import FakeTime
from clubs import Club
from regulars.auth import tokens
from regulars.auth.tokens import NewToken, Token

LOCATIONS = "/api/v3/locations"


async def create_token(club: Club, **options: Any) -> str:
    """Creates a token of the club's organization and returns its secret."""
    defaults = {"community_id": club.community.id, "name": "till"}
    new_token = NewToken(**{**defaults, **options}, organization_id=organization_id(club))
    async with club.database.unscoped_connection() as connection:
        return await tokens.create(connection, new_token, club.clock())


def organization_id(club: Club) -> int:
    return club.community.organization_id


async def request_status(club: Club, authorization: str) -> int:
    """Sends a request and returns its status."""
    return (await club.http.get(LOCATIONS, headers={"Authorization": authorization})).status_code


async def find_token(club: Club, secret: str) -> Token:
    async with club.database.unscoped_connection() as connection:
        found = await tokens.find_by_secret(connection, secret)
    assert found is not None
    return found


async def revoke(club: Club, token: Token) -> bool:
    """Revokes a token and returns whether it was valid."""
    async with club.database.unscoped_connection() as connection:
        return await tokens.revoke(connection, organization_id(club), token.id, club.clock())


async def test_a_token_has_the_requested_properties(club: Club) -> None:
    expires = club.clock() + timedelta(days=1)
    secret = await create_token(club, permits=["reports"], customers=["7"], expires_at=expires)
    token = await find_token(club, secret)
    assert (token.name, token.community_id, token.permits, token.customers) == (
        "till",
        club.community.id,
        ("reports",),
        ("7",),
    )
    assert (token.created_at, token.expires_at, token.revoked_at) == (club.clock(), expires, None)
    assert secret.startswith(token.hint)
    assert len(token.hint) < 10 < len(secret)


async def test_the_stored_row_does_not_reveal_the_secret(club: Club) -> None:
    secret = await create_token(club)
    async with club.database.unscoped_connection() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL regulars.organization_id = '{organization_id(club)}'")
        row = await connection.fetchrow("SELECT * FROM tokens WHERE hash = $1", tokens.hash_secret(secret))
    assert row is not None
    assert secret not in str(dict(row))
    assert secret.removeprefix(row["hint"]) not in str(dict(row))


async def test_an_unknown_secret_is_not_found(club: Club) -> None:
    async with club.database.unscoped_connection() as connection:
        assert await tokens.find_by_secret(connection, "rg_made-up") is None
    # The hash itself is not accepted as a token.
    assert await request_status(club, f"Bearer {tokens.hash_secret(club.token)}") == 401


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("Bearer {token}", 200),
        ("bearer {token}", 200),
        ("Bearer  {token} ", 200),
        ("", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Basic {token}", 401),
        ("{token}", 401),
        ("Bearer {token}x", 401),
        ("Bearer rg_", 401),
        ("Bearer \u00e6\u00f8\u00e5", 401),
    ],
)
async def test_only_a_bearer_token_is_accepted(club: Club, authorization: str, expected: int) -> None:
    text = authorization.format(token=club.token)
    answer = await club.http.get(LOCATIONS, headers=[(b"Authorization", text.encode())])
    assert answer.status_code == expected
    if expected == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json().keys() == {"message"}


async def test_a_token_expires_at_its_exact_time(club: Club) -> None:
    secret = await create_token(club, expires_at=club.clock() + timedelta(minutes=1))
    club.clock.advance(seconds=59, microseconds=999_999)
    assert await request_status(club, f"Bearer {secret}") == 200
    club.clock.advance(microseconds=1)
    # The token is still in the cache of the server.
    assert await request_status(club, f"Bearer {secret}") == 401


async def test_a_revoked_token_is_denied_once_its_cache_entry_expires(club: Club, fake_time: FakeTime) -> None:
    secret = await create_token(club)
    assert await request_status(club, f"Bearer {secret}") == 200
    token = await find_token(club, secret)
    assert await revoke(club, token)
    fake_time.seconds += club.server.settings.token_cache_ttl_seconds - 0.01
    assert await request_status(club, f"Bearer {secret}") == 200
    fake_time.seconds += 0.01
    assert await request_status(club, f"Bearer {secret}") == 401
    assert await request_status(club, f"Bearer {secret}") == 401
    assert (await find_token(club, secret)).revoked_at == club.clock()


async def test_a_token_is_revoked_once_and_only_by_its_organization(club: Club, other_club: Club) -> None:
    token = await find_token(club, await create_token(club))
    async with club.database.unscoped_connection() as connection:
        assert not await tokens.revoke(connection, organization_id(other_club), token.id, club.clock())
    assert await revoke(club, token)
    club.clock.advance(hours=1)
    assert not await revoke(club, token)


async def test_an_organization_lists_its_own_tokens_newest_first(club: Club, other_club: Club) -> None:
    created = [await find_token(club, await create_token(club, name=name)) for name in ("first", "second")]
    async with club.database.unscoped_connection() as connection:
        found = await tokens.list_for_organization(connection, organization_id(club))
        others = await tokens.list_for_organization(connection, organization_id(other_club))
    assert found[:2] == created[::-1]
    assert not {each.id for each in found} & {each.id for each in others}


async def test_a_token_gives_no_access_to_another_community(club: Club, other_club: Club) -> None:
    foreign = await create_profile(other_club)
    headers = {"Authorization": f"Bearer {club.token}"}
    assert (await other_club.http.get(f"/api/v3/profiles/{foreign['id']}", headers=headers)).status_code == 404
    assert (await other_club.http.get(f"/api/v3/profiles/{foreign['id']}")).status_code == 200


async def test_a_token_without_a_community_is_denied_with_a_message(club: Club) -> None:
    secret = await create_token(club, community_id=None)
    answer = await club.http.get(LOCATIONS, headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 403
    assert "not bound to a community" in answer.json()["message"]
