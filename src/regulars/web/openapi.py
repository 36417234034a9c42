"""The OpenAPI 3.1 document, built from the declarations of the endpoints."""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from regulars.auth.authorization import Caller
from regulars.core.field_type import FieldType
from regulars.model.resource import FILTER_OPERATORS, Resource, ResourceField
from regulars.web import report_schemas
from regulars.web import security_schemas as security
from regulars.web.endpoint import Endpoint, JsonSchema

_ANYTHING: JsonSchema = {"type": ["object", "array", "string", "number", "boolean", "null"]}

_JSON_TYPES: dict[str, JsonSchema] = {
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "date-time": {"type": "string", "description": "UTC, YYYY-MM-DD HH:MM:SS"},
    "uuid": {"type": "string", "format": "uuid"},
    "array": {"type": "array", "items": _ANYTHING},
    "object": _ANYTHING,
}

_TENANT_HEADERS: dict[str, tuple[str, JsonSchema]] = {
    "X-Customer": (
        "The customers: `id=1`, `id=1_2`, `all=all`, or filters by attributes, `chain=Nord;country=NO`.",
        {"type": "string"},
    ),
    "X-Loyalty-Club-Slug": ("A loyalty club by its slug. One of the two headers is required.", {"type": "string"}),
}

_REPORT_ERROR = {"$ref": "#/components/schemas/ReportError"}

_PAGING: dict[str, tuple[str, JsonSchema]] = {
    "page[size]": ("Rows per page.", {"type": "integer", "minimum": 1, "maximum": 500, "default": 15}),
    "page[number]": ("Page number, from 1.", {"type": "integer", "minimum": 1, "default": 1}),
}

_URL = {"type": ["string", "null"]}
_COUNT = {"type": "integer"}
_ROW_NUMBER = {"type": ["integer", "null"]}

