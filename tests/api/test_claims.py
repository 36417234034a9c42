"""A member claims a purchase that was recorded without a profile."""

import asyncio
from typing import Any

import pytest

from api.transaction_client import (
    V3,
    Json,
    create_profile,
    create_transaction,
    get_json,
    get_values,
    sale,
    shop_count_and_spend,
    update_transaction,
)
from clubs import Club


async def create_store(club: Club, external_code: str | None = "10") -> str:
    answer = await club.http.post(f"{V3}/locations", json={"external_id": "M10", "external_code": external_code})
    assert answer.status_code == 201, answer.text
    return "M10"


def receipt(**more: Any) -> Json:
    return sale("99.90", "2026-10-01 12:00:00.25", receipt_ref="r1", location_id="M10") | more


def claim_body(**more: Any) -> Json:
    return {
        "transaction_receipt_ref": "r1",
        "transaction_transacted_at": "2026-10-01 12:00:00",
        "transaction_timezone": "UTC",
        "transaction_total": 99.9,
        "transaction_location_external_code": 10,
    } | more


async def claim(club: Club, profile_id: str, expected: int = 201, **more: Any) -> Json:
    answer = await club.http.post(f"{V3}/profiles/{profile_id}/transactions/claims", json=claim_body(**more))
    assert answer.status_code == expected, answer.text
    found: Json = answer.json()
    return found["data"] if expected == 201 else found


async def test_a_claim_attaches_an_existing_transaction(club: Club) -> None:
    await create_store(club)
    member = await create_profile(club)
    created = await create_transaction(club, receipt())
    claimed = await claim(club, member)
    assert claimed == {
        "id": claimed["id"],
        "profile_id": member,
        "transaction_id": created["id"],
        "transaction_receipt_ref": "r1",
        "transaction_transacted_at": "2026-10-01 12:00:00",
        "transaction_timezone": "UTC",
        "transaction_total": "99.9",
        "transaction_location_external_code": "10",
        "created_at": "2026-11-01 00:00:00",
        "updated_at": "2026-11-01 00:00:00",
    }
    assert (await get_json(club, f"transactions/{created['id']}"))["data"]["profile_id"] == member
    assert await shop_count_and_spend(club, member) == (1, 99 + (await get_values(club, member))["spend_all"] % 1)


async def test_a_claim_attaches_a_transaction_that_arrives_later(club: Club) -> None:
    await create_store(club)
    member = await create_profile(club)
    waiting = await claim(club, member)
    assert waiting["transaction_id"] is None
    created = await create_transaction(club, receipt())
    assert created["profile_id"] == member
    shown = (await get_json(club, f"profiles/{member}/transactions/claims/{waiting['id']}"))["data"]
    assert shown["transaction_id"] == created["id"]
    assert (await shop_count_and_spend(club, member))[0] == 1


@pytest.mark.parametrize(
    "other",
    [
        {"transaction_receipt_ref": "r2"},
        {"transaction_transacted_at": "2026-10-01 12:00:01"},
        {"transaction_timezone": "Europe/Oslo"},
        {"transaction_total": 99.91},
        {"transaction_location_external_code": "11"},
    ],
)
async def test_a_claim_matches_only_if_all_five_fields_are_equal(club: Club, other: Json) -> None:
    await create_store(club)
    member = await create_profile(club)
    await create_transaction(club, receipt())
    assert (await claim(club, member, **other))["transaction_id"] is None
    assert (await create_transaction(club, receipt()))["profile_id"] is None
    assert await shop_count_and_spend(club, member) == (0, 0)


async def test_a_transaction_of_another_profile_is_not_claimed(club: Club) -> None:
    await create_store(club)
    owner, member = await create_profile(club), await create_profile(club)
    await create_transaction(club, receipt(profile_id=owner))
    assert (await claim(club, member))["transaction_id"] is None
    assert (await create_transaction(club, receipt(profile_id=owner)))["profile_id"] == owner


async def test_equal_claims_get_one_transaction_each_in_their_order(club: Club) -> None:
    await create_store(club)
    first, second = await create_profile(club), await create_profile(club)
    await claim(club, first)
    await claim(club, second)
    body = {"transactions": [receipt(external_id=each) for each in "abc"]}
    ids = (await club.http.post(f"{V3}/transactions/batch.json", json=body)).json()["data"]["ids"]
    shown = [(await get_json(club, f"transactions/{each}"))["data"]["profile_id"] for each in ids]
    assert shown == [first, second, None]
    assert (await shop_count_and_spend(club, first))[0] == (await shop_count_and_spend(club, second))[0] == 1


async def test_an_updated_transaction_is_matched_with_waiting_claims(club: Club) -> None:
    await create_store(club)
    member = await create_profile(club)
    await claim(club, member)
    created = await create_transaction(club, receipt(total=1))
    assert (await update_transaction(club, created, total="99.90"))["profile_id"] == member
    assert (await shop_count_and_spend(club, member))[0] == 1


