"""Profiles over HTTP: every field is stored and returned, and invalid ones are rejected by path."""

from typing import Any

import pytest

from api.profile_calls import (
    PROFILES_URL,
    create_location,
    create_profile,
    get_errors,
    get_profile,
    list_memberships,
    other_club,
    update_profile,
)
from clubs import Club

__all__ = ["other_club"]

EVERYTHING: dict[str, Any] = {
    "external_id": "P-1",
    "title": "Ms",
    "first_name": "Kari",
    "last_name": "Nordmann",
    "email": "kari@example.com",
    "gender": "female",
    "mobile_phone": "+4790000000",
    "birth_day": 29,
    "birth_month": 2,
    "birth_year": 1984,
    "currency": "NOK",
    "joined_at": "2026-08-03 10:11:12",
    "tags": ["vip", {"handle": "staff"}],
    "statuses": ["gold"],
    "custom_fields": [{"namespace": "shoes", "handle": "size", "value": 38}],
    "profile_type": "active",
    "optin_channel": "web",
    "optin_subchannel": "newsletter",
    "consents": {"sms_marketing": True, "personal_offers": False},
    "sms_status": "verified",
    "email_status": "enabled",
    "push_status": "disabled",
    "subunit_ids": [3, 1],
    "group_ids": [7],
    "properties": {"language": "nb"},
}


async def test_every_field_is_stored_and_returned(club: Club) -> None:
    store = await create_location(club, external_id="S1", name="Oslo")
    profile = await create_profile(
        club,
        **EVERYTHING,
        joined_location_id=store,
        preferred_location_external_id="S1",
        favorite_stores=[store],
        identities=[{"handle": "card", "identifier": 1234}],
        addresses=[{"city": "Oslo", "iso": "NO", "is_default": True}],
        attributes={"appearance": {"hair": "red"}},
    )
    assert profile | EVERYTHING == profile
    assert profile == await get_profile(club, profile["id"])
    assert (profile["joined_location_id"], profile["preferred_location_id"]) == (store, store)
    assert profile["favorite_stores"] == [store]
    assert profile["identities"][0]["identifier"] == "1234"
    assert profile["addresses"][0]["city"] == "Oslo"
    assert profile["attributes"]["appearance"] == {"hair": "red"}
    assert isinstance(profile["member_id"], int)
    assert profile["created_at"] == profile["updated_at"] == "2026-11-01 00:00:00"


async def test_an_empty_profile_has_every_field(club: Club) -> None:
    profile = await create_profile(club)
    assert profile["profile_type"] == "active"
    assert profile["joined_at"] == "2026-11-01 00:00:00"
    assert (profile["consents"], profile["properties"], profile["tags"], profile["favorite_stores"]) == (
        {},
        {},
        [],
        [],
    )
    assert list(profile)[:3] == ["id", "member_id", "external_id"]


async def test_a_response_can_be_sent_back_and_changes_nothing(club: Club) -> None:
    store = await create_location(club, external_id="S1")
    profile = await create_profile(
        club,
        **EVERYTHING,
        joined_location_id=store,
        identities=[{"handle": "card", "identifier": "1"}],
        addresses=[{"city": "Oslo", "country": "Norway", "is_default": True}, {"city": "Bergen"}],
    )
    club.clock.advance(days=1)
    assert await update_profile(club, profile["id"], **profile) == profile


async def test_a_deleted_location_can_be_sent_back(club: Club) -> None:
    store = await create_location(club, external_id="S1")
    profile = await create_profile(club, joined_location_id=store)
    assert (await club.http.delete(f"/api/v3/locations/{store}")).status_code == 204
    assert (await update_profile(club, profile["id"], joined_location_id=store))["joined_location_id"] == store


async def test_an_update_leaves_other_fields_unchanged(club: Club) -> None:
    profile = await create_profile(club, **EVERYTHING)
    club.clock.advance(days=1)
    after = await update_profile(club, profile["id"], first_name="Kåre", title=None)
    assert after == profile | {
        "first_name": "Kåre",
        "full_name": "Kåre Nordmann",
        "title": None,
        "updated_at": "2026-11-02 00:00:00",
    }


async def test_numbers_arrive_as_strings_and_external_ids_as_numbers(club: Club) -> None:
    profile = await create_profile(club, external_id=17, mobile_phone=4790000001, birth_year="1990", group_ids=["5", 5])
    assert (profile["external_id"], profile["mobile_phone"]) == ("17", "4790000001")
    assert (profile["birth_year"], profile["group_ids"]) == (1990, [5])


