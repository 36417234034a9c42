"""Places: coordinates of addresses, and towns and stores by name and by id."""

import asyncio

from regulars.api.reporting import geo_schemas
from regulars.auth import audit_rules, permits
from regulars.auth.authorization import Caller
from regulars.geo import requests, search
from regulars.query import costs
from regulars.web.context import ReportRequest
from regulars.web.endpoint import Endpoint, PricedQuery
from regulars.web.errors import ApiError

_TAG = "geo"


def _coordinates(context: ReportRequest) -> PricedQuery:
    query = requests.parse_addresses(context.body)

    async def execute() -> object:
        # A thousand addresses take tens of milliseconds, so they do not run in the event loop.
        return await asyncio.to_thread(search.geocode, query, await context.app.town_files.load())

    return PricedQuery(costs.GEO_COST, execute)


def _search(context: ReportRequest) -> PricedQuery:
    query = requests.parse_search(context.body)

    async def execute() -> object:
        return await search.search_places(
            query, context.tenants, context.app.tenant_locations, await context.app.town_files.load()
        )

    return PricedQuery(costs.GEO_COST, execute)


def _place(context: ReportRequest) -> PricedQuery:
    async def execute() -> object:
        towns = await context.app.town_files.load()
        place = await search.get_place(context.path_params["id"], context.tenants, context.app.tenant_locations, towns)
        if place is None:
            raise ApiError(404, "Place not found, or not accessible for the requested customers.")
        return {"place": place}

    return PricedQuery(costs.GEO_COST, execute)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/v1/reporting/geo/locations/coordinates",
        "Get the coordinates of addresses, by their towns",
        report_handler=_coordinates,
        permit=permits.GEO,
        audit=audit_rules.NOTHING,
        schema=geo_schemas.COORDINATES,
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
    Endpoint(
        "POST",
        "/v1/reporting/geo/places",
        "Search towns and the customers' stores by name",
        report_handler=_search,
        permit=permits.GEO,
        audit=audit_rules.NOTHING,
        schema=geo_schemas.SEARCH,
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
    Endpoint(
        "GET",
        "/v1/reporting/geo/places/{id}",
        "Get a place",
        report_handler=_place,
        permit=permits.GEO,
        audit=audit_rules.NOTHING,
        schema=geo_schemas.PLACE,
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
)
