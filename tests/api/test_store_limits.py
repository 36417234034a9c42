"""People who are limited to stores: reports show the sales of these stores only, all else is denied."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.transaction_client import create_transaction, sale
from clubs import Club
from regulars.api.app import create_app
from regulars.auth.principals import Principal, PrincipalKind
from regulars.auth.tenants import resolve_tenants, scope_of
from regulars.dashboard.api_client import ApiCallError, ApiClient

RANGE = {"from": "2026-10-01", "to": "2026-11-01"}


async def create_location(club: Club, name: str) -> int:
    """Creates a store and returns its id."""
    answer = await club.http.post("/api/v3/locations", json={"name": name, "external_id": name})
    return int(answer.json()["data"]["id"])


async def client_of(club: Club, **limits: Any) -> ApiClient:
    """A client with all permits and these limits."""
    options: dict[str, Any] = {"permits": ("*",), "user_id": 1, **limits}
    person = Principal(PrincipalKind.ORGANIZATION, club.community.organization_id, **options)
    async with club.database.unscoped_connection() as connection:
        tenants = await resolve_tenants(connection, scope_of(person), ["all=all"], [])
    return ApiClient(create_app(club.server, run_jobs=False), person, tenants)


@pytest_asyncio.fixture
async def stores(club: Club) -> AsyncIterator[tuple[int, int]]:
    """Two stores, with a sale of 100 in the first and of 40 in the second."""
    first, second = await create_location(club, "North"), await create_location(club, "South")
    await create_transaction(club, sale("100.00", location_id=first))
    await create_transaction(club, sale("40.00", location_id=second))
    yield first, second


async def total(client: ApiClient, **more: object) -> list[tuple[object, object]]:
    answer = await client.query({"report": "transactions_stats", **RANGE, **more})
    return [(next(iter(each["label"].values()), None), each["values"]["net_amount"]) for each in answer["statistics"]]


async def test_a_person_of_a_store_sees_its_sales_in_every_query(club: Club, stores: tuple[int, int]) -> None:
    first, second = stores
    everywhere, north = await client_of(club), await client_of(club, location_ids=(first,))
    assert await total(everywhere) == [(None, 140)]
    assert await total(north) == [(None, 100)]
    assert await total(north, aggregate_by="location") == [(first, 100)]
    of_the_other = {"type": "equal", "field": "location", "value": second}
    assert await total(north, filter=of_the_other) in ([], [(None, 0)])
    assert await total(north, filter={"type": "not", "operation": of_the_other}) == [(None, 100)]
    values = await north.post(
        "/v1/reporting/field_metadata", {"report": "transactions_stats", "field": "location", **RANGE}
    )
    assert [each["value"] for each in values["values"]] == [first]


async def test_a_person_of_a_store_sees_only_reports_of_stores(club: Club, stores: tuple[int, int]) -> None:
    north = await client_of(club, location_ids=(stores[0],))
    reports = await north.post("/v1/reporting/metadata", {})
    assert {each["name"] for each in reports["reports"]} == {"transactions_history", "transactions_stats"}
    with pytest.raises(ApiCallError, match="members_count can't be limited to a store") as denied:
        await north.query({"report": "members_count"})
    assert denied.value.status == 403
    with pytest.raises(ApiCallError, match="members_count can't be limited to a store"):
        await north.post("/v1/reporting/field_metadata", {"report": "members_count", "field": "gender"})


async def test_a_person_of_a_store_sees_that_store_and_no_member(club: Club, stores: tuple[int, int]) -> None:
    first, second = stores
    north = await client_of(club, location_ids=(first,))
    assert (await north.get(f"/api/v3/locations/{first}"))["data"]["name"] == "North"
    for path in (f"/api/v3/locations/{second}", "/api/v3/locations", "/api/v3/profiles", "/v1/reporting/exports"):
        with pytest.raises(ApiCallError, match="Your role is limited to") as denied:
            await north.get(path)
        assert denied.value.status == 403


async def test_no_header_and_no_token_sets_the_principal_of_a_call_in_process(club: Club) -> None:
    headers = {"Authorization": "", "regulars.principal": "1", "X-Regulars-Principal": "1"}
    answer: httpx.Response = await club.http.get("/api/v3/profiles", headers=headers)
    assert answer.status_code == 401
