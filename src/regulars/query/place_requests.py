"""Requests about places, read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from regulars.facts import countries
from regulars.query.problems import Problem, Problems, missing
from regulars.query.request import Body, decoded, unknown_keys
from regulars.towns.ranking import Point

MOST_ADDRESSES = 1_000
MOST_PLACES = 100
DEFAULT_PLACES = 10
LONGEST = 255

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Address:
    """Where something is, as far as it is known: names as they were written."""

    country: str
    city: str
    postcode: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: a text in names, in a country (ISO 3166-1 alpha-2) or all, what is near first."""

    query: str
    country: str | None
    near: Point | None
    limit: int


def parse_addresses(body: bytes) -> list[Address]:
    """The addresses of a body. Raises NotJsonError, and InvalidParametersError with all that is wrong with it."""
    given = decoded(body)
    problems = Problems()
    unknown_keys(given, ("locations",), problems)
    listed = given.get("locations")
    found: list[Address] = []
    if listed is None:
        problems.add(("locations",), missing("The list of locations"))
    elif not isinstance(listed, list):
        problems.add(("locations",), Problem("must_be_an_array", "Must be an array of locations."))
    elif len(listed) > MOST_ADDRESSES:
        message = f"Must be at most {MOST_ADDRESSES} locations: send the others by themselves."
        problems.add(("locations",), Problem("too_long", message, {"maximum": MOST_ADDRESSES}))
    else:
        found = [_address(each, ("locations", index), problems) for index, each in enumerate(listed)]
    if problems.found:
        raise problems.error()
    return found


def _address(given: object, path: Path, problems: Problems) -> Address:
    if not isinstance(given, dict):
        problems.add(path, Problem("must_be_an_object", "Must be an object with a country and a city."))
        return Address("", "")
    unknown_keys(given, ("country", "city", "postcode", "state"), problems, path)
    return Address(
        country=_required(given, "country", path, problems),
        city=_required(given, "city", path, problems),
        postcode=_text(given, "postcode", path, problems),
        state=_text(given, "state", path, problems),
    )


def parse_search(body: bytes) -> Search:
    """What a body looks for. Raises as parse_addresses does."""
    given = decoded(body)
    problems = Problems()
    unknown_keys(given, ("query", "country", "near", "limit"), problems)
    found = Search(
        query=_required(given, "query", (), problems),
        country=_country(given, problems),
        near=_near(given.get("near"), problems),
        limit=_limit(given.get("limit"), problems),
    )
    if problems.found:
        raise problems.error()
    return found


# Its parts ---------------------------------------------------------------------------------------------------


def _required(given: Body, key: str, path: Path, problems: Problems) -> str:
    value = given.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        problems.add((*path, key), missing(f"The {key}"))
        return ""
    return _text(given, key, path, problems) or ""


def _text(given: Body, key: str, path: Path, problems: Problems) -> str | None:
    value = given.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        problem = Problem("not_a_string", "Must be a text.")
    elif len(value) > LONGEST:
        problem = Problem("too_long", f"Must have at most {LONGEST} characters.", {"maximum": LONGEST})
    elif "\0" in value:
        problem = Problem("invalid_characters", "Must not hold the character NUL.")
    else:
        return value
    problems.add((*path, key), problem)
    return None


def _country(given: Body, problems: Problems) -> str | None:
    text = _text(given, "country", (), problems)
    if text is None:
        return None
    try:
        return countries.alpha_2(text)
    except ValueError as error:
        problems.add(("country",), Problem("inclusion", f"It {error}."))
        return None


_DEGREES: Mapping[str, int] = {"lat": 90, "lng": 180}


def _near(value: object, problems: Problems) -> Point | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        problems.add(("near",), Problem("must_be_an_object", 'Must be a point: {"lat": 59.91, "lng": 10.75}.'))
        return None
    unknown_keys(value, tuple(_DEGREES), problems, ("near",))
    return Point(*(_degrees(value, key, most, problems) for key, most in _DEGREES.items()))


def _degrees(given: Body, key: str, most: int, problems: Problems) -> float:
    value = given.get(key)
    if value is None:
        problem = missing(f"The number {key}")
    elif type(value) is not int and not (isinstance(value, Decimal) and value.is_finite()):
        problem = Problem("not_a_number", "Must be a number of degrees.")
    elif not -most <= value <= most:
        problem = Problem("inclusion", f"Must be from {-most} to {most}.", {"in": [-most, most]})
    else:
        return float(value)
    problems.add(("near", key), problem)
    return 0.0


def _limit(value: object, problems: Problems) -> int:
    if value is None:
        return DEFAULT_PLACES
    if type(value) is not int:
        problems.add(("limit",), Problem("not_an_integer", "Must be a whole number of places."))
    elif value < 1:
        problems.add(("limit",), Problem("greater_than_or_equal_to", "Must be at least 1.", {"count": 1}))
    elif value > MOST_PLACES:
        message = f"Must be at most {MOST_PLACES}."
        problems.add(("limit",), Problem("less_than_or_equal_to", message, {"count": MOST_PLACES}))
    else:
        return value
    return DEFAULT_PLACES
