"""How endpoints of the Administration API are declared: their access, their envelopes and their parameters."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from regulars.auth.audit_rules import NOTHING
from regulars.auth.authorization import Caller
from regulars.auth.principals import Principal
from regulars.core import timestamps
from regulars.core.errors import NotFoundError, field_error
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint, EndpointSchema, JsonSchema
from regulars.web.resource_schemas import data_schema, object_schema

PATH = "/v1/admin"
TAG = "administration"

TEXT: JsonSchema = {"type": "string"}
TEXT_OR_NULL: JsonSchema = {"type": ["string", "null"]}
INTEGER: JsonSchema = {"type": "integer"}
INTEGER_OR_NULL: JsonSchema = {"type": ["integer", "null"]}
FLAG: JsonSchema = {"type": "boolean"}
INSTANT: JsonSchema = {"type": "string", "format": "date-time"}
INSTANT_OR_NULL: JsonSchema = {"type": ["string", "null"], "format": "date-time"}
TEXTS: JsonSchema = {"type": "array", "items": TEXT}
TEXTS_OR_NULL: JsonSchema = {"type": ["array", "null"], "items": TEXT}
INTEGERS: JsonSchema = {"type": "array", "items": INTEGER}
INTEGERS_OR_NULL: JsonSchema = {"type": ["array", "null"], "items": INTEGER}


def endpoint(method: str, path: str, summary: str, handler: Any, **more: Any) -> Endpoint:
    """An endpoint of the Administration API, in one transaction of the caller's organization."""
    declared = {"caller": Caller.ADMINISTRATION, "tag": TAG, "audit": NOTHING, **more}
    if "read_handler" not in declared:
        declared["organization_handler"] = handler
    return Endpoint(method, f"{PATH}{path}", summary, **declared)


def one(title: str, properties: Mapping[str, JsonSchema], optional: tuple[str, ...] = ()) -> EndpointSchema:
    """The schema of a response with one object."""
    schema = object_schema(dict(properties), title, optional)
    return EndpointSchema(None, data_schema(schema, f"{title}Response"), {})


def many(title: str, properties: Mapping[str, JsonSchema], **more: JsonSchema) -> EndpointSchema:
    """The schema of a response with a list of objects, and `more` beside it."""
    items = {"type": "array", "items": object_schema(dict(properties), title)}
    return EndpointSchema(None, object_schema({"data": items, **more}, f"{title}List"), {})


def organization_id(principal: Principal) -> int:
    """The organization of the caller, which every caller of these endpoints has."""
    assert principal.organization_id is not None  # noqa: S101 - callers without one were denied
    return principal.organization_id


def parse_integer(context: RequestContext, name: str, default: int, most: int) -> int:
    """A number from 1 in the query. Raises ValidationError."""
    text = context.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= most:
        raise field_error(name, f"is {text[:50]!r}. Allowed: 1 to {most}")
    return int(text)


def parse_choice(context: RequestContext, name: str, allowed: tuple[str, ...]) -> str | None:
    """One of some texts in the query, or None. Raises ValidationError."""
    text = context.query_params.get(name) or None
    if text is not None and text not in allowed:
        raise field_error(name, f"is {text[:50]!r}. Allowed: {', '.join(allowed)}")
    return text


def parse_instant(context: RequestContext, name: str) -> datetime | None:
    """An instant in the query, or None. Raises ValidationError."""
    text = context.query_params.get(name) or None
    try:
        return None if text is None else timestamps.parse_timestamp(text.replace(" ", "+") if "T" in text else text)
    except ValueError as error:
        raise field_error(name, f"{error}") from None


def not_found(what: str, key: object) -> NotFoundError:
    """The error for an object that does not exist, or that the caller may not see."""
    return NotFoundError(f"There is no {what} {key} in your organization.")
