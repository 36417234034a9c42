"""Places: towns of the world and the customers' own stores, found by name, by id, and put on a map."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from functools import partial
from heapq import nlargest
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.core import countries
from regulars.geo.requests import GeoAddress, PlaceSearch
from regulars.geo.subdivisions import subdivision_code
from regulars.geo.tenant_locations import TenantLocation, TenantLocationCache
from regulars.geo.towns import ranking
from regulars.geo.towns.normalize import normalize
from regulars.geo.towns.ranking import MatchType, Point
from regulars.geo.towns.towns import Town, Towns

STORE_WEIGHT = 5.0
"""What a store of one's own weighs: as much as a town of a hundred thousand."""


# Addresses to coordinates ------------------------------------------------------------------------------------


def geocode(addresses: Iterable[GeoAddress], towns: Towns) -> dict[str, Any]:
    """Where addresses are, each as its town is, in their order; null for one that is not known."""
    found = (_town(each, towns) for each in addresses)
    return {
        "coordinates": [
            None if town is None else {**town.point._asdict(), "place_id": _town_id(town)} for town in found
        ]
    }


def _town(address: GeoAddress, towns: Towns) -> Town | None:
    try:
        country = countries.alpha_2(address.country)
    except ValueError:
        return None
    return towns.find_by_name(country, address.city, subdivision_code(country, address.state))


# Search ------------------------------------------------------------------------------------------------------


async def search_places(
    asked: PlaceSearch, customers: Sequence[Tenant], locations: TenantLocationCache, towns: Towns
) -> dict[str, Any]:
    """The towns and stores that fit best, best first."""
    found = [
        (each.score, partial(_shown_town, each.town, asked.near))
        for each in await asyncio.to_thread(towns.search, asked.query, asked.country, asked.near, asked.limit)
    ]
    sought = normalize(asked.query)
    for location in await locations.list_locations(customers, towns) if sought else ():
        if asked.country not in (None, location.country):
            continue
        match = _match(sought, location)
        if match is not None:
            found.append((_score(match, location.point, asked.near), partial(_shown_location, location, asked.near)))
    # Of equals the first that was found.
    best = nlargest(asked.limit, found, key=lambda each: each[0])
    return {"places": [shown() for _, shown in best]}


def _match(sought: str, location: TenantLocation) -> MatchType | None:
    """How a text fits a store: by its name, else as one of its town."""
    found = ranking.match_type(sought, location.normalized_name)
    if found is None and ranking.match_type(sought, location.normalized_city) is not None:
        return MatchType.WORD_PREFIX
    return found


def _score(match: MatchType, at: Point | None, near: Point | None) -> float:
    found = float(ranking.score(match, STORE_WEIGHT))
    return (
        found if at is None or near is None else found + float(ranking.proximity_score(ranking.distance_km(at, near)))
    )


# One place ---------------------------------------------------------------------------------------------------

_TOWN = re.compile(r"geonames:([1-9][0-9]{0,8})")
_LOCATION = re.compile(r"location:([1-9][0-9]{0,9}):([1-9][0-9]{0,17})")


async def get_place(
    id_: str, customers: Sequence[Tenant], locations: TenantLocationCache, towns: Towns
) -> dict[str, Any] | None:
    """The place of an id; None where there is none, or it is a store of others."""
    if found := _TOWN.fullmatch(id_):
        town = towns.get(int(found[1]))
        return None if town is None else _shown_town(town, None)
    if found := _LOCATION.fullmatch(id_):
        for customer in customers:
            if customer.community_id == int(found[1]):
                location = await locations.get(customer, int(found[2]), towns)
                return None if location is None else _shown_location(location, None)
    return None


def _town_id(town: Town) -> str:
    return f"geonames:{town.geonames_id}"


def _shown_town(town: Town, near: Point | None) -> dict[str, Any]:
    return {
        "id": _town_id(town),
        "type": "town",
        "name": town.name,
        "city": town.name,
        "country": town.country,
        "state": town.state,
        "timezone": town.timezone,
        "population": town.population,
        "community_id": None,
        "coordinates": town.point._asdict(),
        "distance_km": _distance(town.point, near),
    }


def _shown_location(location: TenantLocation, near: Point | None) -> dict[str, Any]:
    at = location.point
    return {
        "id": f"location:{location.community_id}:{location.id}",
        "type": "location",
        "name": location.name,
        "city": location.city,
        "country": location.country,
        "state": location.state,
        "timezone": location.timezone,
        "population": None,
        "community_id": location.community_id,
        "coordinates": None if at is None else at._asdict(),
        "distance_km": _distance(at, near),
    }


def _distance(at: Point | None, near: Point | None) -> float | None:
    return None if at is None or near is None else round(ranking.distance_km(at, near), 1)
