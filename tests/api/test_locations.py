"""Locations over HTTP."""

import asyncio
import json
from typing import Any

import pytest

from clubs import Club, ManualClock, create_club
from regulars.ingest.commit import commit
from regulars.model import locations
from regulars.model.community import NewCommunity
from regulars.storage.database import Database

LOCATIONS_URL = "/api/v3/locations"
KEYS = [
    "id", "type", "name", "description", "phone", "email", "timezone", "external_id", "external_code",
    "is_published", "is_permanently_closed", "address", "normal_hours", "special_hours", "tags",
    "custom_fields", "created_at", "updated_at",
]  # fmt: skip


async def create_location(club: Club, **fields: Any) -> dict[str, Any]:
    response = await club.http.post(LOCATIONS_URL, json=fields)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()["data"]
    return found


async def cache_versions(club: Club) -> tuple[int, int]:
    async with club.database.read_transaction(club.community.id) as scope:
        row = await scope.fetchrow(
            "SELECT values_version, locations_version FROM cache_versions WHERE community_id = $1", club.community.id
        )
    return row["values_version"], row["locations_version"]


async def country_columns(club: Club, location_id: int) -> tuple[str | None, str | None, str | None]:
    async with club.database.read_transaction(club.community.id) as scope:
        row = await scope.fetchrow(
            "SELECT country, iso_state, state FROM locations WHERE community_id = $1 AND id = $2",
            club.community.id,
            location_id,
        )
    return row["country"], row["iso_state"], row["state"]


async def test_a_location_has_the_keys_of_the_public_api_in_their_order(club: Club) -> None:
    found = await create_location(club, name="Omneo Store", phone="1131131", external_id="M10", external_code="10")
    assert list(found) == KEYS
    assert found | {"id": 1} == {
        "id": 1,
        "type": None,
        "name": "Omneo Store",
        "description": None,
        "phone": "1131131",
        "email": None,
        "timezone": None,
        "external_id": "M10",
        "external_code": "10",
        "is_published": True,
        "is_permanently_closed": False,
        "address": None,
        "normal_hours": [],
        "special_hours": [],
        "tags": [],
        "custom_fields": [],
        "created_at": "2026-11-01 00:00:00",
        "updated_at": "2026-11-01 00:00:00",
    }
    assert (await club.http.get(f"{LOCATIONS_URL}/{found['id']}")).json() == {"data": found}


async def test_ids_of_other_systems_may_be_numbers(club: Club) -> None:
    found = await create_location(club, external_id=10, external_code=7, phone=1131131)
    assert (found["external_id"], found["external_code"], found["phone"]) == ("10", "7", "1131131")


@pytest.mark.parametrize(
    ("fields", "country"),
    [
        ({"address": {"iso": "NO", "country": "Sweden"}, "country_iso_3": "DNK"}, "NO"),
        ({"address": {"country": "Sweden"}, "country_iso_3": "DNK"}, "SE"),
        ({"address": {"iso": "", "country": "SWE"}}, "SE"),
        ({"address": {"city": "Aarhus"}, "country_iso_3": "DNK"}, "DK"),
        ({"country_iso_3": "dnk"}, "DK"),
        ({"address": {"iso": None}}, None),
    ],
)
async def test_the_country_is_the_first_that_is_present(
    club: Club, fields: dict[str, Any], country: str | None
) -> None:
    found = await create_location(club, **fields)
    assert (await country_columns(club, found["id"]))[0] == country


async def test_an_address_keeps_unknown_keys(club: Club) -> None:
    address = {
        "iso": "AU",
        "iso_state": "AU-VIC",
        "state": "Victoria",
        "latitude": 37.8136,
        "lift": {"floor": 2},
    }
    found = await create_location(club, address=address)
    assert found["address"] == address
    assert await country_columns(club, found["id"]) == ("AU", "AU-VIC", "Victoria")


async def test_absent_fields_are_unchanged_and_null_clears(club: Club) -> None:
    found = await create_location(
        club,
        name="Shop",
        type="store",
        country_iso_3="NOR",
        tags=["mall"],
        is_published=False,
        external_id="1",
    )
    response = await club.http.put(
        f"{LOCATIONS_URL}/{found['id']}", json={"name": None, "tags": None, "is_published": None}
    )
    changed = response.json()["data"]
    assert changed == found | {"name": None, "tags": [], "is_published": True}
    assert (await country_columns(club, found["id"]))[0] == "NO"


