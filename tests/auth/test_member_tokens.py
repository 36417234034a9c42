"""Members' own tokens: signature, lifetime and access."""

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
MEMBER = MemberIdentity(7, UUID(int=4711))
CLAIMS: dict[str, Any] = {
    "pid": str(MEMBER.profile_id),
    "community": 7,
    "iat": int(START.timestamp()),
    "exp": int(START.timestamp()) + 60,
}
ME = "/id/api/v1/profiles/me"


def encode(claims: dict[str, Any], key: bytes = KEY, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, key, algorithm)


def encode_unsigned(claims: dict[str, Any]) -> str:
    """Returns a token with the algorithm `none`."""
    parts = [{"alg": "none", "typ": "JWT"}, claims]
    return ".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts) + "."


def test_an_issued_token_is_valid_until_its_expiry() -> None:
    token, expires = issue(MEMBER, KEY, START)
    assert expires == int((START + TOKEN_LIFETIME).timestamp())
    assert jwt.decode(token, KEY, ["HS256"], options={"verify_exp": False}) == {
        "pid": str(MEMBER.profile_id),
        "community": 7,
        "iat": int(START.timestamp()),
        "exp": expires,
    }
    assert verify(token, KEY, START) == MEMBER
    assert verify(token, KEY, START + TOKEN_LIFETIME - timedelta(microseconds=1)) == MEMBER
    assert verify(token, KEY, START + TOKEN_LIFETIME) is None


def test_expiry_is_compared_with_the_given_time_instead_of_the_system_clock() -> None:
    long_ago = START.replace(year=2001)
    token, _ = issue(MEMBER, KEY, long_ago)
    assert verify(token, KEY, long_ago) == MEMBER


@pytest.mark.parametrize(
    "token",
    [
        encode(CLAIMS, b"another key of the same length!!"),
        encode(CLAIMS, KEY * 2, "HS512"),
        encode_unsigned(CLAIMS),
        encode({name: value for name, value in CLAIMS.items() if name != "pid"}),
        encode({name: value for name, value in CLAIMS.items() if name != "exp"}),
        encode({name: value for name, value in CLAIMS.items() if name != "community"}),
        encode(CLAIMS | {"pid": "unknown"}),
        encode(CLAIMS | {"community": None}),
        encode(CLAIMS | {"exp": int(START.timestamp())}),
        encode(CLAIMS)[:-2],
        "",
        "rg_secret",
        "a.b.c",
    ],
)
def test_forged_malformed_and_expired_tokens_are_rejected(token: str) -> None:
    assert verify(token, KEY, START) is None


def test_the_token_that_the_forged_ones_are_derived_from_is_valid() -> None:
    assert verify(encode(CLAIMS), KEY, START) == MEMBER


async def test_the_key_is_created_once_and_shared(club: Club) -> None:
    async with club.database.unscoped_connection() as connection:
        first = await member_tokens.signing_key(connection, START)
        assert await member_tokens.signing_key(connection, START) == first
    assert len(first) == 32
    assert await club.server.authenticator.member_key() == first


async def get_own_profile(club: Club, token: str, scheme: str = "Bearer") -> int:
    """Requests the profile of a member and returns the status."""
    answer = await club.http.get(ME, headers={"Authorization": f"{scheme} {token}"})
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    return answer.status_code


async def test_a_member_s_token_is_valid_for_an_hour(club: Club) -> None:
    profile = await create_profile(club)
    token = (await club.http.post("/id/api/v1/auth/token", json={"id": profile["id"]})).json()["data"]["token"]
    club.clock.advance(minutes=59, seconds=59)
    assert await get_own_profile(club, token) == 200
    assert await get_own_profile(club, token, "Basic") == 401
    club.clock.advance(seconds=1)
    assert await get_own_profile(club, token) == 401


async def test_api_tokens_and_members_tokens_are_not_interchangeable(club: Club) -> None:
    profile = await create_profile(club)
    token = (await club.http.post("/id/api/v1/auth/token", json={"id": profile["id"]})).json()["data"]["token"]
    assert await get_own_profile(club, club.token) == 403
    for path in (f"/api/v3/profiles/{profile['id']}", "/api/v3/profiles", "/id/api/v1/auth/token"):
        method = "POST" if path.endswith("token") else "GET"
        answer = await club.http.request(
            method, path, headers={"Authorization": f"Bearer {token}"}, json={"id": profile["id"]}
        )
        assert answer.status_code == 403, path
        assert "Found: a member's own token" in answer.json()["message"]


async def test_a_member_s_token_is_bound_to_its_community(club: Club, other_club: Club) -> None:
    profile = await create_profile(club)
    key = await club.server.authenticator.member_key()
    token, _ = issue(MemberIdentity(other_club.community.id, profile["id"]), key, club.clock())
    assert await get_own_profile(club, token) == 404


async def test_the_token_of_a_deleted_profile_is_404(club: Club) -> None:
    profile = await create_profile(club)
    token = (await club.http.post("/id/api/v1/auth/token", json={"id": profile["id"]})).json()["data"]["token"]
    assert (await club.http.delete(f"/api/v3/profiles/{profile['id']}")).status_code == 204
    for path in ("", "/aggregations", "/aggregations/calculate"):
        answer = await club.http.get(ME + path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 404, path