_LINKS = {"type": "object", "properties": dict.fromkeys(("first", "last", "prev", "next"), _URL)}
_META = {
    "type": "object",
    "properties": {
        "current_page": _COUNT,
        "from": _ROW_NUMBER,
        "last_page": _COUNT,
        "links": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"url": _URL, "label": {"type": "string"}, "active": {"type": "boolean"}},
            },
        },
        "path": {"type": "string"},
        "per_page": _COUNT,
        "to": _ROW_NUMBER,
        "total": _COUNT,
    },
}
_MESSAGE = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
_VALIDATION_ERROR = {
    "type": "object",
    "properties": {
        "message": {"type": "string"},
        "errors": {
            "type": "object",
            "description": "Errors by the path of the field, such as `items.0.quantity`.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
    "required": ["message"],
}

_ERRORS = {
    "400": (
        "Unreadable",
        "The request is malformed: its body is truncated or not JSON, or its Host is wrong.",
        _MESSAGE,
    ),
    "401": ("Unauthorized", "The token is missing, unknown, revoked or expired.", _MESSAGE),
    "403": (
        "Forbidden",
        "The token lacks the named permit, is of another kind, or is bound to another profile.",
        _MESSAGE,
    ),
    "404": ("NotFound", "It does not exist in this community.", _MESSAGE),
    "408": ("TooSlow", "The body arrived too slowly. The connection is closed.", _MESSAGE),
    "410": ("Erased", "The request was processed before, and its response was erased with a profile.", _MESSAGE),
    "413": ("TooLarge", "The body is too large, or has too many values.", _MESSAGE),
    "415": ("UnsupportedType", "The Content-Type or the Content-Encoding is not supported.", _MESSAGE),
    "422": ("Invalid", "A field or a parameter is invalid.", _VALIDATION_ERROR),
    "429": ("Limited", "The rate limit is exhausted. Retry after the seconds in `Retry-After`.", _MESSAGE),
    "503": (
        "Unavailable",
        "The database or a certificate is not available, or too many imports are running. Retry after `Retry-After`.",
        _MESSAGE,
    ),
}

_PROVIDER_ERRORS = {
    **{status: _ERRORS[status] for status in ("400", "408", "413", "503")},
    "401": ("Untrusted", "The provider is not set up, or its signature is invalid.", _MESSAGE),
}

_REPORT_ERRORS = {
    "400": ("ReportUnreadable", "The request is malformed: its body is truncated or not a JSON object."),
    "401": ("ReportUnauthorized", "The token is missing, unknown, revoked or expired."),
    "403": ("ReportForbidden", "The token lacks the named permit, or has no access to a customer."),
    "404": ("ReportNotFound", "Not found, or not accessible for the requested customers."),
    "409": ("ReportNotDone", "The export is not done, or has failed."),
    "410": ("ReportFileGone", "The file of the export was deleted."),
    "408": ("ReportTooSlow", "The body arrived too slowly. The connection is closed."),
    "413": ("ReportTooLarge", "The body is too large, or has too many values."),
    "415": ("ReportUnsupportedType", "The Content-Type is not application/json."),
    "422": ("ReportInvalid", "A parameter is invalid; `details` has the structure of the request."),
    "429": ("ReportLimited", "The rate limit is exhausted. Retry after the seconds in `Retry-After`."),
    "470": ("ReportHeaderMissing", "Neither X-Customer nor X-Loyalty-Club-Slug was sent."),
    "471": ("ReportHeaderWrong", "X-Customer or X-Loyalty-Club-Slug is malformed, or they disagree."),
    "503": (
        "ReportUnavailable",
        "The database is not available, or too many requests are waiting. Retry after `Retry-After`.",
    ),
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
_REPORTING_CALLERS = (Caller.REPORTING, Caller.DOWNLOAD)
_RATE_LIMITED_CALLERS = (Caller.COMMUNITY, Caller.MEMBER, *_REPORTING_CALLERS)


def openapi_document(endpoints: Sequence[Endpoint]) -> JsonSchema:
    """The OpenAPI document of these endpoints, without those that only explain an error."""
    documented = [each for each in endpoints if each.status < 400]
    models = sorted({each.request_model for each in documented if each.request_model is not None}, key=_model_name)
    body_schemas, components = msgspec.json.schema_components(models, ref_template="#/components/schemas/{name}")
    schemas_by_model = dict(zip(models, body_schemas, strict=True))
    resources = {
        _schema_name(each.resource): _resource(each.resource) for each in documented if each.resource is not None
    }
    paths: dict[str, JsonSchema] = {}
    for endpoint in documented:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas_by_model)
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
            "schemas": {**_lenient(components), **resources, **report_schemas.COMPONENTS},
            "headers": _RATE_LIMIT_HEADERS,
            "responses": {
                **{
                    name: {"description": text, "headers": _RATE_LIMIT_HEADER_REFS, "content": _json(schema)}
                    for name, text, schema in (*_ERRORS.values(), *_PROVIDER_ERRORS.values())
                },
                **{
                    name: {"description": text, "headers": _RATE_LIMIT_HEADER_REFS, "content": _json(_REPORT_ERROR)}
                    for name, text in _REPORT_ERRORS.values()
                },
            },
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
        return lenient
    return [_lenient(each) for each in schema] if isinstance(schema, list) else schema


def _json(
    schema: Mapping[str, Any], examples: Mapping[str, object] | None = None, media_type: str = "application/json"
) -> JsonSchema:
    named_examples = {"examples": {name: {"value": value} for name, value in examples.items()}} if examples else {}
    return {media_type: {"schema": schema, **named_examples}}


# One operation ---------------------------------------------------------------------------------------


def _operation(endpoint: Endpoint, schemas_by_model: dict[Any, JsonSchema]) -> JsonSchema:
    operation: JsonSchema = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        **security.operation_security(endpoint.access),
        "parameters": list(_parameters(endpoint)),
        "responses": {**_successes(endpoint), **_errors(endpoint)},
    }
    if endpoint.tag:
        operation["tags"] = [endpoint.tag]
    if endpoint.request_model is not None:
        operation["requestBody"] = {
            "required": True,
            "content": _json(_lenient(schemas_by_model[endpoint.request_model]), {"example": endpoint.request_example}),
        }
    if endpoint.stream_handler is not None:
        content = {media_type: {"schema": {"type": "string"}} for media_type in ("application/x-ndjson", "text/csv")}
        operation["requestBody"] = {"required": True, "content": content}
    if endpoint.schema is not None and endpoint.schema.request is not None:
        request_examples = {name: request for name, (request, _) in endpoint.schema.examples.items()}
        operation["requestBody"] = {
            "required": True,
            "content": _json(endpoint.schema.request, request_examples, endpoint.schema.media_type),
        }
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    # Paths of version 1 have no prefix; the operation ids of version 3 keep theirs.
    path = endpoint.path.replace("/api/v3/", "/v3/").replace("{", "by_").replace("}", "")
    return f"{endpoint.method.lower()}_{re.sub(r'[^A-Za-z0-9]+', '_', path).strip('_')}"


def _parameters(endpoint: Endpoint) -> Iterable[JsonSchema]:
    for name in re.findall(r"{(\w+)}", endpoint.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if endpoint.caller in _REPORTING_CALLERS:
        for name, (text, schema) in _TENANT_HEADERS.items():
            yield {"name": name, "in": "header", "description": text, "schema": schema}
    for name, text in endpoint.query_params.items():
        yield {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
    if endpoint.is_list and endpoint.resource is not None:
        for name, (text, schema) in _PAGING.items():
            yield {"name": name, "in": "query", "description": text, "schema": schema}
        yield from _list_parameters(endpoint.resource)
    if endpoint.accepts_idempotency_key:
        text = (
            "The same key and request return the export that was created first, as long as it exists; the same key with "
            "another request is 422."
            if endpoint.caller is Caller.REPORTING
            else "The same key and body within 24 hours get the stored response, or 410 if a profile in it has been erased; "
            "the same key with another body is 422. Keys of the community's tokens, of imports and of each member are "
            "independent of each other."
        )
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
    fields = [each for each in resource.fields if each.type not in (FieldType.LIST, FieldType.OBJECT)]
    names = list(dict.fromkeys(each.name for each in fields))
    yield {
        "name": "sort",
        "in": "query",
        "description": f"Fields, separated by commas; `-` sorts in descending order: {', '.join(names)}.",
        "schema": {"type": "string"},
    }
    yield {
        "name": "filter",
        "in": "query",
        "description": f"`filter[field]=value`, or `filter[field][operator]=value` with {', '.join(FILTER_OPERATORS)}.",
        "style": "deepObject",
        "explode": True,
        "schema": {"type": "object", "properties": {name: {"type": "string"} for name in names}},
    }


def _successes(endpoint: Endpoint) -> JsonSchema:
    statuses = (endpoint.status, 201) if endpoint.may_return_201 else (endpoint.status,)
    headers = {"headers": _RATE_LIMIT_HEADER_REFS} if endpoint.caller in _RATE_LIMITED_CALLERS else {}
    return {str(status): {**_success(endpoint), **headers} for status in statuses}


def _success(endpoint: Endpoint) -> JsonSchema:
    if endpoint.status == 204:
        return {"description": "Done."}
    if endpoint.media_types:
        binary = {"schema": {"type": "string", "format": "binary"}}
        return {"description": endpoint.summary, "content": dict.fromkeys(endpoint.media_types, binary)}
    if endpoint.schema is not None:
        given = {name: answer for name, (_, answer) in endpoint.schema.examples.items()}
        content = _json(endpoint.schema.response, given)
        return {"description": endpoint.summary, "content": content}
    if endpoint.resource is None:
        return {"description": endpoint.summary, "content": _json(_ANYTHING)}
    one = {"$ref": f"#/components/schemas/{_schema_name(endpoint.resource)}"}
    if not endpoint.is_list:
        return {
            "description": endpoint.summary,
            "content": _json({"type": "object", "properties": {"data": one}, "required": ["data"]}),
        }
    properties = {"data": {"type": "array", "items": one}, "links": _LINKS, "meta": _META}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"description": endpoint.summary, "content": _json(schema)}


def _errors(endpoint: Endpoint) -> JsonSchema:
    """The errors that an endpoint may return, according to its declaration."""
    if endpoint.caller in _REPORTING_CALLERS:
        absent = set() if "{" in endpoint.path else {"404"}
        absent |= set() if endpoint.has_body else {"408", "413", "415"}
        absent |= set() if endpoint.needs_customer else {"470"}
        absent |= set() if endpoint.media_types else {"409", "410"}
        responses = {status: name for status, (name, _) in _REPORT_ERRORS.items() if status not in absent}
    elif endpoint.provider is not None:
        responses = {status: name for status, (name, _, _) in _PROVIDER_ERRORS.items()}
        responses[str(endpoint.provider.rejection_status)] = _ERRORS["422"][0]
    else:
        responses = {status: name for status, (name, _, _) in _ERRORS.items() if _may_return(endpoint, status)}
    return {status: {"$ref": f"#/components/responses/{name}"} for status, name in sorted(responses.items())}


def _may_return(endpoint: Endpoint, status: str) -> bool:
    """Whether an endpoint of the Profile API may return this error."""
    match status:
        case "401" | "403" | "429":
            return endpoint.caller is not Caller.ANYONE
        case "404":
            return endpoint.may_return_404 or "{" in endpoint.path or endpoint.caller is Caller.MEMBER
        case "410":
            return endpoint.accepts_idempotency_key
        case "408" | "413":
            return endpoint.has_body
        case "415":
            return endpoint.request_model is not None or endpoint.stream_handler is not None
        case _:
            # Any request may be malformed, contain NUL, or arrive while the database is not available.
            return True


# Resources ------------------------------------------------------------------------------------------


def _schema_name(resource: Resource) -> str:
    return "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", resource.name))


def _resource(resource: Resource) -> JsonSchema:
    visible = [each for each in resource.fields if each.is_visible]
    return {
        "title": _schema_name(resource),
        "type": "object",
        "properties": {each.name: _field(each, nullable=each.name != resource.key) for each in visible},
    }


def _field(field: ResourceField, *, nullable: bool) -> JsonSchema:
    schema = dict(_JSON_TYPES[field.type.json_type])
    if nullable and isinstance(schema["type"], str):
        schema["type"] = [schema["type"], "null"]
    if field.description:
        schema["description"] = field.description
    return schema
