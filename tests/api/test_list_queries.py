"""Lists: filters, sorting, pages and errors."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from clubs import Club
from regulars.api.registry import ENDPOINTS
from regulars.auth.authorization import Caller
from regulars.core.field_type import FieldType
from regulars.web.endpoint import Endpoint
from regulars.web.openapi import openapi_document

AT = "/api/v3/locations"

SHOPS: tuple[dict[str, Any], ...] = (
    {"external_id": "A1", "name": "Alpha", "type": "store", "country_iso_3": "NOR"},
    {"external_id": "B2", "name": "Bravo & Søn", "type": "online", "is_published": False},
    {"external_id": "C3", "name": None, "type": None, "country_iso_3": "SWE"},
    {"external_id": "D4", "name": "alphabet", "type": "Store"},
)


async def create_shops(club: Club) -> dict[str, dict[str, Any]]:
    """Four shops by external id, created an hour apart."""
    found = {}
    for shop in SHOPS:
        found[shop["external_id"]] = (await club.http.post(AT, json=shop)).json()["data"]
        club.clock.advance(hours=1)
    return found


async def ids(club: Club, **query: Any) -> list[str]:
    answer = await club.http.get(AT, params=query)
    assert answer.status_code == 200, answer.text
    return [each["external_id"] for each in answer.json()["data"]]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ("filter[name]=ALPHA", "A1"),
        ("filter[name][eq]=alpha", "A1"),
        ("filter[name][ne]=alpha", "B2 D4"),
        ("filter[name][gt]=alpha", "B2 D4"),
        ("filter[name][gte]=Alpha", "A1 B2 D4"),
        ("filter[name][lt]=B", "A1 D4"),
        ("filter[name][lte]=alpha", "A1"),
        ("filter[name][in]=alpha,BRAVO %26 Søn", "A1 B2"),
        ("filter[name][nullable]=1", "C3"),
        ("filter[name][nullable]=false", "A1 B2 D4"),
        ("filter[type]=STORE", "A1 D4"),
        ("filter[is_published]=0", "B2"),
        ("filter[is_published]=True", "A1 C3 D4"),
        ("filter[is_published][ne]=true", "B2"),
        ("filter[is_published][in]=1,0", "A1 B2 C3 D4"),
        ("filter[country]=no", "A1"),
        ("filter[country][in]=NO,SE", "A1 C3"),
        ("filter[created_at]=2026-11-01 01:00:00", "B2"),
        ("filter[created_at][gte]=2026-11-01 02:00:00", "C3 D4"),
        ("filter[created_at][gt]=2026-11-01T03:00:00%2B01:00", "D4"),
        ("filter[created_at][lt]=2026-11-01T01:00:00Z", "A1"),
        ("filter[created_at][lte]=2026-11-01 01:00:00", "A1 B2"),
        ("filter[created_at][in]=2026-11-01,2026-11-01 03:00:00", "A1 D4"),
        ("filter[type]=store&filter[name][gt]=alpha", "D4"),
        ("filter[name]=unknown", ""),
        ("sort=-external_id", "D4 C3 B2 A1"),
        ("sort=is_published,-created_at", "B2 D4 C3 A1"),
        ("sort=-created_at&filter[type]=store", "D4 A1"),
    ],
)
async def test_a_list_is_filtered_and_sorted(club: Club, parameters: str, found: str) -> None:
    await create_shops(club)
    answer = await club.http.get(f"{AT}?{parameters}")
    assert answer.status_code == 200, answer.text
    assert [each["external_id"] for each in answer.json()["data"]] == found.split()
    assert answer.json()["meta"]["total"] == len(found.split())


async def test_ids_are_filtered_as_numbers(club: Club) -> None:
    shops = await create_shops(club)
    first, second = shops["A1"]["id"], shops["B2"]["id"]
    assert await ids(club, **{"filter[id]": second}) == ["B2"]
    assert await ids(club, **{"filter[id][in]": f"{first}, {second}"}) == ["A1", "B2"]
    assert await ids(club, **{"filter[id][gt]": second}) == ["C3", "D4"]


@pytest.mark.parametrize(
    ("text", "found"),
    [("Ørsta-1", "Ørsta-1"), ("ØRSTA-1", "Ørsta-1"), ("ΟΔΟΣ", "ΟΔΟΣ"), ("οδοσ", "ΟΔΟΣ"), ("İzmir", "İzmir")],
)
@pytest.mark.parametrize("field", ["external_id", "name"])
async def test_text_in_any_alphabet_is_filtered_without_case(club: Club, field: str, text: str, found: str) -> None:
    for name in ("Ørsta-1", "ΟΔΟΣ", "İzmir", "other"):
        await club.http.post(AT, json={"external_id": name, "name": name})
    assert await ids(club, **{f"filter[{field}]": text}) == [found]
    assert await ids(club, **{f"filter[{field}][in]": f"none,{text}"}) == [found]


async def test_nested_names_and_money_are_filtered(club: Club) -> None:
    for name, brand, price in (("Shirt", "Acme", "9.50"), ("Sock", "Other", "10.00"), ("Cap", None, None)):
        body = {"name": name, "brand": brand, "variants": [{"sku": name, "price": price}]}
        product = (await club.http.post("/api/v3/products", json=body)).json()["data"]
    answer = await club.http.get("/api/v3/products", params={"filter[brand.name]": "acme", "sort": "brand.name"})
    assert [each["name"] for each in answer.json()["data"]] == ["Shirt"]
    url = f"/api/v3/products/{product['id']}/variants"
    for price, sku in (("8.25", "a"), ("10", "b")):
        await club.http.post(url, json={"sku": sku, "price": price})
    for parameters, found in (
        ("[gt]=9", ["b"]),
        ("[lte]=8.25", ["a"]),
        ("=10.00", ["b"]),
        ("[nullable]=1", ["Cap"]),
    ):
        answer = await club.http.get(f"{url}?filter[price]{parameters}")
        assert [each["sku"] for each in answer.json()["data"]] == found


async def test_pages_do_not_overlap_and_state_their_position(club: Club) -> None:
    await create_shops(club)
    answer = (await club.http.get(AT, params={"page[size]": 2, "page[number]": 2, "sort": "is_published"})).json()
    first = await ids(club, **{"page[size]": 2, "sort": "is_published"})
    assert first + [each["external_id"] for each in answer["data"]] == ["B2", "A1", "C3", "D4"]
    meta = answer["meta"]
    links = meta.pop("links")
    assert meta == {
        "current_page": 2,
        "from": 3,
        "last_page": 2,
        "path": f"http://test{AT}",
        "per_page": 2,
        "to": 4,
        "total": 4,
    }
    assert [(each["label"], each["active"], each["url"] is None) for each in links] == [
        ("&laquo; Previous", False, False),
        ("1", False, False),
        ("2", True, False),
        ("Next &raquo;", False, True),
    ]
    assert answer["links"]["next"] is None
    assert answer["links"]["prev"] == answer["links"]["first"] == links[0]["url"]


async def test_an_empty_page_is_a_page(club: Club) -> None:
    for query in ({}, {"page[number]": 7}):
        answer = (await club.http.get(AT, params=query)).json()
        meta = answer["meta"]
        assert (answer["data"], meta["from"], meta["to"], meta["last_page"], meta["total"]) == (
            [],
            None,
            None,
            1,
            0,
        )


async def test_links_contain_the_quoted_query(club: Club) -> None:
    await create_shops(club)
    query = {"filter[name][in]": "Bravo & Søn,alpha", "sort": "-name", "page[size]": "1"}
    answer = (await club.http.get(AT, params=query)).json()
    following = answer["links"]["next"]
    assert "&" not in following.split("?")[1].split("filter[name][in]=")[1].split("&")[0]
    stored = {name: values[0] for name, values in parse_qs(urlsplit(following).query).items()}
    assert stored == query | {"page[number]": "2"}
    rest = (await club.http.get(following)).json()
    assert [each["external_id"] for each in answer["data"] + rest["data"]] == ["B2", "A1"]


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ("filter[nothing]=1", "nothing"),
        ("filter[extra]=1", "extra"),
        ("filter[community_id]=1", "community_id"),
        ("filter[name][like]=a", "name"),
        ("filter[id]=x", "id"),
        ("filter[id]=" + "9" * 30, "id"),
        ("filter[id][in]=1,x", "id"),
        ("filter[is_published]=maybe", "is_published"),
        ("filter[name][nullable]=perhaps", "name"),
        ("filter[created_at]=yesterday", "created_at"),
        ("filter[created_at]=1066-10-14", "created_at"),
        ("filter[tags]=x", "tags"),
        ("filter[address][eq]=x", "address"),
        ("filter=1", "filter"),
        ("filter[]=1", "filter[]"),
        ("filter[name][eq][x]=1", "filter[name][eq][x]"),
        ("sort=nothing", "sort"),
        ("sort=tags", "sort"),
        ("sort=name;drop", "sort"),
        ("page[size]=0", "page.size"),
        ("page[size]=501", "page.size"),
        ("page[size]=x", "page.size"),
        ("page[number]=0", "page.number"),
        ("page[number]=" + "9" * 30, "page.number"),
    ],
)
async def test_an_invalid_list_parameter_is_422_at_its_path(club: Club, parameters: str, path: str) -> None:
    answer = await club.http.get(f"{AT}?{parameters}")
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [path]


async def test_a_filter_by_a_malformed_price_is_422(club: Club) -> None:
    product = (await club.http.post("/api/v3/products", json={"name": "Shirt"})).json()["data"]
    for text in ("NaN", "x", "Infinity", ""):
        answer = await club.http.get(f"/api/v3/products/{product['id']}/variants", params={"filter[price]": text})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["price"])


async def test_nul_in_a_query_parameter_is_422(club: Club) -> None:
    for parameters in ("filter[name]=%00", "filter[na%00me]=x", "sort=%00"):
        assert (await club.http.get(f"{AT}?{parameters}")).status_code == 422


async def test_the_largest_page_number_is_accepted(club: Club) -> None:
    await create_shops(club)
    assert len(await ids(club, **{"page[size]": 500})) == 4
    assert await ids(club, **{"page[number]": 10**9, "page[size]": 500}) == []


_LISTS = [each for each in ENDPOINTS if each.is_list and "{" not in each.path and each.caller is Caller.COMMUNITY]


@pytest.mark.parametrize("endpoint", _LISTS, ids=[each.path for each in _LISTS])
async def test_numbers_are_filtered_by_values_outside_the_range_of_their_column(club: Club, endpoint: Endpoint) -> None:
    assert endpoint.resource is not None
    integers = [each.name for each in endpoint.resource.fields if each.type is FieldType.INTEGER]
    for parameters in (f"filter[{name}]{how}" for name in integers for how in (f"={2**63 - 1}", f"[in]=1,{-(2**63)}")):
        answer = await club.http.get(f"{endpoint.path}?{parameters}")
        assert (answer.status_code, answer.json()["data"]) == (200, []), parameters


_SAMPLES = {
    FieldType.INTEGER: "1",
    FieldType.NUMBER: "1.5",
    FieldType.BOOLEAN: "true",
    FieldType.UUID: "018f0000-0000-7000-8000-000000000000",
    FieldType.DATE: "2026-11-01",
    FieldType.TIMESTAMP: "2026-11-01 12:00:00",
}
_FILTERED = [each for each in ENDPOINTS if (each.is_list or each.is_search) and each.caller is Caller.COMMUNITY]


async def create_one_of_each(club: Club) -> dict[str, dict[str, Any]]:
    """A profile, a transaction, a product and a webhook, by the beginning of their paths."""
    item = {"name": "Shirt", "price_current": 1, "price_sell": 1, "quantity": 1}
    sale = {"total": 1, "transacted_at": "2026-10-01", "timezone": "UTC", "items": [item]}
    created = {}
    for name, body in (
        ("profiles", {}),
        ("transactions", sale),
        ("products", {"name": "Shirt"}),
        ("webhooks", {"trigger": "t", "url": "https://a.example"}),
    ):
        answer = await club.http.post(f"/api/v3/{name}", json=body)
        created[f"/api/v3/{name}"] = answer.json()["data"]
    return created


async def test_every_documented_filter_and_order_of_a_list_is_accepted(club: Club) -> None:
    created = await create_one_of_each(club)
    document = openapi_document(ENDPOINTS)
    for endpoint in _FILTERED:
        resource = endpoint.listed_resource or endpoint.resource
        assert resource is not None
        url = next(
            (endpoint.path.format(**one) for at, one in created.items() if endpoint.path.startswith(at)), endpoint.path
        )
        parameters = {each["name"]: each for each in document["paths"][endpoint.path]["get"]["parameters"]}
        names = parameters["sort"]["description"].partition(": ")[2].rstrip(".").split(", ")
        queries = [("sort", ",".join(names[start : start + 20])) for start in range(0, len(names), 20)]
        queries += [
            (name, _SAMPLES.get(field.type, "x"))
            for name in parameters
            if name.startswith("filter[") and (field := resource.field(name[7:-1]))
        ]
        assert len(queries) > 1
        for name, value in queries:
            answer = await club.http.get(url, params={name: value})
            assert answer.status_code == 200 or endpoint.is_search, (url, name, value, answer.text)
            assert answer.status_code in (200, 404), (url, name, value, answer.text)
