"""Lists, filters and searches of profiles, and the availability of e-mails and phones."""

from typing import Any

import pytest

from api.profile_calls import PROFILES_URL, create_location, create_profile, get_errors
from clubs import Club


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("filter[email]=KARI@EXAMPLE.COM", ["Kari"]),
        ("filter[first_name][in]=kari,ola", ["Kari", "Ola"]),
        ("filter[first_name][ne]=kari", ["Ola"]),
        ("filter[tags.handle]=VIP", ["Kari"]),
        ("filter[tags.handle][in]=staff,vip", ["Kari", "Ola"]),
        ("filter[tags.handle][ne]=vip", ["Ola"]),
        ("filter[statuses.handle][nullable]=1", ["Ola"]),
        ("filter[statuses.handle][nullable]=0", ["Kari"]),
        ("filter[identities.identifier]=a1", ["Ola"]),
        ("filter[joined_location.name]=oslo", ["Kari"]),
        ("filter[joined_at][gte]=2026-10-01", ["Ola"]),
        ("filter[email][nullable]=1", ["Ola"]),
        ("sort=-first_name", ["Ola", "Kari"]),
        ("sort=joined_at", ["Kari", "Ola"]),
        ("page[size]=1&page[number]=2", ["Ola"]),
    ],
)
async def test_profiles_are_listed_filtered_and_sorted(club: Club, query: str, names: list[str]) -> None:
    store = await create_location(club, name="Oslo")
    await create_profile(
        club,
        first_name="Kari",
        email="kari@example.com",
        tags=[{"handle": "vip"}],
        statuses=["gold"],
        joined_location_id=store,
        joined_at="2026-01-01",
    )
    await create_profile(club, first_name="Ola", tags=["staff"], identities=[{"handle": "card", "identifier": "A1"}])
    response = await club.http.get(f"{PROFILES_URL}?{query}")
    assert [each["first_name"] for each in response.json()["data"]] == names


@pytest.mark.parametrize(
    "query", ["filter[shoe]=1", "filter[tags]=x", "sort=tags.handle", "include=tiers", "page[size]=0"]
)
async def test_an_invalid_list_query_is_rejected(club: Club, query: str) -> None:
    assert (await club.http.get(f"{PROFILES_URL}?{query}")).status_code == 422


# Finding ----------------------------------------------------------------------------------------------------


async def test_a_profile_is_found_by_its_identities(club: Club) -> None:
    profile = await create_profile(
        club,
        external_id="P-1",
        email="kari@example.com",
        identities=[{"handle": "card", "identifier": "1234"}],
    )
    for by, value in (
        ("profile_id", profile["id"]),
        ("card", "1234"),
        ("card", 1234),
        ("email", "Kari@example.com"),
        ("external_id", "P-1"),
    ):
        response = await club.http.post(f"{PROFILES_URL}/search-id", json={"type": by, "id": value})
        assert (response.status_code, response.json()["data"]) == (200, profile)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"type": "card", "id": "none"}, 404),
        ({"type": "profile_id", "id": "none"}, 404),
        ({"type": "card"}, 422),
        ({"type": "ca\0rd", "id": "1"}, 422),
        ({"type": "card", "id": "1\0"}, 422),
    ],
)
async def test_an_unknown_identity_is_not_found(club: Club, body: dict[str, Any], status: int) -> None:
    assert (await club.http.post(f"{PROFILES_URL}/search-id", json=body)).status_code == status


async def test_availability_reports_used_emails_and_phones(club: Club) -> None:
    profile = await create_profile(club, first_name="Kari", last_name="Nordmann", email="kari@example.com")
    response = await club.http.post(
        f"{PROFILES_URL}/availability", json={"email": "KARI@example.com", "mobile_phone": "+4790000000"}
    )
    assert response.json() == {
        "data": {
            "email": {"available": False, "profile": {"id": profile["id"], "full_name": "Kari Nordmann"}},
            "mobile_phone": {"available": True, "profile": None},
        }
    }
    assert (await club.http.post(f"{PROFILES_URL}/availability", json={})).json() == {
        "data": {"email": None, "mobile_phone": None}
    }
    assert list(await get_errors(club, "POST", "/availability", {"email": "kari"})) == ["email"]
