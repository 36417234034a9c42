"""With the permit Profile:Aggregations alone, values are readable, and nothing that names or locates a member."""

from __future__ import annotations

from typing import Any

import pytest

from api.profile_calls import create_profile, headers_with
from api.transaction_client import create_transaction, item_fields, sale
from clubs import Club
from regulars.auth import permits

SECRETS = ("Kari", "Nordmann", "k@example.com", "91234567", "C-1001", "Storgata", "Free text")
NAME, SINCE = "name=spend_12m", "from=2026-10-01"


async def create_member(club: Club) -> str:
    """A member with personal data in every place that a request might return."""
    mine = await create_profile(
        club,
        first_name="Kari",
        last_name="Nordmann",
        email="k@example.com",
        mobile_phone="91234567",
        external_id="C-1001",
        addresses=[{"address_line_1": "Storgata 1", "iso": "NO", "state": "Oslo"}],
        identities=[{"handle": "card", "identifier": "Kari"}],
    )
    items = [item_fields(name="Boots", meta={"engraving": "Free text"}, tags=["Free text"])]
    free = {"meta": {"note": "Free text"}, "tags": ["Free text"], "payments": [{"type": "Free text"}]}
    await create_transaction(club, sale(profile_id=mine["id"], items=items, **free))
    return str(mine["id"])


@pytest.mark.parametrize(
    "path",
    [
        "/api/v3/profiles/{id}/aggregations",
        "/api/v3/profiles/{id}/aggregations?as_of=2026-10-15",
        "/profiles/{id}/aggregations",
        *(f"/api/v3/profiles/{{id}}/aggregations/explain?name={each}" for each in ("spend_12m", "likely_region")),
        f"/api/v3/profiles/{{id}}/aggregations/history?{NAME}&{SINCE}",
        f"/api/v3/profiles/{{id}}/aggregations/history?name=spend_12m,shop_count&{SINCE}&points=3",
        "/api/v3/profiles/{id}/timeline",
        "/api/v3/profiles/find?q={id}",
        "/api/v3/aggregations",
    ],
)
async def test_values_are_readable_without_personal_data(club: Club, path: str) -> None:
    mine = await create_member(club)
    headers = await headers_with(club, permits.PROFILE_AGGREGATIONS)
    answer = await club.http.get(path.format(id=mine), headers=headers)
    assert answer.status_code == 200, answer.text
    assert [each for each in SECRETS if each in answer.text] == []
    for each in (permits.TRANSACTION_READ, permits.SEGMENT_OF_PROFILE_READ):
        assert (await club.http.get(path.format(id=mine), headers=await headers_with(club, each))).status_code == 403


async def test_an_explanation_has_its_purchases_without_free_text(club: Club) -> None:
    mine = await create_member(club)
    path = f"/api/v3/profiles/{mine}/aggregations/explain?{NAME}"
    everything = (await club.http.get(path)).json()["data"]
    headers = await headers_with(club, permits.PROFILE_AGGREGATIONS)
    shown = (await club.http.get(path, headers=headers)).json()["data"]
    (whole,), (bare,) = everything.pop("transactions"), shown.pop("transactions")
    assert everything == shown
    assert (whole["meta"], whole["items"][0]["tags"]) == ({"note": "Free text"}, ["Free text"])
    differs = {name for name in whole if whole[name] != bare[name]}
    assert differs == {"meta", "tags", "payments", "items"}
    assert (bare["items"][0]["name"], bare["items"][0]["meta"]) == ("Boots", None)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/addresses",
        "/identities",
        "/attributes/comms",
        "/transactions",
        "/segments",
        "?include=aggregations",
    ],
)
async def test_everything_else_of_a_profile_is_denied(club: Club, path: str) -> None:
    mine = await create_member(club)
    headers = await headers_with(club, permits.PROFILE_AGGREGATIONS)
    answer = await club.http.get(f"/api/v3/profiles/{mine}{path}", headers=headers)
    assert answer.status_code == 403


async def test_the_values_of_many_profiles_are_readable(club: Club) -> None:
    mine = await create_member(club)
    headers = await headers_with(club, permits.PROFILE_AGGREGATIONS)
    body: dict[str, Any] = {"profile_ids": [mine], "names": ["shop_count"]}
    answer = await club.http.post("/api/v3/profiles/aggregations/query", json=body, headers=headers)
    assert answer.json() == {"data": [{"shop_count": 1}]}
