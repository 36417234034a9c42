"""Addresses and identities of a profile over HTTP."""

from typing import Any

import pytest

from api.profile_calls import (
    PROFILES_URL,
    create_profile,
    fetch_rows,
    get_errors,
    get_profile,
    other_club,
    update_profile,
)
from clubs import Club

__all__ = ["other_club"]

ADDRESS: dict[str, Any] = {
    "address_line_1": "Karl Johans gate 1",
    "address_line_2": "H0201",
    "address_line_3": "c/o Hansen",
    "company": "Hansen AS",
    "latitude": 59.91,
    "longitude": 10.74,
    "city": "Oslo",
    "postcode": "0154",
    "state": "Oslo",
    "country": "Norway",
    "iso": "NO",
    "iso_state": "NO-03",
    "country_iso_3": "NOR",
    "notes": "Ring twice",
    "external_id": "A-1",
    "name": "Home",
    "type": "home",
    "phone": "+4790000000",
    "is_default": True,
    "meta": {"floor": 2},
}


async def _address(club: Club, profile_id: str, **fields: Any) -> dict[str, Any]:
    response = await club.http.post(f"{PROFILES_URL}/{profile_id}/addresses", json=fields)
    assert response.status_code == 201, response.text
    address: dict[str, Any] = response.json()["data"]
    return address


async def _addresses(club: Club, profile_id: str) -> list[dict[str, Any]]:
    response = await club.http.get(f"{PROFILES_URL}/{profile_id}/addresses")
    listed: list[dict[str, Any]] = response.json()["data"]
    assert listed == (await get_profile(club, profile_id))["addresses"]
    return listed


async def _countries(club: Club, profile_id: str) -> list[tuple[Any, ...]]:
    found = await fetch_rows(
        club,
        """
        SELECT country, iso_state, state
        FROM addresses
        WHERE community_id = $1 AND profile_id = $2::text::uuid
        ORDER BY id
        """,
        profile_id,
    )
    return [tuple(row) for row in found]


# Addresses ----------------------------------------------------------------------------------------------


async def test_every_field_of_an_address_is_returned(club: Club) -> None:
    profile = await create_profile(club)
    address = await _address(club, profile["id"], **ADDRESS)
    assert address | ADDRESS == address
    read = await club.http.get(f"{PROFILES_URL}/{profile['id']}/addresses/{address['id']}")
    assert read.json() == {"data": address}
    assert await _addresses(club, profile["id"]) == [address]
    assert await _countries(club, profile["id"]) == [("NO", "NO-03", "Oslo")]


@pytest.mark.parametrize(
    ("fields", "country"),
    [
        ({"iso": "SE", "country": "Norway"}, "SE"),
        ({"country": "Norway"}, "NO"),
        ({"iso": "", "country": "", "country_iso_3": "DNK"}, "DK"),
        ({"iso": "swe"}, "SE"),
        ({"city": "Oslo"}, None),
    ],
)
async def test_the_country_is_the_first_present_one(club: Club, fields: dict[str, Any], country: str | None) -> None:
    profile = await create_profile(club)
    await _address(club, profile["id"], **fields)
    assert await _countries(club, profile["id"]) == [(country, None, None)]


async def test_an_update_of_an_address_leaves_other_fields_unchanged(club: Club) -> None:
    profile = await create_profile(club)
    address = await _address(club, profile["id"], **ADDRESS)
    club.clock.advance(hours=1)
    path = f"{PROFILES_URL}/{profile['id']}/addresses/{address['id']}"
    response = await club.http.put(path, json={"iso": "SE", "notes": None})
    assert response.json()["data"] == address | {
        "iso": "SE",
        "notes": None,
        "updated_at": "2026-11-01 01:00:00",
    }
    assert await _countries(club, profile["id"]) == [("SE", "NO-03", "Oslo")]


async def test_one_address_at_most_is_the_default(club: Club) -> None:
    profile = await create_profile(club)
    first = await _address(club, profile["id"], city="Oslo", is_default=True)
    second = await _address(club, profile["id"], city="Bergen", is_default=True)
    assert [each["is_default"] for each in await _addresses(club, profile["id"])] == [False, True]
    path = f"{PROFILES_URL}/{profile['id']}/addresses/{first['id']}"
    await club.http.put(path, json={"is_default": True})
    assert [each["is_default"] for each in await _addresses(club, profile["id"])] == [True, False]
    await update_profile(club, profile["id"], addresses=[first | {"is_default": False}, second | {"is_default": True}])
    assert [each["is_default"] for each in await _addresses(club, profile["id"])] == [False, True]


async def test_a_deleted_address_is_not_found(club: Club) -> None:
    profile = await create_profile(club)
    address = await _address(club, profile["id"], city="Oslo")
    path = f"{PROFILES_URL}/{profile['id']}/addresses/{address['id']}"
    assert (await club.http.delete(path)).status_code == 204
    for method in ("GET", "PUT", "DELETE"):
        response = await club.http.request(method, path, json={} if method == "PUT" else None)
        assert response.status_code == 404
    assert await _addresses(club, profile["id"]) == []


