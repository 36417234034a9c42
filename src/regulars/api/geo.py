"""Places over HTTP: coordinates of addresses, towns and stores by name and by id."""

import asyncio

from regulars.access import permits
from regulars.api import geo_schemas
from regulars.api.endpoint import Asked, Caller, Endpoint, ReportCall
from regulars.api.errors import ApiError
from regulars.query import costs, place_requests, places

_TAG = "geo"


def _coordinates(call: ReportCall) -> Asked:
    asked = place_requests.parse_addresses(call.body)

    async def found() -> object:
        # A thousand of them take tens of milliseconds, in which others are answered too.
        return await asyncio.to_thread(places.coordinates, asked, await call.server.atlas.towns())

    return Asked(costs.GEO, found)


def _search(call: ReportCall) -> Asked:
    asked = place_requests.parse_search(call.body)

    async def found() -> object:
        return await places.search(asked, call.customers, call.server.locations, await call.server.atlas.towns())

    return Asked(costs.GEO, found)


def _place(call: ReportCall) -> Asked:
    async def found() -> object:
        towns = await call.server.atlas.towns()
        place = await places.place(call.path["id"], call.customers, call.server.locations, towns)
        if place is None:
            raise ApiError(404, "There is no such place, or it is a store of customers that were not asked for.")
        return {"place": place}

    return Asked(costs.GEO, found)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/v1/reporting/geo/locations/coordinates",
        "Find the coordinates of addresses, by their towns",
        asks=_coordinates,
        permit=permits.GEO,
        described=geo_schemas.COORDINATES,
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
    Endpoint(
        "POST",
        "/v1/reporting/geo/places",
        "Search towns and the customers' own stores by name",
        asks=_search,
        permit=permits.GEO,
        described=geo_schemas.SEARCH,
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
    Endpoint(
        "GET",
        "/v1/reporting/geo/places/{id}",
        "Show one place",
        asks=_place,
        permit=permits.GEO,
        described=geo_schemas.PLACE,
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
)
