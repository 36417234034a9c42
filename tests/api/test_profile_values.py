"""Values over HTTP: of one profile now and in the past, of many profiles, and of the caller's own profile."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from aggregations.case import at
from aggregations.store_facts import insert_location, to_transaction_row
from api.transaction_client import (
    V3,
    aggregations_path,
    create_profile,
    create_transaction,
    get_json,
    get_values,
    item_fields,
    sale,
)
from clubs import Club
from oracle import Community, Facts, Location, Profile, Transaction
from oracle import expected_values as oracle_values
from postgres_servers import on_both_servers
from regulars.aggregations.definitions import FIRST_VERSION_ORDER
from regulars.ingest.commit import commit
from regulars.ingest.transactions import TransactionWrite, WriteMode, write
from regulars.model.unit_of_work import UnitOfWork

SAMPLE = Path(__file__).parent.parent / "data" / "aggregations_sample.json"
QUERY = f"{V3}/profiles/aggregations/query"


async def status(club: Club, method: str, path: str, body: Any = None) -> int:
    """The status of the response to a request."""
    return (await club.http.request(method, path, json=body)).status_code


# The two shapes -----------------------------------------------------------------------------------------


@on_both_servers
async def test_the_sample_of_version_1_is_reproduced_exactly(club: Club) -> None:
    club.clock.at = at("2020-05-18 08:52:49")

    async def opened(uow: UnitOfWork) -> None:
        await insert_location(uow, Location(1, external_id="M10"))

    await commit(club.database, club.community.id, opened)
    club.clock.at = at("2020-08-25 08:59:51")
    store = {"name": "Omneo Store", "phone": "1131131", "external_code": "10"}
    assert await status(club, "PUT", f"{V3}/locations/1", store) == 200
    club.clock.at = at("2020-12-07 13:05")
    mine = await create_profile(club)
    bought = item_fields(product_variant={"sku": "S", "product": {"name": "Thing", "brand": "transaction-created"}})
    await create_transaction(club, sale(2000, "2020-12-07 13:04:30", profile_id=mine, location_id=1, items=[bought]))

    answer = await club.http.get(f"/profiles/{mine}/aggregations")
    in_order = json.JSONDecoder(object_pairs_hook=list)
    expected = SAMPLE.read_text().replace("922fafaf-1115-2221-a33-fed3333397", mine)
    assert in_order.decode(answer.text) == in_order.decode(expected)


async def test_the_current_format_has_every_value_of_the_specification(club: Club) -> None:
    mine = await create_profile(club)
    facts = Facts(Community(), {}, {}, {(me := uuid4()): Profile(me)}, {})
    found = await get_values(club, mine)
    assert set(found) == set(oracle_values(facts, me, club.clock()))
    assert list(found)[: len(FIRST_VERSION_ORDER)] == list(FIRST_VERSION_ORDER)
    assert list(found)[-1] == "calculated_at"
    assert found["calculated_at"] == "2026-11-01 00:00:00"


async def test_money_keeps_its_decimals(club: Club) -> None:
    mine = await create_profile(club)
    await create_transaction(club, sale("10.10", profile_id=mine))
    assert '"spend_all":10.10,' in (await club.http.get(aggregations_path(mine))).text


async def test_repeated_slashes_count_as_one(club: Club) -> None:
    mine = await create_profile(club)
    assert (await get_values(club, mine)) == (await get_json(club, f"/api//v3//profiles/{mine}/aggregations"))["data"]


# Then and now -------------------------------------------------------------------------------------------


@on_both_servers
async def test_as_of_computes_past_values_from_the_current_facts(club: Club) -> None:
    mine = await create_profile(club, joined_at="2026-01-01")
    await create_transaction(club, sale(100, "2026-09-01 12:00:00", profile_id=mine))
    await create_transaction(club, sale(50, "2026-10-01 12:00:00", profile_id=mine))
    for text, spent in [
        ("2026-08-31T00:00:00Z", "0.00"),
        ("2026-09-01 12:00:00", "100.00"),
        ("2026-10-01T13:59:59+02:00", "100.00"),
        ("2026-10-01T14:00:00+02:00", "150.00"),
    ]:
        found = (await get_json(club, aggregations_path(mine), as_of=text))["data"]
        assert str(found["spend_all"]) == spent, text
    # An unescaped plus sign arrives as a space.
    unescaped = await club.http.get(aggregations_path(mine) + "?as_of=2026-10-01T14:00:00+02:00")
    assert unescaped.json()["data"]["calculated_at"] == "2026-10-01 12:00:00"


@pytest.mark.parametrize(
    ("as_of", "message"),
    [
        ("2026-11-01 00:00:01", "must not be in the future"),
        ("yesterday", "must be a time: YYYY-MM-DD HH:MM:SS in UTC, or ISO 8601 with an offset"),
        ("1066-10-14", "must be a time in the years 1900 to 2999"),
    ],
)
async def test_a_malformed_or_future_instant_is_422(club: Club, as_of: str, message: str) -> None:
    mine = await create_profile(club)
    for path, name, query in [
        ("", "as_of", ""),
        ("/explain", "as_of", "&name=channel"),
        ("/history", "to", "&name=channel&from=2020-01-01"),
    ]:
        answer = await club.http.get(f"{aggregations_path(mine, path)}?{name}={as_of}{query}")
        assert (answer.status_code, answer.json()["errors"]) == (422, {name: [message]})
    answer = await club.http.post(QUERY, json={"profile_ids": [mine], "as_of": as_of})
    assert (answer.status_code, answer.json()["errors"]) == (422, {"as_of": [message]})


async def test_a_read_reflects_the_passage_of_time(club: Club) -> None:
    mine = await create_profile(club)
    await create_transaction(club, sale(100, "2026-10-01 12:00:00", profile_id=mine))
    assert (await get_values(club, mine))["dimension_recency"] == "RC"
    club.clock.at = at("2027-01-01 12:00")
    assert (await get_values(club, mine))["dimension_recency"] == "RS"


async def test_a_read_shows_the_current_fields_of_a_location(club: Club) -> None:
    store = (await club.http.post(f"{V3}/locations", json={"external_id": "S", "name": "Old"})).json()["data"]
    mine = await create_profile(club)
    await create_transaction(club, sale(100, profile_id=mine, location_id=store["id"]))
    assert (await get_values(club, mine))["likely_country"] is None
    change = {"name": "New", "address": {"iso": "NO"}}
    changed = (await club.http.put(f"{V3}/locations/{store['id']}", json=change)).json()["data"]
    found = await get_values(club, mine)
    assert (found["store_join"], found["likely_country"]) == (changed, "NO")
    assert (await get_json(club, f"/profiles/{mine}/aggregations"))["store_join"] == changed


@pytest.mark.parametrize(
    ("change", "name", "before", "after"),
    [
        ({"type": "online"}, "channel", "CF", "CO"),
        ({"timezone": "Pacific/Auckland"}, "first_shop_date", "2026-10-01", "2026-10-02"),
        ({"address": {"iso": "NZ"}}, "likely_country", "NO", "NZ"),
        ({"address": {"iso": "NO", "iso_state": "NO-46"}}, "likely_state_iso", "NO-03", "NO-46"),
        ({"address": {"iso": "NO", "state": "Vestland"}}, "likely_region", "Oslo", "Vestland"),
        ({"external_id": "Z"}, "transacted_locations", ["S", "T"], ["T", "Z"]),
    ],
)
async def test_every_change_of_a_location_shows_in_the_next_read(
    club: Club, change: dict[str, Any], name: str, before: Any, after: Any
) -> None:
    store = {
        "external_id": "S",
        "type": "store",
        "timezone": "UTC",
        "address": {"iso": "NO", "iso_state": "NO-03", "state": "Oslo"},
    }
    ids = {
        key: (await club.http.post(f"{V3}/locations", json=body)).json()["data"]["id"]
        for key, body in {"S": store, "T": {"external_id": "T"}}.items()
    }
    ids["Z"] = ids["S"]
    mine = await create_profile(club)

    async def bought(uow: UnitOfWork) -> None:
        # As in a file, the time zone is that of the location.
        for number, (place, when) in enumerate([("S", "2026-10-01 12:30"), ("T", "2026-10-20 12:00")]):
            given = Transaction(number, at(when), Decimal(10), UUID(mine), location_id=ids[place])
            await write(uow, [TransactionWrite(to_transaction_row(given, uow.community), WriteMode.CREATE)])

    await commit(club.database, club.community.id, bought)

    def as_ids(value: Any) -> Any:
        return [ids[each] for each in value] if isinstance(value, list) else value

    assert (await get_values(club, mine))[name] == as_ids(before)
    assert await status(club, "PUT", f"{V3}/locations/{ids['S']}", change) == 200
    assert (await get_values(club, mine))[name] == as_ids(after)


async def test_a_changed_brand_of_a_product_shows_in_the_next_read(club: Club) -> None:
    body = {"name": "Socks", "brand": "Old", "variants": [{"sku": "S"}]}
    product = (await club.http.post(f"{V3}/products", json=body)).json()["data"]
    mine = await create_profile(club)
    await create_transaction(club, sale(10, profile_id=mine, items=[item_fields(sku="S")]))
    assert (await get_values(club, mine))["purchased_brands"] == ["Old"]
    for change, brands in [({"brand": "New"}, ["New"]), ({"brand": None}, [])]:
        assert await status(club, "PUT", f"{V3}/products/{product['id']}", change) == 200
        assert (await get_values(club, mine))["purchased_brands"] == brands
    assert await status(club, "PUT", f"{V3}/products/{product['id']}", {"brand": "New"}) == 200
    (brand,) = (await club.http.get(f"{V3}/brands", params={"filter[name]": "New"})).json()["data"]
    assert await status(club, "PUT", f"{V3}/brands/{brand['id']}", {"name": "Newest"}) == 200
    assert (await get_values(club, mine))["purchased_brands"] == ["Newest"]


async def test_calculate_stores_and_returns_the_values_of_the_facts(club: Club) -> None:
    mine = await create_profile(club)
    await create_transaction(club, sale(100, profile_id=mine))
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute("UPDATE profile_aggregations SET spend_all = 1 WHERE community_id = $1", club.community.id)
    assert (await get_values(club, mine))["spend_all"] == Decimal("0.01")
    recalculated = (await get_json(club, aggregations_path(mine, "/calculate")))["data"]
    assert recalculated["spend_all"] == Decimal("100.00")
    assert await get_values(club, mine) == recalculated


# Many ---------------------------------------------------------------------------------------------------


async def query_values(club: Club, body: Any) -> Any:
    """The response to a query of many profiles."""
    answer = await club.http.post(QUERY, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_values_of_many_profiles_are_in_the_order_of_the_request_with_null_for_unknown_ones(
    club: Club, other_club: Club
) -> None:
    first, second = await create_profile(club), await create_profile(club)
    theirs = await create_profile(other_club)
    names = ["shop_count", "profile_id"]
    await create_transaction(club, sale(100, "2026-10-01 12:00:00", profile_id=second))
    profile_ids = [second, str(uuid4()), first, "unknown", theirs, second]
    bought = {"profile_id": second, "shop_count": 1}
    expected = [bought, None, {"profile_id": first, "shop_count": 0}, None, None, bought]
    assert await query_values(club, {"profile_ids": profile_ids, "names": names}) == expected
    now = {"profile_ids": profile_ids, "names": names, "as_of": "2026-11-01T00:00:00Z"}
    assert await query_values(club, now) == expected
    then = await query_values(club, {"profile_ids": profile_ids, "names": names, "as_of": "2026-09-30 00:00:00"})
    assert [each and each["shop_count"] for each in then] == [0, None, 0, None, None, 0]


async def test_a_query_without_names_returns_every_value(club: Club) -> None:
    mine = await create_profile(club)
    assert (await club.http.post(QUERY, json={"profile_ids": [mine]})).json()["data"] == [
        (await club.http.get(aggregations_path(mine))).json()["data"]
    ]
    assert await query_values(club, {"profile_ids": []}) == []


async def test_a_query_accepts_at_most_a_thousand_profiles(club: Club) -> None:
    mine = await create_profile(club)
    thousand = {"profile_ids": [mine] * 1000, "names": ["shop_count"]}
    assert await query_values(club, thousand) == [{"shop_count": 0}] * 1000
    answer = await club.http.post(QUERY, json={"profile_ids": [mine] * 1001})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["profile_ids"])


async def test_a_query_for_an_unknown_value_is_422(club: Club) -> None:
    answer = await club.http.post(QUERY, json={"profile_ids": [], "names": ["luck"]})
    assert (answer.status_code, answer.json()["errors"]) == (422, {"names": ["has the unknown aggregation 'luck'"]})


# Who may ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_values_are_read_only(club: Club, method: str) -> None:
    mine = await create_profile(club)
    answer = await club.http.request(method, aggregations_path(mine), json={"spend_all": 1})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert answer.json() == {"message": "Aggregations are computed and read-only."}


async def test_values_of_version_1_are_read_only(club: Club) -> None:
    mine = await create_profile(club)
    for method in ("POST", "PUT", "DELETE"):
        assert await status(club, method, f"/profiles/{mine}/aggregations", {}) == 405


ALL_PATHS = ("", "/calculate", "/explain?name=channel", "/history?name=channel&from=2026-01-01", "?as_of=2026-10-01")


@pytest.mark.parametrize("path", ALL_PATHS)
async def test_an_unknown_profile_has_no_values(club: Club, other_club: Club, path: str) -> None:
    for unknown in (str(uuid4()), "unknown", await create_profile(other_club)):
        assert await status(club, "GET", aggregations_path(unknown, path)) == 404


@pytest.mark.parametrize("path", ALL_PATHS)
async def test_a_deleted_profile_has_no_values_until_it_joins_again(club: Club, path: str) -> None:
    mine = await create_profile(club)
    await create_transaction(club, sale(100, profile_id=mine))
    before = await get_values(club, mine)
    assert await status(club, "DELETE", f"{V3}/profiles/{mine}") == 204
    assert await status(club, "GET", aggregations_path(mine, path)) == 404
    assert await status(club, "GET", f"/profiles/{mine}/aggregations") == 404
    assert await status(club, "PUT", f"{V3}/profiles/{mine}/update-type", {"profile_type": "active"}) == 200
    assert await get_values(club, mine) == before


@pytest.mark.parametrize("path", ALL_PATHS)
async def test_a_merged_profile_is_404_with_the_id_of_its_destination(club: Club, path: str) -> None:
    source, destination = await create_profile(club), await create_profile(club)
    body = {"source_profile_id": source, "destination_profile_id": destination}
    assert await status(club, "POST", f"{V3}/profiles/merge", body) == 200
    answer = await club.http.get(aggregations_path(source, path))
    assert (answer.status_code, answer.json()["merged_into"]) == (404, destination)


async def test_members_read_their_own_values_only(club: Club) -> None:
    mine = await create_profile(club)
    await create_transaction(club, sale(100, profile_id=mine))
    created = await club.http.post("/id/api/v1/auth/token", json={"id": mine})
    member = {"Authorization": f"Bearer {created.json()['data']['token']}"}
    for path in ("", "/calculate"):
        own = await club.http.get(f"/id/api/v1/profiles/me/aggregations{path}", headers=member)
        assert own.json() == (await club.http.get(aggregations_path(mine))).json()
    assert (await club.http.get(aggregations_path(mine), headers=member)).status_code == 403
    assert await status(club, "GET", "/id/api/v1/profiles/me/aggregations") == 403


async def test_values_require_a_token(club: Club) -> None:
    mine = await create_profile(club)
    for path in (aggregations_path(mine), f"/profiles/{mine}/aggregations"):
        assert (await club.http.get(path, headers={"Authorization": ""})).status_code == 401