async def test_empty_texts_of_what_is_unique_are_null(club: Club) -> None:
    for _ in range(2):
        profile = await create_profile(club, email="", mobile_phone=" ", external_id="", currency="")
        assert [profile[name] for name in ("email", "mobile_phone", "external_id", "currency")] == [None] * 4


async def test_unknown_keys_are_ignored(club: Club) -> None:
    assert "shoe_size" not in await create_profile(club, shoe_size=38, id="mine", member_id=1)


# Joining --------------------------------------------------------------------------------------------------


async def test_a_profile_joins_at_its_join_date(club: Club) -> None:
    profile = await create_profile(club, joined_at="2026-08-03T12:00:00+02:00")
    assert profile["joined_at"] == "2026-08-03 10:00:00"
    assert await list_memberships(club, profile["id"]) == [("in", "2026-08-03 10:00", True)]


async def test_a_join_date_sent_as_null_stays_null(club: Club) -> None:
    profile = await create_profile(club, joined_at=None)
    assert profile["joined_at"] is None
    assert await list_memberships(club, profile["id"]) == [("in", "2026-11-01 00:00", True)]


async def test_a_corrected_join_date_moves_the_join(club: Club) -> None:
    profile = await create_profile(club)
    await update_profile(club, profile["id"], joined_at="2020-01-02")
    assert await list_memberships(club, profile["id"]) == [("in", "2020-01-02 00:00", True)]
    await update_profile(club, profile["id"], joined_at=None)
    await update_profile(club, profile["id"], first_name="Ola")
    assert await list_memberships(club, profile["id"]) == [("in", "2020-01-02 00:00", True)]


async def test_a_first_join_date_moves_the_join_of_the_creation(club: Club) -> None:
    profile = await create_profile(club, joined_at=None)
    club.clock.advance(days=3)
    await update_profile(club, profile["id"], joined_at="2026-10-01")
    assert await list_memberships(club, profile["id"]) == [("in", "2026-10-01 00:00", True)]


async def test_a_deleted_profile_leaves_and_is_not_found(club: Club) -> None:
    profile = await create_profile(club, **EVERYTHING)
    club.clock.advance(days=1)
    path = f"{PROFILES_URL}/{profile['id']}"
    assert (await club.http.delete(path)).status_code == 204
    for method, more in (("GET", ""), ("DELETE", ""), ("GET", "/addresses"), ("GET", "/attributes/comms")):
        response = await club.http.request(method, path + more)
        assert (response.status_code, response.json()) == (
            404,
            {"message": f"There is no profile {profile['id']}."},
        )
    assert (await club.http.get(PROFILES_URL)).json()["meta"]["total"] == 0
    assert await list_memberships(club, profile["id"]) == [
        ("in", "2026-08-03 10:11", True),
        ("out", "2026-11-02 00:00", True),
    ]


async def test_a_restored_profile_keeps_its_id_and_fields(club: Club) -> None:
    profile = await create_profile(club, **EVERYTHING, identities=[{"handle": "card", "identifier": "1"}])
    path = f"{PROFILES_URL}/{profile['id']}"
    club.clock.advance(days=1)
    await club.http.delete(path)
    club.clock.advance(days=1)
    response = await club.http.put(f"{path}/update-type", json={"profile_type": "active"})
    assert response.status_code == 200
    assert response.json()["data"] == profile | {"updated_at": "2026-11-03 00:00:00"}
    assert [each[0] for each in await list_memberships(club, profile["id"])] == ["in", "out", "in"]


async def test_a_second_join_has_no_effect(club: Club) -> None:
    profile = await create_profile(club)
    club.clock.advance(days=1)
    response = await club.http.put(f"{PROFILES_URL}/{profile['id']}/update-type", json={"profile_type": "active"})
    assert response.json()["data"]["profile_type"] == "active"
    assert await list_memberships(club, profile["id"]) == [("in", "2026-11-01 00:00", True)]


async def test_the_type_deleted_deletes_the_profile_in_every_request(club: Club) -> None:
    for way in ("create", "update", "update-type"):
        profile_id = None if way == "create" else (await create_profile(club))["id"]
        path = {"create": "", "update": f"/{profile_id}", "update-type": f"/{profile_id}/update-type"}[way]
        method = "POST" if way == "create" else "PUT"
        response = await club.http.request(method, PROFILES_URL + path, json={"profile_type": "deleted"})
        assert response.json()["data"]["profile_type"] == "deleted"
        gone = response.json()["data"]["id"]
        assert (await club.http.get(f"{PROFILES_URL}/{gone}")).status_code == 404
        assert [each[0] for each in await list_memberships(club, gone)] == ["in", "out"]


