"""JSON Schemas of resources, of pages of them, and of the envelopes of the Profile API."""

import re
from collections.abc import Mapping
from typing import Any

from regulars.core.field_type import FieldType
from regulars.model.resource import Resource, ResourceField
from regulars.web.endpoint import JsonSchema

ANYTHING: JsonSchema = {"type": ["object", "array", "string", "number", "boolean", "null"], "items": {}}

TIMESTAMP: JsonSchema = {
    "type": "string",
    "format": "utc-date-time",
    "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$",
    "description": "UTC, YYYY-MM-DD HH:MM:SS",
}
"""Instants of the Profile API. Without `T` and an offset they are no `date-time` of RFC 3339."""

_JSON_TYPES: Mapping[str, JsonSchema] = {
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "date-time": TIMESTAMP,
    "uuid": {"type": "string", "format": "uuid"},
    "boolean or integer": {"type": ["boolean", "integer"]},
    "array": {"type": "array", "items": {}},
    "object": ANYTHING,
}

_SPECIAL_TYPES: Mapping[FieldType, JsonSchema] = {
    FieldType.DATE: {"type": "string", "format": "date"},
    FieldType.INTEGER_LIST: {"type": "array", "items": {"type": "integer"}},
    FieldType.LOCATION_LIST: {"type": "array", "items": {"type": "integer"}},
    FieldType.STRING_LIST: {"type": "array", "items": {"type": "string"}},
    FieldType.FLAGS: {"type": "object", "additionalProperties": {"type": "boolean"}},
}

_URL = {"type": ["string", "null"]}
_COUNT = {"type": "integer"}
_ROW_NUMBER = {"type": ["integer", "null"]}


def object_schema(properties: JsonSchema, title: str = "", optional: tuple[str, ...] = ()) -> JsonSchema:
    """An object that has all properties but the optional ones. With a title it is a component."""
    required = [name for name in properties if name not in optional]
    named = {"title": title} if title else {}
    return {**named, "type": "object", "properties": properties, "required": required}


def or_null(schema: JsonSchema) -> JsonSchema:
    """A schema that also allows null."""
    return {"anyOf": [schema, {"type": "null"}]}


_PAGE_LINKS = object_schema(dict.fromkeys(("first", "last", "prev", "next"), _URL), "PageLinks")
_PAGE_META = object_schema(
    {
        "current_page": _COUNT,
        "from": _ROW_NUMBER,
        "last_page": _COUNT,
        "links": {
            "type": "array",
            "items": object_schema(
                {"url": _URL, "label": {"type": "string"}, "active": {"type": "boolean"}}, "PageLink"
            ),
        },
        "path": {"type": "string"},
        "per_page": _COUNT,
        "to": _ROW_NUMBER,
        "total": _COUNT,
    },
    "PageMeta",
)


def schema_name(resource: Resource) -> str:
    """The name of the component of a resource."""
    return "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", resource.name))


def resource_schema(resource: Resource) -> JsonSchema:
    """The component of a resource: its visible fields, which a response always has."""
    visible = [each for each in resource.fields if each.is_visible]
    properties = {each.name: _field(each, is_nullable=each.name != resource.key) for each in visible}
    return object_schema(properties, schema_name(resource))


def data_schema(schema: JsonSchema, title: str = "") -> JsonSchema:
    """The envelope of one object."""
    return object_schema({"data": schema}, title)


def page_schema(schema: JsonSchema, title: str = "") -> JsonSchema:
    """The envelope of a page of a list."""
    rows = {"type": "array", "items": schema}
    return object_schema({"data": rows, "links": _PAGE_LINKS, "meta": _PAGE_META}, title)


def resource_response(resource: Resource, *, is_list: bool) -> JsonSchema:
    """The response of an endpoint with one resource, or a page of them."""
    envelope, suffix = (page_schema, "Page") if is_list else (data_schema, "Response")
    return envelope(resource_schema(resource), f"{schema_name(resource)}{suffix}")


def _field(field: ResourceField, *, is_nullable: bool) -> JsonSchema:
    described: dict[str, Any] = {"description": field.description} if field.description else {}
    if field.embeds is not None:
        embedded = resource_schema(field.embeds)
        if field.type.json_type == "array":
            return {"type": ["array", "null"], "items": embedded, **described}
        return {**or_null(embedded), **described}
    schema = dict(_SPECIAL_TYPES.get(field.type) or _JSON_TYPES[field.type.json_type])
    if is_nullable and "null" not in schema["type"]:
        schema["type"] = [*([schema["type"]] if isinstance(schema["type"], str) else schema["type"]), "null"]
    return {**schema, **described}
