"""JSON Schemas and examples of the endpoints of places."""

from regulars.geo.requests import DEFAULT_LIMIT, MAX_ADDRESSES, MAX_PLACES, MAX_TEXT_LENGTH
from regulars.web.endpoint import EndpointSchema, JsonSchema

_TEXT: JsonSchema = {"type": "string", "maxLength": MAX_TEXT_LENGTH}
_TEXT_OR_NULL: JsonSchema = {"type": ["string", "null"], "maxLength": MAX_TEXT_LENGTH}
_COUNTRY = "ISO 3166-1 alpha-2 or alpha-3, or the English name."
_POINT: JsonSchema = {
    "title": "Coordinates",
    "type": "object",
    "properties": {
        "lat": {"type": "number", "minimum": -90, "maximum": 90},
        "lng": {"type": "number", "minimum": -180, "maximum": 180},
    },
    "required": ["lat", "lng"],
}


def _object(required: list[str], properties: JsonSchema, title: str = "") -> JsonSchema:
    closed = {"required": required, "additionalProperties": False}
    return {**({"title": title} if title else {}), "type": "object", "properties": properties, **closed}


def _or_null(schema: JsonSchema) -> JsonSchema:
    return {"anyOf": [schema, {"type": "null"}]}


_PLACE = _object(
    [
        *("id", "type", "name", "city", "country", "state", "timezone", "population", "community_id"),
        *("coordinates", "distance_km"),
    ],
    {
        "id": {"type": "string", "description": "`geonames:<id>` or `location:<community_id>:<id>`; stable."},
        "type": {"type": "string", "enum": ["town", "location"]},
        "name": {"type": "string"},
        "city": {"type": ["string", "null"]},
        "country": {"type": ["string", "null"], "description": "ISO 3166-1 alpha-2."},
        "state": {"type": ["string", "null"], "description": "ISO 3166-2, if known."},
        "timezone": {"type": ["string", "null"], "description": "IANA."},
        "population": {"type": ["integer", "null"]},
        "community_id": {"type": ["integer", "null"], "description": "The community of a store."},
        "coordinates": _or_null(_POINT),
        "distance_km": {"type": ["number", "null"], "description": "Distance from `near`, if the request has it."},
    },
    "Place",
)

_OSLO = {
    "id": "geonames:3143244",
    "type": "town",
    "name": "Oslo",
    "city": "Oslo",
    "country": "NO",
    "state": None,
    "timezone": "Europe/Oslo",
    "population": 1082575,
    "community_id": None,
    "coordinates": {"lat": 59.91273, "lng": 10.74609},
    "distance_km": None,
}
_STORE = {
    "id": "location:235:17",
    "type": "location",
    "name": "Nord Oslo City",
    "city": "Oslo",
    "country": "NO",
    "state": None,
    "timezone": "Europe/Oslo",
    "population": None,
    "community_id": 235,
    "coordinates": {"lat": 59.91273, "lng": 10.74609},
    "distance_km": None,
}

COORDINATES = EndpointSchema(
    request=_object(
        ["locations"],
        {
            "locations": {
                "type": "array",
                "maxItems": MAX_ADDRESSES,
                "items": _object(
                    ["country", "city"],
                    {
                        "country": {**_TEXT, "description": _COUNTRY},
                        "city": _TEXT,
                        "postcode": {
                            **_TEXT_OR_NULL,
                            "description": "Accepted, but not used: the town determines the coordinates.",
                        },
                        "state": {**_TEXT_OR_NULL, "description": "ISO 3166-2 or its name."},
                    },
                ),
            }
        },
    ),
    response=_object(
        ["coordinates"],
        {
            "coordinates": {
                "type": "array",
                "description": "One for each location, in their order; null if unknown.",
                "items": _or_null(
                    _object(
                        ["lat", "lng", "place_id"],
                        {**_POINT["properties"], "place_id": {"type": "string"}},
                        "PlaceCoordinates",
                    )
                ),
            }
        },
    ),
    examples={
        "addresses": (
            {
                "locations": [
                    {"country": "NO", "city": "Oslo", "postcode": "0150"},
                    {"country": "US", "city": "Springfield", "state": "IL"},
                    {"country": "NO", "city": "Nowhere"},
                ]
            },
            {
                "coordinates": [
                    {"lat": 59.91273, "lng": 10.74609, "place_id": "geonames:3143244"},
                    {"lat": 39.80172, "lng": -89.64371, "place_id": "geonames:4250542"},
                    None,
                ]
            },
        )
    },
)

SEARCH = EndpointSchema(
    request=_object(
        ["query"],
        {
            "query": {**_TEXT, "description": "A name or a part of one; accents and case are ignored."},
            "country": {**_TEXT_OR_NULL, "description": _COUNTRY},
            "near": _or_null({**_POINT, "title": "Point", "additionalProperties": False}),
            "limit": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_PLACES, "default": DEFAULT_LIMIT},
        },
    ),
    response=_object(["places"], {"places": {"type": "array", "items": _PLACE}}, "PlaceList"),
    examples={"oslo": ({"query": "oslo", "country": "NO"}, {"places": [_OSLO, _STORE]})},
)

PLACE = EndpointSchema(
    request=None,
    response=_object(["place"], {"place": _PLACE}, "PlaceResponse"),
    examples={"oslo": (None, {"place": _OSLO})},
)
