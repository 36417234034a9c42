"""The OpenAPI document, and the page where the API can be tried."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from clubs import Club
from query.sample_reports import REGISTRY
from regulars.api.registry import ENDPOINTS
from regulars.auth.authorization import Access, Caller
from regulars.query.parser.request import parse_query
from regulars.reports.registry import REPORTS
from regulars.reports.report import Report
from regulars.web import report_examples, report_schemas
from regulars.web.openapi import openapi_document
from regulars.web.schema_components import SchemaComponents
from regulars.web.security_schemas import access_description

DOCUMENT: dict[str, Any] = openapi_document(ENDPOINTS)


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.mark.slow
async def test_the_document_is_valid_and_served_without_a_token(club: Club) -> None:
    answer = await club.http.get("/api/openapi.json", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert answer.json() == DOCUMENT
    OpenAPIV31SpecValidator(answer.json()).validate()


def test_every_endpoint_is_documented_under_a_unique_operation_id() -> None:
    described = {(method.upper(), path) for path, method, _ in operations()}
    assert described == {(each.method, each.path) for each in ENDPOINTS if each.status < 400}
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][A-Za-z0-9_]*", name) for name in names)


def test_every_operation_documents_its_access_and_its_responses() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    declared = {(each.method.lower(), each.path): each.access for each in ENDPOINTS}
    for path, method, operation in operations():
        assert operation["summary"]
        assert operation["tags"]
        named = [name for each in operation["security"] for name in each]
        assert set(named) <= set(schemes)
        access = declared[method, path]
        assert bool(named) == (access.caller is not Caller.ANYONE)
        assert {role for each in operation["security"] for roles in each.values() for role in roles} == (
            {access.permit} if access.permit else set()
        )
        if access.caller in (Caller.COMMUNITY, Caller.REPORTING):
            assert operation["x-permit"] == access.permit
            assert f"`{access.permit}`" in operation["description"]
            assert ("bound to a profile" in operation["description"]) == bool(access.subject)
        assert any(status.startswith("2") for status in operation["responses"])
        parts = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        assert parts == set(re.findall(r"{(\w+)}", path))


def test_every_reference_resolves() -> None:
    def follow(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                target: Any = DOCUMENT
                for part in node["$ref"].removeprefix("#/").split("/"):
                    target = target[part]
            for each in node.values():
                follow(each)
        elif isinstance(node, list):
            for each in node:
                follow(each)

    follow(DOCUMENT)


def test_a_body_schema_contains_the_limits_of_its_fields() -> None:
    body = DOCUMENT["components"]["schemas"]["LocationIn"]["properties"]
    assert {"type": "string", "maxLength": 255} in body["name"]["anyOf"]
    variant = DOCUMENT["components"]["schemas"]["VariantIn"]["properties"]
    assert {"type": ["number", "string"]} in variant["price"]["anyOf"]


async def test_a_response_has_the_documented_fields(club: Club) -> None:
    for path, body in (
        ("locations", {"name": "Shop"}),
        ("brands", {"name": "Acme"}),
        ("products", {"name": "Shirt"}),
        ("webhooks", {"trigger": "t", "url": "https://a.example"}),
    ):
        await club.http.post(f"/api/v3/{path}", json=body)
        (found,) = (await club.http.get(f"/api/v3/{path}")).json()["data"]
        schema = DOCUMENT["components"]["schemas"][path.removesuffix("s").capitalize()]
        assert list(found) == list(schema["properties"])


async def test_the_page_loads_nothing_from_other_servers(club: Club) -> None:
    page = await club.http.get("/api/docs", headers={"Authorization": ""})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "http" not in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        answer = await club.http.get(f"/api/{address}", headers={"Authorization": ""})
        assert answer.status_code == 200
        assert len(answer.content) > 100


@pytest.mark.parametrize("name", ["swagger-editor.js", "../core.py", "%2e%2e/core.py", ""])
async def test_only_the_files_of_the_page_are_served(club: Club, name: str) -> None:
    assert (await club.http.get(f"/api/docs/{name}")).status_code in (404, 400)


def test_operations_of_reports_document_their_headers_and_errors() -> None:
    described = openapi_document(ENDPOINTS)
    for endpoint in ENDPOINTS:
        if endpoint.caller is not Caller.REPORTING:
            continue
        operation = described["paths"][endpoint.path][endpoint.method.lower()]
        headers = {each["name"] for each in operation["parameters"] if each["in"] == "header"}
        assert headers - {"Idempotency-Key"} == {"X-Customer", "X-Loyalty-Club-Slug"}
        assert ("Idempotency-Key" in headers) == endpoint.path.endswith("/export")
        assert {"401", "403", "422", "429", "471"} <= set(operation["responses"])
        assert ("470" in operation["responses"]) == endpoint.needs_customer
        assert "ratelimit-cost" in operation["responses"][str(endpoint.status)]["headers"]


@pytest.mark.parametrize("report", [*REGISTRY.values(), *REPORTS], ids=lambda report: report.name)
def test_the_example_request_of_each_report_is_valid(report: Report) -> None:
    for aggregation in (None, *report.groupings_by_name.values()):
        body = msgspec.json.encode(report_examples.example_request(report, aggregation))
        query = parse_query(body, {report.name: report})
        assert (query.report, query.aggregate_by) == (report, aggregation)
        answer = report_examples.example_response(report, aggregation)
        assert answer["result_type"] == report.format.value
    schema = report_schemas.query_schema([report])
    request, response = schema.examples[report.name]
    assert isinstance(request, dict)
    assert schema.request is not None
    assert set(request) <= set(schema.request["properties"])
    (kind,) = (
        each for each in schema.response["oneOf"] if each["properties"]["result_type"]["const"] == report.format.value
    )
    assert isinstance(response, dict)
    assert set(kind["required"]) <= set(response) <= set(kind["properties"])


def test_an_operation_documents_the_errors_that_its_endpoint_may_return() -> None:
    always = {"400", "422", "503"}
    of_a_token = always | {"401", "403", "429"}

    def declared(method: str, path: str) -> set[str]:
        responses = DOCUMENT["paths"][path][method]["responses"]
        return {status for status in responses if not status.startswith("2")}

    assert declared("get", "/api/v3/profiles") == of_a_token
    assert declared("get", "/api/v3/profiles/{id}") == of_a_token | {"404"}
    assert declared("post", "/api/v3/profiles/search-id") == of_a_token | {"404", "408", "413", "415"}
    assert declared("post", "/api/v3/profiles") == of_a_token | {"408", "410", "413", "415"}
    assert declared("post", "/v1/import/{entity}") >= of_a_token | {"404", "408", "413", "415"}
    assert declared("post", "/v1/reporting/query") == of_a_token | {"408", "413", "415", "470", "471"}
    assert declared("get", "/v1/reporting/geo/places/{id}") == of_a_token | {"404", "470", "471"}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (None, 201),
        ("application/json; charset=utf-8", 201),
        ("application/vnd.api+json", 201),
        ("application/x-www-form-urlencoded", 201),
        ("application/xml", 415),
        ("text/csv", 415),
        ("multipart/form-data; boundary=x", 415),
    ],
)
async def test_a_body_with_another_content_type_than_json_is_415(club: Club, kind: str | None, status: int) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    answer = await club.http.post("/api/v3/brands", content=b'{"name": "Acme"}', headers=headers)
    assert answer.status_code == status, answer.text


def test_a_field_that_accepts_a_list_or_an_object_is_documented_as_either() -> None:
    for schema, field in (("Profile", "custom_fields"), ("Transaction", "payments")):
        assert {"array", "object"} <= set(DOCUMENT["components"]["schemas"][schema]["properties"][field]["type"])


def schemas(node: Any) -> Iterator[dict[str, Any]]:
    """All schemas within a part of the document."""
    if isinstance(node, dict):
        yield from (each for each in [node.get("schema")] if each is not None)
        for key, each in node.items():
            if key not in ("example", "examples", "default"):
                yield from schemas(each)
        yield node
    elif isinstance(node, list):
        for each in node:
            yield from schemas(each)


def is_array(schema: dict[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "array" or (isinstance(kind, list) and "array" in kind)


def test_every_array_has_items_and_every_instant_a_format() -> None:
    for schema in schemas(DOCUMENT):
        assert not is_array(schema) or "items" in schema, schema
    for name, component in DOCUMENT["components"]["schemas"].items():
        if name.endswith("In"):
            continue
        for field, schema in component.get("properties", {}).items():
            if field.endswith("_at"):
                assert schema["format"] in ("date-time", "utc-date-time"), (name, field)


def test_every_operation_has_a_description_and_a_schema_of_its_response() -> None:
    for path, method, operation in operations():
        assert len(operation["description"]) > len(operation["summary"]) + 10, path
        for status, response in operation["responses"].items():
            if status.startswith("2") and "content" in response:
                for content in response["content"].values():
                    assert set(content["schema"]) & {"$ref", "properties", "oneOf", "format"}, (method, path)


def test_what_several_operations_return_is_a_component() -> None:
    seen: dict[bytes, str] = {}
    for path, _, operation in operations():
        for response in operation["responses"].values():
            if "application/json" not in response.get("content", {}):
                continue
            schema = response["content"]["application/json"]["schema"]
            assert "$ref" in schema or seen.setdefault(msgspec.json.encode(schema), path) == path, (path, schema)


async def test_what_some_requests_add_to_a_response_is_documented(club: Club) -> None:
    webhook = await club.http.post("/api/v3/webhooks", json={"trigger": "t", "url": "https://a.example"})
    batch = await club.http.post("/api/v3/transactions/batch.json", json={"transactions": [{}]})
    headers = {"Content-Type": "text/csv"}
    rows = "external_id,profile,transacted_at,total\nT1,M1,2026-10-01,x\n"
    dry_run = await club.http.post("/v1/import/transactions?dry_run=1", content=rows, headers=headers)
    for schema, found in (
        ("WebhookWithSecret", webhook.json()["data"]),
        ("BatchResult", batch.json()["data"]),
        ("ImportResult", dry_run.json()),
    ):
        assert set(found) <= set(DOCUMENT["components"]["schemas"][schema]["properties"]), schema
    assert {"secret"} <= set(webhook.json()["data"])
    assert {"first_rows", "rejection_kinds", "read_as"} <= set(dry_run.json())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/access/explain"),
        *(("get", path) for path in ("/health", "/deliveries", "/audit")),
    ],
)
def test_requests_that_name_a_customer_or_a_caller_document_404(method: str, path: str) -> None:
    assert "404" in DOCUMENT["paths"][f"/v1/admin{path}"][method]["responses"]


def test_every_page_documents_how_to_get_the_next_one() -> None:
    components = DOCUMENT["components"]["schemas"]
    pages = {name for name, each in components.items() if "PageMeta" in str(each.get("properties", {}).get("meta"))}
    for path, _, operation in operations():
        content = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
        if content.get("schema", {}).get("$ref", "").rpartition("/")[2] in pages:
            assert {"page[size]", "page[number]"} <= {each["name"] for each in operation["parameters"]}, path
    assert len(pages) > 10


def test_an_operation_says_who_may_call_it() -> None:
    described = {caller: access_description(Access(caller, "Profile:Read")) for caller in Caller}
    assert described[Caller.ANYONE] == "Requires no token."
    assert described[Caller.COMMUNITY] == "Requires the permit `Profile:Read`."
    assert "member's own token" in described[Caller.MEMBER]
    assert "signature" in described[Caller.PROVIDER]


def test_two_schemas_with_one_title_are_an_error() -> None:
    components = SchemaComponents()
    components.extract({"title": "One", "type": "string"})
    with pytest.raises(ValueError, match="two different schemas have the title One"):
        components.extract({"title": "One", "type": "integer"})


async def test_a_deleted_profile_is_returned_with_all_fields(club: Club) -> None:
    fields = set(DOCUMENT["components"]["schemas"]["Profile"]["required"])
    created = await club.http.post("/api/v3/profiles", json={"profile_type": "deleted"})
    assert set(created.json()["data"]) == fields
    active = await club.http.post("/api/v3/profiles", json={})
    path = f"/api/v3/profiles/{active.json()['data']['id']}/update-type"
    deleted = await club.http.put(path, json={"profile_type": "deleted"})
    assert set(deleted.json()["data"]) == fields


async def test_an_import_of_bytes_names_its_format(club: Club) -> None:
    headers, rows = {"Content-Type": "application/octet-stream"}, b"external_id\nm1\n"
    answers = [
        await club.http.post(f"/v1/import/profiles{query}", content=rows, headers=headers)
        for query in ("?format=csv", "", "?format=xml")
    ]
    assert [each.status_code for each in answers] == [200, 415, 422]
    assert answers[0].json()["accepted"] == 1
    assert answers[2].json()["errors"] == {"format": ["must be one of csv, ndjson; found: xml"]}
