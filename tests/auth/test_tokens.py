"""API tokens: shown once, kept as a hash, good for one community until they expire or are revoked."""

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


async def new(club: Club, **more: Any) -> str:
    """The secret of a new token of the club's organization."""
    asked = NewToken(**{"community_id": club.community.id, "name": "till", **more}, organization_id=organization(club))
    async with club.database.unscoped_connection() as connection:
        return await tokens.create(connection, asked, club.clock())


def organization(club: Club) -> int:
    """The id of the club's organization."""
    return club.community.organization_id


async def status(club: Club, authorization: str) -> int:
    """How a request that carries this is answered."""
    return (await club.http.get(LOCATIONS, headers={"Authorization": authorization})).status_code


async def known(club: Club, secret: str) -> Token:
    """The token of a secret."""
    async with club.database.unscoped_connection() as connection:
        found = await tokens.find_by_secret(connection, secret)
    assert found is not None
    return found


async def revoke(club: Club, token: Token) -> bool:
    """Revokes a token; gives whether it stood."""
    async with club.database.unscoped_connection() as connection:
        return await tokens.revoke(connection, organization(club), token.id, club.clock())


async def test_a_token_is_what_was_asked_for(club: Club) -> None:
    expires = club.clock() + timedelta(days=1)
    secret = await new(club, permits=["reports"], customers=["7"], expires_at=expires)
    token = await known(club, secret)
    assert (token.name, token.community_id, token.permits, token.customers) == (
        "till",
        club.community.id,
        ("reports",),
        ("7",),
    )
    assert (token.created_at, token.expires_at, token.revoked_at) == (club.clock(), expires, None)
    assert secret.startswith(token.hint)
    assert len(token.hint) < 10 < len(secret)


async def test_nothing_that_is_kept_gives_the_secret_away(club: Club) -> None:
    secret = await new(club)
    async with club.database.unscoped_connection() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL regulars.organization_id = '{organization(club)}'")
        row = await connection.fetchrow("SELECT * FROM tokens WHERE hash = $1", tokens.hash_secret(secret))
    assert row is not None
    assert secret not in str(dict(row))
    assert secret.removeprefix(row["hint"]) not in str(dict(row))


async def test_a_secret_that_was_never_given_is_unknown(club: Club) -> None:
    async with club.database.unscoped_connection() as connection:
        assert await tokens.find_by_secret(connection, "rg_made-up") is None
    # A hash that is read somewhere opens nothing.
    assert await status(club, f"Bearer {tokens.hash_secret(club.token)}") == 401


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
async def test_only_a_bearer_of_a_token_is_answered(club: Club, authorization: str, expected: int) -> None:
    text = authorization.format(token=club.token)
    answer = await club.http.get(LOCATIONS, headers=[(b"Authorization", text.encode())])
    assert answer.status_code == expected
    if expected == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json().keys() == {"message"}


async def test_a_token_ends_at_its_very_instant(club: Club) -> None:
    secret = await new(club, expires_at=club.clock() + timedelta(minutes=1))
    club.clock.advance(seconds=59, microseconds=999_999)
    assert await status(club, f"Bearer {secret}") == 200
    club.clock.advance(microseconds=1)
    # Although the server still trusts that there is such a token.
    assert await status(club, f"Bearer {secret}") == 401


async def test_a_revoked_token_is_refused_once_the_server_looks_again(club: Club, watch: FakeTime) -> None:
    secret = await new(club)
    assert await status(club, f"Bearer {secret}") == 200
    token = await known(club, secret)
    assert await revoke(club, token)
    watch.seconds += club.server.settings.token_cache_ttl_seconds - 0.01
    assert await status(club, f"Bearer {secret}") == 200
    watch.seconds += 0.01
    assert await status(club, f"Bearer {secret}") == 401
    assert await status(club, f"Bearer {secret}") == 401
    assert (await known(club, secret)).revoked_at == club.clock()


async def test_a_token_is_revoked_once_and_only_by_its_organization(club: Club, other_club: Club) -> None:
    token = await known(club, await new(club))
    async with club.database.unscoped_connection() as connection:
        assert not await tokens.revoke(connection, organization(other_club), token.id, club.clock())
    assert await revoke(club, token)
    club.clock.advance(hours=1)
    assert not await revoke(club, token)


async def test_an_organization_lists_its_own_tokens_the_newest_first(club: Club, other_club: Club) -> None:
    made_tokens = [await known(club, await new(club, name=name)) for name in ("first", "second")]
    async with club.database.unscoped_connection() as connection:
        found = await tokens.list_for_organization(connection, organization(club))
        others = await tokens.list_for_organization(connection, organization(other_club))
    assert found[:2] == made_tokens[::-1]
    assert not {each.id for each in found} & {each.id for each in others}


async def test_a_token_of_one_community_opens_no_other(club: Club, other_club: Club) -> None:
    theirs = await create_profile(other_club)
    mine = {"Authorization": f"Bearer {club.token}"}
    assert (await other_club.http.get(f"/api/v3/profiles/{theirs['id']}", headers=mine)).status_code == 404
    assert (await other_club.http.get(f"/api/v3/profiles/{theirs['id']}")).status_code == 200


async def test_a_token_of_no_community_is_told_so(club: Club) -> None:
    secret = await new(club, community_id=None)
    answer = await club.http.get(LOCATIONS, headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 403
    assert "bound to no community" in answer.json()["message"]
