"""Ranking of places: by type of match, then by population and distance."""

import math
from enum import IntEnum
from typing import Any, NamedTuple

EARTH_RADIUS_KM = 6371.0

ALIAS_PENALTY = 0.5
"""The penalty of a match by an alternative name; it corresponds to a third of the population."""

_NEAR, _NEAR_KM = 4.0, 50.0
_STEP = 100.0


class Point(NamedTuple):
    """A point in degrees: north latitude, east longitude."""

    lat: float
    lng: float


class MatchType(IntEnum):
    """How a text matches a name: entirely, at its beginning, at the beginning of a later word, or within a word."""

    EXACT = 0
    PREFIX = 1
    WORD_PREFIX = 2
    SUBSTRING = 3


def match_type(text: str, name: str) -> MatchType | None:
    """How a text matches a name, both normalized; None where it does not."""
    if name == text:
        return MatchType.EXACT
    if name.startswith(text):
        return MatchType.PREFIX
    if f" {text}" in name:
        return MatchType.WORD_PREFIX
    return MatchType.SUBSTRING if text in name else None


def score(match: Any, weight: float) -> Any:
    """The score of a match, higher is better: by type, then by weight, the decimal logarithm of the population."""
    return weight - _STEP * match


def proximity_score(km: Any) -> Any:
    """The score of a distance: equivalent to 10,000 times the population at 0 km, 100 times at 50 km."""
    return _NEAR / (1 + km / _NEAR_KM)


def distance_km(one: Point, other: Point) -> float:
    """The distance between two points, in km."""
    lat, other_lat = math.radians(one.lat), math.radians(other.lat)
    half = (
        math.sin((other_lat - lat) / 2) ** 2
        + math.cos(lat) * math.cos(other_lat) * math.sin(math.radians(other.lng - one.lng) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(half, 1.0)))
