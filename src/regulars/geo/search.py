"""Search of places, which are towns of the world and the tenants' stores, by name or id, and geocoding of addresses."""

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
"""The weight of a store in the ranking: that of a town of 100,000 inhabitants."""


# Geocoding ----------------------------------------------------------------------------------------------------


def geocode(addresses: Iterable[GeoAddress], towns: Towns) -> dict[str, Any]:
    """The coordinates of the towns of addresses, in order; null for an unknown town."""
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


# Search -------------------------------------------------------------------------------------------------------


async def search_places(
    search: PlaceSearch, tenants: Sequence[Tenant], locations: TenantLocationCache, towns: Towns
) -> dict[str, Any]:
    """The towns and stores that match best, best first."""
    found = [
        (each.score, partial(_serialize_town, each.town, search.near))
        for each in await asyncio.to_thread(towns.search, search.query, search.country, search.near, search.limit)
    ]
    text = normalize(search.query)
    for location in await locations.list_locations(tenants, towns) if text else ():
        if search.country not in (None, location.country):
            continue
        match = _match(text, location)
        if match is not None:
            found.append(
                (_score(match, location.point, search.near), partial(_serialize_location, location, search.near))
            )
    # nlargest is stable: of equal scores the first found wins.
    best = nlargest(search.limit, found, key=lambda each: each[0])
    return {"places": [shown() for _, shown in best]}


def _match(text: str, location: TenantLocation) -> MatchType | None:
    """How a search text matches a store, by its name or else by its town."""
    found = ranking.match_type(text, location.normalized_name)
    if found is None and ranking.match_type(text, location.normalized_city) is not None:
        return MatchType.WORD_PREFIX
    return found


def _score(match: MatchType, at: Point | None, near: Point | None) -> float:
    found = float(ranking.score(match, STORE_WEIGHT))
    return (
        found if at is None or near is None else found + float(ranking.proximity_score(ranking.distance_km(at, near)))
    )


# One place ----------------------------------------------------------------------------------------------------

_TOWN = re.compile(r"geonames:([1-9][0-9]{0,8})")
_LOCATION = re.compile(r"location:([1-9][0-9]{0,9}):([1-9][0-9]{0,17})")


async def get_place(
    id_: str, tenants: Sequence[Tenant], locations: TenantLocationCache, towns: Towns
) -> dict[str, Any] | None:
    """The place of an id; None where there is none, or it is a store of another tenant."""
    if found := _TOWN.fullmatch(id_):
        town = towns.get(int(found[1]))
        return None if town is None else _serialize_town(town, None)
    if found := _LOCATION.fullmatch(id_):
        for tenant in tenants:
            if tenant.community_id == int(found[1]):
                location = await locations.get(tenant, int(found[2]), towns)
                return None if location is None else _serialize_location(location, None)
    return None


def _town_id(town: Town) -> str:
    return f"geonames:{town.geonames_id}"


def _serialize_town(town: Town, near: Point | None) -> dict[str, Any]:
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


def _serialize_location(location: TenantLocation, near: Point | None) -> dict[str, Any]:
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
