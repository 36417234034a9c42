"""Places: towns of the world and the customers' own stores, found by name, by id, and put on a map."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import pycountry

from regulars.access.customers import Customer
from regulars.facts import countries
from regulars.query.execution import Stores
from regulars.query.place_requests import Address, Search
from regulars.reports.report import Store
from regulars.towns import ranking
from regulars.towns.folding import folded, remembered
from regulars.towns.ranking import Match, Point
from regulars.towns.towns import Town, Towns

OWN_STORE = 5.0
"""What a store of one's own weighs: as much as a town of a hundred thousand."""


@dataclass(frozen=True, slots=True)
class Location:
    """A store of a community: where it is by its address, in degrees where the address has them."""

    community_id: int
    id: int
    name: str
    city: str | None
    country: str | None
    state: str | None
    timezone: str | None
    point: Point | None


# Stores ------------------------------------------------------------------------------------------------------

_LOCATIONS = """
SELECT r.id, r.name, r.address ->> 'city' AS city, r.country, coalesce(r.iso_state, r.state) AS state, r.timezone,
       r.address ->> 'latitude' AS latitude, r.address ->> 'longitude' AS longitude
FROM locations AS r
WHERE r.community_id = $1 AND r.deleted_at IS NULL AND ($2::bigint IS NULL OR r.id = $2)
ORDER BY r.id
"""


async def _locations(customers: Sequence[Customer], stores: Stores, id_: int | None = None) -> list[Location]:
    """The stores of communities that stand; those without a name have been heard of, and are nothing to find."""
    found: list[Location] = []
    async with stores.snapshot(customers) as snapshot:
        for customer in customers:
            rows = await snapshot.rows(customer, Store.TABLES, _LOCATIONS, [customer.community_id, id_])
            found += [
                Location(
                    community_id=customer.community_id,
                    id=row["id"],
                    name=row["name"],
                    city=row["city"],
                    country=row["country"],
                    state=row["state"],
                    timezone=row["timezone"],
                    point=point(row["latitude"], row["longitude"]),
                )
                for row in rows
                if row["name"]
            ]
    return found


def point(latitude: str | None, longitude: str | None) -> Point | None:
    """A point as an address writes it; None where it is none."""
    try:
        found = Point(float(latitude or ""), float(longitude or ""))
    except ValueError:
        return None
    return found if abs(found.lat) <= 90 and abs(found.lng) <= 180 else None


def _placed(location: Location, towns: Towns) -> Point | None:
    """Where a store is: by its own coordinates, else by those of its town."""
    if location.point is not None or location.country is None or not location.city:
        return location.point
    town = towns.named(location.country, location.city, state_code(location.country, location.state))
    return None if town is None else town.point


@lru_cache(maxsize=1)
def _states() -> dict[tuple[str, str], str]:
    """The ISO 3166-2 codes of states without their country, by country and name."""
    return {(each.country_code, folded(each.name)): each.code[3:] for each in pycountry.subdivisions}


def state_code(country: str, text: str | None) -> str | None:
    """A state as ISO 3166-2 without the country: `IL` for `IL`, `US-IL` and `Illinois`; None for none."""
    if text is None or not text.strip():
        return None
    known = _states().get((country, folded(text)))
    return known or text.strip().upper().removeprefix(f"{country}-")


# Addresses to coordinates ------------------------------------------------------------------------------------


def coordinates(addresses: Iterable[Address], towns: Towns) -> dict[str, Any]:
    """Where addresses are, each as its town is, in their order; null for one that is not known."""
    found = (_town(each, towns) for each in addresses)
    return {
        "coordinates": [
            None if town is None else {**town.point._asdict(), "place_id": _town_id(town)} for town in found
        ]
    }


def _town(address: Address, towns: Towns) -> Town | None:
    try:
        country = countries.alpha_2(address.country)
    except ValueError:
        return None
    return towns.named(country, address.city, state_code(country, address.state))


# Search ------------------------------------------------------------------------------------------------------


async def search(asked: Search, customers: Sequence[Customer], stores: Stores, towns: Towns) -> dict[str, Any]:
    """The towns and stores that fit best, best first."""
    found = [
        (each.score, partial(_shown_town, each.town, asked.near))
        for each in await asyncio.to_thread(towns.search, asked.query, asked.country, asked.near, asked.limit)
    ]
    sought = folded(asked.query)
    for location in await _locations(customers, stores) if sought else ():
        match = _match(sought, location)
        if match is None or asked.country not in (None, location.country):
            continue
        at = _placed(location, towns)
        found.append((_score(match, at, asked.near), partial(_shown_location, location, at, asked.near)))
    found.sort(key=lambda each: -each[0])
    return {"places": [shown() for _, shown in found[: asked.limit]]}


def _match(sought: str, location: Location) -> Match | None:
    """How a text fits a store: by its name, else as one of its town."""
    found = ranking.match(sought, remembered(location.name))
    if found is None and location.city and ranking.match(sought, remembered(location.city)) is not None:
        return Match.WORD
    return found


def _score(match: Match, at: Point | None, near: Point | None) -> float:
    found = float(ranking.score(match, OWN_STORE))
    return found if at is None or near is None else found + float(ranking.nearness(ranking.apart(at, near)))


# One place ---------------------------------------------------------------------------------------------------

_TOWN = re.compile(r"geonames:([1-9][0-9]{0,8})")
_LOCATION = re.compile(r"location:([1-9][0-9]{0,9}):([1-9][0-9]{0,17})")


async def place(id_: str, customers: Sequence[Customer], stores: Stores, towns: Towns) -> dict[str, Any] | None:
    """The place of an id; None where there is none, or it is a store of others."""
    if found := _TOWN.fullmatch(id_):
        town = towns.by_id(int(found[1]))
        return None if town is None else _shown_town(town, None)
    if found := _LOCATION.fullmatch(id_):
        theirs = [each for each in customers if each.community_id == int(found[1])]
        for location in await _locations(theirs, stores, int(found[2])) if theirs else ():
            return _shown_location(location, _placed(location, towns), None)
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


def _shown_location(location: Location, at: Point | None, near: Point | None) -> dict[str, Any]:
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
    return None if at is None or near is None else round(ranking.apart(at, near), 1)