@pytest.mark.parametrize("latitude", [90.0001, -91, "91", "north", True, [1], {"a": 1}, "inf", 10**400])
async def test_coordinates_out_of_range_are_rejected_by_every_route(club: Club, latitude: Any) -> None:
    expected = "must be a number of degrees from -90 to 90"
    body = {"external_id": "1", "address": {"latitude": latitude}}
    response = await club.http.post(LOCATIONS_URL, json=body)
    assert (response.status_code, response.json()["errors"]) == (422, {"address.latitude": [expected]})
    headers = {"Content-Type": "application/x-ndjson"}
    imported = (await club.http.post("/v1/import/locations", content=json.dumps(body), headers=headers)).json()
    assert imported["rejections"][0]["errors"] == {"address.latitude": [expected]}


@pytest.mark.parametrize("latitude", [90, -90.0, "59.91", "", " 1 ", None])
async def test_coordinates_may_be_numbers_texts_or_nothing(club: Club, latitude: Any) -> None:
    assert (await create_location(club, address={"latitude": latitude}))["address"] == {"latitude": latitude}


async def test_an_address_that_loses_its_country_falls_back_to_country_iso_3(club: Club) -> None:
    found = await create_location(club, address={"iso": "SE"}, country_iso_3="NOR")
    await club.http.put(f"{LOCATIONS_URL}/{found['id']}", json={"address": {"city": "Oslo"}})
    assert (await country_columns(club, found["id"]))[0] == "NO"


async def test_a_response_can_be_sent_back_and_changes_nothing(club: Club) -> None:
    found = await create_location(club, name="Shop", timezone="Europe/Oslo", address={"iso": "NO"}, external_id="1")
    before = await cache_versions(club)
    club.clock.advance(hours=1)
    response = await club.http.put(f"{LOCATIONS_URL}/{found['id']}", json=found)
    assert response.json()["data"] == found
    assert await cache_versions(club) == before


@pytest.mark.parametrize(
    ("change", "values", "embedded"),
    [
        ({"name": "New"}, 0, 1),
        ({"address": {"iso": "NO", "city": "Bergen"}}, 0, 1),
        ({"address": {"iso": "SE"}}, 1, 1),
        ({"address": {"iso": "NO", "iso_state": "NO-03"}}, 1, 1),
        ({"address": {"iso": "NO", "state": "Oslo"}}, 1, 1),
        ({"type": "online"}, 1, 1),
        ({"timezone": "Asia/Tokyo"}, 1, 1),
        ({"external_id": "2"}, 1, 1),
        ({"type": "store"}, 0, 0),
    ],
)
async def test_a_change_invalidates_what_depends_on_it(
    club: Club, change: dict[str, Any], values: int, embedded: int
) -> None:
    found = await create_location(club, external_id="1", type="store", timezone="Europe/Oslo", address={"iso": "NO"})
    before = await cache_versions(club)
    await club.http.put(f"{LOCATIONS_URL}/{found['id']}", json=change)
    after = await cache_versions(club)
    assert (after[0] - before[0], after[1] - before[1]) == (values, embedded)


async def test_a_deleted_location_is_not_found_and_frees_its_external_id(club: Club) -> None:
    found = await create_location(club, external_id="1", name="Old")
    assert (await club.http.delete(f"{LOCATIONS_URL}/{found['id']}")).status_code == 204
    assert (await club.http.get(f"{LOCATIONS_URL}/{found['id']}")).status_code == 404
    assert (await club.http.put(f"{LOCATIONS_URL}/{found['id']}", json={"name": "x"})).status_code == 404
    assert (await club.http.delete(f"{LOCATIONS_URL}/{found['id']}")).status_code == 404
    assert (await club.http.get(LOCATIONS_URL)).json()["data"] == []
    again = await create_location(club, external_id="1", name="New")
    assert again["id"] != found["id"]


async def test_a_deleted_location_is_still_embedded(club: Club) -> None:
    found = await create_location(club, external_id="1", name="Old")
    await club.http.delete(f"{LOCATIONS_URL}/{found['id']}")
    async with club.database.read_transaction(club.community.id) as scope:
        embedded = await locations.EMBEDDED_LOCATIONS.fetch_many(scope, [found["id"]])
        assert await locations.LOCATIONS.fetch_many(scope, [found["id"]]) == {}
    assert list(embedded[found["id"]]) == KEYS
    assert embedded[found["id"]]["name"] == "Old"


async def test_an_external_id_in_use_is_rejected_by_field(club: Club) -> None:
    await create_location(club, external_id="1")
    other = await create_location(club, external_id="2")
    for response in (
        await club.http.post(LOCATIONS_URL, json={"external_id": "1"}),
        await club.http.put(f"{LOCATIONS_URL}/{other['id']}", json={"external_id": "1"}),
    ):
        assert response.status_code == 422
        assert response.json()["errors"] == {"external_id": ["is taken by another: choose one that is free"]}