async def test_unattach_removes_the_profile_and_the_claim(club: Club) -> None:
    await create_store(club)
    member = await create_profile(club)
    created = await create_transaction(club, receipt())
    await claim(club, member)
    shown = await get_json(club, f"profiles/{member}/transactions/{created['id']}/unattach")
    assert shown["data"]["profile_id"] is None
    assert await shop_count_and_spend(club, member) == (0, 0)
    assert (await get_json(club, f"profiles/{member}/transactions/claims"))["data"] == []
    await get_json(club, f"profiles/{member}/transactions/{created['id']}/unattach", 404)
    await get_json(club, f"profiles/{member}/transactions/999999/unattach", 404)
    assert (await update_transaction(club, created, total="99.90"))["profile_id"] is None


async def test_the_claim_of_a_deleted_transaction_waits_again(club: Club) -> None:
    await create_store(club)
    member = await create_profile(club)
    created = await create_transaction(club, receipt())
    await claim(club, member)
    await club.http.delete(f"{V3}/transactions/{created['id']}")
    assert await shop_count_and_spend(club, member) == (0, 0)
    assert (await create_transaction(club, receipt()))["profile_id"] == member


async def test_a_withdrawn_claim_matches_no_more_and_its_transaction_stays_attached(club: Club) -> None:
    await create_store(club)
    member = await create_profile(club)
    at = f"{V3}/profiles/{member}/transactions/claims"
    withdrawn = await claim(club, member)
    assert (await club.http.delete(f"{at}/{withdrawn['id']}")).status_code == 204
    assert (await club.http.delete(f"{at}/{withdrawn['id']}")).status_code == 404
    assert (await create_transaction(club, receipt()))["profile_id"] is None
    got = await claim(club, member)
    assert (await club.http.delete(f"{at}/{got['id']}")).status_code == 204
    assert (await shop_count_and_spend(club, member))[0] == 1


async def test_claims_are_listed_by_profile(club: Club) -> None:
    member, other = await create_profile(club), await create_profile(club)
    ids = [(await claim(club, member, transaction_total=total))["id"] for total in (1, 2, 3)]
    foreign = await claim(club, other)
    at = f"profiles/{member}/transactions/claims"
    listed = await get_json(club, at, **{"filter[transaction_total][gte]": "2", "sort": "-transaction_total"})
    assert [each["id"] for each in listed["data"]] == [ids[2], ids[1]]
    await get_json(club, f"{at}/{foreign['id']}", 404)
    await get_json(club, f"{at}/x", 404)


async def test_an_incomplete_or_invalid_claim_is_422(club: Club) -> None:
    member = await create_profile(club)
    answer = await club.http.post(f"{V3}/profiles/{member}/transactions/claims", json={})
    assert answer.json()["errors"] == {"transaction_receipt_ref": ["is required"]}
    rejected = await claim(
        club,
        member,
        422,
        transaction_receipt_ref="",
        transaction_transacted_at="soon",
        transaction_timezone="Mars",
        transaction_total="NaN",
        transaction_location_external_code="\0",
    )
    assert list(rejected["errors"]) == [
        "transaction_receipt_ref",
        "transaction_transacted_at",
        "transaction_timezone",
        "transaction_total",
        "transaction_location_external_code",
    ]


async def test_claims_of_an_unknown_profile_are_404(club: Club, other_club: Club) -> None:
    foreign = await create_profile(other_club)
    for member in (foreign, "x", "018f0000-0000-7000-8000-000000000000"):
        await claim(club, member, 404)
        await get_json(club, f"profiles/{member}/transactions/claims", 404)


async def test_concurrent_claims_and_transactions_are_matched(club: Club) -> None:
    await create_store(club)
    members = [await create_profile(club) for _ in range(8)]
    claims = [claim(club, member, transaction_receipt_ref=f"r{place}") for place, member in enumerate(members)]
    receipts = [create_transaction(club, receipt(receipt_ref=f"r{place}")) for place in range(8)]
    mixed = [each for pair in zip(claims, receipts, strict=True) for each in pair]
    await asyncio.gather(*mixed)
    assert [(await shop_count_and_spend(club, member))[0] for member in members] == [1] * 8


async def test_a_claim_gets_one_of_several_concurrent_transactions(club: Club) -> None:
    await create_store(club)
    member = await create_profile(club)
    await claim(club, member)
    created = await asyncio.gather(*(create_transaction(club, receipt(external_id=each)) for each in "abcdef"))
    assert [each["profile_id"] for each in created].count(member) == 1
    assert (await shop_count_and_spend(club, member))[0] == 1


async def test_a_claim_waits_again_when_the_profile_with_its_transaction_is_purged(club: Club) -> None:
    await create_store(club)
    member, other = await create_profile(club), await create_profile(club)
    created = await create_transaction(club, receipt())
    claimed = await claim(club, member)
    await update_transaction(club, created, profile_id=other)
    answer = await club.http.delete(f"{V3}/profiles/{other}/purge")
    assert answer.status_code == 204, answer.text
    shown = (await get_json(club, f"profiles/{member}/transactions/claims/{claimed['id']}"))["data"]
    assert shown["transaction_id"] is None
    # A new transaction is matched with the claim.
    assert (await create_transaction(club, receipt()))["profile_id"] == member