async def test_addresses_of_a_profile_replace_the_stored_ones(club: Club) -> None:
    addresses = [{"city": "Oslo", "external_id": "A"}, {"city": "Bergen"}, {"city": "Bodø"}, {"city": "Voss"}]
    profile = await create_profile(club, addresses=addresses)
    oslo, bergen, bodo, _ = await _addresses(club, profile["id"])
    await update_profile(
        club,
        profile["id"],
        addresses=[
            {"city": "Bergen"},
            {"external_id": "A", "postcode": 154},
            {"id": bodo["id"], "postcode": "8000"},
            {"city": "Moss"},
        ],
    )
    found = [(each["id"], each["city"], each["postcode"]) for each in await _addresses(club, profile["id"])]
    assert found[:3] == [
        (oslo["id"], "Oslo", "154"),
        (bergen["id"], "Bergen", None),
        (bodo["id"], "Bodø", "8000"),
    ]
    assert [each[1] for each in found[3:]] == ["Moss"]
    assert (await update_profile(club, profile["id"], addresses=None))["addresses"] == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"iso": "Narnia"}, "iso"),
        ({"country": "Narnia"}, "country"),
        ({"country_iso_3": "a\0"}, "country_iso_3"),
        ({"city": "x" * 256}, "city"),
        ({"city": "a\0"}, "city"),
        ({"is_default": "perhaps"}, "is_default"),
        ({"meta": {"a": "\0"}}, "meta"),
        ({"postcode": 1.5}, "postcode"),
        ({"latitude": 90.5}, "latitude"),
        ({"latitude": "-90.1"}, "latitude"),
        ({"longitude": -181}, "longitude"),
        ({"longitude": "east"}, "longitude"),
        ({"longitude": "nan"}, "longitude"),
    ],
)
async def test_an_invalid_address_is_rejected_by_path(club: Club, body: dict[str, Any], path: str) -> None:
    profile = await create_profile(club)
    address = await _address(club, profile["id"], city="Oslo")
    at = f"/{profile['id']}/addresses"
    assert list(await get_errors(club, "POST", at, body)) == [path]
    assert list(await get_errors(club, "PUT", f"{at}/{address['id']}", body)) == [path]


async def test_addresses_are_filtered_and_paged(club: Club) -> None:
    profile = await create_profile(club, addresses=[{"city": "Oslo"}, {"city": "Bergen"}])
    at = f"{PROFILES_URL}/{profile['id']}/addresses"
    assert [each["city"] for each in (await club.http.get(f"{at}?filter[city]=OSLO")).json()["data"]] == ["Oslo"]
    page = (await club.http.get(f"{at}?page[size]=1&sort=-id")).json()
    assert ([each["city"] for each in page["data"]], page["meta"]["total"]) == (["Bergen"], 2)


async def test_the_address_of_another_profile_is_not_found(club: Club, other_club: Club) -> None:
    mine, theirs, foreign = await create_profile(club), await create_profile(club), await create_profile(other_club)
    address = await _address(club, theirs["id"], city="Oslo")
    assert (await club.http.get(f"{PROFILES_URL}/{mine['id']}/addresses/{address['id']}")).status_code == 404
    assert (await club.http.delete(f"{PROFILES_URL}/{mine['id']}/addresses/{address['id']}")).status_code == 404
    assert (await club.http.post(f"{PROFILES_URL}/{foreign['id']}/addresses", json={})).status_code == 404


# Identities ---------------------------------------------------------------------------------------------


async def _identity(club: Club, profile_id: str, **fields: Any) -> dict[str, Any]:
    response = await club.http.post(f"{PROFILES_URL}/{profile_id}/identities", json=fields)
    assert response.status_code == 201, response.text
    identity: dict[str, Any] = response.json()["data"]
    return identity


async def test_an_identity_is_read_by_handle_and_by_id(club: Club) -> None:
    profile = await create_profile(club)
    identity = await _identity(club, profile["id"], handle="card", identifier=1234, is_primary=True)
    assert identity == {
        "id": identity["id"],
        "handle": "card",
        "identifier": "1234",
        "is_primary": True,
        "is_active": True,
        "profile_id": profile["id"],
        "created_at": "2026-11-01 00:00:00",
        "updated_at": "2026-11-01 00:00:00",
    }
    at = f"{PROFILES_URL}/{profile['id']}/identities"
    assert (await club.http.get(f"{at}/card")).json() == {"data": identity}
    assert (await club.http.get(f"{at}/id/{identity['id']}")).json() == {"data": identity}
    assert (await club.http.get(at)).json()["data"] == [identity]
    assert (await get_profile(club, profile["id"]))["identities"] == [identity]