_LONG = "x" * 256


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        *(({name: 5}, name) for name in ("type", "name", "description", "email", "timezone", "country_iso_3")),
        *(({name: True}, name) for name in ("external_id", "external_code", "phone", "name")),
        *(({name: {}}, name) for name in ("external_id", "name", "is_published", "tags", "normal_hours")),
        *(({name: "x"}, name) for name in ("is_published", "is_permanently_closed", "address", "tags")),
        *(
            ({name: _LONG}, name)
            for name in ("external_id", "external_code", "type", "name", "phone", "email", "timezone")
        ),
        *(
            ({name: "a\0b"}, name)
            for name in ("external_id", "type", "name", "description", "phone", "email", "timezone")
        ),
        ({"description": "x" * 65_536}, "description"),
        ({"external_id": 10**300}, "external_id"),
        ({"timezone": "Europe/Atlantis"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"country_iso_3": "Atlantis"}, "country_iso_3"),
        ({"address": {"iso": "XX"}}, "address.iso"),
        ({"address": {"iso": "NO", "country": "Atlantis"}}, "address.country"),
        ({"address": {"country": 47}}, "address.country"),
        ({"address": {"iso_state": ["NO-03"]}}, "address.iso_state"),
        ({"address": {"state": _LONG}}, "address.state"),
        ({"address": {"city": "a\0b"}}, "address"),
        ({"address": {"a\0b": 1}}, "address"),
        ({"address": []}, "address"),
        ({"tags": ["a\0b"]}, "tags"),
        ({"timezone": ""}, "timezone"),
        ({"custom_fields": [{"deep": [[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]}]}, "custom_fields"),
        ({"special_hours": ["x" * 70_000]}, "special_hours"),
    ],
)
async def test_an_invalid_field_is_rejected_by_path(club: Club, fields: dict[str, Any], path: str) -> None:
    response = await club.http.post(LOCATIONS_URL, json=fields)
    assert response.status_code == 422
    assert list(response.json()["errors"]) == [path]
    location = await create_location(club)
    response = await club.http.put(f"{LOCATIONS_URL}/{location['id']}", json=fields)
    assert response.status_code == 422


async def test_numbers_of_any_size_are_stored_or_rejected(club: Club) -> None:
    location = await create_location(club, address={"a": 10**30, "b": 1.5}, tags=[-(10**30), 0.1])
    assert (location["address"], location["tags"]) == ({"a": 10**30, "b": 1.5}, [-(10**30), 0.1])
    for body in ('{"tags": [1e999]}', '{"tags": [%s]}' % ("1" * 5_000)):
        response = await club.http.post(LOCATIONS_URL, content=body)
        assert (response.status_code, list(response.json()["errors"])) == (422, ["tags.0"])


async def test_all_errors_are_reported_together(club: Club) -> None:
    response = await club.http.post(
        LOCATIONS_URL, json={"name": "\0", "timezone": "x", "address": {"iso": "XX", "state": 1}}
    )
    assert set(response.json()["errors"]) == {"name", "timezone", "address.iso", "address.state"}


