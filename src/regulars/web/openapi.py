"""The OpenAPI 3.1 document, built from the declarations of the endpoints."""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from regulars.auth.authorization import Caller
from regulars.core.field_type import FieldType
from regulars.model.resource import FILTER_OPERATORS, Resource
from regulars.web import error_schemas, report_schemas, resource_schemas
from regulars.web import security_schemas as security
from regulars.web.endpoint import Endpoint, JsonSchema
from regulars.web.error_schemas import REPORTING_CALLERS
from regulars.web.schema_components import SchemaComponents

_TENANT_HEADERS: dict[str, tuple[str, JsonSchema]] = {
    "X-Customer": (
        "The customers: `id=1`, `id=1_2`, `all=all`, or filters by attributes, `chain=Nord;country=NO`.",
        {"type": "string"},
    ),
    "X-Loyalty-Club-Slug": ("A loyalty club by its slug. One of the two headers is required.", {"type": "string"}),
}

_PAGING: dict[str, tuple[str, JsonSchema]] = {
    "page[size]": ("Rows per page.", {"type": "integer", "minimum": 1, "maximum": 500, "default": 15}),
    "page[number]": ("Page number, from 1.", {"type": "integer", "minimum": 1, "default": 1}),
}

_RATE_LIMIT_HEADERS = {
    "ratelimit-bucket": {"description": "The bucket that was charged.", "schema": {"type": "string"}},
    "ratelimit-remaining": {
        "description": "Remaining tokens: estimated for the Profile API, exact for reports, where it may be negative.",
        "schema": {"type": "integer"},
    },
    "ratelimit-cost": {"description": "The cost of this request.", "schema": {"type": "integer"}},
}

_RATE_LIMIT_HEADER_REFS = {name: {"$ref": f"#/components/headers/{name}"} for name in _RATE_LIMIT_HEADERS}
FILTER_DESCRIPTION = f"`filter[field]=value`, or `filter[field][operator]=value` with {', '.join(FILTER_OPERATORS)}."

_FILTER_TYPES: Mapping[FieldType, JsonSchema] = {
    FieldType.INTEGER: {"type": "integer"},
    FieldType.NUMBER: {"type": "number"},
    FieldType.BOOLEAN: {"type": "boolean"},
    FieldType.UUID: {"type": "string", "format": "uuid"},
}

_STREAM_CONTENT: JsonSchema = {
    "application/x-ndjson": {"schema": {"type": "string"}},
    "text/csv": {"schema": {"type": "string"}},
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
}
_RATE_LIMITED_CALLERS = (Caller.COMMUNITY, Caller.MEMBER, Caller.ADMINISTRATION, *REPORTING_CALLERS)


def openapi_document(endpoints: Sequence[Endpoint]) -> JsonSchema:
    """The OpenAPI document of these endpoints, without those that only explain an error."""
    documented = [each for each in endpoints if each.status < 400]
    models = sorted({each.request_model for each in documented if each.request_model is not None}, key=_model_name)
    body_schemas, body_components = msgspec.json.schema_components(models, ref_template="#/components/schemas/{name}")
    schemas_by_model = dict(zip(models, body_schemas, strict=True))
    components = SchemaComponents()
    for schema in report_schemas.COMPONENTS:
        components.extract(schema)
    paths: dict[str, JsonSchema] = {}
    for endpoint in documented:
        operation = _operation(endpoint, schemas_by_model, components)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    responses = {
        name: {"description": text, "headers": _RATE_LIMIT_HEADER_REFS, "content": _json(components.extract(schema))}
        for name, text, schema in error_schemas.error_responses()
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Regulars",
            "version": version("regulars"),
            "summary": "Member values, reports and the facts behind them for loyalty clubs.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in documented if each.tag)],
        "paths": paths,
        "components": {
            "securitySchemes": security.SCHEMES,
            "schemas": {**_lenient(body_components), **components.schemas},
            "headers": _RATE_LIMIT_HEADERS,
            "responses": responses,
        },
    }


def _model_name(model: Any) -> str:
    return str(getattr(model, "__name__", model))


def _lenient(schema: Any) -> Any:
    """A body schema as bodies are decoded: numbers may be strings, and decimals are numbers."""
    if isinstance(schema, dict):
        lenient = {key: _lenient(value) for key, value in schema.items()}
        if lenient.get("format") == "decimal":
            return {"type": ["number", "string"]}
        if lenient.get("type") == "array":
            lenient.setdefault("items", {})
        return lenient
    return [_lenient(each) for each in schema] if isinstance(schema, list) else schema


def _json(
    schema: Mapping[str, Any], examples: Mapping[str, object] | None = None, media_type: str = "application/json"
) -> JsonSchema:
    named_examples = {"examples": {name: {"value": value} for name, value in examples.items()}} if examples else {}
    return {media_type: {"schema": schema, **named_examples}}


# One operation ---------------------------------------------------------------------------------------


