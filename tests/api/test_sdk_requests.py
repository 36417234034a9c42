"""The requests of the public API's clients, with the answers that they rely on."""

from datetime import UTC, datetime
from typing import Any

import pytest

from api.transaction_client import create_profile, create_transaction, get_json, sale
from clubs import Club, ManualClock
from regulars.api.profile import profile_values
from regulars.model.profiles import sync

V3 = "/api/v3"


async def call(club: Club, method: str, path: str, status: int = 200, **more: Any) -> Any:
    """Sends a request and returns the `data` of the answer."""
    answer = await club.http.request(method, path, **more)
    assert answer.status_code == status, answer.text
    return answer.json()["data"] if answer.content else None


@pytest.mark.parametrize(
    "retries", [{"retry_daily": False, "retry_hourly": True}, {"retry_daily": 0, "retry_hourly": 5}]
)
async def test_a_webhook_is_stored_with_its_retries_as_they_were_sent(club: Club, retries: dict[str, Any]) -> None:
    sent = {
        "trigger": "profiles.create",
        "url": "https://example.com/webhook/create-1",
        "is_active": True,
        "queue": "low",
        "namespace": "sdk-test",
        "condition": None,
        **retries,
    }
    created = await call(club, "POST", f"{V3}/webhooks", 201, json=sent)
    assert {name: created[name] for name in sent} == sent
    at = f"{V3}/webhooks/{created['id']}"
    assert (await call(club, "GET", at))["retry_hourly"] is retries["retry_hourly"]
    changed = await call(club, "PUT", at, json={"retry_daily": True, "is_active": False})
    assert (changed["retry_daily"], changed["retry_hourly"]) == (True, retries["retry_hourly"])
    for filters in (
        {"is_active": "0"},
        {"trigger": "profiles.create"},
        {"namespace": "sdk-test"},
        {"retry_daily": "1"},
        {"retry_hourly": str(int(retries["retry_hourly"]))},
    ):
        found = await call(
            club, "GET", f"{V3}/webhooks", params={f"filter[{name}]": each for name, each in filters.items()}
        )
        assert [each["id"] for each in found] == [created["id"]], filters
    await call(club, "DELETE", at, 204)


async def test_a_brand_keeps_its_handle(club: Club) -> None:
    created = await call(club, "POST", f"{V3}/brands", 201, json={"name": "Nord", "handle": "nord-handle"})
    assert (created["name"], created["handle"]) == ("Nord", "nord-handle")
    at = f"{V3}/brands/{created['id']}"
    assert (await call(club, "PUT", at, json={"name": "Nord 2"}))["handle"] == "nord-handle"
    assert (await call(club, "GET", f"{V3}/brands?filter[handle]=NORD-handle"))[0]["id"] == created["id"]
    assert (await call(club, "PUT", at, json={"handle": None}))["handle"] is None


async def test_find_transactions_gives_the_latest_match_or_404(club: Club) -> None:
    member = await create_profile(club)
    ids = [
        (await create_transaction(club, sale(5, f"2026-10-0{day}", profile_id=member, external_id=f"t{day}")))["id"]
        for day in (2, 3, 1)
    ]
    at = f"{V3}/profiles/{member}/find-transactions"
    assert (await call(club, "GET", f"{at}?filter[external_id]=t2"))["id"] == ids[0]
    assert (await call(club, "GET", at))["id"] == ids[1]
    assert (await call(club, "GET", f"{at}?sort=transacted_at&page[number]=2"))["id"] == ids[2]
    missing = await club.http.get(f"{at}?filter[external_id]=none")
    assert (missing.status_code, set(missing.json())) == (404, {"message"})


async def test_transaction_products_are_variants_bought_since_an_instant(club: Club) -> None:
    member = await create_profile(club)
    product = await call(club, "POST", f"{V3}/products", 201, json={"name": "Boots", "variants": [{"sku": "B-42"}]})
    variant = product["variants"][0]["id"]
    item = {"product_variant_id": variant, "name": "Boots", "price_current": 5, "price_sell": 5, "quantity": 1}
    await create_transaction(club, sale(5, "2026-10-02 10:00:00", profile_id=member, items=[item]))
    at = f"{V3}/profiles/{member}/transaction-products"
    (found,) = await call(club, "GET", at, params={"filter[transacted_at]": "2026-10-02 09:59:59"})
    assert (found["id"], found["product"]["name"]) == (variant, "Boots")
    assert await call(club, "GET", at, params={"filter[transacted_at]": "2026-10-02 10:00:01"}) == []
    assert len(await call(club, "GET", at, params={"filter[transacted_at][lt]": "2026-10-03"})) == 1


