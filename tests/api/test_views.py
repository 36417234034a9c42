"""Saved views of reports, and the names of labels."""

from __future__ import annotations

from typing import Any

import pytest

from api.test_store_limits import client_of, create_location
from clubs import Club
from dashboard.visitors import HASH
from regulars.auth import roles, users
from regulars.auth.roles import NewRole
from regulars.auth.users import NewUser
from regulars.dashboard.api_client import ApiCallError, ApiClient
from regulars.model import saved_views

VIEWS = "/v1/reporting/views"
QUERY = {"report": "transactions_stats", "aggregate_by": "location", "filter": None}
RANGED = {**QUERY, "from": "2026-10-01", "to": "2026-11-01"}


async def person(club: Club, name: str, **limits: Any) -> ApiClient:
    """A client of a user of their own."""
    organization_id = club.community.organization_id
    async with club.database.organization_transaction(organization_id) as connection:
        role = await roles.create(connection, organization_id, NewRole(name, ["*"], None, None), club.clock())
        new = NewUser(f"{name}@{club.community.slug}.example", name, role.id, HASH)
        user = await users.create(connection, organization_id, new, club.clock())
    return await client_of(club, **{"user_id": user.id, "user_name": name, **limits})


async def names(client: ApiClient) -> list[str]:
    """The names of the views that a caller sees."""
    return [each["name"] for each in (await client.get(VIEWS))["views"]]


async def refusal(client: ApiClient, body: object) -> ApiCallError:
    """The error response to a new view."""
    with pytest.raises(ApiCallError) as refused:
        await client.post(VIEWS, body)
    return refused.value


async def test_a_view_is_seen_by_its_owner_or_by_everybody_and_deleted_by_its_owner(club: Club) -> None:
    ada, bo, token = (
        await person(club, "ada"),
        await person(club, "bo"),
        await client_of(club, user_id=None, token_id=1),
    )
    own = (await ada.post(VIEWS, {"name": " Own ", "query": QUERY, "period": "30d"}))["view"]
    assert (own["name"], own["query"], own["period"], own["is_own"], own["is_shared"], own["saved_by"]) == (
        "Own",
        QUERY,
        "30d",
        True,
        False,
        "ada",
    )
    shared = (await ada.post(VIEWS, {"name": "Shared", "query": RANGED, "is_shared": True}))["view"]
    of_token = (await token.post(VIEWS, {"name": "Of a token", "query": {"report": "members_count"}, "period": "30d"}))[
        "view"
    ]
    assert (of_token["is_shared"], of_token["is_own"], of_token["saved_by"]) == (True, True, "")
    assert await names(ada) == ["Of a token", "Own", "Shared"]
    assert await names(bo) == await names(token) == ["Of a token", "Shared"]
    assert await names(await person(club, "cy", permits=("Reporting:Api:Query",))) == []
    for view_id in (own["id"], shared["id"], "x", 10**12):
        with pytest.raises(ApiCallError, match="Saved view not found"):
            await bo.delete(f"{VIEWS}/{view_id}")
    assert (await ada.delete(f"{VIEWS}/{shared['id']}"))["view"]["name"] == "Shared"
    assert await names(bo) == ["Of a token"]


async def test_an_invalid_view_is_refused_with_all_that_is_wrong(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await person(club, "ada")
    wrong = await refusal(ada, {"name": "", "query": 1, "period": "soon", "is_shared": 1, "more": 1})
    assert set(wrong.details) == {"name", "query", "period", "is_shared", "more"}
    assert "query" in (await refusal(ada, {"name": "a", "query": {**QUERY, "more": "x" * 200_000}})).details
    assert "report" in (await refusal(ada, {"name": "a", "query": {"report": "nothing"}})).details
    limited = await person(club, "bo", permits=("Reporting:Api:Query",))
    assert (await refusal(limited, {"name": "a", "query": RANGED})).status == 403
    monkeypatch.setattr(saved_views, "MAX_VIEWS", 0)
    assert (await refusal(ada, {"name": "a", "query": RANGED})).status == 429


async def test_labels_have_the_names_of_stores_that_the_caller_may_see(club: Club) -> None:
    first, second = await create_location(club, "North"), await create_location(club, "South")
    body = {"labels": {"location": [first, second, 2_000_000_000], "offer_id": [1]}}
    everywhere = await (await client_of(club)).post("/v1/reporting/label_names", body)
    assert everywhere == {"names": {"location": {str(first): "North", str(second): "South"}, "offer_id": {}}}
    north = await (await client_of(club, location_ids=(first,))).post("/v1/reporting/label_names", body)
    assert north["names"]["location"] == {str(first): "North"}
    client = await client_of(club)
    for labels in (1, {"name": [1]}, {"location": 1}, {"location": ["a"]}, {"location": [-1]}):
        with pytest.raises(ApiCallError) as refused:
            await client.post("/v1/reporting/label_names", {"labels": labels})
        assert refused.value.status == 422