async def test_other_types_do_not_change_the_membership(club: Club) -> None:
    profile = await create_profile(club)
    response = await club.http.put(f"{PROFILES_URL}/{profile['id']}/update-type", json={"profile_type": "system"})
    assert response.json()["data"]["profile_type"] == "system"
    assert [each[0] for each in await list_memberships(club, profile["id"])] == ["in"]


async def test_a_profile_is_not_restored_with_the_email_of_another(club: Club) -> None:
    profile = await create_profile(club, email="kari@example.com")
    await club.http.delete(f"{PROFILES_URL}/{profile['id']}")
    other = await create_profile(club, email="Kari@Example.com")
    path = f"/{profile['id']}/update-type"
    assert await get_errors(club, "PUT", path, {"profile_type": "active"}) == {"email": ["The email exists"]}
    await update_profile(club, other["id"], email=None)
    assert (await club.http.put(PROFILES_URL + path, json={"profile_type": "active"})).status_code == 200


# Unique -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "stored", "repeated", "message"),
    [
        ("mobile_phone", "+4790000000", "+4790000000", "The phone number exists"),
        ("email", "kari@example.com", "KARI@example.COM", "The email exists"),
        ("external_id", "P-1", "P-1", "The external id exists"),
    ],
)
async def test_values_of_another_profile_are_rejected_by_field(
    club: Club, field: str, stored: str, repeated: str, message: str
) -> None:
    first = await create_profile(club, **{field: stored})
    assert await get_errors(club, "POST", "", {field: repeated}) == {field: [message]}
    other = await create_profile(club)
    assert await get_errors(club, "PUT", f"/{other['id']}", {field: repeated}) == {field: [message]}
    assert (await update_profile(club, first["id"], **{field: repeated}))[field] == repeated


async def test_all_conflicts_are_reported_together(club: Club) -> None:
    await create_profile(club, email="kari@example.com", mobile_phone="+4790000000")
    found = await get_errors(club, "POST", "", {"email": "kari@example.com", "mobile_phone": "+4790000000"})
    assert found == {"email": ["The email exists"], "mobile_phone": ["The phone number exists"]}


# Bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"first_name": 3}, "first_name"),
        ({"first_name": ["Kari"]}, "first_name"),
        ({"first_name": "x" * 256}, "first_name"),
        ({"first_name": "a\0b"}, "first_name"),
        ({"gender": "x" * 65}, "gender"),
        ({"email": "kari"}, "email"),
        ({"email": "kari@a b"}, "email"),
        ({"email": "a\0@b"}, "email"),
        ({"mobile_phone": "1" * 65}, "mobile_phone"),
        ({"external_id": "x" * 256}, "external_id"),
        ({"external_id": 1.5}, "external_id"),
        ({"birth_day": 0}, "birth_day"),
        ({"birth_day": 32}, "birth_day"),
        ({"birth_month": 13}, "birth_month"),
        ({"birth_year": 0}, "birth_year"),
        ({"birth_year": 10000}, "birth_year"),
        ({"birth_year": int("9" * 30)}, "birth_year"),
        ({"birth_day": 31, "birth_month": 4}, "birth_day"),
        ({"birth_day": 29, "birth_month": 2, "birth_year": 1985}, "birth_day"),
        ({"currency": "XXY"}, "currency"),
        ({"joined_at": "0000-01-01"}, "joined_at"),
        ({"joined_at": "10000-01-01 00:00:00"}, "joined_at"),
        ({"joined_at": "yesterday"}, "joined_at"),
        ({"joined_at": 5}, "joined_at"),
        ({"joined_location_id": 99}, "joined_location_id"),
        ({"joined_location_id": "S1"}, "joined_location_id"),
        ({"joined_location_id": int("9" * 30)}, "joined_location_id"),
        ({"joined_location_external_id": "S9"}, "joined_location_external_id"),
        ({"preferred_location_external_code": "9"}, "preferred_location_external_code"),
        ({"favorite_stores": [99]}, "favorite_stores.0"),
        ({"favorite_stores": ["a\0"]}, "favorite_stores"),
        ({"subunit_ids": ["x"]}, "subunit_ids.0"),
        ({"subunit_ids": [-1]}, "subunit_ids.0"),
        ({"group_ids": [int("9" * 30)]}, "group_ids.0"),
        ({"group_ids": list(range(1001))}, "group_ids"),
        ({"group_ids": {"1": 1}}, "group_ids"),
        ({"sms_status": "fine"}, "sms_status"),
        ({"consents": {"sms_marketing": "perhaps"}}, "consents"),
        ({"consents": {"": True}}, "consents"),
        ({"consents": []}, "consents"),
        ({"properties": {"a\0": 1}}, "properties"),
        ({"properties": {"a": "b" * 70_000}}, "properties"),
        ({"attributes": {"comms": {"email_promo": "perhaps"}}}, "attributes"),
        ({"attributes": {"comms": []}}, "attributes"),
        ({"tags": ["a\0"]}, "tags"),
        ({"profile_type": ""}, "profile_type"),
        ({"identities": [{"handle": "card"}]}, "identities.0.identifier"),
        ({"identities": [{"identifier": "1"}]}, "identities.0.handle"),
        ({"addresses": [{"city": "Oslo"}, {"iso": "Narnia"}]}, "addresses.1.iso"),
        ({"addresses": [{"country": "Narnia"}]}, "addresses.0.country"),
        ({"addresses": [{"country_iso_3": "NAR"}]}, "addresses.0.country_iso_3"),
        ({"addresses": [{"is_default": True}, {"is_default": True}]}, "addresses.1.is_default"),
        ({"addresses": [{"city": 3}]}, "addresses.0.city"),
        ({"addresses": [{}] * 101}, "addresses"),
    ],
)
async def test_invalid_fields_are_rejected_by_path(club: Club, body: dict[str, Any], path: str) -> None:
    profile = await create_profile(club, first_name="Kari")
    for method, where in (("POST", ""), ("PUT", f"/{profile['id']}")):
        assert list(await get_errors(club, method, where, body)) == [path]
    assert await get_profile(club, profile["id"]) == profile