async def test_a_claim_has_its_total_as_text(club: Club) -> None:
    member = await create_profile(club)
    body = {
        "transaction_receipt_ref": "r1",
        "transaction_transacted_at": "2026-10-01 10:00:00",
        "transaction_timezone": "UTC",
        "transaction_total": 99.9,
        "transaction_location_external_code": "10",
    }
    at = f"{V3}/profiles/{member}/transactions/claims"
    created = await call(club, "POST", at, 201, json=body)
    assert created["transaction_total"] == "99.9"
    assert await call(club, "POST", at, 201, json={**body, "transaction_total": "99.90"}) != created
    assert (
        len((await get_json(club, at.removeprefix(f"{V3}/"), **{"filter[transaction_total][gt]": "99"}))["data"]) == 2
    )


async def test_a_profile_has_its_further_fields(club: Club, clock: ManualClock) -> None:
    store = await call(club, "POST", f"{V3}/locations", 201, json={"name": "Oslo", "external_id": "10"})
    body = {
        "first_name": "Kari",
        "last_name": "Nordmann",
        "mobile_phone": "400 00 001",
        "birth_day": 29,
        "birth_month": 2,
        "birth_year": 1984,
    }
    created = await call(
        club,
        "POST",
        f"{V3}/profiles",
        201,
        json={**body, "joined_location_id": store["id"], "preferred_location_id": None},
    )
    assert (created["full_name"], created["birth_date"], created["next_birthday"]) == (
        "Kari Nordmann",
        "1984-02-29",
        "2027-03-01",
    )
    assert (created["joined_location"], created["preferred_location"]) == (store, None)
    assert (created["mobile_phone"], created["mobile_phone_e164"]) == ("400 00 001", "+4740000001")
    at = f"{V3}/profiles/{created['id']}"
    assert await call(club, "PUT", at, json=created) == created
    clock.at = datetime(2028, 2, 29, 12, tzinfo=UTC)
    assert (await call(club, "GET", at))["next_birthday"] == "2028-02-29"
    changed = await call(
        club, "PUT", at, json={"last_name": None, "birth_year": None, "birth_day": 1, "birth_month": 1}
    )
    assert (changed["full_name"], changed["birth_date"], changed["next_birthday"]) == ("Kari", None, "2029-01-01")
    empty = await call(club, "POST", f"{V3}/profiles", 201, json={})
    assert (empty["full_name"], empty["birth_date"], empty["next_birthday"]) == (None, None, None)
    assert empty["mobile_phone_e164"] is None
    found = await call(club, "GET", f"{V3}/profiles", params={"filter[next_birthday][lt]": "2030-01-01"})
    assert [each["id"] for each in found] == [created["id"]]
    wrong = await club.http.get(f"{V3}/profiles?filter[birth_date]=1.1.1984")
    assert wrong.json()["errors"] == {"birth_date": ["must be a date, YYYY-MM-DD"]}


async def test_profiles_are_filtered_and_sorted_by_current_values(club: Club, clock: ManualClock) -> None:
    spent, little, none = [await create_profile(club, first_name=name) for name in ("Spent", "Little", "None")]
    clock.at = datetime(2026, 10, 1, tzinfo=UTC)
    item = {"name": "Boots", "brand": "Nord", "price_current": 1, "price_sell": 1, "quantity": 1}
    await create_transaction(club, sale("500.50", "2026-09-01 10:00:00", profile_id=spent, items=[item]))
    await create_transaction(club, sale(20, "2026-09-02 10:00:00", profile_id=little))

    async def ids(**query: str) -> list[str]:
        return [each["id"] for each in await call(club, "GET", f"{V3}/profiles", params=query)]

    async def check() -> None:
        assert await ids(**{"filter[aggregations.spend_all]": "500.5"}) == [spent]
        assert await ids(**{"filter[aggregations.spend_all][gte]": "20", "sort": "aggregations.spend_all"}) == [
            little,
            spent,
        ]
        assert await ids(**{"filter[aggregations.purchased_brands]": "nord"}) == [spent]
        assert await ids(sort="-aggregations.spend_all,first_name") == [spent, little, none]
        assert await ids(
            **{"filter[aggregations.likely_country_iso][nullable]": "1", "filter[first_name]": "none"}
        ) == [none]

    await check()
    assert await ids(**{"filter[aggregations.dimension_recency]": "RC", "sort": "first_name"}) == [little, spent]
    # Time passes, and no job has refreshed the stored values.
    clock.at = datetime(2027, 1, 2, tzinfo=UTC)
    assert await ids(**{"filter[aggregations.dimension_recency]": "RS", "sort": "first_name"}) == [little, spent]
    await check()
    (found,) = await call(
        club, "GET", f"{V3}/profiles", params={"include": "aggregations", "filter[aggregations.spend_all]": "20"}
    )
    assert (found["aggregations"]["spend_all"], found["aggregations"]["dimension_recency"]) == (20.0, "RS")
    one = await call(club, "GET", f"{V3}/profiles/{none}?include=aggregations,segments")
    assert (one["aggregations"]["shop_count"], one["segments"]) == (0, [])
    for query in ({"filter[aggregations.nothing]": "1"}, {"sort": "aggregations.nothing"}):
        assert (await club.http.get(f"{V3}/profiles", params=query)).status_code == 422


