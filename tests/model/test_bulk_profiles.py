"""Writes of many profiles: each row is stored or rejected, and repeated rows change nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest

from api.profile_calls import PROFILES_URL, create_profile, get_profile, list_memberships, other_club
from clubs import Club
from regulars.core.errors import ValidationError
from regulars.ingest.commit import commit
from regulars.model import memberships
from regulars.model.memberships import MembershipIn
from regulars.model.profiles import lookup, profiles
from regulars.model.profiles.schema import ProfileIn, validate
from regulars.model.unit_of_work import UnitOfWork

__all__ = ["other_club"]


async def _commit(club: Club, work: Callable[[UnitOfWork], Awaitable[Any]]) -> Any:
    return await commit(club.database, club.community.id, work)


def _errors_or_outcomes(outcomes: Sequence[object]) -> list[object]:
    return [each.errors if isinstance(each, ValidationError) else each for each in outcomes]


async def _load(club: Club, *rows: dict[str, Any]) -> list[object]:
    checked_rows = [validate(msgspec.convert(row, ProfileIn, strict=False)) for row in rows]
    return _errors_or_outcomes(await _commit(club, lambda uow: profiles.upsert_many(uow, checked_rows)))


async def _load_memberships(club: Club, *rows: dict[str, Any]) -> list[object]:
    checked_rows = [memberships.validate(msgspec.convert(row, MembershipIn, strict=False)) for row in rows]
    return _errors_or_outcomes(await _commit(club, lambda uow: memberships.upsert_many(uow, checked_rows)))


async def _list_profiles(club: Club) -> list[dict[str, Any]]:
    response = await club.http.get(f"{PROFILES_URL}?page[size]=500&sort=external_id")
    listed: list[dict[str, Any]] = response.json()["data"]
    return listed


# Profiles -----------------------------------------------------------------------------------------------


async def test_repeated_rows_change_nothing(club: Club) -> None:
    row = {
        "external_id": "P-1",
        "first_name": "Kari",
        "email": "kari@example.com",
        "joined_at": "2026-01-02",
        "consents": {"sms_marketing": True},
        "sms_status": "verified",
        "identities": [{"handle": "card", "identifier": "1"}],
        "addresses": [{"city": "Oslo", "is_default": True}],
        "attributes": {"comms": {"email_promo": True}},
        "birth_day": 29,
        "birth_month": 2,
    }
    assert await _load(club, row, {"external_id": "P-2"}) == ["accepted", "accepted"]
    before = await _list_profiles(club)
    club.clock.advance(days=1)
    assert await _load(club, row, {"external_id": "P-2"}) == ["unchanged", "unchanged"]
    assert await _list_profiles(club) == before
    assert await _load(club, row | {"first_name": "Karin"}) == ["accepted"]
    [after, _] = await _list_profiles(club)
    assert after == before[0] | {"first_name": "Karin", "full_name": "Karin", "updated_at": "2026-11-02 00:00:00"}


async def test_valid_rows_are_stored_and_invalid_ones_rejected(club: Club) -> None:
    await create_profile(club, email="used@example.com", mobile_phone="+471")
    outcomes = await _load(
        club,
        {"external_id": "1", "email": "Used@example.com"},
        {"external_id": "2", "mobile_phone": "+471"},
        {"external_id": "3", "email": "new@example.com", "mobile_phone": "+472"},
        {"external_id": "4", "email": "NEW@example.com"},
        {"external_id": "5", "mobile_phone": "+472"},
        {"external_id": "6", "joined_location_external_id": "S9", "favorite_stores": ["S8"]},
        {"first_name": "Unknown"},
        {"external_id": "7", "identities": [{"handle": "card", "identifier": "1"}]},
        {"external_id": "8", "identities": [{"handle": "card", "identifier": "1"}]},
        {"external_id": "9"},
    )
    assert outcomes == [
        {"email": "The email exists"},
        {"mobile_phone": "The phone number exists"},
        "accepted",
        {"email": "The email exists"},
        {"mobile_phone": "The phone number exists"},
        {
            "joined_location_external_id": "There is no location S9",
            "favorite_stores.0": "There is no location S8",
        },
        {"external_id": "is required: it identifies the row in later imports"},
        "accepted",
        {"identities.0.identifier": "The identity exists"},
        "accepted",
    ]
    loaded = [each["external_id"] for each in await _list_profiles(club)]
    assert loaded == ["3", "7", "9", None]


async def test_a_row_updates_the_result_of_earlier_rows(club: Club) -> None:
    outcomes = await _load(
        club,
        {"external_id": "1", "first_name": "Kari"},
        {"external_id": "1", "last_name": "Nordmann"},
        {"external_id": "1", "first_name": "Kari"},
    )
    assert outcomes == ["accepted", "accepted", "unchanged"]
    [profile] = await _list_profiles(club)
    assert (profile["first_name"], profile["last_name"]) == ("Kari", "Nordmann")


async def test_the_status_in_a_row_is_that_of_its_address(club: Club) -> None:
    row = {"external_id": "P-1", "mobile_phone": "+4790000001", "sms_status": "verified"}
    moved = row | {"mobile_phone": "+4790000002"}
    assert await _load(club, row, moved, moved) == ["accepted", "accepted", "unchanged"]
    assert (await _list_profiles(club))[0]["sms_status"] == "verified"
    assert await _load(club, {"external_id": "P-1", "mobile_phone": "+4790000003"}) == ["accepted"]
    assert (await _list_profiles(club))[0]["sms_status"] == "enabled"


async def test_an_identity_that_a_row_repeats_is_stored_once_with_its_last_fields(club: Club) -> None:
    cards: list[dict[str, Any]] = [
        {"handle": "card", "identifier": "1"},
        {"handle": "card", "identifier": " 1\u00a0", "is_primary": True},
    ]
    row: dict[str, Any] = {"external_id": "P-1", "identities": [*cards, {"handle": "app", "identifier": "1"}]}
    assert await _load(club, row, {"external_id": "P-2"}) == ["accepted", "accepted"]
    [identity, _] = (await _list_profiles(club))[0]["identities"]
    assert (identity["handle"], identity["identifier"], identity["is_primary"]) == ("card", "1", True)
    assert await _load(club, row) == ["unchanged"]
    by_id = [{"id": identity["id"], **each} for each in reversed(cards)]
    assert await _load(club, row | {"identities": by_id}) == ["unchanged"]
    created = await create_profile(club, identities=[each | {"handle": "shop"} for each in cards])
    assert [each["is_primary"] for each in created["identities"]] == [True]


async def test_an_identity_of_an_earlier_row_is_rejected_and_a_rejected_row_has_none(club: Club) -> None:
    card = {"handle": "card", "identifier": "1"}
    taken = {"handle": "card", "identifier": "taken"}
    await create_profile(club, identities=[taken])
    outcomes = await _load(
        club,
        {"external_id": "P-0", "identities": [card, taken]},
        {"external_id": "P-1", "identities": [card]},
        {"external_id": "P-2", "identities": [{"handle": "app", "identifier": "1"}, card]},
        {"external_id": "P-3", "identities": [{"handle": "app", "identifier": "1"}]},
    )
    assert outcomes == [
        {"identities.1.identifier": "The identity exists"},
        "accepted",
        {"identities.1.identifier": "The identity exists"},
        "accepted",
    ]


async def test_a_rejected_row_takes_no_unique_value_from_later_rows(club: Club) -> None:
    await create_profile(club, email="used@example.com")
    card = {"handle": "card", "identifier": "1"}
    outcomes = await _load(
        club,
        {"external_id": "P-1", "email": "used@example.com", "mobile_phone": "+4790000001", "identities": [card]},
        {"external_id": "P-2", "identities": [card]},
        {"external_id": "P-3", "email": "new@example.com", "mobile_phone": "+47 900 00 001"},
        {"external_id": "P-4", "email": "other@example.com", "mobile_phone": "+4790000001", "identities": [card]},
        {"external_id": "P-5", "email": "OTHER@example.com"},
        {"external_id": "P-6", "mobile_phone": "+4790000002", "identities": [card]},
        {"external_id": "P-7", "mobile_phone": "+4790000002"},
        {"external_id": "P-8", "email": "Other@example.com", "mobile_phone": "+4790000002"},
    )
    assert outcomes == [
        {"email": "The email exists"},
        "accepted",
        "accepted",
        {"mobile_phone": "The phone number exists"},
        "accepted",
        {"identities.0.identifier": "The identity exists"},
        "accepted",
        {"email": "The email exists", "mobile_phone": "The phone number exists"},
    ]


async def test_what_an_earlier_row_frees_is_free(club: Club) -> None:
    """Each row as if it were written by itself: what is rejected frees nothing, and what is taken again is taken."""
    contacts = {
        name: {"email": f"{name}@example.com", "mobile_phone": f"+479000000{n}"} for n, name in enumerate("abcd")
    }
    for name, each in contacts.items():
        await create_profile(club, external_id=name, **each)
    outcomes = await _load(
        club,
        {"external_id": "new", "email": "a@example.com"},
        {"external_id": "a", "email": "e@example.com", "mobile_phone": None},
        {"external_id": "b", **contacts["a"]},
        {"external_id": "c", "email": "a@example.com"},
        {"external_id": "c", "email": "B@example.com"},
        {"external_id": "new", **contacts["b"]},
        {"external_id": "d", "mobile_phone": "900 00 003"},
        {"external_id": "new", "mobile_phone": "+4790000003"},
        {"external_id": "d", "profile_type": "deleted"},
        {"external_id": "new", **contacts["d"]},
    )
    assert outcomes == [
        {"email": "The email exists"},
        "accepted",
        "accepted",
        {"email": "The email exists"},
        "accepted",
        {"email": "The email exists"},
        "accepted",
        {"mobile_phone": "The phone number exists"},
        "accepted",
        "accepted",
    ]
    listed = {each["external_id"]: (each["email"], each["mobile_phone"]) for each in await _list_profiles(club)}
    assert listed == {
        "a": ("e@example.com", None),
        "b": ("a@example.com", "+4790000000"),
        "c": ("B@example.com", "+4790000002"),
        "new": ("d@example.com", "+4790000003"),
    }


async def test_an_email_passes_through_several_profiles_in_one_batch(club: Club) -> None:
    first = await create_profile(club, external_id="1", email="x@example.com")
    rows = [{"external_id": str(n), "email": f"{n}@example.com"} for n in range(1, 5)]
    taking = [{"external_id": str(n), "email": "x@example.com"} for n in range(1, 5)]
    # One after the other has it.
    moves = [row for pair in zip(rows, taking[1:], strict=False) for row in pair]
    assert await _load(club, *moves) == ["accepted"] * 6
    listed = [each["email"] for each in await _list_profiles(club)]
    assert listed == ["1@example.com", "2@example.com", "3@example.com", "x@example.com"]
    # A chain within one statement, and a row that jumps over none that waits.
    shifted = [
        {"external_id": "4", "email": "free@example.com"},
        {"external_id": "3", "email": "x@example.com"},
        {"external_id": "2", "email": "3@example.com"},
        {"external_id": "2", "email": "y@example.com"},
        {"external_id": "2", "email": "z@example.com"},
        {"external_id": "1", "email": "y@example.com"},
        {"external_id": "5", "email": "1@example.com"},
    ]
    assert await _load(club, *shifted) == ["accepted"] * 7
    listed = [each["email"] for each in await _list_profiles(club)]
    assert listed == [f"{name}@example.com" for name in ("y", "z", "x", "free", "1")]
    assert (await get_profile(club, first["id"]))["email"] == "y@example.com"


async def test_a_row_that_waits_takes_nothing_that_a_later_row_frees(club: Club) -> None:
    for name in ("1", "2"):
        await create_profile(club, external_id=name, email=f"{name}@example.com")
    outcomes = await _load(
        club,
        {"external_id": "1", "title": "Ms"},
        {"external_id": "1", "email": "2@example.com"},
        {"external_id": "2", "email": "free@example.com"},
    )
    assert outcomes == ["accepted", {"email": "The email exists"}, "accepted"]


async def test_a_freed_external_id_is_free(club: Club) -> None:
    for name in ("a", "b"):
        await create_profile(club, external_id=name, email=f"{name}@example.com")
    rows = [{"email": "a@example.com", "external_id": "c"}, {"email": "b@example.com", "external_id": "a"}]
    body = {"match_criteria": "email", "profiles": rows}
    assert (await club.http.post(f"{PROFILES_URL}/batch.json", json=body)).json()["data"]["accepted"] == 2
    assert [each["external_id"] for each in await _list_profiles(club)] == ["a", "c"]


async def test_the_former_identifier_of_an_identity_is_free_for_a_new_one(club: Club) -> None:
    profile = await create_profile(club, external_id="P-1", identities=[{"handle": "card", "identifier": "A"}])
    [stored] = profile["identities"]
    renamed = {"id": stored["id"], "handle": "card", "identifier": "B"}
    former = {"handle": "card", "identifier": "A"}
    row = {"external_id": "P-1", "identities": [renamed, former]}
    assert await _load(club, row, {"external_id": "P-2", "identities": [former]}) == [
        "accepted",
        {"identities.0.identifier": "The identity exists"},
    ]
    found = {each["identifier"]: each["id"] for each in (await get_profile(club, profile["id"]))["identities"]}
    assert found["B"] == stored["id"]
    assert found.keys() == {"A", "B"}
    assert await _load(club, row) == ["unchanged"]
    back = [{"id": found["B"], "handle": "card", "identifier": each} for each in ("C", "B")]
    assert await _load(club, {"external_id": "P-1", "identities": back}) == ["unchanged"]
    moved = [{"id": found["B"], "handle": "card", "identifier": "C"}, {**former, "id": found["A"], "identifier": "B"}]
    assert await _load(club, {"external_id": "P-1", "identities": moved}) == [
        {"identities.1.identifier": "The identity exists"}
    ]


async def test_an_identifier_stays_with_its_profile_if_the_row_that_changes_it_is_rejected(club: Club) -> None:
    await create_profile(club, email="kari@example.com")
    profile = await create_profile(club, external_id="P-1", identities=[{"handle": "card", "identifier": "A"}])
    [stored] = profile["identities"]
    renamed = {"id": stored["id"], "handle": "card", "identifier": "B"}
    outcomes = await _load(
        club,
        {"external_id": "P-1", "email": "kari@example.com", "identities": [renamed]},
        {"external_id": "P-2", "identities": [{"handle": "card", "identifier": "A"}]},
        {"external_id": "P-3"},
    )
    assert outcomes == [
        {"email": "The email exists"},
        {"identities.0.identifier": "The identity exists"},
        "accepted",
    ]
    assert (await get_profile(club, profile["id"]))["identities"] == [stored]


async def test_the_external_id_of_a_merged_or_deleted_profile_is_rejected(club: Club) -> None:
    gone, into = await create_profile(club, external_id="1"), await create_profile(club, external_id="2")
    deleted = await create_profile(club, external_id="3")
    body = {"source_profile_id": gone["id"], "destination_profile_id": into["id"]}
    await club.http.post(f"{PROFILES_URL}/merge", json=body)
    await club.http.delete(f"{PROFILES_URL}/{deleted['id']}")
    outcomes = await _load(club, {"external_id": "1"}, {"external_id": "3"}, {"external_id": "2", "title": "Ms"})
    assert outcomes == [
        {"external_id": f"is of a profile that was merged into {into['id']}"},
        {"external_id": "is of a profile that was deleted: make it active first"},
        "accepted",
    ]


async def test_concurrent_writers_of_the_same_rows_write_them_once(club: Club) -> None:
    rows = [{"external_id": str(n), "email": f"{n}@example.com"} for n in range(50)]
    outcomes = await asyncio.gather(_load(club, *rows), _load(club, *reversed(rows)))
    assert sorted(each for some in outcomes for each in some if isinstance(each, str)) == (
        ["accepted"] * 50 + ["unchanged"] * 50
    )
    assert len(await _list_profiles(club)) == 50


async def test_concurrent_requests_never_share_an_email(club: Club) -> None:
    answers = await asyncio.gather(
        *(club.http.post(PROFILES_URL, json={"email": "kari@example.com"}) for _ in range(4))
    )
    assert sorted(response.status_code for response in answers) == [201, 422, 422, 422]


async def test_thousands_of_rows_are_written_in_one_call(club: Club) -> None:
    rows = [
        {
            "external_id": str(n),
            "email": f"{n}@example.com",
            "consents": {"email_marketing": True},
            "addresses": [{"iso": "NO"}],
        }
        for n in range(3000)
    ]
    assert await _load(club, *rows) == ["accepted"] * 3000
    assert await _load(club, *rows) == ["unchanged"] * 3000


# Batches over HTTP ----------------------------------------------------------------------------------------


async def test_a_batch_matches_profiles_by_its_handle(club: Club) -> None:
    by_email = await create_profile(club, email="kari@example.com")
    by_card = await create_profile(club, identities=[{"handle": "card", "identifier": "1"}])
    rows = [
        {"email": "KARI@example.com", "first_name": "Kari"},
        {"email": "ola@example.com"},
        {"email": "Ola@example.com", "first_name": "Ola"},
        {"email": "?"},
        {},
    ]
    response = await club.http.post(f"{PROFILES_URL}/batch.json", json={"match_criteria": "email", "profiles": rows})
    result = response.json()["data"]
    assert (response.status_code, result["accepted"], result["unchanged"]) == (200, 4, 0)
    assert [(each["index"], list(each["errors"])) for each in result["rejected"]] == [(3, ["email"])]
    assert (await get_profile(club, by_email["id"]))["first_name"] == "Kari"
    again = {"match_criteria": "card", "profiles": [{"identities": by_card["identities"], "title": "Ms"}]}
    assert (await club.http.post(f"{PROFILES_URL}/batch.json", json=again)).json()["data"]["accepted"] == 1
    assert (await get_profile(club, by_card["id"]))["title"] == "Ms"
    assert len(await _list_profiles(club)) == 4


async def test_rows_with_two_spellings_of_one_phone_number_are_of_one_profile(club: Club) -> None:
    rows = [{"mobile_phone": "912 34 567", "title": "Ms"}, {"mobile_phone": "+4791234567", "first_name": "Kari"}]
    body = {"match_criteria": "mobile_phone", "profiles": rows}
    result = (await club.http.post(f"{PROFILES_URL}/batch.json", json=body)).json()["data"]
    assert (result["accepted"], result["rejected"]) == (2, [])
    (profile,) = await _list_profiles(club)
    assert (profile["title"], profile["first_name"]) == ("Ms", "Kari")


async def test_rows_of_one_profile_with_two_cards_are_written_in_order(club: Club) -> None:
    cards = [{"handle": "card", "identifier": "1"}, {"handle": "card", "identifier": "2"}]
    profile = await create_profile(club, identities=cards)
    rows = [{"identities": cards[:1], "title": "Ms"}, {"identities": cards[1:], "first_name": "Kari"}]
    await club.http.post(f"{PROFILES_URL}/batch.json", json={"match_criteria": "card", "profiles": rows})
    after = await get_profile(club, profile["id"])
    assert (after["title"], after["first_name"]) == ("Ms", "Kari")


async def test_the_result_of_a_queued_batch_can_be_read(club: Club, other_club: Club) -> None:
    body = {
        "match_criteria": "external_id",
        "profiles": [{"external_id": "P-1"}, {"external_id": 5, "birth_day": 0}],
    }
    queued = (await club.http.post(f"{PROFILES_URL}/batch", json=body)).json()["data"]
    assert queued["message"] == "Profiles queued for batch import."
    path = f"{PROFILES_URL}/batch/{queued['batch_id']}"
    batch = (await club.http.get(path)).json()["data"]
    assert (batch["entity"], batch["accepted"], batch["unchanged"]) == ("profiles", 1, 0)
    assert [(each["index"], list(each["errors"])) for each in batch["rejected"]] == [(1, ["birth_day"])]
    assert (await other_club.http.get(path)).status_code == 404
    assert (await club.http.get(f"{PROFILES_URL}/batch/none")).status_code == 404


@pytest.mark.parametrize("body", [{}, {"profiles": {}}, {"profiles": [], "match_criteria": "a\0"}])
async def test_an_invalid_batch_is_rejected(club: Club, body: dict[str, Any]) -> None:
    for path in ("batch", "batch.json"):
        assert (await club.http.post(f"{PROFILES_URL}/{path}", json=body)).status_code == 422


# Lookups ----------------------------------------------------------------------------------------------------


async def _resolved(club: Club, *refs: tuple[str, str]) -> dict[tuple[str, str], str]:
    async with club.database.read_transaction(club.community.id) as scope:
        found = await lookup.resolve(scope, refs)
    return {ref: str(profile_id) for ref, profile_id in found.items()}


async def test_profiles_are_found_by_every_handle(club: Club, other_club: Club) -> None:
    profile = await create_profile(
        club,
        external_id="P-1",
        email="kari@example.com",
        mobile_phone="+471",
        identities=[{"handle": "card", "identifier": "1"}],
    )
    refs = [
        ("id", profile["id"]),
        ("id", profile["id"].upper()),
        ("external_id", "P-1"),
        ("external_id_or_id", "P-1"),
        ("external_id_or_id", profile["id"]),
        ("email", "KARI@example.com"),
        ("mobile_phone", "+471"),
        ("card", "1"),
    ]
    missing = [
        ("id", "none"),
        ("external_id", "P-2"),
        ("email", "ola@example.com"),
        ("card", "2"),
        ("shop", "1"),
    ]
    assert await _resolved(club, *refs, *missing) == dict.fromkeys(refs, profile["id"])
    assert await _resolved(other_club, *refs) == {}


async def test_a_merged_profile_resolves_to_its_destination_and_a_deleted_one_to_none(club: Club) -> None:
    gone = await create_profile(club, external_id="1", identities=[{"handle": "card", "identifier": "1"}])
    into = await create_profile(club, external_id="2")
    body = {"source_profile_id": gone["id"], "destination_profile_id": into["id"]}
    await club.http.post(f"{PROFILES_URL}/merge", json=body)
    refs = [("id", gone["id"]), ("external_id", "1"), ("card", "1")]
    assert await _resolved(club, *refs) == dict.fromkeys(refs, into["id"])
    await club.http.delete(f"{PROFILES_URL}/{into['id']}")
    assert await _resolved(club, *refs) == {}


async def test_missing_profiles_are_created_and_join_now(club: Club) -> None:
    there, deleted = await create_profile(club, external_id="1"), await create_profile(club, external_id="3")
    await club.http.delete(f"{PROFILES_URL}/{deleted['id']}")

    async def work(uow: UnitOfWork) -> dict[str, UUID]:
        found = await profiles.get_or_create_ids(uow, ["1", "2", "2", "3"])
        assert dict(uow.dirty_profiles) == {found["2"]: "profile.created"}
        return found

    found = await _commit(club, work)
    assert sorted(found) == ["1", "2"]
    assert str(found["1"]) == there["id"]
    made_now = await get_profile(club, str(found["2"]))
    assert (made_now["external_id"], made_now["joined_at"]) == ("2", "2026-11-01 00:00:00")
    assert await list_memberships(club, made_now["id"]) == [("in", "2026-11-01 00:00", True)]
    assert await _commit(club, lambda uow: profiles.get_or_create_ids(uow, ["1", "2"])) == found


# Joining and leaving --------------------------------------------------------------------------------------


async def test_memberships_may_arrive_in_any_order_and_repeatedly(club: Club) -> None:
    profile = await create_profile(club, external_id="P-1", joined_at="2020-01-01")
    rows = [
        {"external_id": "M-3", "profile": "P-1", "type": "in", "at": "2022-01-01"},
        {"external_id": "M-2", "profile": profile["id"], "type": "out", "at": "2021-01-01"},
        {"external_id": "M-1", "profile": "P-1", "type": "in", "at": "2020-01-01", "consents": {"a": True}},
    ]
    assert await _load_memberships(club, *rows) == ["accepted"] * 3
    expected = [
        ("in", "2020-01-01 00:00", True),
        ("in", "2020-01-01 00:00", False),
        ("out", "2021-01-01 00:00", True),
        ("in", "2022-01-01 00:00", True),
    ]
    assert await list_memberships(club, profile["id"]) == expected
    assert await _load_memberships(club, *rows) == ["unchanged"] * 3
    assert await _load_memberships(club, rows[1] | {"at": "2023-01-01"}) == ["accepted"]
    assert await list_memberships(club, profile["id"]) == [
        ("in", "2020-01-01 00:00", True),
        ("in", "2020-01-01 00:00", False),
        ("in", "2022-01-01 00:00", False),
        ("out", "2023-01-01 00:00", True),
    ]


async def test_memberships_without_an_id_match_by_profile_type_and_time(club: Club) -> None:
    profile = await create_profile(club, external_id="P-1", joined_at="2020-01-01")
    rows = [
        {"profile": "P-1", "type": "out", "at": "2021-01-01"},
        {"profile": "P-1", "type": "out", "at": "2021-01-01"},
        {"profile": "P-1", "type": "out", "at": "2021-01-02"},
    ]
    assert await _load_memberships(club, *rows) == ["accepted", "unchanged", "accepted"]
    assert await _load_memberships(club, *rows) == ["unchanged"] * 3
    assert await list_memberships(club, profile["id"]) == [
        ("in", "2020-01-01 00:00", True),
        ("out", "2021-01-01 00:00", True),
        ("out", "2021-01-02 00:00", False),
    ]


async def test_a_membership_is_reassigned_to_another_profile(club: Club) -> None:
    one, two = await create_profile(club, external_id="1"), await create_profile(club, external_id="2")
    row = {"external_id": "M", "type": "out", "at": "2026-11-02"}
    await _load_memberships(club, row | {"profile": "1"})
    await _load_memberships(club, row | {"profile": "2"})
    assert [len(await list_memberships(club, each["id"])) for each in (one, two)] == [1, 2]


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_membership_that_moves_waits_for_other_writers_of_its_former_profile(
    club: Club, is_known: bool
) -> None:
    """Whether it is stored before the other writer begins, or by that one."""
    one, two = await create_profile(club, external_id="1"), await create_profile(club, external_id="2")
    row = {"external_id": "M", "profile": "1", "type": "out", "at": "2026-11-02"}
    if is_known:
        await _load_memberships(club, row)
    rows = [row, {"external_id": "N", "profile": "1", "type": "out", "at": "2026-11-03"}]
    checked_rows = [memberships.validate(msgspec.convert(each, MembershipIn)) for each in rows]
    moves: list[asyncio.Task[list[object]]] = []

    async def write_while_the_other_waits(uow: UnitOfWork) -> None:
        await memberships.upsert_many(uow, checked_rows)
        moves.append(asyncio.create_task(_load_memberships(club, row | {"profile": "2"})))
        await _until_one_waits(uow)

    await _commit(club, write_while_the_other_waits)
    assert await moves[0] == ["accepted"]
    assert [each[0] for each in await list_memberships(club, two["id"])] == ["in", "out"]
    assert await list_memberships(club, one["id"]) == [
        ("in", "2026-11-01 00:00", True),
        ("out", "2026-11-03 00:00", True),
    ]


async def _until_one_waits(uow: UnitOfWork) -> None:
    """Waits until another transaction waits for this one."""
    async with asyncio.timeout(30):
        while not await uow.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
        ):
            pass


@pytest.mark.parametrize("is_one_batch", [True, False])
@pytest.mark.parametrize("first", [{}, {"external_id": "M"}])
async def test_a_membership_with_and_without_its_external_id_is_one(
    club: Club, first: dict[str, Any], is_one_batch: bool
) -> None:
    profile = await create_profile(club, external_id="P-1", joined_at="2020-01-01")
    row = {"profile": "P-1", "type": "out", "at": "2021-01-01"}
    second = {} if first else {"external_id": "M"}
    rows = [row | first, row | second]
    if is_one_batch:
        outcomes = await _load_memberships(club, *rows)
    else:
        outcomes = [outcome for each in rows for outcome in await _load_memberships(club, each)]
    # The second row only brings the external id, or nothing.
    assert outcomes == ["accepted", "accepted" if second else "unchanged"]
    assert await _load_memberships(club, *rows) == ["unchanged"] * 2
    assert await list_memberships(club, profile["id"]) == [
        ("in", "2020-01-01 00:00", True),
        ("out", "2021-01-01 00:00", True),
    ]
    moved = row | {"external_id": "M", "at": "2021-01-02"}
    assert await _load_memberships(club, moved, row, row | {"external_id": "N"}) == ["accepted"] * 3
    assert await list_memberships(club, profile["id"]) == [
        ("in", "2020-01-01 00:00", True),
        ("out", "2021-01-01 00:00", True),
        ("out", "2021-01-02 00:00", False),
    ]


async def test_two_external_ids_are_two_memberships(club: Club) -> None:
    profile = await create_profile(club, external_id="P-1", joined_at="2020-01-01")
    row = {"profile": "P-1", "type": "out", "at": "2021-01-01"}
    rows = [row | {"external_id": "M"}, row | {"external_id": "N"}, row]
    assert await _load_memberships(club, *rows) == ["accepted", "accepted", "unchanged"]
    assert await _load_memberships(club, *rows) == ["unchanged"] * 3
    assert len(await list_memberships(club, profile["id"])) == 3


async def test_the_join_of_a_creation_takes_no_external_id(club: Club) -> None:
    one, two = (
        await create_profile(club, external_id="1", joined_at="2020-01-01"),
        await create_profile(club, external_id="2"),
    )
    join = {"external_id": "M", "profile": "1", "type": "in", "at": "2020-01-01"}
    assert await _load_memberships(club, join) == ["accepted"]
    assert await _load_memberships(club, join | {"profile": "2"}) == ["accepted"]
    assert await list_memberships(club, one["id"]) == [("in", "2020-01-01 00:00", True)]
    assert [each[0] for each in await list_memberships(club, two["id"])] == ["in", "in"]


async def test_a_membership_of_an_unknown_profile_is_rejected(club: Club) -> None:
    outcomes = await _load_memberships(club, {"profile": "P-9", "type": "in", "at": "2021-01-01"})
    assert outcomes == [{"profile": "There is no profile P-9"}]


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ({"type": "in", "at": "2021-01-01"}, "profile"),
        ({"profile": "1", "at": "2021-01-01"}, "type"),
        ({"profile": "1", "type": "in"}, "at"),
        ({"profile": "1", "type": "join", "at": "2021-01-01"}, "type"),
        ({"profile": "1", "type": "in", "at": "0000-01-01"}, "at"),
        ({"profile": "1\0", "type": "in", "at": "2021-01-01"}, "profile"),
        ({"profile": "1", "type": "in", "at": "2021-01-01", "consents": {"a": "b"}}, "consents"),
    ],
)
def test_an_invalid_membership_is_rejected_by_path(row: dict[str, Any], path: str) -> None:
    with pytest.raises(ValidationError) as error:
        memberships.validate(msgspec.convert(row, MembershipIn))
    assert list(error.value.errors) == [path]


async def test_the_members_at_any_time_are_the_joins_minus_the_leaves(club: Club) -> None:
    profile = await create_profile(club, joined_at="2026-10-01")
    path = f"{PROFILES_URL}/{profile['id']}"
    for _ in range(2):
        club.clock.advance(days=1)
        await club.http.delete(path)
        await club.http.put(f"{path}/update-type", json={"profile_type": "deleted"})
        club.clock.advance(days=1)
        await club.http.put(f"{path}/update-type", json={"profile_type": "active"})
        await club.http.put(f"{path}/update-type", json={"profile_type": "active"})
    found = await list_memberships(club, profile["id"])
    assert found == [
        ("in", "2026-10-01 00:00", True),
        ("out", "2026-11-02 00:00", True),
        ("in", "2026-11-03 00:00", True),
        ("out", "2026-11-04 00:00", True),
        ("in", "2026-11-05 00:00", True),
    ]