def _operation(
    endpoint: Endpoint, schemas_by_model: Mapping[Any, JsonSchema], components: SchemaComponents
) -> JsonSchema:
    operation: JsonSchema = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        "description": _description(endpoint),
        **security.operation_security(endpoint.access),
        "parameters": list(_parameters(endpoint)),
        "responses": {**_successes(endpoint, components), **error_schemas.errors_of(endpoint)},
    }
    if endpoint.tag:
        operation["tags"] = [endpoint.tag]
    if endpoint.request_model is not None:
        operation["requestBody"] = {
            "required": True,
            "content": _json(_lenient(schemas_by_model[endpoint.request_model]), {"example": endpoint.request_example}),
        }
    if endpoint.stream_handler is not None:
        operation["requestBody"] = {"required": True, "content": _STREAM_CONTENT}
    if endpoint.schema is not None and endpoint.schema.request is not None:
        schema = components.extract(endpoint.schema.request)
        examples = {name: request for name, (request, _) in endpoint.schema.examples.items()}
        operation["requestBody"] = {
            "required": True,
            "content": {
                media_type: content
                for name in endpoint.schema.media_types
                for media_type, content in _json(schema, examples, name).items()
            },
        }
    return operation


def _description(endpoint: Endpoint) -> str:
    sentences = [f"{endpoint.summary}.", security.access_description(endpoint.access)]
    if endpoint.is_list or endpoint.is_search:
        sentences.append(f"Filters: {FILTER_DESCRIPTION}")
    return " ".join(sentences)


def _operation_id(endpoint: Endpoint) -> str:
    # Paths of version 1 have no prefix; the operation ids of version 3 keep theirs.
    path = endpoint.path.replace("/api/v3/", "/v3/").replace("{", "by_").replace("}", "")
    return f"{endpoint.method.lower()}_{re.sub(r'[^A-Za-z0-9]+', '_', path).strip('_')}"


def _parameters(endpoint: Endpoint) -> Iterable[JsonSchema]:
    for name in re.findall(r"{(\w+)}", endpoint.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if endpoint.caller in REPORTING_CALLERS:
        for name, (text, schema) in _TENANT_HEADERS.items():
            yield {"name": name, "in": "header", "description": text, "schema": schema}
    for name, text in endpoint.query_params.items():
        yield {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
    if endpoint.is_list or endpoint.is_paged:
        for name, (text, schema) in _PAGING.items():
            yield {"name": name, "in": "query", "description": text, "schema": schema}
    if (endpoint.is_list or endpoint.is_search) and endpoint.resource is not None:
        yield from _list_parameters(endpoint.listed_resource or endpoint.resource)
    if endpoint.accepts_idempotency_key:
        text = (
            "The same key and request return the export that was created first, as long as it exists; the same key with "
            "another request is 422."
            if endpoint.caller is Caller.REPORTING
            else "The same key and body within 24 hours get the stored response, or 410 if it was erased with a profile; "
            "the same key with another body is 422. The stored response to an import quotes no values of rejected rows. "
            "Keys of the community's tokens, of imports and of each member are independent of each other."
        )
        schema = {"type": "string", "maxLength": 255}
        yield {"name": "Idempotency-Key", "in": "header", "description": text, "schema": schema}
    if endpoint.rejects_repeated_key:
        text = "A second request with the same key within a day is rejected with 409, so that nothing is created twice."
        schema = {"type": "string", "maxLength": 255}
        yield {"name": "Idempotency-Key", "in": "header", "description": text, "schema": schema}
    if endpoint.records_events:
        text = "The caller's name. Webhooks with this namespace do not receive the events of the request."
        yield {
            "name": "X-Namespace",
            "in": "header",
            "description": text,
            "schema": {"type": "string", "maxLength": 255},
        }


def _list_parameters(resource: Resource) -> Iterable[JsonSchema]:
    # A field that only filters may precede a visible one of the same name.
    first = {each.name: each for each in reversed(resource.fields)}
    fields = {
        name: first[name]
        for name in dict.fromkeys(each.name for each in resource.fields)
        if first[name].type not in (FieldType.LIST, FieldType.OBJECT)
    }
    sortable = [name for name, field in fields.items() if not field.is_multivalued]
    yield {
        "name": "sort",
        "in": "query",
        "description": f"Fields, separated by commas; `-` sorts in descending order: {', '.join(sortable)}.",
        "schema": {"type": "string"},
    }
    for name, field in fields.items():
        yield {
            "name": f"filter[{name}]",
            "in": "query",
            "description": "At or after this time." if name == "transacted_at" else "Equal to this value.",
            "schema": _FILTER_TYPES.get(field.type, {"type": "string"}),
        }


def _successes(endpoint: Endpoint, components: SchemaComponents) -> JsonSchema:
    statuses = (endpoint.status, 201) if endpoint.may_return_201 else (endpoint.status,)
    headers = {"headers": _RATE_LIMIT_HEADER_REFS} if endpoint.caller in _RATE_LIMITED_CALLERS else {}
    return {str(status): {**_success(endpoint, components), **headers} for status in statuses}


def _success(endpoint: Endpoint, components: SchemaComponents) -> JsonSchema:
    if endpoint.status == 204:
        return {"description": "Done."}
    if endpoint.media_types:
        binary = {"schema": {"type": "string", "format": "binary"}}
        return {"description": endpoint.summary, "content": dict.fromkeys(endpoint.media_types, binary)}
    if endpoint.schema is not None:
        examples = {name: answer for name, (_, answer) in endpoint.schema.examples.items()}
        return {
            "description": endpoint.summary,
            "content": _json(components.extract(endpoint.schema.response), examples),
        }
    assert endpoint.resource is not None, f"{endpoint.method} {endpoint.path} declares no response"  # noqa: S101
    schema = resource_schemas.resource_response(endpoint.resource, is_list=endpoint.is_list)
    return {"description": endpoint.summary, "content": _json(components.extract(schema))}
