"""Members' own tokens: signed by us, for one profile, for an hour."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest

from api.profile_calls import create_profile
from clubs import START, Club
from regulars.auth import member_tokens
from regulars.auth.member_tokens import TOKEN_LIFETIME, MemberIdentity, issue, verify

KEY = b"k" * 32
WHO = MemberIdentity(7, UUID(int=4711))
CLAIMS: dict[str, Any] = {
    "pid": str(WHO.profile_id),
    "community": 7,
    "iat": int(START.timestamp()),
    "exp": int(START.timestamp()) + 60,
}
ME = "/id/api/v1/profiles/me"


def encoded(claims: dict[str, Any], key: bytes = KEY, algorithm: str = "HS256") -> str:
    """A token that says this."""
    return jwt.encode(claims, key, algorithm)


def unsigned(claims: dict[str, Any]) -> str:
    """A token that says that it needs no signature."""
    parts = [{"alg": "none", "typ": "JWT"}, claims]
    return ".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts) + "."


def test_what_was_signed_is_known_again_until_its_very_end() -> None:
    token, expires = issue(WHO, KEY, START)
    assert expires == int((START + TOKEN_LIFETIME).timestamp())
    assert jwt.decode(token, KEY, ["HS256"], options={"verify_exp": False}) == {
        "pid": str(WHO.profile_id),
        "community": 7,
        "iat": int(START.timestamp()),
        "exp": expires,
    }
    assert verify(token, KEY, START) == WHO
    assert verify(token, KEY, START + TOKEN_LIFETIME - timedelta(microseconds=1)) == WHO
    assert verify(token, KEY, START + TOKEN_LIFETIME) is None


def test_a_token_that_the_machine_would_find_old_is_judged_by_our_clock() -> None:
    long_ago = START.replace(year=2001)
    token, _ = issue(WHO, KEY, long_ago)
    assert verify(token, KEY, long_ago) == WHO


@pytest.mark.parametrize(
    "token",
    [
        encoded(CLAIMS, b"another key, as long as ours is!"),
        encoded(CLAIMS, KEY * 2, "HS512"),
        unsigned(CLAIMS),
        encoded({name: value for name, value in CLAIMS.items() if name != "pid"}),
        encoded({name: value for name, value in CLAIMS.items() if name != "exp"}),
        encoded({name: value for name, value in CLAIMS.items() if name != "community"}),
        encoded(CLAIMS | {"pid": "nobody"}),
        encoded(CLAIMS | {"community": None}),
        encoded(CLAIMS | {"exp": int(START.timestamp())}),
        encoded(CLAIMS)[:-2],
        "",
        "rg_secret",
        "a.b.c",
    ],
)
def test_what_is_forged_malformed_or_expired_is_nobodys(token: str) -> None:
    assert verify(token, KEY, START) is None


def test_the_token_that_the_forged_ones_differ_from_is_good() -> None:
    assert verify(encoded(CLAIMS), KEY, START) == WHO


async def test_the_key_is_made_once_and_shared(club: Club) -> None:
    async with club.database.unscoped_connection() as connection:
        first = await member_tokens.signing_key(connection, START)
        assert await member_tokens.signing_key(connection, START) == first
    assert len(first) == 32
    assert await club.server.authenticator.member_key() == first


async def own(club: Club, token: str, scheme: str = "Bearer") -> int:
    """How a member with this token is answered."""
    answer = await club.http.get(ME, headers={"Authorization": f"{scheme} {token}"})
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    return answer.status_code


async def test_a_member_s_token_is_good_for_an_hour(club: Club) -> None:
    mine = await create_profile(club)
    token = (await club.http.post("/id/api/v1/auth/token", json={"id": mine["id"]})).json()["data"]["token"]
    club.clock.advance(minutes=59, seconds=59)
    assert await own(club, token) == 200
    assert await own(club, token, "Basic") == 401
    club.clock.advance(seconds=1)
    assert await own(club, token) == 401


async def test_the_api_s_token_is_no_member_s_and_a_member_s_none_of_the_api(club: Club) -> None:
    mine = await create_profile(club)
    token = (await club.http.post("/id/api/v1/auth/token", json={"id": mine["id"]})).json()["data"]["token"]
    assert await own(club, club.token) == 403
    for path in (f"/api/v3/profiles/{mine['id']}", "/api/v3/profiles", "/id/api/v1/auth/token"):
        method = "POST" if path.endswith("token") else "GET"
        answer = await club.http.request(
            method, path, headers={"Authorization": f"Bearer {token}"}, json={"id": mine["id"]}
        )
        assert answer.status_code == 403, path
        assert "the request carries a member's own token" in answer.json()["message"]


async def test_a_member_of_one_community_is_none_of_another(club: Club, other_club: Club) -> None:
    mine = await create_profile(club)
    key = await club.server.authenticator.member_key()
    token, _ = issue(MemberIdentity(other_club.community.id, mine["id"]), key, club.clock())
    assert await own(club, token) == 404


async def test_who_left_has_a_token_for_nothing(club: Club) -> None:
    mine = await create_profile(club)
    token = (await club.http.post("/id/api/v1/auth/token", json={"id": mine["id"]})).json()["data"]["token"]
    assert (await club.http.delete(f"/api/v3/profiles/{mine['id']}")).status_code == 204
    for path in ("", "/aggregations", "/aggregations/calculate"):
        answer = await club.http.get(ME + path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 404, path
