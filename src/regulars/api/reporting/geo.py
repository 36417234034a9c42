"""Places over HTTP: coordinates of addresses, towns and stores by name and by id."""

import asyncio

from regulars.api.reporting import geo_schemas
from regulars.auth import permits
from regulars.auth.authorization import Caller
from regulars.geo import requests, search
from regulars.query import costs
from regulars.web.context import ReportRequest
from regulars.web.endpoint import Endpoint, PricedQuery
from regulars.web.errors import ApiError

_TAG = "geo"


def _coordinates(call: ReportRequest) -> PricedQuery:
    asked = requests.parse_addresses(call.body)

    async def found() -> object:
        # A thousand of them take tens of milliseconds, in which others are answered too.
        return await asyncio.to_thread(search.geocode, asked, await call.app.town_files.load())

    return PricedQuery(costs.GEO_COST, found)


def _search(call: ReportRequest) -> PricedQuery:
    asked = requests.parse_search(call.body)

    async def found() -> object:
        return await search.search_places(
            asked, call.tenants, call.app.tenant_locations, await call.app.town_files.load()
        )

    return PricedQuery(costs.GEO_COST, found)


def _place(call: ReportRequest) -> PricedQuery:
    async def found() -> object:
        towns = await call.app.town_files.load()
        place = await search.get_place(call.path_params["id"], call.tenants, call.app.tenant_locations, towns)
        if place is None:
            raise ApiError(404, "There is no such place, or it is a store of customers that were not asked for.")
        return {"place": place}

    return PricedQuery(costs.GEO_COST, found)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/v1/reporting/geo/locations/coordinates",
        "Find the coordinates of addresses, by their towns",
        report_handler=_coordinates,
        permit=permits.GEO,
        schema=geo_schemas.COORDINATES,
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
    Endpoint(
        "POST",
        "/v1/reporting/geo/places",
        "Search towns and the customers' own stores by name",
        report_handler=_search,
        permit=permits.GEO,
        schema=geo_schemas.SEARCH,
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
    Endpoint(
        "GET",
        "/v1/reporting/geo/places/{id}",
        "Show one place",
        report_handler=_place,
        permit=permits.GEO,
        schema=geo_schemas.PLACE,
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
)
