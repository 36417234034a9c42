"""Which of the places that fit a text come first: how it fits, then how large they are and how near."""

import math
from enum import IntEnum
from typing import Any, NamedTuple

EARTH_RADIUS_KM = 6371.0

ALIAS_PENALTY = 0.5
"""What it takes from a place that it is found by a name that is not its own: a third of its people."""

_NEAR, _NEAR_KM = 4.0, 50.0
_STEP = 100.0


class Point(NamedTuple):
    """Degrees: latitude north, longitude east."""

    lat: float
    lng: float


class MatchType(IntEnum):
    """How a text fits a name: as the whole of it, its beginning, from a later word on, or in the middle of one."""

    EXACT = 0
    PREFIX = 1
    WORD_PREFIX = 2
    SUBSTRING = 3


def match_type(sought: str, name: str) -> MatchType | None:
    """How a text fits a name, both folded; None where it does not."""
    if name == sought:
        return MatchType.EXACT
    if name.startswith(sought):
        return MatchType.PREFIX
    if f" {sought}" in name:
        return MatchType.WORD_PREFIX
    return MatchType.SUBSTRING if sought in name else None


def score(match: Any, weight: float) -> Any:
    """What is better is more: how it fits before all, then the weight, which is a town's people as a power of ten."""
    return weight - _STEP * match


def proximity_score(km: Any) -> Any:
    """What a distance adds: as much as ten thousand times the people here, a hundred times 50 km away."""
    return _NEAR / (1 + km / _NEAR_KM)


def distance_km(one: Point, other: Point) -> float:
    """The distance of two points, in km."""
    lat, other_lat = math.radians(one.lat), math.radians(other.lat)
    half = (
        math.sin((other_lat - lat) / 2) ** 2
        + math.cos(lat) * math.cos(other_lat) * math.sin(math.radians(other.lng - one.lng) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(half, 1.0)))
