"""Merges of two profiles, which lose no facts of either."""

import asyncio
from typing import Any

import pytest

from api.profile_calls import (
    PROFILES_URL,
    create_location,
    create_profile,
    fetch_rows,
    get_errors,
    get_profile,
    insert_transaction,
    list_memberships,
    other_club,
    row_owners,
    update_profile,
)
from clubs import Club

__all__ = ["other_club"]


async def _merged(club: Club, source: dict[str, Any], destination: dict[str, Any]) -> dict[str, Any]:
    response = await club.http.post(
        f"{PROFILES_URL}/merge",
        json={"source_profile_id": source["id"], "destination_profile_id": destination["id"]},
    )
    assert response.status_code == 200, response.text
    merged: dict[str, Any] = response.json()["data"]
    assert merged == await get_profile(club, destination["id"])
    return merged


async def test_all_facts_of_the_source_are_reassigned(club: Club) -> None:
    source = await create_profile(
        club,
        identities=[{"handle": "card", "identifier": "1"}],
        addresses=[{"city": "Oslo"}, {"city": "Bergen"}],
    )
    destination = await create_profile(
        club, identities=[{"handle": "shop", "identifier": "2"}], addresses=[{"city": "Voss"}]
    )
    await insert_transaction(club, source["id"], "T-1")
    await insert_transaction(club, source["id"], "T-2", is_void=True)
    await insert_transaction(club, destination["id"], "T-3")
    merged = await _merged(club, source, destination)
    assert sorted(each["handle"] for each in merged["identities"]) == ["card", "shop"]
    assert sorted(each["city"] for each in merged["addresses"]) == ["Bergen", "Oslo", "Voss"]
    for table in ("transactions", "transaction_claims", "identities", "addresses"):
        assert set(await row_owners(club, table)) == {destination["id"]}


async def test_fields_of_the_destination_take_precedence(club: Club) -> None:
    store = await create_location(club, name="Oslo")
    source = await create_profile(
        club,
        first_name="Kari",
        last_name="Hansen",
        email="kari@example.com",
        mobile_phone="+4790000000",
        external_id="P-1",
        gender="female",
        joined_location_id=store,
        birth_day=1,
        birth_month=2,
        birth_year=1990,
    )
    destination = await create_profile(club, first_name="Karin", email="karin@example.com", last_name="")
    merged = await _merged(club, source, destination)
    names = (
        "first_name",
        "last_name",
        "email",
        "mobile_phone",
        "external_id",
        "gender",
        "joined_location_id",
    )
    assert [merged[name] for name in names] == [
        "Karin",
        "Hansen",
        "karin@example.com",
        "+4790000000",
        "P-1",
        "female",
        store,
    ]
    assert [merged[name] for name in ("birth_day", "birth_month", "birth_year")] == [1, 2, 1990]


async def test_a_birth_date_is_taken_from_one_profile(club: Club) -> None:
    source = await create_profile(club, birth_day=29, birth_month=2)
    merged = await _merged(club, source, await create_profile(club, birth_year=1985))
    assert [merged[name] for name in ("birth_day", "birth_month", "birth_year")] == [None, None, 1985]


@pytest.mark.parametrize(
    ("source", "destination", "stays"),
    [
        ("2026-01-01 00:00:00", "2026-02-01 00:00:00", "2026-01-01 00:00:00"),
        ("2026-02-01 00:00:00", "2026-01-01 00:00:00", "2026-01-01 00:00:00"),
        (None, "2026-01-01 00:00:00", "2026-01-01 00:00:00"),
        ("2026-01-01 00:00:00", None, "2026-01-01 00:00:00"),
        (None, None, None),
    ],
)
async def test_the_earlier_join_stays(
    club: Club, source: str | None, destination: str | None, stays: str | None
) -> None:
    merged = await _merged(
        club, await create_profile(club, joined_at=source), await create_profile(club, joined_at=destination)
    )
    assert merged["joined_at"] == stays


