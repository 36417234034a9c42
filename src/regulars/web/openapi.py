"""The API described for machines, OpenAPI 3.1: built from the endpoints, so that it never lags behind."""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from regulars.auth.authorization import Caller
from regulars.model.resource import FILTER_OPERATORS, JsonType, Resource, ResourceField
from regulars.web import report_schemas
from regulars.web import security_schemas as security
from regulars.web.endpoint import Endpoint

Schema = dict[str, Any]

_ANYTHING: Schema = {"type": ["object", "array", "string", "number", "boolean", "null"]}

_TYPES: dict[JsonType, Schema] = {
    JsonType.INTEGER: {"type": "integer"},
    JsonType.DECIMAL: {"type": "number"},
    JsonType.STRING: {"type": "string"},
    JsonType.BOOLEAN: {"type": "boolean"},
    JsonType.TIMESTAMP: {"type": "string", "description": "UTC, YYYY-MM-DD HH:MM:SS"},
    JsonType.UUID: {"type": "string", "format": "uuid"},
    JsonType.LIST: {"type": "array", "items": _ANYTHING},
    JsonType.OBJECT: _ANYTHING,
}

_CHOOSING_CUSTOMERS: dict[str, tuple[str, Schema]] = {
    "X-Customer": (
        "Customers: `id=1`, `id=1_2`, `all=all`, or filters by their attributes, `chain=Nord;country=NO`.",
        {"type": "string"},
    ),
    "X-Loyalty-Club-Slug": ("One loyalty club by its slug. One of the two headers is needed.", {"type": "string"}),
}

_REPORT_ERROR = {"$ref": "#/components/schemas/ReportError"}

_PAGING: dict[str, tuple[str, Schema]] = {
    "page[size]": ("How many on a page.", {"type": "integer", "minimum": 1, "maximum": 500, "default": 15}),
    "page[number]": ("Which page, from 1.", {"type": "integer", "minimum": 1, "default": 1}),
}

_URL = {"type": ["string", "null"]}
_COUNT = {"type": "integer"}
_PLACE = {"type": ["integer", "null"]}

