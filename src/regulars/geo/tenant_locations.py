"""The customers' own stores as a search needs them, read again only where one of them has changed."""

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
"""So many stores are kept in a process; those of the community that was not asked for longest go first."""


@dataclass(frozen=True, slots=True)
class TenantLocation:
    """A store of a community, with the names that it is compared by, and where it is: by its own coordinates, else by
    those of its town.
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
class _Kept:
    """The stores of a community by id, as they were when its locations had an epoch."""

    epoch: int
    by_id: dict[int, TenantLocation]


_EPOCH = "SELECT locations_version FROM cache_versions WHERE community_id = $1"

# Those without a name have been heard of, and are nothing to find.
_LOCATIONS = """
SELECT r.id, r.name, r.address ->> 'city' AS city, r.country, coalesce(r.iso_state, r.state) AS state, r.timezone,
       r.address ->> 'latitude' AS latitude, r.address ->> 'longitude' AS longitude
FROM locations AS r
WHERE r.community_id = $1 AND r.deleted_at IS NULL AND r.name <> ''
ORDER BY r.id
"""


class TenantLocationCache:
    """The stores of communities. Whatever changes one raises the epoch of its community's locations."""

    def __init__(self, stores: Backends, max_locations: int = MAX_CACHED_LOCATIONS) -> None:
        self._stores = stores
        self._most = max_locations
        self._kept: OrderedDict[int, _Kept] = OrderedDict()

    def __len__(self) -> int:
        """How many stores are kept."""
        return sum(len(kept.by_id) for kept in self._kept.values())

    async def list_locations(self, customers: Sequence[Tenant], towns: Towns) -> Iterator[TenantLocation]:
        """All stores of customers, by customer and id."""
        return chain.from_iterable(by_id.values() for by_id in await self._by_id(customers, towns))

    async def get(self, customer: Tenant, id_: int, towns: Towns) -> TenantLocation | None:
        """A customer's store by its id."""
        (by_id,) = await self._by_id([customer], towns)
        return by_id.get(id_)

    async def _by_id(self, customers: Sequence[Tenant], towns: Towns) -> list[dict[int, TenantLocation]]:
        found = []
        async with self._stores.snapshot(customers) as snapshot:
            for customer in customers:
                (state,) = await snapshot.fetch(customer, Backend.POSTGRES, _EPOCH, [customer.community_id])
                kept = self._kept.pop(customer.community_id, None)
                if kept is None or kept.epoch != state["locations_version"]:
                    kept = _Kept(state["locations_version"], await _read(snapshot, customer, towns))
                self._kept[customer.community_id] = kept
                found.append(kept.by_id)
        self._keep_within_limit()
        return found

    def _keep_within_limit(self) -> None:
        while len(self) > self._most:
            self._kept.popitem(last=False)


async def _read(snapshot: ReadSnapshot, customer: Tenant, towns: Towns) -> dict[int, TenantLocation]:
    rows = await snapshot.fetch(customer, Backend.POSTGRES, _LOCATIONS, [customer.community_id])
    return {
        row["id"]: TenantLocation(
            community_id=customer.community_id,
            id=row["id"],
            name=row["name"],
            city=row["city"],
            country=row["country"],
            state=row["state"],
            timezone=row["timezone"],
            normalized_name=normalize(row["name"]),
            normalized_city=normalize(row["city"] or ""),
            point=parse_point(row["latitude"], row["longitude"])
            or _of_town(row["country"], row["city"], row["state"], towns),
        )
        for row in rows
    }


def parse_point(latitude: str | None, longitude: str | None) -> Point | None:
    """A point as an address writes it; None where it is none."""
    try:
        found = Point(float(latitude or ""), float(longitude or ""))
    except ValueError:
        return None
    return found if abs(found.lat) <= 90 and abs(found.lng) <= 180 else None


def _of_town(country: str | None, city: str | None, state: str | None, towns: Towns) -> Point | None:
    if country is None or not city:
        return None
    town = towns.find_by_name(country, city, subdivision_code(country, state))
    return None if town is None else town.point
