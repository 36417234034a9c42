"""Concurrent transactions: each caller gets its own response, and sums are exact."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from api.transaction_client import (
    V3,
    Json,
    create_profile,
    create_transaction,
    fill_spend,
    get_json,
    item_fields,
    sale,
    shop_count_and_spend,
    update_transaction,
)
from clubs import Club


async def post(club: Club, path: str, body: Any, key: str | None = None) -> tuple[int, Json]:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = await club.http.post(f"{V3}/transactions{path}", json=body, headers=headers)
    found: Json = answer.json()
    return answer.status_code, found


async def test_forty_concurrent_requests_with_invalid_ones_each_get_their_own_response(club: Club) -> None:
    members = [await create_profile(club) for _ in range(4)]
    spender = await create_profile(club)
    await fill_spend(club, spender)

    def body(number: int) -> Json:
        member = members[number % 4]
        if number % 10 == 7:
            return sale(number, profile_id="018f0000-0000-7000-8000-000000000000")
        if number % 10 == 8:
            return sale(number, profile_id=spender, external_id=f"bad-{number}")
        # Every external id is used twice.
        return sale(f"{number}.{number:02}", profile_id=member, external_id=f"R-{number // 2 * 2}")

    answers = await asyncio.gather(*(post(club, "", body(number)) for number in range(40)))
    expected = dict.fromkeys(members, Decimal(0))
    stored: dict[str, int] = {}
    for number, (status, answer) in enumerate(answers):
        if number % 10 == 7:
            assert (status, list(answer["errors"])) == (422, ["profile_id"])
        elif number % 10 == 8:
            assert status == 422
            assert "makes a value of its profile too large" in answer["message"]
        elif status == 201:
            shown = answer["data"]
            assert shown["external_id"] == f"R-{number // 2 * 2}"
            assert shown["external_id"] not in stored
            stored[shown["external_id"]] = shown["id"]
            expected[shown["profile_id"]] += Decimal(f"{number}.{number:02}")
        else:
            assert (status, list(answer["errors"])) == (422, ["external_id"])
    assert len(stored) == 20
    for member in members:
        assert (await shop_count_and_spend(club, member))[1] == expected[member]
    assert (await get_json(club, "transactions"))["meta"]["total"] == len(stored) + 1


async def test_concurrent_updates_of_one_profile_lose_nothing(club: Club) -> None:
    members = [await create_profile(club) for _ in range(2)]
    created = [await create_transaction(club, sale(10, profile_id=members[each % 2])) for each in range(10)]

    async def work(number: int) -> None:
        transaction = created[number]
        match number % 5:
            case 0:
                await update_transaction(club, transaction, total=20)
            case 1:
                await update_transaction(club, transaction, profile_id=members[0])
            case 2:
                await update_transaction(club, transaction, is_void=True)
            case 3:
                assert (await club.http.delete(f"{V3}/transactions/{transaction['id']}")).status_code == 204
            case _:
                await create_transaction(club, sale(5, profile_id=members[1]))

    await asyncio.gather(*(work(number) for number in range(10)))
    sums = {member: [] for member in members}  # type: dict[str, list[Decimal]]
    for each in (await get_json(club, "transactions"))["data"]:
        if not each["is_void"]:
            sums[each["profile_id"]].append(Decimal(each["total"]))
    for member in members:
        assert await shop_count_and_spend(club, member) == (len(sums[member]), sum(sums[member]))


async def test_concurrent_update_create_requests_create_one_transaction(club: Club) -> None:
    member = await create_profile(club)
    bodies = [sale(number, external_id="R", profile_id=member) for number in range(1, 13)]
    answers = await asyncio.gather(*(post(club, "/update-create", body) for body in bodies))
    assert sorted(status for status, _ in answers) == [200] * 11 + [201]
    assert len({answer["data"]["id"] for _, answer in answers}) == 1
    (stored,) = (await get_json(club, "transactions"))["data"]
    assert await shop_count_and_spend(club, member) == (1, stored["total"])


async def test_concurrent_update_create_and_delete_requests_succeed(club: Club) -> None:
    async def delete() -> None:
        for each in (await get_json(club, "transactions"))["data"]:
            await club.http.delete(f"{V3}/transactions/{each['id']}")

    body = sale(1, external_id="R")
    work = [each for _ in range(6) for each in (post(club, "/update-create", body), delete())]
    answers = [each for each in await asyncio.gather(*work) if each is not None]
    assert {status for status, _ in answers} <= {200, 201}


# One key -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/update-create", "/queue", "/batch.json"])
async def test_concurrent_requests_with_the_same_key_write_once(club: Club, path: str) -> None:
    member = await create_profile(club)
    body = sale(profile_id=member)
    answers = await asyncio.gather(*(post(club, path, body, "k1") for _ in range(6)))
    assert all(answer == answers[0] for answer in answers)
    assert await post(club, path, body, "k1") == answers[0]
    assert await shop_count_and_spend(club, member) == (1, Decimal("100.00"))
    assert (await post(club, path, body, "k2"))[0] in (200, 201)
    assert (await shop_count_and_spend(club, member))[0] == 2


async def test_a_key_with_another_body_is_422(club: Club) -> None:
    answers = await asyncio.gather(*(post(club, "", sale(total), "k1") for total in (1, 2)))
    assert sorted(status for status, _ in answers) == [201, 422]
    assert (await post(club, "", sale(3), "k1"))[1]["errors"] == {
        "Idempotency-Key": ["was used for another request in the last 24 hours: choose a new one"]
    }
    status, _ = await post(club, "/update-create", sale(3), "k1")
    assert status == 422
    assert (await get_json(club, "transactions"))["meta"]["total"] == 1


async def test_a_rejected_request_does_not_use_its_key(club: Club) -> None:
    await create_transaction(club, sale(external_id="A"))
    assert (await post(club, "", sale(external_id="A"), "k1"))[0] == 422
    assert (await post(club, "", sale(external_id="B"), "k1"))[0] == 201


async def test_a_repeated_update_create_gets_the_first_response(club: Club) -> None:
    first = await post(club, "/update-create", sale(1, external_id="A"), "k1")
    assert first[0] == 201
    changed = await post(club, "/update-create", {"external_id": "A", "total": 2}, "k2")
    assert (changed[0], changed[1]["data"]["total"]) == (200, 2)
    assert await post(club, "/update-create", sale(1, external_id="A"), "k1") == first
    assert await post(club, "/update-create", {"external_id": "A", "total": 2}, "k2") == changed
    assert (await get_json(club, "transactions/external/A"))["data"]["total"] == 2


async def test_a_key_expires_after_a_day(club: Club) -> None:
    await post(club, "", sale(), "k1")
    club.clock.advance(hours=24)
    await post(club, "", sale(), "k1")
    assert (await get_json(club, "transactions"))["meta"]["total"] == 2


async def test_a_long_or_unprintable_key_is_422(club: Club) -> None:
    for key in ("x" * 256, "a\x7fb"):
        status, answer = await post(club, "", sale(), key)
        assert (status, list(answer["errors"])) == (422, ["Idempotency-Key"])


async def test_other_endpoints_repeat_their_first_response_as_well(club: Club) -> None:
    created = await create_transaction(club, sale())
    at = f"/{created['id']}/items"
    answers = await asyncio.gather(*(post(club, at, item_fields(), "k1") for _ in range(3)))
    assert [status for status, _ in answers] == [201] * 3
    assert len({answer["data"]["id"] for _, answer in answers}) == 1
    assert (await post(club, at, item_fields(name="Other"), "k1"))[0] == 422
    assert len((await get_json(club, f"transactions/{created['id']}/items"))["data"]) == 2


# Batches -------------------------------------------------------------------------------------------------


async def test_a_batch_writes_valid_rows_and_reports_invalid_ones(club: Club) -> None:
    member, spender = await create_profile(club), await create_profile(club)
    await create_transaction(club, sale(external_id="there"))
    await fill_spend(club, spender)
    rows = [
        sale(10, profile_id=member),
        {"total": 1},
        sale(20, profile_id=spender),
        sale(30, external_id="there"),
        sale(40, profile_id=member, external_id="twice"),
        sale(50, profile_id=member, external_id="twice"),
        "no object",
        sale(60, profile_id=member, items=[item_fields(product_variant={"product_id": 999999})]),
    ]
    status, answer = await post(club, "/batch.json", {"transactions": rows})
    found = answer["data"]
    assert (status, found["message"]) == (200, "2 accepted, 0 unchanged, 6 rejected.")
    assert [each["index"] for each in found["rejected"]] == [1, 2, 3, 5, 6, 7]
    assert [each is not None for each in found["ids"]] == [place in (0, 4) for place in range(8)]
    assert found["rejected"][0]["errors"]["timezone"] == ["is required"]
    assert found["rejected"][5]["errors"] == {
        "items.0.product_variant.product_id": ["there is no product with this id"]
    }
    assert await shop_count_and_spend(club, member) == (2, Decimal("50.00"))
    assert await shop_count_and_spend(club, spender) == (1, Decimal("1.00"))


async def test_a_queued_batch_is_written_immediately_and_its_result_can_be_read(club: Club) -> None:
    member = await create_profile(club)
    for body, loaded in (([sale(1, profile_id=member), {}], 1), (sale(2, profile_id=member), 1), ([], 0)):
        status, answer = await post(club, "/queue", body)
        assert (status, answer["data"]["message"]) == (200, "Transactions queued for batch import.")
        stored = (await get_json(club, f"profiles/batch/{answer['data']['batch_id']}"))["data"]
        assert (stored["entity"], stored["accepted"]) == ("transactions", loaded)
    assert await shop_count_and_spend(club, member) == (2, Decimal("3.00"))


async def test_a_batch_that_is_too_large_is_422(club: Club) -> None:
    status, answer = await post(club, "/batch.json", [{}] * 10_001)
    assert (status, list(answer["errors"])) == (422, ["transactions"])
