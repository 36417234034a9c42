"""A cache of the tenants' stores for search, invalidated by the version of a community's locations."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from regulars.auth.tenants import Tenant
from regulars.geo.subdivisions import subdivision_code
from regulars.geo.towns.normalize import normalize
from regulars.geo.towns.ranking import Point
from regulars.geo.towns.towns import Towns
from regulars.query.backends import Backends, ReadSnapshot
from regulars.reports.report import Backend

MAX_CACHED_LOCATIONS = 100_000
"""Stores in the cache of a process; those of the least recently used community are evicted first."""


@dataclass(frozen=True, slots=True)
class TenantLocation:
    """A store of a community, with normalized names for search.

    `point` is its own coordinates, else those of its town.
    """

    community_id: int
    id: int
    name: str
    city: str | None
    country: str | None
    state: str | None
    timezone: str | None
    normalized_name: str
    normalized_city: str
    point: Point | None


@dataclass(frozen=True, slots=True)
class _CachedLocations:
    """The stores of a community by id, at a version of its locations."""

    version: int
    by_id: dict[int, TenantLocation]


_VERSION = "SELECT locations_version FROM cache_versions WHERE community_id = $1"

# Placeholders, which have no name yet, cannot be found.
_LOCATIONS = """
SELECT r.id, r.name, r.address ->> 'city' AS city, r.country, coalesce(r.iso_state, r.state) AS state, r.timezone,
       r.address ->> 'latitude' AS latitude, r.address ->> 'longitude' AS longitude
FROM locations AS r
WHERE r.community_id = $1 AND r.deleted_at IS NULL AND r.name <> ''
ORDER BY r.id
"""


class TenantLocationCache:
    """The stores of communities. Every change of a location raises the version of its community's locations."""

    def __init__(self, backends: Backends, max_locations: int = MAX_CACHED_LOCATIONS) -> None:
        self._backends = backends
        self._max_locations = max_locations
        self._cached: OrderedDict[int, _CachedLocations] = OrderedDict()

    def __len__(self) -> int:
        """The number of cached stores."""
        return sum(len(cached.by_id) for cached in self._cached.values())

    async def list_locations(self, tenants: Sequence[Tenant], towns: Towns) -> Iterator[TenantLocation]:
        """All stores of tenants, ordered by tenant and id."""
        return chain.from_iterable(by_id.values() for by_id in await self._by_id(tenants, towns))

    async def get(self, tenant: Tenant, id_: int, towns: Towns) -> TenantLocation | None:
        """A tenant's store by its id."""
        (by_id,) = await self._by_id([tenant], towns)
        return by_id.get(id_)

    async def _by_id(self, tenants: Sequence[Tenant], towns: Towns) -> list[dict[int, TenantLocation]]:
        found = []
        async with self._backends.snapshot(tenants) as snapshot:
            for tenant in tenants:
                (state,) = await snapshot.fetch(tenant, Backend.POSTGRES, _VERSION, [tenant.community_id])
                cached = self._cached.pop(tenant.community_id, None)
                if cached is None or cached.version != state["locations_version"]:
                    cached = _CachedLocations(
                        state["locations_version"], await _read_locations(snapshot, tenant, towns)
                    )
                self._cached[tenant.community_id] = cached
                found.append(cached.by_id)
        self._evict()
        return found

    def _evict(self) -> None:
        while len(self) > self._max_locations:
            self._cached.popitem(last=False)


async def _read_locations(snapshot: ReadSnapshot, tenant: Tenant, towns: Towns) -> dict[int, TenantLocation]:
    rows = await snapshot.fetch(tenant, Backend.POSTGRES, _LOCATIONS, [tenant.community_id])
    return {
        row["id"]: TenantLocation(
            community_id=tenant.community_id,
            id=row["id"],
            name=row["name"],
            city=row["city"],
            country=row["country"],
            state=row["state"],
            timezone=row["timezone"],
            normalized_name=normalize(row["name"]),
            normalized_city=normalize(row["city"] or ""),
            point=parse_point(row["latitude"], row["longitude"])
            or _town_point(row["country"], row["city"], row["state"], towns),
        )
        for row in rows
    }


def parse_point(latitude: str | None, longitude: str | None) -> Point | None:
    """Parses coordinates of an address; None where they are not a valid point."""
    try:
        found = Point(float(latitude or ""), float(longitude or ""))
    except ValueError:
        return None
    return found if abs(found.lat) <= 90 and abs(found.lng) <= 180 else None


def _town_point(country: str | None, city: str | None, state: str | None, towns: Towns) -> Point | None:
    if country is None or not city:
        return None
    town = towns.find_by_name(country, city, subdivision_code(country, state))
    return None if town is None else town.point