async def test_an_identity_is_updated_and_deleted_by_handle_and_by_id(club: Club) -> None:
    profile = await create_profile(club)
    at = f"{PROFILES_URL}/{profile['id']}/identities"
    for by in ("handle", "id"):
        identity = await _identity(club, profile["id"], handle="card", identifier=f"old {by}")
        path = f"{at}/card" if by == "handle" else f"{at}/id/{identity['id']}"
        after = (await club.http.put(path, json={"identifier": f"new {by}", "is_active": False})).json()["data"]
        assert after == identity | {"identifier": f"new {by}", "is_active": False}
        assert (await club.http.delete(path)).status_code == 204
        for method in ("GET", "PUT", "DELETE"):
            response = await club.http.request(method, path, json={} if method == "PUT" else None)
            assert response.status_code == 404


async def test_a_handle_updates_the_newest_of_its_identities(club: Club) -> None:
    profile = await create_profile(club, identities=[{"handle": "card", "identifier": "1"}])
    newest = await _identity(club, profile["id"], handle="card", identifier="2")
    at = f"{PROFILES_URL}/{profile['id']}/identities/card"
    assert (await club.http.get(at)).json()["data"] == newest
    await club.http.delete(at)
    assert (await get_profile(club, profile["id"]))["identities"] == []


async def test_a_profile_has_a_limited_number_of_identities(club: Club) -> None:
    cards = [{"handle": "card", "identifier": str(number)} for number in range(1_000)]
    profile = await create_profile(club, identities=cards)
    one_more = {"handle": "card", "identifier": "one more"}
    problem = {"identities": ["must be at most 1000 of one profile"]}
    assert await get_errors(club, "POST", f"/{profile['id']}/identities", one_more) == problem
    assert await get_errors(club, "PUT", f"/{profile['id']}", {"identities": [one_more]}) == problem
    batch = {
        "match_criteria": "id",
        "profiles": [{"id": profile["id"], "identities": [one_more]}, {"first_name": "Kari"}],
    }
    response = await club.http.post(f"{PROFILES_URL}/batch.json", json=batch)
    assert response.status_code == 200, response.text
    assert len((await get_profile(club, profile["id"]))["identities"]) == 1_000


async def test_an_identity_belongs_to_one_profile(club: Club) -> None:
    mine = await create_profile(club, identities=[{"handle": "card", "identifier": "1"}])
    other = await create_profile(club, identities=[{"handle": "card", "identifier": "2"}])
    body = {"handle": "card", "identifier": "1"}
    errors = ["The identity exists"]
    for profile in (mine, other):
        assert await get_errors(club, "POST", f"/{profile['id']}/identities", body) == {"identifier": errors}
    at = f"/{other['id']}/identities"
    assert await get_errors(club, "PUT", f"{at}/card", body) == {"identifier": errors}
    assert await get_errors(club, "PUT", f"{at}/id/{other['identities'][0]['id']}", body) == {"identifier": errors}
    assert await get_errors(club, "PUT", f"/{other['id']}", {"identities": [body]}) == {
        "identities.0.identifier": errors
    }
    assert await get_errors(club, "POST", "", {"identities": [body]}) == {"identities.0.identifier": errors}


async def test_identities_of_a_profile_are_added_to_the_stored_ones(club: Club) -> None:
    profile = await create_profile(club, identities=[{"handle": "card", "identifier": "1"}])
    await update_profile(club, profile["id"], identities=[{"handle": "shop", "identifier": "9"}])
    [card, shop] = (await get_profile(club, profile["id"]))["identities"]
    after = await update_profile(club, profile["id"], identities=[card | {"identifier": "2"}, shop])
    assert [(each["id"], each["identifier"]) for each in after["identities"]] == [
        (card["id"], "2"),
        (shop["id"], "9"),
    ]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"handle": "card"}, "identifier"),
        ({"identifier": "1"}, "handle"),
        ({"handle": "", "identifier": "1"}, "handle"),
        ({"handle": "card", "identifier": "\0"}, "identifier"),
        ({"handle": "x" * 256, "identifier": "1"}, "handle"),
        ({"handle": "card", "identifier": "1", "is_active": 5}, "is_active"),
    ],
)
async def test_an_invalid_identity_is_rejected_by_path(club: Club, body: dict[str, Any], path: str) -> None:
    profile = await create_profile(club)
    assert list(await get_errors(club, "POST", f"/{profile['id']}/identities", body)) == [path]


async def test_an_identity_keeps_its_handle_and_identifier(club: Club) -> None:
    profile = await create_profile(club, identities=[{"handle": "card", "identifier": "1"}])
    path = f"/{profile['id']}/identities/card"
    assert await get_errors(club, "PUT", path, {"identifier": ""}) == {"identifier": ["is required"]}
    unchanged = await club.http.put(f"{PROFILES_URL}{path}", json={"identifier": "1"})
    assert unchanged.json()["data"] == profile["identities"][0]
