"""JSON Schemas of the data about one member: found profiles, the timeline, its segments, and the meaning of values."""

from regulars.aggregations.aggregation import ValueGroup
from regulars.web.endpoint import EndpointSchema, JsonSchema
from regulars.web.resource_schemas import TIMESTAMP, data_schema, object_schema, or_null

_TEXT: JsonSchema = {"type": "string"}
_TEXT_OR_NULL: JsonSchema = {"type": ["string", "null"]}
_INTEGER: JsonSchema = {"type": "integer"}
_INTEGER_OR_NULL: JsonSchema = {"type": ["integer", "null"]}
_UUID: JsonSchema = {"type": "string", "format": "uuid"}
_TIME_OR_NULL: JsonSchema = {**TIMESTAMP, "type": ["string", "null"]}


def _response(schema: JsonSchema) -> EndpointSchema:
    return EndpointSchema(None, schema, {})


def _list(items: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": items}


# Search ----------------------------------------------------------------------------------------------------------

_PERSONAL: JsonSchema = {**_TEXT_OR_NULL, "description": "Null without the permit Profile:Read."}

_FOUND_PROFILE = object_schema(
    {
        "id": _UUID,
        "member_id": _INTEGER,
        **dict.fromkeys(("external_id", "title", "first_name", "last_name", "full_name"), _PERSONAL),
        **dict.fromkeys(("email", "mobile_phone", "mobile_phone_e164"), _PERSONAL),
        "birth_year": _INTEGER_OR_NULL,
        "profile_type": _TEXT,
        "joined_at": _TIME_OR_NULL,
        "is_member": {"type": "boolean"},
        "matched": {
            **_list(
                {"enum": ["id", "member_id", "external_id", "email", "mobile_phone", "identity", "receipt", "name"]}
            ),
            "description": "What of the profile the text matches.",
        },
    },
    "FoundProfile",
)

FOUND_PROFILES = _response(
    object_schema(
        {
            "data": {**_list(_FOUND_PROFILE), "description": "The best match first."},
            "meta": object_schema({"limit": _INTEGER, "has_more": {"type": "boolean"}}, "FoundProfilesMeta"),
        },
        "FoundProfilesResponse",
    )
)

# Timeline --------------------------------------------------------------------------------------------------------

_OF_KIND: dict[str, tuple[tuple[str, ...], JsonSchema]] = {
    "membership": (
        ("joined", "left"),
        {"id": _INTEGER, "optin_channel": _TEXT_OR_NULL, "optin_subchannel": _TEXT_OR_NULL},
    ),
    "transaction": (
        ("purchase", "return", "transaction"),
        {
            "id": _INTEGER,
            "external_id": _TEXT_OR_NULL,
            "receipt_ref": _TEXT_OR_NULL,
            "amount": {"type": "number", "description": "In the currency of the community."},
            "location_id": _INTEGER_OR_NULL,
            "items_count": _INTEGER,
            "item_names": {**or_null(_list(_TEXT)), "description": "Of the first three items."},
        },
    ),
    "message": (
        ("scheduled", "sent", "delivered", "failed", "opened", "clicked"),
        {
            "id": _INTEGER,
            "sending_id": _INTEGER,
            "sending_external_id": _TEXT,
            "reporting_id": _INTEGER_OR_NULL,
            "channel": _TEXT_OR_NULL,
            **dict.fromkeys(("delivered_at", "opened_at", "clicked_at", "failed_at", "unsubscribed_at"), _TIME_OR_NULL),
        },
    ),
    "offer": (
        ("granted", "seen", "clicked", "used"),
        {
            "offer_id": _INTEGER,
            "offer_external_id": _TEXT,
            "location_id": _INTEGER_OR_NULL,
            "transaction_external_id": _TEXT_OR_NULL,
        },
    ),
    "visit": (
        ("visit",),
        {
            "link_id": _INTEGER,
            "source_type": _TEXT,
            "sending_id": _INTEGER_OR_NULL,
            "offer_external_id": _TEXT_OR_NULL,
        },
    ),
}

_EVENTS = [
    object_schema(
        {
            "at": TIMESTAMP,
            "kind": {"const": kind},
            "type": {"enum": list(types)},
            "title": {**_TEXT_OR_NULL, "description": "The store, the sending, the offer or the address of the link."},
            **fields,
        },
        f"{kind.capitalize()}Event",
    )
    for kind, (types, fields) in _OF_KIND.items()
]

TIMELINE = _response(
    object_schema(
        {
            "data": {**_list({"oneOf": _EVENTS}), "description": "The latest event first."},
            "meta": object_schema(
                {
                    "limit": _INTEGER,
                    "before": {**_TEXT_OR_NULL, "description": "`before` of the next page; null after the last one."},
                },
                "TimelineMeta",
            ),
        },
        "TimelineResponse",
    )
)

# Segments --------------------------------------------------------------------------------------------------------

SEGMENTS = _response(
    data_schema(
        _list(
            object_schema(
                {
                    "name": _TEXT,
                    "description": _TEXT,
                    "since": {
                        **_TIME_OR_NULL,
                        "description": "When the profile entered; null if it did before `known_since`.",
                    },
                    "known_since": {**_TIME_OR_NULL, "description": "Since when memberships are known."},
                },
                "ProfileSegment",
            )
        ),
        "ProfileSegmentsResponse",
    )
)

# Values ----------------------------------------------------------------------------------------------------------

DECLARED_VALUES = _response(
    data_schema(
        _list(
            object_schema(
                {
                    "name": _TEXT,
                    "type": _TEXT,
                    "unit": {
                        **_TEXT_OR_NULL,
                        "description": "`days`, `percent`, or the code of the currency of the community.",
                    },
                    "group": {"enum": [each.value for each in ValueGroup]},
                    "description": _TEXT,
                    "codes": {
                        "type": "object",
                        "additionalProperties": _TEXT,
                        "description": "The codes of a value with their meaning.",
                    },
                    "has_more_codes": {"type": "boolean", "description": "Whether the codes continue in the same way."},
                    "is_explained_by_transactions": {"type": "boolean"},
                },
                "DeclaredValue",
            )
        ),
        "DeclaredValuesResponse",
    )
)