_LINKS = {"type": "object", "properties": dict.fromkeys(("first", "last", "prev", "next"), _URL)}
_META = {
    "type": "object",
    "properties": {
        "current_page": _COUNT,
        "from": _PLACE,
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
        "to": _PLACE,
        "total": _COUNT,
    },
}
_MESSAGE = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
_REFUSAL = {
    "type": "object",
    "properties": {
        "message": {"type": "string"},
        "errors": {
            "type": "object",
            "description": "What is wrong, by the path of the field, such as `items.0.quantity`.",
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
        "The token lacks a permit, which is named, or is of another kind, or bound to another profile.",
        _MESSAGE,
    ),
    "404": ("NotFoundError", "There is no such thing in this community.", _MESSAGE),
    "408": ("TooSlow", "The body arrived too slowly; the connection is closed.", _MESSAGE),
    "410": ("Erased", "The request was processed before; its response was erased with a profile.", _MESSAGE),
    "413": ("TooLarge", "The body is too large, or has too many values.", _MESSAGE),
    "415": ("UnsupportedType", "The Content-Type or the Content-Encoding is not supported.", _MESSAGE),
    "422": ("Refused", "A field or a parameter is invalid.", _REFUSAL),
    "429": ("Limited", "The rate limit is used up: `Retry-After` says for how many seconds.", _MESSAGE),
    "503": (
        "Unavailable",
        "The database or a certificate is not available, or too many imports run: repeat it after `Retry-After`.",
        _MESSAGE,
    ),
}

_PROVIDER_ERRORS = {
    **{status: _ERRORS[status] for status in ("400", "408", "413", "503")},
    "401": ("Distrusted", "The provider is not set up, or this is not known to be from it.", _MESSAGE),
}

_REPORT_ERRORS = {
    "400": ("ReportUnreadable", "The request is malformed: its body is truncated or not a JSON object."),
    "401": ("ReportUnauthorized", "The token is missing, unknown, revoked or expired."),
    "403": ("ReportForbidden", "The token lacks a permit, which is named, or does not reach a customer."),
    "404": ("ReportNotFound", "There is no such thing, or it is of customers that were not asked for."),
    "408": ("ReportTooSlow", "The body arrived too slowly; the connection is closed."),
    "413": ("ReportTooLarge", "The body is too large, or has too many values."),
    "415": ("ReportUnsupportedType", "The Content-Type is not application/json."),
    "422": ("ReportInvalid", "Parameters that can't be; `details` has the shape of the request."),
    "429": ("ReportLimited", "The rate limit is used up: `Retry-After` says for how many seconds."),
    "470": ("ReportHeaderMissing", "Neither X-Customer nor X-Loyalty-Club-Slug was sent."),
    "471": ("ReportHeaderWrong", "X-Customer or X-Loyalty-Club-Slug is malformed, or they disagree."),
    "503": (
        "ReportUnavailable",
        "The database is not available, or too many requests are waiting: repeat the request after `Retry-After`.",
    ),
}

_LIMIT_HEADERS = {
    "ratelimit-bucket": {"description": "The bucket that was charged.", "schema": {"type": "string"}},
    "ratelimit-remaining": {
        "description": "What is left in it: estimated for the Profile API, exact for reports, where it may be below 0.",
        "schema": {"type": "integer"},
    },
    "ratelimit-cost": {"description": "What this request has cost.", "schema": {"type": "integer"}},
}

_CHARGED = {name: {"$ref": f"#/components/headers/{name}"} for name in _LIMIT_HEADERS}
_LIMITED = (Caller.COMMUNITY, Caller.MEMBER, Caller.REPORTING)


def openapi_document(endpoints: Sequence[Endpoint]) -> Schema:
    """The OpenAPI document of these endpoints; those that only refuse are left out."""
    described = [each for each in endpoints if each.status < 400]
    bodies = sorted({each.request_model for each in described if each.request_model is not None}, key=_shape_name)
    shapes, components = msgspec.json.schema_components(bodies, ref_template="#/components/schemas/{name}")
    taken = dict(zip(bodies, shapes, strict=True))
    shown = {_schema_name(each.resource): _resource(each.resource) for each in described if each.resource is not None}
    paths: dict[str, Schema] = {}
    for endpoint in described:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, taken)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Regulars",
            "version": version("regulars"),
            "summary": "What is known of each member, always true, and the facts behind it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in described if each.tag)],
        "paths": paths,
        "components": {
            "securitySchemes": security.SCHEMES,
            "schemas": {**_lax(components), **shown, **report_schemas.COMPONENTS},
            "headers": _LIMIT_HEADERS,
            "responses": {
                **{
                    name: {"description": text, "headers": _CHARGED, "content": _json(schema)}
                    for name, text, schema in (*_ERRORS.values(), *_PROVIDER_ERRORS.values())
                },
                **{
                    name: {"description": text, "headers": _CHARGED, "content": _json(_REPORT_ERROR)}
                    for name, text in _REPORT_ERRORS.values()
                },
            },
        },
    }


def _shape_name(shape: Any) -> str:
    return str(getattr(shape, "__name__", shape))


def _lax(schema: Any) -> Any:
    """A body's schema as bodies are read: a number may come as a text, and a decimal is a number."""
    if isinstance(schema, dict):
        found = {key: _lax(value) for key, value in schema.items()}
        if found.get("format") == "decimal":
            return {"type": ["number", "string"]}
        return found
    return [_lax(each) for each in schema] if isinstance(schema, list) else schema


def _json(
    schema: Mapping[str, Any], examples: Mapping[str, object] | None = None, media: str = "application/json"
) -> Schema:
    shown = {"examples": {name: {"value": value} for name, value in examples.items()}} if examples else {}
    return {media: {"schema": schema, **shown}}


# One operation ---------------------------------------------------------------------------------------


def _operation(endpoint: Endpoint, taken: dict[Any, Schema]) -> Schema:
    operation: Schema = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        **security.operation_security(endpoint.access),
        "parameters": list(_parameters(endpoint)),
        "responses": {**_successes(endpoint), **_refusals(endpoint)},
    }
    if endpoint.tag:
        operation["tags"] = [endpoint.tag]
    if endpoint.request_model is not None:
        operation["requestBody"] = {"required": True, "content": _json(_lax(taken[endpoint.request_model]))}
    if endpoint.stream_handler is not None:
        content = {media: {"schema": {"type": "string"}} for media in ("application/x-ndjson", "text/csv")}
        operation["requestBody"] = {"required": True, "content": content}
    if endpoint.schema is not None and endpoint.schema.request is not None:
        asked = {name: request for name, (request, _) in endpoint.schema.examples.items()}
        operation["requestBody"] = {
            "required": True,
            "content": _json(endpoint.schema.request, asked, endpoint.schema.media_type),
        }
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    # The first version's paths have no prefix and keep apart from those that do.
    path = endpoint.path.replace("/api/v3/", "/v3/").replace("{", "by_").replace("}", "")
    return f"{endpoint.method.lower()}_{re.sub(r'[^A-Za-z0-9]+', '_', path).strip('_')}"


