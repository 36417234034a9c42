"""Requests about places, read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from regulars.core import countries
from regulars.geo.towns.ranking import Point
from regulars.query.errors import ErrorCollector, ParameterError, missing
from regulars.query.parser.request import RequestBody, decode_body, reject_unknown_keys

MAX_ADDRESSES = 1_000
MAX_PLACES = 100
DEFAULT_LIMIT = 10
MAX_TEXT_LENGTH = 255

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class GeoAddress:
    """Where something is, as far as it is known: names as they were written."""

    country: str
    city: str
    postcode: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class PlaceSearch:
    """What is looked for: a text in names, in a country (ISO 3166-1 alpha-2) or all, what is near first."""

    query: str
    country: str | None
    near: Point | None
    limit: int


def parse_addresses(body: bytes) -> list[GeoAddress]:
    """The addresses of a body. Raises InvalidJsonError, and InvalidParametersError with all that is wrong with it."""
    given = decode_body(body)
    problems = ErrorCollector()
    reject_unknown_keys(given, ("locations",), problems)
    listed = given.get("locations")
    found: list[GeoAddress] = []
    if listed is None:
        problems.add(("locations",), missing("The list of locations"))
    elif not isinstance(listed, list):
        problems.add(("locations",), ParameterError("must_be_an_array", "Must be an array of locations."))
    elif len(listed) > MAX_ADDRESSES:
        message = f"Must be at most {MAX_ADDRESSES} locations: send the others by themselves."
        problems.add(("locations",), ParameterError("too_long", message, {"maximum": MAX_ADDRESSES}))
    else:
        found = [_address(each, ("locations", index), problems) for index, each in enumerate(listed)]
    if problems.errors:
        raise problems.to_exception()
    return found


def _address(given: object, path: Path, problems: ErrorCollector) -> GeoAddress:
    if not isinstance(given, dict):
        problems.add(path, ParameterError("must_be_an_object", "Must be an object with a country and a city."))
        return GeoAddress("", "")
    reject_unknown_keys(given, ("country", "city", "postcode", "state"), problems, path)
    return GeoAddress(
        country=_required(given, "country", path, problems),
        city=_required(given, "city", path, problems),
        postcode=_text(given, "postcode", path, problems),
        state=_text(given, "state", path, problems),
    )


def parse_search(body: bytes) -> PlaceSearch:
    """What a body looks for. Raises as parse_addresses does."""
    given = decode_body(body)
    problems = ErrorCollector()
    reject_unknown_keys(given, ("query", "country", "near", "limit"), problems)
    found = PlaceSearch(
        query=_required(given, "query", (), problems),
        country=_country(given, problems),
        near=_near(given.get("near"), problems),
        limit=_limit(given.get("limit"), problems),
    )
    if problems.errors:
        raise problems.to_exception()
    return found


# Its parts ---------------------------------------------------------------------------------------------------


def _required(given: RequestBody, key: str, path: Path, problems: ErrorCollector) -> str:
    value = given.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        problems.add((*path, key), missing(f"The {key}"))
        return ""
    return _text(given, key, path, problems) or ""


def _text(given: RequestBody, key: str, path: Path, problems: ErrorCollector) -> str | None:
    value = given.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        problem = ParameterError("not_a_string", "Must be a text.")
    elif len(value) > MAX_TEXT_LENGTH:
        problem = ParameterError(
            "too_long", f"Must have at most {MAX_TEXT_LENGTH} characters.", {"maximum": MAX_TEXT_LENGTH}
        )
    elif "\0" in value:
        problem = ParameterError("invalid_characters", "Must not hold the character NUL.")
    else:
        return value
    problems.add((*path, key), problem)
    return None


def _country(given: RequestBody, problems: ErrorCollector) -> str | None:
    text = _text(given, "country", (), problems)
    if text is None:
        return None
    try:
        return countries.alpha_2(text)
    except ValueError as error:
        problems.add(("country",), ParameterError("inclusion", f"It {error}."))
        return None


_DEGREES: Mapping[str, int] = {"lat": 90, "lng": 180}


def _near(value: object, problems: ErrorCollector) -> Point | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        problems.add(("near",), ParameterError("must_be_an_object", 'Must be a point: {"lat": 59.91, "lng": 10.75}.'))
        return None
    reject_unknown_keys(value, tuple(_DEGREES), problems, ("near",))
    return Point(*(_degrees(value, key, most, problems) for key, most in _DEGREES.items()))


def _degrees(given: RequestBody, key: str, most: int, problems: ErrorCollector) -> float:
    value = given.get(key)
    if value is None:
        problem = missing(f"The number {key}")
    elif type(value) is not int and not (isinstance(value, Decimal) and value.is_finite()):
        problem = ParameterError("not_a_number", "Must be a number of degrees.")
    elif not -most <= value <= most:
        problem = ParameterError("inclusion", f"Must be from {-most} to {most}.", {"in": [-most, most]})
    else:
        return float(value)
    problems.add(("near", key), problem)
    return 0.0


def _limit(value: object, problems: ErrorCollector) -> int:
    if value is None:
        return DEFAULT_LIMIT
    if type(value) is not int:
        problems.add(("limit",), ParameterError("not_an_integer", "Must be a whole number of places."))
    elif value < 1:
        problems.add(("limit",), ParameterError("greater_than_or_equal_to", "Must be at least 1.", {"count": 1}))
    elif value > MAX_PLACES:
        message = f"Must be at most {MAX_PLACES}."
        problems.add(("limit",), ParameterError("less_than_or_equal_to", message, {"count": MAX_PLACES}))
    else:
        return value
    return DEFAULT_LIMIT
