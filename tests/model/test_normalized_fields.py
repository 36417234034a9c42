"""Fields are normalized when they are written: ids, phone numbers, genders, births, and brands of inline variants."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.profile_calls import PROFILES_URL, create_profile, get_errors, get_profile, update_profile
from api.transaction_client import create_transaction, get_json, get_values, item_fields, sale
from clubs import Club
from regulars.core import phones
from regulars.ingest import stored_profiles
from regulars.model.profiles.gender import normalize_gender
from regulars.verify.verify import verify
from reports.club_fixture import ClubFixture


@pytest.mark.parametrize(
    ("written", "meaning"),
    [
        *(("F", "female"), ("f", "female"), (" Female ", "female"), ("woman", "female"), ("WOMAN", "female")),
        *(("M", "male"), ("man", "male"), ("MALE", "male"), ("other", "other"), ("X", "other")),
        *(("", None), (" ", None), ("Agender", "agender"), ("Kvinne", "kvinne")),
    ],
)
def test_spellings_of_a_gender_are_one_value(written: str, meaning: str | None) -> None:
    assert normalize_gender(written) == meaning


@pytest.mark.parametrize(
    ("written", "country", "e164"),
    [
        ("+4791234567", "NO", "+4791234567"),
        ("91 23 45 67", "NO", "+4791234567"),
        ("0047 912 34 567", "SE", "+4791234567"),
        ("4791234567", "NO", "+4791234567"),
        ("070-123 45 67", "SE", "+46701234567"),
        ("+44 (0)20 7946 0000", "NO", "+442079460000"),
        ("+44020 7946 0000", "NO", "+442079460000"),
        ("12", "NO", None),
        ("call me", "NO", None),
        ("+999123456789", "NO", None),
        ("", "NO", None),
        (None, "NO", None),
    ],
)
def test_a_phone_number_has_an_international_form(written: str | None, country: str, e164: str | None) -> None:
    assert phones.to_e164(written, country) == e164


async def test_phones_are_unique_as_they_are_dialled_and_shown_as_they_are_written(club: Club) -> None:
    first = await create_profile(club, mobile_phone="91 23 45 67")
    assert (first["mobile_phone"]) == "91 23 45 67"
    for spelling in ("+4791234567", "0047 91234567", "912 34 567", " 91 23 45 67 "):
        errors = await get_errors(club, "POST", "", {"mobile_phone": spelling})
        assert errors["mobile_phone"] == ["The phone number exists"], spelling
        found = await club.http.post(f"{PROFILES_URL}/search-id", json={"type": "mobile_phone", "id": spelling})
        assert found.json()["data"]["id"] == first["id"], spelling
        available = await club.http.post(f"{PROFILES_URL}/availability", json={"mobile_phone": spelling})
        assert available.json()["data"]["mobile_phone"]["available"] is False
    # The owner may write it in another way.
    assert (await update_profile(club, first["id"], mobile_phone="+47 912 34 567"))["mobile_phone"] == "+47 912 34 567"
    for spelling in ("4.79123E+10", "4,79123E10", "4791e8"):
        (message,) = (await get_errors(club, "POST", "", {"mobile_phone": spelling}))["mobile_phone"]
        assert "as text in the spreadsheet" in message
    row = {"external_id": "M1", "mobile_phone": "+47 91 23 45 67"}
    assert len((await ClubFixture(club).load("profiles", [row, {**row, "mobile_phone": "9,1E+7"}])).rejections) == 2
    # The number of a merged profile leads to the survivor in every spelling.
    second = await create_profile(club, mobile_phone="92345678", email="other@example.org")
    merged = {"source_profile_id": first["id"], "destination_profile_id": second["id"]}
    assert (await club.http.post(f"{PROFILES_URL}/merge", json=merged)).status_code == 200
    found = await club.http.post(f"{PROFILES_URL}/search-id", json={"type": "mobile_phone", "id": "91234567"})
    assert found.json()["data"]["id"] == second["id"]


async def test_ids_have_no_blanks_around_them(club: Club) -> None:
    profile = await create_profile(
        club, external_id="\u00a0M1 ", identities=[{"handle": "card", "identifier": " 7\u00a0"}]
    )
    assert (profile["external_id"], profile["identities"][0]["identifier"]) == ("M1", "7")
    fixture = ClubFixture(club)
    row = {"profile": "M1\u00a0", "transacted_at": "2026-10-01T00:00:00Z", "total": 5, "location": " S1"}
    assert not (await fixture.load("transactions", [{"external_id": " T1\u00a0", **row}])).rejections
    assert not (
        await fixture.load("transactions", [{"external_id": "T1", **row, "total": 7, "profile": "M1"}])
    ).rejections
    assert (await get_values(club, profile["id"]))["spend_all"] == 7
    stored = (await get_json(club, "transactions/external/T1"))["data"]
    assert (stored["external_id"], stored["location"]["external_id"]) == ("T1", "S1")
    await create_transaction(
        club, sale(1, profile_id=f" {profile['id']}\u00a0", external_id="T2 ", items=[item_fields(sku=" A ")])
    )
    assert (await get_json(club, "transactions/external/T2"))["data"]["items"][0]["sku"] == "A"


async def test_genders_and_births_are_checked_in_every_way(club: Club) -> None:
    profile = await create_profile(club, gender="F", birth_year=2026, birth_month=11, birth_day=1)
    assert profile["gender"] == "female"
    assert (await update_profile(club, profile["id"], gender=""))["gender"] is None
    for birth in ({"birth_day": 2}, {"birth_month": 12}, {"birth_year": 2027}):
        response = await club.http.put(f"{PROFILES_URL}/{profile['id']}", json=birth)
        assert "future" in json.dumps(response.json()["errors"]), birth
    rows: list[dict[str, Any]] = [
        {"external_id": "M1", "gender": "M"},
        {"external_id": "M2", "gender": "Agender", "birth_year": 2026, "birth_month": 12},
    ]
    summary = await ClubFixture(club).load("profiles", rows)
    assert [each.errors for each in summary.rejections] == [{"birth_year": "makes a birth in the future"}]
    records = (await ClubFixture(club).query("members_grouped_count", limit=100))["records"]
    counts = {row["grouping_value"]: row["members_count"] for row in records if row["grouping_type"] == "gender"}
    assert (counts["male"], sum(counts.values())) == (1, 1)


async def test_an_inline_variant_has_the_brand_of_its_product(club: Club) -> None:
    profile_id = (await create_profile(club))["id"]

    async def buy(**variant: Any) -> list[str]:
        item = item_fields(product_variant={"name": "Boots", **variant})
        await create_transaction(club, sale(profile_id=profile_id, items=[item]))
        return list((await get_values(club, profile_id))["purchased_brands"])

    assert await buy(sku="A", brand="Acme") == ["Acme"]
    assert await buy(sku="B", name="Socks") == ["Acme"]
    # A later line brings the brand, and a third one does not change it.
    assert await buy(sku="B", name="Socks", brand="Zeta") == ["Acme", "Zeta"]
    assert await buy(sku="B", name="Socks", brand="Beta") == ["Acme", "Zeta"]
    assert await buy(sku="C", name="Hat", product={"name": "Hats", "brand": "Gamma"}, brand="Other") == [
        "Acme",
        "Gamma",
        "Zeta",
    ]
    # Another product has this name and brand: the product without one stays as it is.
    await buy(sku="D", name="Belt", brand="Acme")
    await buy(sku="E", name="Belt")
    assert await buy(sku="E", name="Belt", brand="Acme") == ["Acme", "Gamma", "Zeta"]
    assert [each async for each in verify(club.database, club.community.id) if not isinstance(each, int)] == []


async def test_stored_profiles_are_normalized_once(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_profiles, "PROFILES_PER_COMMIT", 2)
    names = ("M1", "M2", "M3")
    ids = [
        (await create_profile(club, external_id=name, mobile_phone=f"9123456{n}"))["id"] for n, name in enumerate(names)
    ]
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute(
            """
            UPDATE profiles
            SET gender = 'F', sms_status = NULL, mobile_phone_e164 = NULL,
                mobile_phone = CASE external_id WHEN 'M2' THEN '+4791234560' ELSE mobile_phone END
            WHERE community_id = $1
            """,
            club.community.id,
        )
        await scope.execute("UPDATE communities SET has_unnormalized_profiles = true WHERE id = $1", club.community.id)
    assert club.community.id in await stored_profiles.list_pending(club.database)
    assert await stored_profiles.normalize(club.database, club.community.id) == len(ids)
    assert await stored_profiles.normalize(club.database, club.community.id) == 0
    assert club.community.id not in await stored_profiles.list_pending(club.database)
    shown = [await get_profile(club, each) for each in ids]
    assert {(each["gender"], each["sms_status"]) for each in shown} == {("female", "enabled")}
    assert [each async for each in verify(club.database, club.community.id) if not isinstance(each, int)] == []