async def test_a_list_by_values_is_503_while_too_many_are_recomputed(
    club: Club, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile_values, "MAX_COMPUTED_PROFILES", 1)
    for _ in range(2):
        await create_profile(club)
    clock.advance(days=400)
    answer = await club.http.get(f"{V3}/profiles?sort=aggregations.spend_all")
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert (await club.http.get(f"{V3}/profiles")).status_code == 200


async def test_a_profile_is_found_by_an_identity_in_the_path(club: Club) -> None:
    identities = [{"handle": "shopify", "identifier": "1234"}]
    created = await call(club, "POST", f"{V3}/profiles", 201, json={"identities": identities})
    found = await call(club, "GET", f"{V3}/profiles/1234?identity[handle]=shopify&include=aggregations")
    assert (found["id"], found["aggregations"]["shop_count"]) == (created["id"], 0)
    assert (await call(club, "POST", f"{V3}/profiles/search-id", json={"type": "shopify", "id": "1234"}))[
        "id"
    ] == found["id"]
    for path in ("1234?identity[handle]=other", "1234"):
        assert (await club.http.get(f"{V3}/profiles/{path}")).status_code == 404


async def test_a_sync_sends_updated_profiles_to_webhooks(
    club: Club, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_profile(club)
    clock.advance(hours=1)
    late = [await create_profile(club) for _ in range(2)]
    body = {"updated_at": clock.at.isoformat()}
    queued = {"message": "Profiles queued for sync."}
    assert await call(club, "POST", f"{V3}/profiles/sync", json=body) == queued

    async def events() -> list[tuple[str, str, str | None]]:
        async with club.database.read_transaction(club.community.id) as scope:
            rows = await scope.fetch(
                "SELECT type, profile_id, namespace FROM webhook_events WHERE community_id = $1",
                scope.community_id,
            )
        return sorted((row["type"], str(row["profile_id"]), row["namespace"]) for row in rows)

    assert await events() == []
    await call(club, "POST", f"{V3}/webhooks", 201, json={"trigger": "profile.updated", "url": "https://a.example/x"})
    assert await call(club, "POST", f"{V3}/profiles/sync", json=body, headers={"X-Namespace": "crm"}) == queued
    assert await events() == sorted(("profile.updated", each, "crm") for each in late)
    monkeypatch.setattr(sync, "MAX_PROFILES", 2)
    for wrong in ({"since": "Invalid Date"}, {}):
        answer = await club.http.post(f"{V3}/profiles/sync", json=wrong)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["updated_at"])


