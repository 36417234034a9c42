"""Members are found by anything that a person knows of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from api.profile_calls import create_profile, headers_with
from api.transaction_client import create_transaction, sale
from clubs import Club
from postgres_servers import on_both_servers
from regulars.auth import permits


async def find(club: Club, text: str, status: int = 200, **query: Any) -> Any:
    answer = await club.http.get("/api/v3/profiles/find", params={"q": text, **query})
    assert answer.status_code == status, answer.text
    return answer.json()


async def found_ids(club: Club, text: str, **query: Any) -> list[str]:
    return [each["id"] for each in (await find(club, text, **query))["data"]]


@on_both_servers
async def test_names_are_found_by_words_in_any_order_and_by_their_beginnings(club: Club) -> None:
    names = {
        "ola": ("Ola Kristian", "Nordmann"),
        "kari": ("Kari", "Nordmann-Sæther"),
        "olaf": ("Olaf", "Hansen"),
        "mononym": ("Nora", None),
        "arabic": ("مُحَمَّد", "علي"),
    }
    ids = {}
    for key, (first, last) in names.items():
        ids[key] = (await create_profile(club, first_name=first, last_name=last))["id"]
    for text, expected in {
        "Ola Nordmann": ["ola"],
        "nordmann ola": ["ola"],
        "NORDMANN, Ola": ["ola"],
        "kristian": ["ola"],
        "nordmann kristian ola": ["ola"],
        "ola kristian nord": ["ola"],
        "ola kristian hansen": [],
        "ola": ["ola", "olaf"],
        "nord": ["ola", "kari"],
        "sæther": ["kari"],
        "saeth kar": ["kari"],
        "SÆTHER kari": ["kari"],
        "nora": ["mononym"],
        "nora nordmann": [],
        "محمد": ["arabic"],
        "علي محمد": ["arabic"],
        "%": [],
        "_la": [],
        "o'la": ["ola", "olaf"],
        "'; DROP TABLE profiles; --": [],
    }.items():
        assert set(await found_ids(club, text)) == {ids[each] for each in expected}, text
    assert (await found_ids(club, "ola"))[0] == ids["ola"], "a whole word comes first"


@on_both_servers
async def test_members_are_found_by_what_identifies_them(club: Club) -> None:
    mine = await create_profile(
        club,
        first_name="Kari",
        external_id="C-1001",
        email="Kari.Nordmann@example.com",
        mobile_phone="912 34 567",
        identities=[{"handle": "card", "identifier": "7000123456"}],
    )
    await create_profile(club, first_name="Per", email="per@example.com")
    await create_transaction(club, sale(receipt_ref="R-77", external_id="T-1", profile_id=mine["id"]))
    await create_transaction(club, sale(receipt_ref="R-88"))
    for text, matched in {
        mine["id"]: ["id"],
        mine["id"].upper(): ["id"],
        str(mine["member_id"]): ["member_id"],
        " C-1001 ": ["external_id"],
        "kari.nordmann@EXAMPLE.com": ["email"],
        "kari.n": ["email"],
        "kari": ["email", "name"],
        "91234567": ["mobile_phone"],
        "+47 91 23 45 67": ["mobile_phone"],
        "0047 912-34-567": ["mobile_phone"],
        "912 34 567": ["mobile_phone"],
        "7000123456": ["identity"],
        "R-77": ["receipt"],
        "T-1": ["receipt"],
    }.items():
        (found,) = (await find(club, text))["data"]
        assert (found["id"], found["matched"]) == (mine["id"], matched), text
    for text in ("R-88", "c-1002", "99999999", "none@example.com", str(UUID(int=7)), "9" * 18, "9" * 200):
        assert await found_ids(club, text) == [], text


async def test_an_email_address_in_capitals_of_any_alphabet_is_found(club: Club) -> None:
    mine = await create_profile(club, email="ΟΔΟΣ@example.com")
    for text in ("ΟΔΟΣ@example.com", "οδοσ@EXAMPLE"):
        assert await found_ids(club, text) == [mine["id"]], text


async def test_a_result_names_the_member(club: Club) -> None:
    mine = await create_profile(
        club, title="Dr", first_name="<b>Kari</b>", last_name="N", mobile_phone="912 34 567", joined_at="2026-01-02"
    )
    answer = await find(club, "kari")
    assert answer["meta"] == {"limit": 20, "has_more": False}
    assert answer["data"] == [
        {
            "id": mine["id"],
            "member_id": mine["member_id"],
            "external_id": None,
            "title": "Dr",
            "first_name": "<b>Kari</b>",
            "last_name": "N",
            "full_name": "<b>Kari</b> N",
            "email": None,
            "mobile_phone": "912 34 567",
            "mobile_phone_e164": "+4791234567",
            "birth_year": None,
            "profile_type": "active",
            "joined_at": "2026-01-02 00:00:00",
            "is_member": True,
            "matched": ["name"],
        }
    ]


async def test_more_than_the_limit_is_reported(club: Club) -> None:
    for n in range(4):
        await create_profile(club, first_name=f"Anne Anna {n}", last_name="Annesen")
    for limit, more in ((3, True), (4, False)):
        answer = await find(club, "ann", limit=limit)
        assert (len(answer["data"]), answer["meta"]) == (limit, {"limit": limit, "has_more": more})


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({}, "q"),
        ({"q": "  "}, "q"),
        ({"q": "x" * 256}, "q"),
        *(({"q": "a", "limit": each}, "limit") for each in ("0", "51", "-1", "many", "9" * 30)),
    ],
)
async def test_invalid_searches_are_rejected(club: Club, query: dict[str, str], path: str) -> None:
    answer = await club.http.get("/api/v3/profiles/find", params=query)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [path])


async def test_renamed_deleted_merged_and_erased_members_are_found_by_what_holds(club: Club) -> None:
    async def change(method: str, path: str, **body: Any) -> None:
        answer = await club.http.request(method, f"/api/v3/profiles{path}", json=body or None)
        assert answer.status_code in (200, 204), answer.text

    mine = await create_profile(club, first_name="Kari", last_name="Nordmann", external_id="K")
    other = await create_profile(club, first_name="Carry", last_name="Norman", external_id="C")
    own, others = mine["id"], other["id"]
    await change("PUT", f"/{own}", last_name="Hansen")
    assert (await found_ids(club, "nordmann"), await found_ids(club, "kari hansen")) == ([], [own])
    await change("DELETE", f"/{own}")
    assert (await found_ids(club, "kari"), await found_ids(club, own)) == ([], [])
    await change("PUT", f"/{own}/update-type", profile_type="active")
    assert await found_ids(club, "kari") == [own]
    await change("POST", "/merge", source_profile_id=others, destination_profile_id=own)
    assert await found_ids(club, "carry") == []
    for text in (others, str(other["member_id"]), "C"):
        assert await found_ids(club, text) == [own]
    await change("POST", f"/{own}/depersonalise")
    assert (await found_ids(club, "kari"), await found_ids(club, own)) == ([], [own])
    third = (await create_profile(club, first_name="Purged"))["id"]
    await change("DELETE", f"/{third}/purge")
    assert await found_ids(club, "purged") == []


async def test_without_the_permit_for_personal_data_members_are_found_by_id_alone(club: Club) -> None:
    mine = await create_profile(
        club, first_name="Kari", email="k@example.com", mobile_phone="91234567", birth_year=1980
    )
    headers = await headers_with(club, permits.PROFILE_AGGREGATIONS)
    for text in (mine["id"], str(mine["member_id"])):
        answer = await club.http.get("/api/v3/profiles/find", params={"q": text}, headers=headers)
        (found,) = answer.json()["data"]
        shown = {name for name, value in found.items() if value is not None}
        assert shown == {"id", "member_id", "profile_type", "joined_at", "is_member", "matched"}
    for text in ("kari", "k@example.com", "+4791234567"):
        answer = await club.http.get("/api/v3/profiles/find", params={"q": text}, headers=headers)
        assert answer.status_code == 403
        assert "Profile:Read" in answer.json()["message"]


async def test_members_of_other_communities_are_not_found(club: Club, other_club: Club) -> None:
    mine = await create_profile(club, first_name="Kari", email="k@example.com")
    for text in ("kari", "k@example.com", mine["id"]):
        assert await found_ids(other_club, text) == []
