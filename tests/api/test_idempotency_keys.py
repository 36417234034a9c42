"""Idempotency keys: each caller has a namespace, and stored responses about an erased member are erased."""

from typing import Any
from uuid import UUID

import httpx

from api.profile_calls import PROFILES_URL, create_profile, fetch_rows
from clubs import Club
from regulars.api.profile.members import MEMBER_PATH
from regulars.auth import tokens
from regulars.auth.tokens import NewToken

TRANSACTIONS = "/api/v3/transactions"
CANARY = "Canary-7c1d"


async def _post(club: Club, path: str, body: Any, key: str, token: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    return await club.http.post(path, json=body, headers=headers)


async def _token(club: Club, profile_id: str) -> str:
    answer = await club.http.post("/id/api/v1/auth/token", json={"id": profile_id})
    token: str = answer.json()["data"]["token"]
    return token


def _sale(external_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "external_id": external_id,
        "transacted_at": "2026-10-01 12:00:00",
        "timezone": "UTC",
        "total": 10,
        "items": [{"name": "Tea", "quantity": 1, "price_current": 10, "price_sell": 10}],
        **fields,
    }


async def _is_erased(answer: httpx.Response) -> bool:
    body = answer.json()
    assert answer.status_code == 410, answer.text
    assert list(body) == ["message"]
    assert "erased" in body["message"]
    return CANARY not in answer.text


async def _assert_erased_after(club: Club, profile_id: str, path: str, body: Any) -> None:
    """Both ways of erasing a profile erase the stored response to a request."""
    first = await _post(club, path, body, "k")
    assert first.status_code in (200, 201), first.text
    assert (await _post(club, path, body, "k")).content == first.content
    answer = await club.http.post(f"{PROFILES_URL}/{profile_id}/depersonalise")
    assert answer.status_code == 200
    assert await _is_erased(await _post(club, path, body, "k"))
    stored = await fetch_rows(club, "SELECT response_body, status FROM idempotency_keys WHERE community_id = $1")
    assert [(row["response_body"], row["status"]) for row in stored] == [(None, None)]


async def test_two_members_may_use_the_same_key(club: Club) -> None:
    one, two = await create_profile(club), await create_profile(club)
    cities = []
    for profile in (one, two):
        token = await _token(club, profile["id"])
        answer = await _post(club, f"{MEMBER_PATH}/addresses", {"city": "Oslo"}, "k", token)
        assert answer.status_code == 201, answer.text
        assert (await _post(club, f"{MEMBER_PATH}/addresses", {"city": "Oslo"}, "k", token)).content == answer.content
        cities.append((answer.json()["data"]["profile_id"], answer.json()["data"]["city"]))
    assert cities == [(one["id"], "Oslo"), (two["id"], "Oslo")]


async def test_a_member_can_not_use_up_the_key_of_a_till(club: Club) -> None:
    profile = await create_profile(club)
    token = await _token(club, profile["id"])
    assert (await _post(club, f"{MEMBER_PATH}/addresses", {"city": "Oslo"}, "till-1-42", token)).status_code == 201
    assert (await _post(club, TRANSACTIONS, _sale("T-1"), "till-1-42")).status_code == 201


async def test_a_token_bound_to_a_profile_has_its_own_keys(club: Club) -> None:
    profile = await create_profile(club)
    path = f"{PROFILES_URL}/{profile['id']}/addresses"
    new = NewToken(
        club.community.organization_id, "bound", community_id=club.community.id, profile_id=UUID(profile["id"])
    )
    async with club.database.unscoped_connection() as connection:
        secret = await tokens.create(connection, new, club.clock())
    assert (await _post(club, path, {"city": "Oslo"}, "k", secret)).status_code == 201
    assert (await _post(club, path, {"city": "Bergen"}, "k")).status_code == 201


async def test_a_rotated_token_gets_the_first_response(club: Club) -> None:
    first = await _post(club, TRANSACTIONS, _sale("T-1"), "k")
    async with club.database.unscoped_connection() as connection:
        new = NewToken(club.community.organization_id, "another", community_id=club.community.id)
        secret = await tokens.create(connection, new, club.clock())
    assert (await _post(club, TRANSACTIONS, _sale("T-1"), "k", secret)).content == first.content


async def test_an_import_and_a_till_may_use_the_same_key(club: Club) -> None:
    assert (await _post(club, TRANSACTIONS, _sale("T-1"), "k")).status_code == 201
    headers = {"Idempotency-Key": "k", "Content-Type": "application/x-ndjson"}
    imported = await club.http.post("/v1/import/locations", content=b'{"external_id": "1"}', headers=headers)
    assert imported.status_code == 200, imported.text


async def test_a_purged_profile_is_not_created_again_by_a_late_retry(club: Club) -> None:
    body = {"first_name": CANARY, "email": "kari@example.com"}
    first = await _post(club, PROFILES_URL, body, "k")
    survivor = await create_profile(club)
    merge = {"source_profile_id": first.json()["data"]["id"], "destination_profile_id": survivor["id"]}
    assert (await club.http.post(f"{PROFILES_URL}/merge", json=merge)).status_code == 200
    assert (await club.http.delete(f"{PROFILES_URL}/{survivor['id']}/purge")).status_code == 204
    assert await _is_erased(await _post(club, PROFILES_URL, body, "k"))
    assert await fetch_rows(club, "SELECT FROM profiles WHERE community_id = $1") == []
    other = await _post(club, PROFILES_URL, {"first_name": "Ola"}, "k")
    assert (other.status_code, list(other.json()["errors"])) == (422, ["Idempotency-Key"])


async def test_the_stored_response_about_a_subresource_of_a_profile_is_erased(club: Club) -> None:
    profile = await create_profile(club)
    path = f"{PROFILES_URL}/{profile['id']}/addresses"
    await _assert_erased_after(club, profile["id"], path, {"city": CANARY})


async def test_the_stored_response_about_a_waiting_claim_is_erased(club: Club) -> None:
    profile = await create_profile(club)
    claim = {
        "transaction_receipt_ref": CANARY,
        "transaction_transacted_at": "2026-10-01 12:00:00",
        "transaction_timezone": "UTC",
        "transaction_total": 10,
        "transaction_location_external_code": "S1",
    }
    await _assert_erased_after(club, profile["id"], f"{PROFILES_URL}/{profile['id']}/transactions/claims", claim)


async def test_the_stored_response_about_a_transaction_is_erased(club: Club) -> None:
    profile = await create_profile(club)
    body = _sale("T-1", profile_id=profile["id"], meta={"note": CANARY})
    await _assert_erased_after(club, profile["id"], TRANSACTIONS, body)


async def test_a_sale_that_was_assigned_to_a_member_later_is_erased_with_the_member(club: Club) -> None:
    profile = await create_profile(club)
    body = _sale("T-1", meta={"note": CANARY})
    first = await _post(club, TRANSACTIONS, body, "k")
    path = f"{TRANSACTIONS}/{first.json()['data']['id']}"
    assert (await club.http.put(path, json={"profile_id": profile["id"]})).status_code == 200
    assert (await club.http.delete(f"{PROFILES_URL}/{profile['id']}/purge")).status_code == 204
    assert await _is_erased(await _post(club, TRANSACTIONS, body, "k"))


async def test_the_stored_response_about_an_added_item_is_erased_with_the_member(club: Club) -> None:
    profile = await create_profile(club)
    sale = (await club.http.post(TRANSACTIONS, json=_sale("T-1", profile_id=profile["id"]))).json()["data"]
    item = {"name": CANARY, "quantity": 1, "price_current": 0, "price_sell": 0}
    await _assert_erased_after(club, profile["id"], f"{TRANSACTIONS}/{sale['id']}/items", item)


async def test_a_batch_is_erased_with_any_of_its_members(club: Club) -> None:
    body = {"profiles": [{"email": f"{name}@example.com", "first_name": CANARY} for name in ("kari", "ola")]}
    first = await _post(club, f"{PROFILES_URL}/batch.json", body, "profiles")
    assert first.json()["data"]["accepted"] == 2
    found = await club.http.post(f"{PROFILES_URL}/search-id", json={"type": "email", "id": "ola@example.com"})
    profile_id = found.json()["data"]["id"]
    sales = [_sale("T-1", profile_id=profile_id), _sale("T-2")]
    assert (await _post(club, f"{TRANSACTIONS}/batch.json", sales, "sales")).status_code == 200
    assert (await club.http.delete(f"{PROFILES_URL}/{profile_id}/purge")).status_code == 204
    assert await _is_erased(await _post(club, f"{PROFILES_URL}/batch.json", body, "profiles"))
    assert await _is_erased(await _post(club, f"{TRANSACTIONS}/batch.json", sales, "sales"))
    [emails] = await fetch_rows(club, "SELECT array_agg(email) AS all FROM profiles WHERE community_id = $1")
    assert emails["all"] == ["kari@example.com"]


async def test_responses_with_rejected_rows_remain_when_another_member_is_erased(club: Club) -> None:
    profile_id = (await create_profile(club, mobile_phone="+4790000001"))["id"]
    batch = f"{TRANSACTIONS}/batch.json"
    body = [_sale("T-1", profile_id="0047 90 00 00 01", profile_id_handle="app"), _sale("T-2")]
    first = await _post(club, batch, body, "batch")
    assert len(first.json()["data"]["rejected"]) == 1
    headers = {"Idempotency-Key": "import", "Content-Type": "application/x-ndjson"}
    row = b'{"external_id": "1", "birth_year": "0047 90 00 00 01"}'
    assert (await club.http.post("/v1/import/profiles", content=row, headers=headers)).json()["rejected"] == 1
    assert (await club.http.delete(f"{PROFILES_URL}/{profile_id}/purge")).status_code == 204
    assert (await _post(club, batch, body, "batch")).content == first.content
    again = await club.http.post("/v1/import/profiles", content=row, headers=headers)
    assert (again.status_code, again.json()["rejected"]) == (200, 1)


async def test_a_batch_with_rejected_rows_is_erased_with_any_of_its_members(club: Club) -> None:
    profile_id = (await create_profile(club))["id"]
    batch = f"{TRANSACTIONS}/batch.json"
    body = [_sale("T-1", profile_id="unknown"), _sale("T-2", profile_id=profile_id)]
    assert len((await _post(club, batch, body, "k")).json()["data"]["rejected"]) == 1
    assert (await club.http.delete(f"{PROFILES_URL}/{profile_id}/purge")).status_code == 204
    assert await _is_erased(await _post(club, batch, body, "k"))
