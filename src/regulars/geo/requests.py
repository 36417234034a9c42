"""Parses and validates requests of the geo endpoints."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from regulars.core import countries
from regulars.geo.towns.ranking import Point
from regulars.query.errors import ErrorCollector, ParameterError, json_type, missing
from regulars.query.parser.request import RequestBody, decode_body, reject_unknown_keys

MAX_ADDRESSES = 1_000
MAX_PLACES = 100
DEFAULT_LIMIT = 10
MAX_TEXT_LENGTH = 255

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class GeoAddress:
    """An address to be geocoded, with names as the client wrote them."""

    country: str
    city: str
    postcode: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class PlaceSearch:
    """A search for places by name. `country` is ISO 3166-1 alpha-2, None for all; places close to
    `near` rank higher.
    """

    query: str
    country: str | None
    near: Point | None
    limit: int


def parse_addresses(body: bytes) -> list[GeoAddress]:
    """Parses a geocoding request. Raises InvalidJsonError, and InvalidParametersError with every error found."""
    params = decode_body(body)
    errors = ErrorCollector()
    reject_unknown_keys(params, ("locations",), errors)
    locations = params.get("locations")
    found: list[GeoAddress] = []
    if locations is None:
        errors.add(("locations",), missing("locations"))
    elif not isinstance(locations, list):
        errors.add(
            ("locations",),
            ParameterError("must_be_an_array", f"Must be an array of locations, not {json_type(locations)}."),
        )
    elif len(locations) > MAX_ADDRESSES:
        message = (
            f"Must have at limit {MAX_ADDRESSES} locations, not {len(locations)}. Send the others in another request."
        )
        errors.add(("locations",), ParameterError("too_long", message, {"maximum": MAX_ADDRESSES}))
    else:
        found = [_address(each, ("locations", index), errors) for index, each in enumerate(locations)]
    if errors.errors:
        raise errors.to_exception()
    return found


def _address(params: object, path: Path, errors: ErrorCollector) -> GeoAddress:
    if not isinstance(params, dict):
        errors.add(
            path,
            ParameterError(
                "must_be_an_object", f"Must be an object with a country and a city, not {json_type(params)}."
            ),
        )
        return GeoAddress("", "")
    reject_unknown_keys(params, ("country", "city", "postcode", "state"), errors, path)
    return GeoAddress(
        country=_required(params, "country", path, errors),
        city=_required(params, "city", path, errors),
        postcode=_text(params, "postcode", path, errors),
        state=_text(params, "state", path, errors),
    )


def parse_search(body: bytes) -> PlaceSearch:
    """Parses a place search. Raises as parse_addresses does."""
    params = decode_body(body)
    errors = ErrorCollector()
    reject_unknown_keys(params, ("query", "country", "near", "limit"), errors)
    found = PlaceSearch(
        query=_required(params, "query", (), errors),
        country=_country(params, errors),
        near=_near(params.get("near"), errors),
        limit=_limit(params.get("limit"), errors),
    )
    if errors.errors:
        raise errors.to_exception()
    return found


# Parameters ---------------------------------------------------------------------------------------------------


def _required(params: RequestBody, key: str, path: Path, errors: ErrorCollector) -> str:
    value = params.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        errors.add((*path, key), missing(key))
        return ""
    return _text(params, key, path, errors) or ""


def _text(params: RequestBody, key: str, path: Path, errors: ErrorCollector) -> str | None:
    value = params.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        detail = ParameterError("not_a_string", f"Must be a string, not {json_type(value)}.")
    elif len(value) > MAX_TEXT_LENGTH:
        detail = ParameterError(
            "too_long", f"Must have at limit {MAX_TEXT_LENGTH} characters.", {"maximum": MAX_TEXT_LENGTH}
        )
    elif "\0" in value:
        detail = ParameterError("invalid_characters", "Must not contain the NUL character.")
    else:
        return value
    errors.add((*path, key), detail)
    return None


def _country(params: RequestBody, errors: ErrorCollector) -> str | None:
    text = _text(params, "country", (), errors)
    if text is None:
        return None
    try:
        return countries.alpha_2(text)
    except ValueError as error:
        errors.add(("country",), ParameterError("inclusion", f"Country {error}."))
        return None


_DEGREES: Mapping[str, int] = {"lat": 90, "lng": 180}


def _near(value: object, errors: ErrorCollector) -> Point | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        errors.add(("near",), ParameterError("must_be_an_object", 'Must be an object: {"lat": 59.91, "lng": 10.75}.'))
        return None
    reject_unknown_keys(value, tuple(_DEGREES), errors, ("near",))
    return Point(*(_degrees(value, key, limit, errors) for key, limit in _DEGREES.items()))


def _degrees(params: RequestBody, key: str, limit: int, errors: ErrorCollector) -> float:
    value = params.get(key)
    if value is None:
        detail = missing(key)
    elif type(value) is not int and not (isinstance(value, Decimal) and value.is_finite()):
        detail = ParameterError("not_a_number", f"Must be a number of degrees, not {json_type(value)}.")
    elif not -limit <= value <= limit:
        detail = ParameterError("inclusion", f"Must be between {-limit} and {limit}.", {"in": [-limit, limit]})
    else:
        return float(value)
    errors.add(("near", key), detail)
    return 0.0


def _limit(value: object, errors: ErrorCollector) -> int:
    if value is None:
        return DEFAULT_LIMIT
    if type(value) is not int:
        errors.add(("limit",), ParameterError("not_an_integer", f"Must be an integer, not {json_type(value)}."))
    elif value < 1:
        errors.add(("limit",), ParameterError("greater_than_or_equal_to", "Must be at least 1.", {"count": 1}))
    elif value > MAX_PLACES:
        message = f"Must be at limit {MAX_PLACES}."
        errors.add(("limit",), ParameterError("less_than_or_equal_to", message, {"count": MAX_PLACES}))
    else:
        return value
    return DEFAULT_LIMIT
