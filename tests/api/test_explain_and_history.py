"""Values over HTTP: explanation and history."""

from __future__ import annotations

from decimal import Decimal

import pytest

from api.transaction_client import aggregations_path, create_profile, create_transaction, get_json, sale
from clubs import Club
from postgres_servers import on_both_servers
from regulars.aggregations.definitions import REGISTRY

# Why ----------------------------------------------------------------------------------------------------


@on_both_servers
async def test_an_explanation_has_the_value_its_definition_and_the_transactions(club: Club) -> None:
    mine = await create_profile(club)
    old = await create_transaction(club, sale(100, "2025-10-01 12:00:00", profile_id=mine))
    new = await create_transaction(club, sale(50, "2026-10-01 12:00:00", profile_id=mine))
    found = (await get_json(club, aggregations_path(mine, "/explain"), name="spend_12m"))["data"]
    assert [each["id"] for each in found.pop("transactions")] == [new["id"]]
    assert found == {
        "name": "spend_12m",
        "value": Decimal("50.00"),
        "type": "decimal",
        "definition": REGISTRY.by_name["spend_12m"].description,
        "as_of": "2026-11-01 00:00:00",
        "transactions_count": 1,
        "facts": {},
    }
    then = (await get_json(club, aggregations_path(mine, "/explain"), name="spend_12m", as_of="2026-09-30 00:00:00"))[
        "data"
    ]
    assert [each["id"] for each in then["transactions"]] == [old["id"]]


async def test_a_value_without_transactions_is_explained_by_its_facts(club: Club) -> None:
    mine = await create_profile(club, joined_at="2026-08-03 10:00:00", addresses=[{"iso": "NO", "state": "Oslo"}])
    joined = (await get_json(club, aggregations_path(mine, "/explain"), name="dimension_join"))["data"]
    assert (joined["value"], joined["facts"]) == ("JN", {"joined_at": "2026-08-03 10:00:00"})
    lives = (await get_json(club, aggregations_path(mine, "/explain"), name="likely_country"))["data"]["facts"]
    (address,) = lives.pop("addresses")
    assert (address["country"], address["state"], address["is_default"]) == ("NO", "Oslo", False)
    assert lives == {"joined_location_id": None, "preferred_location_id": None}


@pytest.mark.parametrize(("path", "more"), [("/explain", ""), ("/history", "&from=2026-01-01")])
async def test_explain_requires_a_known_name(club: Club, path: str, more: str) -> None:
    mine = await create_profile(club)
    for query, message in [
        ("name=luck", "has the unknown aggregation 'luck'"),
        ("name=", "is required"),
        ("", "is required"),
    ]:
        answer = await club.http.get(f"{aggregations_path(mine, path)}?{query}{more}")
        assert (answer.status_code, answer.json()["errors"]) == (422, {"name": [message]})


# How it went --------------------------------------------------------------------------------------------


@on_both_servers
async def test_a_history_has_the_value_at_its_start_and_every_change(club: Club) -> None:
    mine = await create_profile(club)
    await create_transaction(club, sale(100, "2025-10-01 12:00:00", profile_id=mine))
    await create_transaction(club, sale(50, "2026-01-01 12:00:00", profile_id=mine))
    period = {"from": "2025-10-02 00:00:00", "to": "2026-10-31 00:00:00"}
    assert (await get_json(club, aggregations_path(mine, "/history"), name="spend_12m_now", **period))["data"] == [
        {"at": "2025-10-02 00:00:00", "value": Decimal("100.00")},
        {"at": "2026-01-01 12:00:00", "value": Decimal("150.00")},
        {"at": "2026-10-01 12:00:00", "value": Decimal("50.00")},
    ]
    assert (await get_json(club, aggregations_path(mine, "/history"), name="spend_12m", **period))["data"] == [
        {"at": "2025-10-02 00:00:00", "value": Decimal("100.00")},
        {"at": "2026-01-01 12:00:00", "value": Decimal("150.00")},
    ]
    until_now = await get_json(
        club, aggregations_path(mine, "/history"), name="dimension_recency", **{"from": "2026-03-31 00:00:00"}
    )
    assert until_now["data"] == [
        {"at": "2026-03-31 00:00:00", "value": "RC"},
        {"at": "2026-04-01 12:00:00", "value": "RS"},
        {"at": "2026-07-01 12:00:00", "value": "RA"},
    ]


async def test_a_history_requires_a_start_before_its_end(club: Club) -> None:
    mine = await create_profile(club)
    for query, errors in [
        ("name=channel", {"from": ["is required"]}),
        ("name=,&from=2026-02-01", {"name": ["is required"]}),
        ("name=channel&from=2026-02-01&to=2026-01-01", {"from": ["must not be after to"]}),
    ]:
        answer = await club.http.get(f"{aggregations_path(mine, '/history')}?{query}")
        assert (answer.status_code, answer.json()["errors"]) == (422, errors)


async def test_several_histories_come_in_one_response(club: Club) -> None:
    mine = await create_profile(club)
    await create_transaction(club, sale(100, "2026-10-01 12:00:00", profile_id=mine))
    query = {"from": "2026-09-30 12:00:00", "to": "2026-10-02 12:00:00"}
    path = aggregations_path(mine, "/history")
    both = (await get_json(club, path, name="shop_count, spend_all", **query))["data"]
    for name in ("shop_count", "spend_all"):
        assert both[name] == (await get_json(club, path, name=name, **query))["data"]
    assert [each["value"] for each in both["shop_count"]] == [0, 1]


async def test_a_history_may_be_read_at_evenly_spaced_instants(club: Club) -> None:
    mine = await create_profile(club)
    await create_transaction(club, sale(100, "2026-10-01 12:00:00", profile_id=mine))
    query = {"from": "2026-09-30 12:00:00", "to": "2026-10-02 12:00:00"}
    path = aggregations_path(mine, "/history")
    assert (await get_json(club, path, name="shop_count", points=3, **query))["data"] == [
        {"at": "2026-09-30 12:00:00", "value": 0},
        {"at": "2026-10-01 12:00:00", "value": 1},
        {"at": "2026-10-02 12:00:00", "value": 1},
    ]
    assert len((await get_json(club, path, name="shop_count", points=1, **query))["data"]) == 1
    answer = await get_json(club, path, 422, name="shop_count", points=201, **query)
    assert answer["errors"] == {"points": ["must be an integer from 1 to 200"]}


# What they mean -----------------------------------------------------------------------------------------


async def test_every_value_is_listed_with_its_type_unit_and_meaning(club: Club) -> None:
    found = (await get_json(club, "/api/v3/aggregations"))["data"]
    assert [each["name"] for each in found] == list(REGISTRY.by_name)
    by_name = {each["name"]: each for each in found}
    assert {each["group"] for each in found} == {
        *("spend", "purchases", "dimensions", "stores", "brands", "country", "record")
    }
    assert by_name["spend_12m"] == {
        "name": "spend_12m",
        "type": "decimal",
        "unit": "NOK",
        "group": "spend",
        "description": REGISTRY.by_name["spend_12m"].description,
        "codes": {},
        "has_more_codes": False,
        "is_explained_by_transactions": True,
    }
    assert (by_name["discount_avg"]["unit"], by_name["shop_days"]["unit"], by_name["shop_count"]["unit"]) == (
        "percent",
        "days",
        None,
    )
    assert by_name["dimension_recency"]["codes"]["RA"] == "The last sale is within 12 months."