@pytest.mark.parametrize(("own", "expected"), [(True, ["Voss"]), (False, ["Oslo"])])
async def test_one_default_address_stays(club: Club, own: bool, expected: list[str]) -> None:
    source = await create_profile(club, addresses=[{"city": "Oslo", "is_default": True}])
    destination = await create_profile(club, addresses=[{"city": "Voss", "is_default": own}])
    merged = await _merged(club, source, destination)
    assert [each["city"] for each in merged["addresses"] if each["is_default"]] == expected


async def test_consents_and_groups_are_united(club: Club) -> None:
    source = await create_profile(
        club,
        consents={"sms_marketing": True, "email_marketing": True},
        sms_status="unsubscribed",
        group_ids=[1, 2],
        subunit_ids=[4],
        tags=["vip"],
        properties={"language": "nb", "size": 38},
        attributes={"comms": {"phone_promo": True}, "appearance": {"hair": "red"}},
    )
    destination = await create_profile(
        club, consents={"email_marketing": False}, group_ids=[2, 3], properties={"language": "en"}
    )
    merged = await _merged(club, source, destination)
    assert merged["consents"] == {"sms_marketing": True, "email_marketing": False, "phone_marketing": True}
    assert (merged["group_ids"], merged["subunit_ids"], merged["tags"]) == ([2, 3, 1], [4], ["vip"])
    assert merged["properties"] == {"language": "en", "size": 38}
    assert merged["attributes"]["appearance"] == {"hair": "red"}
    comms = merged["attributes"]["comms"]
    assert (comms["sms_promo"], comms["sms_optout"], comms["email_promo"], comms["phone_promo"]) == (
        True,
        True,
        False,
        True,
    )


@pytest.mark.parametrize(
    ("source", "destination", "expected"),
    [
        # The address of the source is taken, with its status.
        (
            {"email": "a@example.com", "email_status": "unsubscribed"},
            {"email_status": "enabled"},
            ("unsubscribed", True, False, "not_sent"),
        ),
        (
            {"email": "a@example.com"},
            {"email_status": "verified"},
            ("enabled", False, False, "not_sent"),
        ),
        (
            {"email": "a@example.com", "email_status": "verified"},
            {"email_status": "hard_bounced"},
            ("verified", False, False, "verified"),
        ),
        # The address of the destination stays, with its status.
        (
            {"email": "a@example.com", "email_status": "unsubscribed"},
            {"email": "b@example.com", "email_status": "verified"},
            ("verified", False, False, "verified"),
        ),
        (
            {"email": "a@example.com", "email_status": "verified"},
            {"email": "b@example.com", "consents": {"email_marketing": False}},
            (None, None, None, None),
        ),
        (
            {"email_status": "verified"},
            {"email": "b@example.com", "email_status": "hard_bounced"},
            ("hard_bounced", False, True, "not_sent"),
        ),
        # Who refused as one of both is not enabled by the other.
        (
            {"consents": {"email_marketing": False}},
            {"email": "b@example.com"},
            (None, None, None, None),
        ),
        (
            {"email": "a@example.com", "consents": {"email_marketing": True}},
            {"consents": {"email_marketing": False}},
            (None, None, None, None),
        ),
        (
            {"consents": {"email_marketing": True}},
            {"consents": {"email_marketing": False}},
            (None, None, None, None),
        ),
        (
            {"email_status": "enabled", "email": "a@example.com", "consents": {"email_marketing": False}},
            {"consents": {"email_marketing": False}},
            ("enabled", False, False, "not_sent"),
        ),
        (
            {"email": "a@example.com", "consents": {"email_marketing": False}},
            {"consents": {"email_marketing": True}},
            ("enabled", False, False, "not_sent"),
        ),
        # Who unsubscribed without an address is not written to at any.
        (
            {"email": "a@example.com", "email_status": "verified"},
            {"email_status": "unsubscribed"},
            ("unsubscribed", True, False, "verified"),
        ),
        (
            {"email_status": "unsubscribed"},
            {"email": "b@example.com"},
            ("unsubscribed", True, False, "not_sent"),
        ),
        # Without an address at all.
        ({"email_status": "unsubscribed"}, {"email_status": "enabled"}, ("unsubscribed", True, False, "not_sent")),
        ({"email_status": "hard_bounced"}, {}, ("hard_bounced", False, True, "not_sent")),
        ({"email_status": "hard_bounced"}, {"email_status": "disabled"}, ("disabled", False, False, "not_sent")),
    ],
)
async def test_the_status_of_an_email_follows_the_address_that_stays(
    club: Club, source: dict[str, Any], destination: dict[str, Any], expected: tuple[object, ...]
) -> None:
    merged = await _merged(club, await create_profile(club, **source), await create_profile(club, **destination))
    comms = merged["attributes"]["comms"]
    flags = (comms[f"email_{flag}"] for flag in ("optout", "bounced", "verification"))
    assert (merged["email_status"], *flags) == expected


