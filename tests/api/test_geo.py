"""Places over HTTP: towns, and the stores of the selected customers only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator

from api.reporting_client import ReportingClient, reporting_client
from clubs import ManualClock
from regulars.api.reporting import geo_schemas
from regulars.geo import subdivisions, tenant_locations
from regulars.geo.requests import MAX_ADDRESSES
from regulars.geo.towns.files import TownFiles
from regulars.ingest.commit import commit
from regulars.model import locations
from regulars.model.community import Community
from regulars.model.locations import LocationIn
from regulars.storage.database import Database

COORDINATES = "/v1/reporting/geo/locations/coordinates"
PLACES = "/v1/reporting/geo/places"

OSLO = {"lat": 59.91273, "lng": 10.74609}


@pytest_asyncio.fixture
async def reporting(database: Database, clock: ManualClock, atlas: TownFiles) -> AsyncIterator[ReportingClient]:
    """Two clubs of one organization, and a club of another."""
    async with reporting_client(database, clock, atlas=atlas) as found:
        yield found


async def store(reporting: ReportingClient, club: Community, name: str | None, **address: Any) -> str:
    """Creates a store of a club; returns its place id."""
    location = LocationIn(address=address, name=name)
    id_ = await commit(reporting.database, club.id, lambda uow: locations.create(uow, location))
    return f"location:{club.id}:{id_}"


async def search(reporting: ReportingClient, query: str, **more: Any) -> list[dict[str, Any]]:
    """The places in the response to a search."""
    customer = more.pop("customer", "all=all")
    answer = await reporting.query({"query": query, **more}, path=PLACES, customer=customer)
    assert answer.status_code == 200, answer.text
    Draft202012Validator(geo_schemas.SEARCH.response).validate(answer.json())
    found: list[dict[str, Any]] = answer.json()["places"]
    return found


async def show(reporting: ReportingClient, id_: str, customer: str = "all=all") -> httpx.Response:
    """One place."""
    headers = {"X-Client-Authorization": reporting.token, "X-Customer": customer}
    return await reporting.http.get(f"{PLACES}/{id_}", headers=headers)


async def test_addresses_get_coordinates_in_their_order(reporting: ReportingClient) -> None:
    addresses = [
        {"country": "NO", "city": "Oslo", "postcode": "0150"},
        {"country": "Norway", "city": "OSLO "},
        {"country": "NO", "city": "Malmö"},
        {"country": "SWE", "city": "malmo"},
        {"country": "US", "city": "Springfield", "state": "Illinois"},
        {"country": "US", "city": "Springfield", "state": "US-MA"},
        {"country": "US", "city": "Springfield", "state": "Hawaii"},
        {"country": "Atlantis", "city": "Oslo"},
    ]
    answer = await reporting.query({"locations": addresses}, path=COORDINATES)
    assert answer.status_code == 200, answer.text
    Draft202012Validator(geo_schemas.COORDINATES.response).validate(answer.json())
    found = answer.json()["coordinates"]
    assert found[0] == found[1] == {**OSLO, "place_id": "geonames:3143244"}
    assert found[2] is found[6] is found[7] is None
    assert found[3]["place_id"] == "geonames:2692969"
    assert [round(each["lng"]) for each in found[4:6]] == [-90, -73]
    assert answer.headers["ratelimit-cost"] == "1"
    place = (await show(reporting, found[4]["place_id"])).json()["place"]
    assert (place["name"], place["state"]) == ("Springfield", "IL")


async def test_at_most_a_thousand_addresses_are_accepted(reporting: ReportingClient) -> None:
    addresses = [{"country": "NO", "city": f"Oslo{'x' * (n % 2)}"} for n in range(MAX_ADDRESSES)]
    found = (await reporting.query({"locations": addresses}, path=COORDINATES)).json()["coordinates"]
    assert [each is None for each in found] == [n % 2 == 1 for n in range(MAX_ADDRESSES)]
    answer = await reporting.query({"locations": [*addresses, addresses[0]]}, path=COORDINATES)
    assert answer.status_code == 422
    assert answer.json()["details"]["locations"][0]["options"] == {"maximum": MAX_ADDRESSES}


async def test_a_search_finds_towns_and_the_customers_own_stores(reporting: ReportingClient) -> None:
    nord, syd = reporting.clubs
    one = await store(
        reporting, nord, "Nörd Malmö Triangeln", country="SE", city="Malmö", latitude="55.59", longitude=13
    )
    other = await store(reporting, syd, "Syd", iso="SE", city="Malmö")
    await store(reporting, reporting.other_club, "Malmö Fremd", country="SE", city="Malmö")
    await store(reporting, nord, None, country="SE", city="Malmö")
    found = await search(reporting, "malmo")
    assert [each["id"] for each in found][:3] == ["geonames:2692969", one, other]
    assert "Malmö Fremd" not in {each["name"] for each in found}
    town, first, second = found[:3]
    assert (town["type"], town["name"], town["timezone"], town["community_id"]) == (
        "town",
        "Malmö",
        "Europe/Stockholm",
        None,
    )
    assert (first["type"], first["community_id"], first["population"]) == ("location", nord.id, None)
    # A store has its own coordinates, or those of its town.
    assert first["coordinates"] == {"lat": 55.59, "lng": 13.0}
    assert second["coordinates"] == town["coordinates"]
    assert [each["id"] for each in await search(reporting, "nord malmo")] == [one]
    assert other not in {each["id"] for each in await search(reporting, "malmo", customer=f"id={nord.id}")}


async def test_a_search_is_limited_to_a_country_and_ordered_by_distance(reporting: ReportingClient) -> None:
    nord = reporting.clubs[0]
    far = await store(reporting, nord, "Corner A", country="SE", city="Malmö")
    close = await store(reporting, nord, "Corner B", country="NO", city="Oslo")
    nowhere = await store(reporting, nord, "Corner C", city="Oslo")
    unknown = await store(reporting, nord, "Corner D", country="NO", city="Atlantis")
    found = await search(reporting, "corner", near=OSLO)
    assert [each["id"] for each in found][:4] == [close, far, nowhere, unknown]
    assert [each["distance_km"] for each in found][:4] == [0.0, pytest.approx(497, abs=1), None, None]
    assert [each["coordinates"] is None for each in found[:4]] == [False, False, True, True]
    assert [each["id"] for each in await search(reporting, "corner", near=OSLO, limit=2)] == [close, far]
    assert [each["id"] for each in await search(reporting, "corner", country="Sweden")] == [far]
    assert (await search(reporting, "paris", country="USA"))[0]["country"] == "US"
    assert await search(reporting, "?!") == []


async def test_a_place_is_read_by_the_id_of_a_search_result(reporting: ReportingClient) -> None:
    nord = reporting.clubs[0]
    id_ = await store(reporting, nord, "Nord", country="NO", city="Oslo")
    for found in await search(reporting, "oslo", limit=100) + await search(reporting, "nord", limit=1):
        answer = await show(reporting, found["id"])
        assert answer.status_code == 200, answer.text
        Draft202012Validator(geo_schemas.PLACE.response).validate(answer.json())
        assert answer.json() == {"place": found}
    assert (await show(reporting, id_)).json()["place"]["coordinates"] == OSLO


async def test_a_store_of_another_customer_is_404_whether_it_exists_or_not(reporting: ReportingClient) -> None:
    nord, syd = reporting.clubs
    theirs = await store(reporting, reporting.other_club, "Fremd", country="NO", city="Oslo")
    own = await store(reporting, nord, "Nord", country="NO", city="Oslo")
    absent = f"location:{reporting.other_club.id}:999999999"
    answers = [await show(reporting, each) for each in (theirs, absent)]
    assert [each.status_code for each in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert set(answers[0].json()) == {"error"}
    assert (await show(reporting, own, f"id={nord.id}")).status_code == 200
    assert (await show(reporting, own, f"id={syd.id}")).status_code == 404
    # The id of an own store with another community, and the reverse.
    number = theirs.rpartition(":")[2]
    assert (await show(reporting, f"location:{nord.id}:{number}")).status_code == 404


async def test_a_deleted_store_is_404(reporting: ReportingClient) -> None:
    nord = reporting.clubs[0]
    id_ = await store(reporting, nord, "Gone", country="NO", city="Oslo")
    number = int(id_.rpartition(":")[2])
    await commit(reporting.database, nord.id, lambda uow: locations.delete(uow, number))
    assert (await show(reporting, id_)).status_code == 404
    assert id_ not in {each["id"] for each in await search(reporting, "gone")}


@pytest.mark.parametrize(
    "id_",
    [
        "1",
        "geonames:1",
        "geonames:",
        "geonames:03143244",
        "geonames:9999999999",
        "location:1",
        "a:b:c",
        "%2500",
        "%C3%BF",
    ],
)
async def test_a_malformed_id_is_404(reporting: ReportingClient, id_: str) -> None:
    assert (await show(reporting, id_)).status_code == 404


async def test_invalid_parameters_are_reported_in_the_structure_of_the_request(reporting: ReportingClient) -> None:
    answer = await reporting.query({"query": "x" * 10_240, "near": {"lat": 91, "lng": 0}}, path=PLACES)
    assert answer.status_code == 422
    details = answer.json()["details"]
    assert details["query"][0]["options"] == {"maximum": 255}
    assert details["near"]["lat"][0]["error"] == "inclusion"
    answer = await reporting.query(b'{"query": "\xff"}', path=PLACES)
    assert (answer.status_code, set(answer.json())) == (400, {"error"})


async def test_a_token_for_places_only_may_not_query_reports(reporting: ReportingClient) -> None:
    token = await reporting.new_token(["Reporting:Api:Geo"])
    assert (await reporting.query({"query": "oslo"}, path=PLACES, token=token)).status_code == 200
    assert (await reporting.query(token=token)).status_code == 403
    answer = await reporting.query(
        {"query": "o"}, path=PLACES, token=await reporting.new_token(["Reporting:Api:Query"])
    )
    assert "Reporting:Api:Geo" in answer.json()["error"]


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        (None, None),
        ("1", None),
        ("", ""),
        ("a", "1"),
        ("nan", "1"),
        ("1", "inf"),
        ("91", "0"),
        ("0", "-181"),
        ("[]", "1"),
    ],
)
def test_a_store_with_invalid_coordinates_has_no_coordinates(latitude: str | None, longitude: str | None) -> None:
    assert tenant_locations.parse_point(latitude, longitude) is None


@pytest.mark.parametrize(
    ("country", "text", "code"),
    [
        ("US", "IL", "IL"),
        ("US", "us-il", "IL"),
        ("US", "illinois", "IL"),
        ("CH", "Zurich", "ZH"),
        ("NO", "Oslo", "03"),
        ("US", "", None),
        ("US", None, None),
    ],
)
def test_a_state_is_recognised_by_its_code_or_its_name(country: str, text: str | None, code: str | None) -> None:
    assert subdivisions.subdivision_code(country, text) == code
