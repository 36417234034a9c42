"""Members can't write identities with reserved handles, or with handles that the community reserves for itself."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from api.profile_calls import PROFILES_URL, create_profile
from clubs import Club
from regulars.api.profile.members import MEMBER_PATH
from regulars.auth import tokens
from regulars.auth.tokens import NewToken
from regulars.model import community as communities


class Member:
    """A member's own client."""

    def __init__(self, club: Club, secret: str, at: str) -> None:
        self._club, self._secret, self._at = club, secret, at

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """An answer to the member."""
        headers = {"Authorization": f"Bearer {self._secret}"}
        return await self._club.http.request(method, f"{self._at}{path}", json=body, headers=headers)


async def _by_jwt(club: Club, profile: dict[str, Any]) -> Member:
    response = await club.http.post("/id/api/v1/auth/token", json={"id": profile["id"]})
    return Member(club, response.json()["data"]["token"], MEMBER_PATH)


async def _by_token(club: Club, profile: dict[str, Any]) -> Member:
    new = NewToken(
        club.community.organization_id, "own", community_id=club.community.id, profile_id=UUID(profile["id"])
    )
    async with club.database.unscoped_connection() as connection:
        secret = await tokens.create(connection, new, club.clock())
    return Member(club, secret, f"{PROFILES_URL}/{profile['id']}")


BOTH = pytest.mark.parametrize("as_member", [_by_jwt, _by_token])

RESERVED = ["id", "profile_id", "email", "external_id", "mobile_phone"]
WRITTEN_OTHERWISE = [
    "EMAIL",
    " email ",
    "\uff45mail",
    "e\u200bmail",
    "ema\u00edl",
    "external\u00a0_id",
    "Mobile_Phone\t",
]


async def _let_members_write(club: Club, *handles: str) -> None:
    async with club.database.unscoped_connection() as connection:
        await communities.set_member_handles(connection, club.community.slug, handles, club.clock())


@BOTH
async def test_every_spelling_of_a_reserved_handle_is_rejected(club: Club, as_member: Any) -> None:
    profile = await create_profile(club, identities=[{"handle": "app", "identifier": "1"}])
    member = await as_member(club, profile)
    for handle in RESERVED + WRITTEN_OTHERWISE:
        body = {"handle": handle, "identifier": "kari@example.com"}
        for method, path in (("POST", "/identities"), ("PUT", "/identities/app")):
            response = await member.call(method, path, body)
            assert (response.status_code, list(response.json()["errors"])) == (422, ["handle"]), (method, handle)


@BOTH
async def test_a_member_can_not_change_identities_with_a_reserved_handle(club: Club, as_member: Any) -> None:
    profile = await create_profile(club, identities=[{"handle": "Email", "identifier": "kari@example.com"}])
    identity_id = profile["identities"][0]["id"]
    member = await as_member(club, profile)
    for path in ("/identities/Email", f"/identities/id/{identity_id}"):
        assert (await member.call("PUT", path, {"identifier": "ola@example.com"})).status_code == 403
        assert (await member.call("DELETE", path)).status_code == 403
        assert (await member.call("GET", path)).status_code == 200


@BOTH
async def test_a_community_can_forbid_members_to_write_a_handle(club: Club, as_member: Any) -> None:
    profile = await create_profile(club, identities=[{"handle": "card", "identifier": "1"}])
    member = await as_member(club, profile)
    await _let_members_write(club, "app")
    response = await member.call("POST", "/identities", {"handle": "card", "identifier": "2"})
    assert response.json()["errors"] == {
        "handle": ["can't be written by members: this community lets them write app"],
    }
    assert (await member.call("DELETE", "/identities/card")).status_code == 403
    assert (await member.call("POST", "/identities", {"handle": "app", "identifier": "2"})).status_code == 201
    await _let_members_write(club)
    response = await member.call("POST", "/identities", {"handle": "app", "identifier": "3"})
    assert response.json()["errors"] == {
        "handle": ["can't be written by members: this community lets them write no identities"],
    }


async def test_the_community_s_own_tokens_write_any_handle(club: Club) -> None:
    await _let_members_write(club)
    profile = await create_profile(club)
    for handle in ("card", "email"):
        body = {"handle": handle, "identifier": "1"}
        assert (await club.http.post(f"{PROFILES_URL}/{profile['id']}/identities", json=body)).status_code == 201


async def test_a_token_bound_to_a_profile_can_not_add_identities_by_updating_the_profile(club: Club) -> None:
    profile = await create_profile(club, identities=[{"handle": "card", "identifier": "1"}])
    member = await _by_token(club, profile)
    await _let_members_write(club, "app")
    card = profile["identities"][0]["id"]
    for body, path in (
        ({"external_id": "P-2"}, "external_id"),
        ({"email": "ola@example.com"}, "email"),
        ({"mobile_phone": "+4790000000"}, "mobile_phone"),
        ({"identities": [{"handle": "Email", "identifier": "2"}]}, "identities.0.handle"),
        ({"identities": [{"handle": "app", "identifier": "2"}, {"handle": "card", "identifier": "2"}]},
         "identities.1.handle"),
        ({"identities": [{"id": card, "handle": "app", "identifier": "2"}]}, "identities.0.handle"),
    ):  # fmt: skip
        response = await member.call("PUT", "", body)
        assert (response.status_code, list(response.json()["errors"])) == (422, [path]), body
    assert (await member.call("PUT", "", {"first_name": "Kari"})).status_code == 200
    body = {"identities": [{"handle": "app", "identifier": "2"}]}
    assert (await member.call("PUT", "", body)).status_code == 200