@pytest.mark.parametrize("content", [b'{"name": NaN}', b"{", b"\xff", b'{"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"])
async def test_invalid_json_is_a_400(club: Club, content: bytes) -> None:
    response = await club.http.post(LOCATIONS_URL, content=content)
    assert response.status_code == 400
    assert list(response.json()) == ["message"]


@pytest.mark.parametrize("location_id", ["0", "1e3", "x", "-1", "9" * 30, "%00", "٣"])
async def test_an_unknown_id_is_not_found(club: Club, location_id: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        response = await club.http.request(method, f"{LOCATIONS_URL}/{location_id}", json={})
        assert response.status_code == (400 if location_id == "%00" else 404), response.text


async def test_another_community_sees_nothing(club: Club, database: Database, clock: ManualClock) -> None:
    found = await create_location(club, external_id="1")
    new = NewCommunity(slug=f"{club.community.slug}-other", name="Other", country="SE", timezone="UTC", currency="SEK")
    async for other in create_club(database, clock, new):
        assert (await other.http.get(LOCATIONS_URL)).json()["data"] == []
        assert (await other.http.get(f"{LOCATIONS_URL}/{found['id']}")).status_code == 404
        assert (await other.http.delete(f"{LOCATIONS_URL}/{found['id']}")).status_code == 404
        await create_location(other, external_id="1")


# In bulk ---------------------------------------------------------------------------------------------


async def test_a_batch_stores_valid_rows_and_reports_invalid_ones(club: Club) -> None:
    rows = [
        {"external_id": "a", "name": "A", "address": {"country": "Norway"}},
        {"name": "nameless"},
        {"external_id": "b", "timezone": "nowhere"},
        {"external_id": "c", "name": 5},
        {"external_id": "d"},
    ]
    first = (await club.http.post(f"{LOCATIONS_URL}/batch.json", json={"locations": rows})).json()["data"]
    assert (first["accepted"], first["unchanged"]) == (2, 0)
    assert [(each["index"], list(each["errors"])) for each in first["rejected"]] == [
        (1, ["external_id"]),
        (2, ["timezone"]),
        (3, ["name"]),
    ]
    again = (await club.http.post(f"{LOCATIONS_URL}/batch.json", json={"locations": rows})).json()["data"]
    assert (again["accepted"], again["unchanged"], len(again["rejected"])) == (0, 2, 3)
    names = [each["external_id"] for each in (await club.http.get(LOCATIONS_URL)).json()["data"]]
    assert names == ["a", "d"]


async def test_a_row_of_a_batch_updates_the_result_of_earlier_rows(club: Club) -> None:
    rows = [{"external_id": "a", "name": "A", "type": "store"}, {"external_id": "a", "name": "B"}]
    batch = (await club.http.post(f"{LOCATIONS_URL}/batch.json", json={"locations": [*rows, rows[1]]})).json()["data"]
    assert (batch["accepted"], batch["unchanged"]) == (2, 1)
    (found,) = (await club.http.get(LOCATIONS_URL)).json()["data"]
    assert (found["name"], found["type"]) == ("B", "store")


async def test_a_batch_that_changes_locations_invalidates_values(club: Club) -> None:
    await create_location(club, external_id="a", type="store")
    before = await cache_versions(club)
    await club.http.post(f"{LOCATIONS_URL}/batch.json", json={"locations": [{"external_id": "new"}]})
    # A new one is in no value yet, but in searches.
    assert await cache_versions(club) == (before[0], before[1] + 1)
    await club.http.post(f"{LOCATIONS_URL}/batch.json", json={"locations": [{"external_id": "a", "type": "online"}]})
    assert await cache_versions(club) == (before[0] + 1, before[1] + 2)


@pytest.mark.parametrize("body", [{}, {"locations": None}, {"locations": {}}, [], {"locations": [[], 5, None]}])
async def test_a_batch_of_another_shape_is_rejected(club: Club, body: Any) -> None:
    response = await club.http.post(f"{LOCATIONS_URL}/batch.json", json=body)
    if response.status_code == 200:
        assert len(response.json()["data"]["rejected"]) == 3
    else:
        assert response.status_code == 422


# What transactions name ------------------------------------------------------------------------------


async def test_a_reference_is_an_id_or_else_an_external_id(club: Club) -> None:
    first = await create_location(club, external_id="S1")
    taken = str(first["id"])
    second = await create_location(club, external_id=taken)
    third = await create_location(club, external_id="007")
    deleted = await create_location(club, external_id="gone")
    await club.http.delete(f"{LOCATIONS_URL}/{deleted['id']}")
    refs = ["S1", taken, "007", "gone", str(deleted["id"]), "9" * 30]

    found = await commit(
        club.database, club.community.id, lambda w: locations.resolve_ids(w, refs, create_missing=False)
    )

    assert found == {"S1": first["id"], taken: first["id"], "007": third["id"]}
    assert second["id"] not in found.values()


async def test_concurrent_writers_create_a_placeholder_once(club: Club) -> None:
    refs = [f"till-{number}" for number in range(30)]

    async def ask(order: list[str]) -> dict[str, int]:
        return await commit(
            club.database, club.community.id, lambda w: locations.resolve_ids(w, order, create_missing=True)
        )

    responses = await asyncio.gather(ask(refs), ask(refs[::-1]), ask(refs[10:]), ask(refs))
    assert responses[0] == responses[1] == responses[3]
    assert responses[2] == {ref: responses[0][ref] for ref in refs[10:]}
    placeholder = (await club.http.get(f"{LOCATIONS_URL}/{responses[0]['till-3']}")).json()["data"]
    assert (placeholder["external_id"], placeholder["name"]) == ("till-3", None)
    assert (await club.http.get(LOCATIONS_URL)).json()["meta"]["total"] == 30


async def test_concurrent_batches_create_each_location_once(club: Club) -> None:
    rows = [{"external_id": f"L{number}", "name": f"Shop {number}"} for number in range(40)]
    responses = await asyncio.gather(
        *(
            club.http.post(f"{LOCATIONS_URL}/batch.json", json={"locations": order})
            for order in (rows, rows[::-1], rows)
        )
    )
    results = [response.json()["data"] for response in responses]
    assert sum(each["accepted"] for each in results) == 40
    assert sum(each["unchanged"] for each in results) == 80
    assert (await club.http.get(LOCATIONS_URL)).json()["meta"]["total"] == 40