async def test_a_member_uses_the_endpoints_of_the_own_profile(club: Club) -> None:
    member = await create_profile(club, first_name="Kari")
    issued = await call(club, "POST", "/id/api/v1/auth/token", json={"id": member})
    headers = {"Authorization": f"Bearer {issued['token']}"}
    me = "/id/api/v1/profiles/me"

    async def own(method: str, path: str, status: int = 200, **more: Any) -> Any:
        return await call(club, method, path, status, headers=headers, **more)

    assert (await own("PUT", me, json={"first_name": "Kari Anne"}))["first_name"] == "Kari Anne"
    assert (await club.http.put(me, json={"email": "a@example.com"}, headers=headers)).status_code == 422
    comms = await own("PUT", f"{me}/comms", json={"email_promo": True, "email_optout": False})
    assert comms == await own("GET", f"{me}/attributes/comms")
    assert (comms["email_promo"], comms["profile_id"]) == (True, member)
    assert (await own("PUT", f"{me}/attributes/comms", json={"sms_promo": False}))["sms_promo"] is False
    assert await own("GET", f"{me}/attributes/appearance") == {}
    await own("PUT", f"{me}/attributes/appearance", json={"size_shoe": "42", "size_hat": "M"})
    assert await own("PUT", f"{me}/attributes/appearance", json={"size_hat": None}) == {"size_shoe": "42"}
    assert (await own("PUT", f"{me}/attributes", json={"dates": {"wedding": "2020-01-01"}}))["appearance"] == {
        "size_shoe": "42"
    }
    assert (await own("GET", f"{me}/attributes"))["comms"] == await own("GET", f"{me}/attributes/comms")
    assert await call(club, "GET", f"{V3}/profiles/{member}/attributes/dates") == {"wedding": "2020-01-01"}
    assert (await own("PUT", f"{me}/update-type", json={"profile_type": "pending"}))["profile_type"] == "pending"
    assert (
        await club.http.put(f"{me}/update-type", json={"profile_type": "deleted"}, headers=headers)
    ).status_code == 403

    store = await call(club, "POST", f"{V3}/locations", 201, json={"name": "Oslo", "external_code": "10"})
    assert await own("GET", "/id/api/v1/locations?filter[name]=oslo") == [store]
    assert await own("GET", f"/id/api/v1/locations/{store['id']}") == store
    unowned = await create_transaction(
        club, sale(99.9, "2026-10-01 10:00:00", receipt_ref="r1", location_id=store["id"])
    )
    claim = {
        "transaction_receipt_ref": "r1",
        "transaction_transacted_at": "2026-10-01 10:00:00",
        "transaction_timezone": "UTC",
        "transaction_total": 99.9,
        "transaction_location_external_code": "10",
    }
    claimed = await own("POST", f"{me}/transactions/claims", 201, json=claim)
    assert claimed["transaction_id"] == unowned["id"]
    assert await own("GET", f"{me}/transactions/claims/{claimed['id']}") == claimed
    assert (await own("GET", f"{me}/transactions/{unowned['id']}"))["profile_id"] == member
    assert (await own("GET", f"{me}/find-transactions?filter[receipt_ref]=r1"))["id"] == unowned["id"]
    assert (await own("GET", f"{me}/transactions/{unowned['id']}/unattach"))["profile_id"] is None
    assert (await club.http.get(f"{me}/transactions/{unowned['id']}", headers=headers)).status_code == 404
    waiting = await own("POST", f"{me}/transactions/claims", 201, json={**claim, "transaction_receipt_ref": "r2"})
    assert await own("GET", f"{me}/transactions/claims") == [waiting]
    await own("DELETE", f"{me}/transactions/claims/{waiting['id']}", 204)


async def test_tags_statuses_countries_and_currencies_are_listed(club: Club) -> None:
    await create_profile(club, tags=["vip", {"handle": "new", "name": "New member"}], statuses=["gold"])
    await create_profile(club, tags=["vip", 7, {"other": 1}])
    assert await call(club, "GET", f"{V3}/tags?sort=-profiles_count,handle") == [
        {"handle": "vip", "name": None, "profiles_count": 2},
        {"handle": "new", "name": "New member", "profiles_count": 1},
    ]
    assert [each["handle"] for each in await call(club, "GET", f"{V3}/statuses?filter[handle]=GOLD")] == ["gold"]
    (ivory_coast,) = await call(club, "GET", f"{V3}/countries?filter[iso_2]=CI")
    assert ivory_coast == {"id": 384, "name": "Côte d'Ivoire", "iso_2": "CI", "iso_3": "CIV", "iso_numeric": "384"}
    page = (await club.http.get(f"{V3}/countries?page[size]=500")).json()
    assert len(page["data"]) == page["meta"]["total"] > 240
    (currency,) = await call(club, "GET", f"{V3}/currencies")
    assert {name: currency[name] for name in ("id", "from", "to", "rate", "is_system")} == {
        "id": 578,
        "from": "NOK",
        "to": "NOK",
        "rate": 1,
        "is_system": True,
    }