def _parameters(endpoint: Endpoint) -> Iterable[Schema]:
    for name in re.findall(r"{(\w+)}", endpoint.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if endpoint.caller is Caller.REPORTING:
        for name, (text, schema) in _CHOOSING_CUSTOMERS.items():
            yield {"name": name, "in": "header", "description": text, "schema": schema}
    for name, text in endpoint.query_params.items():
        yield {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
    if endpoint.is_list and endpoint.resource is not None:
        for name, (text, schema) in _PAGING.items():
            yield {"name": name, "in": "query", "description": text, "schema": schema}
        yield from _choosing(endpoint.resource)
    if endpoint.accepts_idempotency_key:
        text = (
            "A repeated key and body within 24 hours gets the first response again, or 410 once a profile that it "
            "concerns was erased; another body with that key is 422. Keys of the community's tokens, of imports and of "
            "each member are independent of each other."
        )
        schema = {"type": "string", "maxLength": 255}
        yield {"name": "Idempotency-Key", "in": "header", "description": text, "schema": schema}


def _choosing(resource: Resource) -> Iterable[Schema]:
    fields = [each for each in resource.fields if each.type not in (JsonType.LIST, JsonType.OBJECT)]
    names = list(dict.fromkeys(each.name for each in fields))
    yield {
        "name": "sort",
        "in": "query",
        "description": f"Fields by comma, `-` for the largest first: {', '.join(names)}.",
        "schema": {"type": "string"},
    }
    yield {
        "name": "filter",
        "in": "query",
        "description": f"`filter[field]=v`, or `filter[field][op]=v` with {', '.join(FILTER_OPERATORS)}.",
        "style": "deepObject",
        "explode": True,
        "schema": {"type": "object", "properties": {name: {"type": "string"} for name in names}},
    }


def _successes(endpoint: Endpoint) -> Schema:
    statuses = (endpoint.status, 201) if endpoint.may_return_201 else (endpoint.status,)
    headers = {"headers": _CHARGED} if endpoint.caller in _LIMITED else {}
    return {str(status): {**_answer(endpoint), **headers} for status in statuses}


def _answer(endpoint: Endpoint) -> Schema:
    if endpoint.status == 204:
        return {"description": "Done."}
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


def _refusals(endpoint: Endpoint) -> Schema:
    """The errors that an endpoint may answer, as its declaration says."""
    if endpoint.caller is Caller.REPORTING:
        absent = set() if "{" in endpoint.path else {"404"}
        absent |= set() if endpoint.has_body else {"408", "413", "415"}
        named = {status: name for status, (name, _) in _REPORT_ERRORS.items() if status not in absent}
    elif endpoint.provider is not None:
        named = {status: name for status, (name, _, _) in _PROVIDER_ERRORS.items()}
        named[str(endpoint.provider.rejection_status)] = _ERRORS["422"][0]
    else:
        named = {status: name for status, (name, _, _) in _ERRORS.items() if _may_answer(endpoint, status)}
    return {status: {"$ref": f"#/components/responses/{name}"} for status, name in sorted(named.items())}


def _may_answer(endpoint: Endpoint, status: str) -> bool:
    """Whether an endpoint of the Profile API may answer with an error."""
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
            # Any request may be malformed, hold NUL, or arrive while the database is not available.
            return True


# What goes out ---------------------------------------------------------------------------------------


def _schema_name(resource: Resource) -> str:
    return "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", resource.name))


def _resource(resource: Resource) -> Schema:
    shown = [each for each in resource.fields if each.is_visible]
    return {
        "title": _schema_name(resource),
        "type": "object",
        "properties": {each.name: _field(each, nullable=each.name != resource.key) for each in shown},
    }


def _field(field: ResourceField, *, nullable: bool) -> Schema:
    schema = dict(_TYPES[field.type])
    if nullable and isinstance(schema["type"], str):
        schema["type"] = [schema["type"], "null"]
    if field.description:
        schema["description"] = field.description
    return schema