async def test_the_statuses_of_a_phone_follow_the_number_that_stays(club: Club) -> None:
    source = await create_profile(
        club,
        mobile_phone="+4790000001",
        sms_status="unsubscribed",
        attributes={"comms": {"phone_bounced": True, "phone_promo": True, "note": "x"}},
    )
    destination = await create_profile(
        club, sms_status="verified", attributes={"comms": {"phone_verification": "verified", "phone_promo": False}}
    )
    merged = await _merged(club, source, destination)
    comms = merged["attributes"]["comms"]
    assert (merged["sms_status"], comms["sms_verification"]) == ("unsubscribed", "not_sent")
    assert (comms["phone_bounced"], comms["phone_verification"]) == (True, None)
    assert (comms["phone_promo"], comms["note"]) == (False, "x")


async def test_who_unsubscribed_from_a_channel_without_an_address_stays_unsubscribed(club: Club) -> None:
    source = await create_profile(
        club, push_status="unsubscribed", attributes={"comms": {"post_optout": True, "post_bounced": True}}
    )
    destination = await create_profile(
        club, push_status="enabled", attributes={"comms": {"post_optout": False, "post_bounced": False}}
    )
    merged = await _merged(club, source, destination)
    comms = merged["attributes"]["comms"]
    assert (merged["push_status"], comms["push_optout"]) == ("unsubscribed", True)
    assert (comms["post_optout"], comms["post_bounced"]) == (True, False)