async def test_a_birth_date_is_validated_with_the_stored_fields(club: Club) -> None:
    profile = await create_profile(club, birth_day=29, birth_month=2)
    path = f"/{profile['id']}"
    assert list(await get_errors(club, "PUT", path, {"birth_year": 2001})) == ["birth_year"]
    assert list(await get_errors(club, "PUT", path, {"birth_month": 2, "birth_day": 30})) == ["birth_day"]
    assert (await update_profile(club, profile["id"], birth_year=2000))["birth_year"] == 2000


async def test_all_errors_are_reported_together(club: Club) -> None:
    found = await get_errors(club, "POST", "", {"birth_day": 40, "currency": "?", "sms_status": "fine"})
    assert sorted(found) == ["birth_day", "currency", "sms_status"]


async def test_a_body_that_is_no_object_is_rejected(club: Club) -> None:
    assert (await club.http.post(PROFILES_URL, json=[])).status_code == 422
    assert (await club.http.post(PROFILES_URL, content=b"{")).status_code == 400


async def test_the_profile_of_another_club_is_not_found(club: Club, other_club: Club) -> None:
    theirs = await create_profile(other_club, email="kari@example.com", external_id="P-1")
    await create_profile(club, email="kari@example.com", external_id="P-1")
    path = f"{PROFILES_URL}/{theirs['id']}"
    assert (await club.http.get(path)).status_code == 404
    assert (await club.http.put(path, json={"first_name": "Mine"})).status_code == 404
    for more in ("", "/purge"):
        assert (await club.http.delete(path + more)).status_code == 404
    assert (await club.http.put(f"{path}/update-type", json={"profile_type": "active"})).status_code == 404
    assert (await club.http.post(f"{path}/depersonalise")).status_code == 404
    assert await get_profile(other_club, theirs["id"]) == theirs


@pytest.mark.parametrize("profile_id", ["no-uuid", "00000000-0000-0000-0000-000000000000", "1"])
async def test_an_unknown_profile_is_a_404(club: Club, profile_id: str) -> None:
    response = await club.http.get(f"{PROFILES_URL}/{profile_id}")
    assert (response.status_code, response.json()) == (404, {"message": f"There is no profile {profile_id}."})


# Again ----------------------------------------------------------------------------------------------------


async def test_an_idempotency_key_repeats_the_first_response(club: Club) -> None:
    headers = {"Idempotency-Key": "first"}
    responses = [
        await club.http.post(PROFILES_URL, json={"email": "kari@example.com"}, headers=headers) for _ in range(2)
    ]
    assert responses[0].status_code == responses[1].status_code == 201
    assert responses[0].json() == responses[1].json()
    other = await club.http.post(PROFILES_URL, json={"email": "ola@example.com"}, headers=headers)
    assert (other.status_code, list(other.json()["errors"])) == (422, ["Idempotency-Key"])
    assert (await club.http.get(PROFILES_URL)).json()["meta"]["total"] == 1
