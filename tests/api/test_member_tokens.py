"""Member tokens give access to the own profile only."""

from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest

from api.profile_calls import PROFILES_URL, create_profile, other_club
from clubs import START, Club

__all__ = ["other_club"]

TOKEN = "/id/api/v1/auth/token"
ME = "/id/api/v1/profiles/me"


async def _token(club: Club, **body: Any) -> dict[str, Any]:
    answer = await club.http.post(TOKEN, json=body)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def _as_member(club: Club, token: str, method: str, path: str = "", body: Any = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return await club.http.request(method, ME + path, json=body, headers=headers)


async def test_a_member_token_contains_the_profile_and_its_expiry(club: Club) -> None:
    profile = await create_profile(club)
    answer = await _token(club, id=profile["id"])
    claims = jwt.decode(answer["token"], options={"verify_signature": False})
    assert (claims["pid"], claims["exp"]) == (profile["id"], answer["exp"])
    assert answer["exp"] > START.timestamp()


async def test_a_token_is_created_by_other_handles(club: Club) -> None:
    profile = await create_profile(
        club, email="kari@example.com", external_id="P-1", identities=[{"handle": "card", "identifier": "7"}]
    )
    for handle, value in (
        ("email", "KARI@example.com"),
        ("external_id", "P-1"),
        ("card", 7),
        ("profile_id", profile["id"]),
    ):
        token = (await _token(club, id=value, id_handle=handle))["token"]
        assert (await _as_member(club, token, "GET")).json()["data"] == profile


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"id": "00000000-0000-0000-0000-000000000000"}, 404),
        ({"id": "kari@example.com"}, 404),
        ({"id": ""}, 404),
        ({"id": "7", "id_handle": "card"}, 404),
        ({"id": "7", "id_handle": "ca\0rd"}, 422),
        ({}, 422),
    ],
)
async def test_an_unknown_profile_gets_no_token(club: Club, body: dict[str, Any], status: int) -> None:
    assert (await club.http.post(TOKEN, json=body)).status_code == status


async def test_a_member_of_another_club_gets_no_token(club: Club, other_club: Club) -> None:
    profile = await create_profile(other_club)
    assert (await club.http.post(TOKEN, json={"id": profile["id"]})).status_code == 404


async def test_a_member_manages_their_own_addresses_and_identities(club: Club) -> None:
    profile = await create_profile(club)
    token = (await _token(club, id=profile["id"]))["token"]
    address = (await _as_member(club, token, "POST", "/addresses", {"city": "Oslo"})).json()["data"]
    path = f"/addresses/{address['id']}"
    changed = (await _as_member(club, token, "PUT", path, {"iso": "NO"})).json()["data"]
    assert changed == address | {"iso": "NO"}
    identity = (await _as_member(club, token, "POST", "/identities", {"handle": "card", "identifier": "1"})).json()[
        "data"
    ]
    at = f"/identities/id/{identity['id']}"
    after = (await _as_member(club, token, "PUT", at, {"identifier": "2"})).json()["data"]
    assert (await _as_member(club, token, "GET", "/identities/card")).json()["data"] == after
    shown = (await _as_member(club, token, "GET")).json()["data"]
    assert (shown["addresses"], shown["identities"]) == ([changed], [after])
    assert (await _as_member(club, token, "DELETE", path)).status_code == 204
    assert (await _as_member(club, token, "DELETE", "/identities/card")).status_code == 204
    assert (await _as_member(club, token, "GET", "/addresses")).json()["data"] == []


async def test_the_address_of_another_member_is_404(club: Club) -> None:
    mine, theirs = await create_profile(club), await create_profile(club, addresses=[{"city": "Oslo"}])
    token = (await _token(club, id=mine["id"]))["token"]
    path = f"/addresses/{theirs['addresses'][0]['id']}"
    assert (await _as_member(club, token, "GET", path)).status_code == 404
    assert (await _as_member(club, token, "DELETE", path)).status_code == 404


async def test_community_tokens_and_member_tokens_are_not_interchangeable(club: Club) -> None:
    profile = await create_profile(club)
    token = (await _token(club, id=profile["id"]))["token"]
    member = {"Authorization": f"Bearer {token}"}
    assert (await club.http.get(f"{PROFILES_URL}/{profile['id']}", headers=member)).status_code == 403
    assert (await club.http.post(TOKEN, json={"id": profile["id"]}, headers=member)).status_code == 403
    assert (await club.http.get(ME)).status_code == 403
    assert (await club.http.get(ME, headers={"Authorization": ""})).status_code == 401


async def test_a_forged_or_expired_token_is_401(club: Club) -> None:
    profile = await create_profile(club)
    answer = await _token(club, id=profile["id"])
    claims = jwt.decode(answer["token"], options={"verify_signature": False})
    forged = jwt.encode(claims, "x" * 32, "HS256")
    assert (await _as_member(club, forged, "GET")).status_code == 401
    club.clock.at = START + timedelta(seconds=answer["exp"] - START.timestamp())
    assert (await _as_member(club, answer["token"], "GET")).status_code == 401


async def test_a_deleted_or_merged_profile_is_404_for_its_token(club: Club) -> None:
    one, two, three = await create_profile(club), await create_profile(club), await create_profile(club)
    tokens = [(await _token(club, id=each["id"]))["token"] for each in (one, two)]
    await club.http.delete(f"{PROFILES_URL}/{one['id']}")
    body = {"source_profile_id": two["id"], "destination_profile_id": three["id"]}
    await club.http.post(f"{PROFILES_URL}/merge", json=body)
    assert (await _as_member(club, tokens[0], "GET")).status_code == 404
    merged = await _as_member(club, tokens[1], "GET")
    assert (merged.status_code, merged.json()["merged_into"]) == (404, three["id"])