@pytest.mark.parametrize(
    ("source", "destination", "expected"),
    [
        ({"a": 1, "b": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ([1], [2], [2, 1]),
        ({"a": 1}, [], {"a": 1}),
        ([1], {"b": 2}, {"b": 2}),
    ],
)
async def test_custom_fields_are_united(club: Club, source: object, destination: object, expected: object) -> None:
    first, second = [await create_profile(club, custom_fields=each) for each in (source, destination)]
    assert (await _merged(club, first, second))["custom_fields"] == expected


async def test_the_source_names_its_destination_and_has_left(club: Club) -> None:
    source, destination = await create_profile(club, email="kari@example.com"), await create_profile(club)
    club.clock.advance(days=1)
    await _merged(club, source, destination)
    path = f"{PROFILES_URL}/{source['id']}"
    for method, more in (
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("DELETE", "/purge"),
        ("POST", "/depersonalise"),
        ("PUT", "/update-type"),
        ("GET", "/addresses"),
        ("POST", "/identities"),
        ("GET", "/attributes/comms"),
    ):
        body = {"profile_type": "active"} if method == "PUT" else {}
        response = await club.http.request(method, path + more, json=body)
        assert (response.status_code, response.json()["merged_into"]) == (404, destination["id"]), (method, more)
    assert await list_memberships(club, source["id"]) == [
        ("in", "2026-11-01 00:00", True),
        ("out", "2026-11-02 00:00", True),
    ]
    assert [each[0] for each in await list_memberships(club, destination["id"])] == ["in"]


async def test_only_its_email_and_phone_stay_with_the_source(club: Club) -> None:
    source = await create_profile(
        club, first_name="Kari", email="kari@example.com", attributes={"comms": {"note": "x"}}
    )
    await _merged(club, source, await create_profile(club, first_name="Karin", email="karin@example.com"))
    [left] = await fetch_rows(
        club,
        """
        SELECT first_name, email, attributes::text
        FROM profiles
        WHERE community_id = $1 AND profile_id = $2::text::uuid
        """,
        source["id"],
    )
    assert tuple(left) == (None, "kari@example.com", "{}")


async def test_a_chain_of_merges_leads_to_the_last_profile(club: Club) -> None:
    first, second, third = (
        await create_profile(club, external_id="1"),
        await create_profile(club, external_id="2"),
        await create_profile(club),
    )
    await _merged(club, first, second)
    await _merged(club, second, third)
    for gone in (first, second):
        response = await club.http.get(f"{PROFILES_URL}/{gone['id']}")
        assert response.json()["merged_into"] == third["id"]
    found = await club.http.post(f"{PROFILES_URL}/search-id", json={"type": "external_id", "id": "1"})
    assert found.json()["data"]["id"] == third["id"]


async def test_an_invalid_merge_is_rejected(club: Club, other_club: Club) -> None:
    one, gone, deleted = await create_profile(club), await create_profile(club), await create_profile(club)
    theirs = await create_profile(other_club)
    await _merged(club, gone, one)
    await club.http.delete(f"{PROFILES_URL}/{deleted['id']}")

    async def rejected(source: str, destination: str) -> list[str]:
        body = {"source_profile_id": source, "destination_profile_id": destination}
        return list(await get_errors(club, "POST", "/merge", body))

    assert await rejected(one["id"], one["id"]) == ["destination_profile_id"]
    for other in (gone["id"], deleted["id"], theirs["id"], "00000000-0000-0000-0000-000000000000"):
        assert await rejected(other, one["id"]) == ["source_profile_id"]
        assert await rejected(one["id"], other) == ["destination_profile_id"]
    assert await rejected("no-uuid", one["id"]) == ["source_profile_id"]


async def test_concurrent_merges_leave_one_profile(club: Club) -> None:
    one, two = await create_profile(club), await create_profile(club)
    bodies = [
        {"source_profile_id": one["id"], "destination_profile_id": two["id"]},
        {"source_profile_id": two["id"], "destination_profile_id": one["id"]},
    ]
    responses = await asyncio.gather(*(club.http.post(f"{PROFILES_URL}/merge", json=body) for body in bodies))
    assert sorted(response.status_code for response in responses) == [200, 422]
    assert (await club.http.get(PROFILES_URL)).json()["meta"]["total"] == 1


async def test_a_merged_profile_frees_its_unique_values(club: Club) -> None:
    source = await create_profile(club, email="kari@example.com")
    destination = await create_profile(club, email="karin@example.com")
    await _merged(club, source, destination)
    assert (await create_profile(club, email="kari@example.com"))["id"] != source["id"]
    assert (await update_profile(club, destination["id"], first_name="Karin"))["email"] == "karin@example.com"


async def test_the_email_and_the_phone_of_the_source_lead_to_the_destination_until_another_profile_has_them(
    club: Club,
) -> None:
    source = await create_profile(club, email="Kari@example.com", mobile_phone="+4790000001")
    destination = await create_profile(club, email="karin@example.com", mobile_phone="+4790000002")
    await _merged(club, source, destination)

    async def found(kind: str, value: str) -> str:
        response = await club.http.post(f"{PROFILES_URL}/search-id", json={"type": kind, "id": value})
        profile_id: str = response.json()["data"]["id"]
        return profile_id

    assert await found("email", "kari@EXAMPLE.com") == destination["id"]
    assert await found("mobile_phone", "+4790000001") == destination["id"]
    free = await club.http.post(f"{PROFILES_URL}/availability", json={"email": "kari@example.com"})
    assert free.json()["data"]["email"]["available"]
    other = await create_profile(club, email="kari@example.com")
    assert await found("email", "kari@example.com") == other["id"]
    assert await found("mobile_phone", "+4790000001") == destination["id"]
    await club.http.post(f"{PROFILES_URL}/{destination['id']}/depersonalise")
    response = await club.http.post(f"{PROFILES_URL}/search-id", json={"type": "mobile_phone", "id": "+4790000001"})
    assert response.status_code == 404
