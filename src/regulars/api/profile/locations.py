"""Locations over HTTP."""

import msgspec

from regulars.api.profile.batch_response import RowBatch
from regulars.api.profile.crud import get_handler, get_representation, list_handler
from regulars.auth import permits
from regulars.model import locations
from regulars.model.locations import LOCATIONS, LocationIn, LocationRow
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.endpoint import Endpoint, RequestContext


class LocationBatch(msgspec.Struct, frozen=True):
    """Locations to make, or to change where their external id is known."""

    locations: list[msgspec.Raw]


async def _create(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    return await get_representation(LOCATIONS, uow, await locations.create(uow, call.body))


async def _update(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    location_id = call.path_integer("id")
    await locations.update(uow, location_id, call.body)
    return await get_representation(LOCATIONS, uow, location_id)


async def _delete(call: RequestContext, uow: UnitOfWork) -> None:
    await locations.delete(uow, call.path_integer("id"))


def _row(location: LocationIn) -> LocationRow:
    row = locations.validate(location)
    locations.require_external_id(row)
    return row


async def _put_batch(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    batch = RowBatch("locations", call.body.locations)
    await batch.write(uow, await call.app.worker_threads.run(batch.validate, LocationIn, _row), locations.upsert_many)
    return await batch.store_result(uow)


_AT = "/api/v3/locations"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _AT,
        "List locations",
        reads=list_handler(LOCATIONS),
        shows=LOCATIONS,
        lists=True,
        permit=permits.LOCATION_READ,
        tag="locations",
    ),
    Endpoint(
        "POST",
        _AT,
        "Make a location",
        writes=_create,
        takes=LocationIn,
        shows=LOCATIONS,
        status=201,
        permit=permits.LOCATION_WRITE,
        tag="locations",
    ),
    Endpoint(
        "POST",
        f"{_AT}/batch.json",
        "Make or change many locations by external id",
        writes=_put_batch,
        takes=LocationBatch,
        permit=permits.LOCATION_WRITE,
        tag="locations",
    ),
    Endpoint(
        "GET",
        f"{_AT}/{{id}}",
        "Read a location",
        reads=get_handler(LOCATIONS),
        shows=LOCATIONS,
        permit=permits.LOCATION_READ,
        tag="locations",
    ),
    Endpoint(
        "PUT",
        f"{_AT}/{{id}}",
        "Change what is given of a location",
        writes=_update,
        takes=LocationIn,
        shows=LOCATIONS,
        permit=permits.LOCATION_WRITE,
        tag="locations",
    ),
    Endpoint(
        "DELETE",
        f"{_AT}/{{id}}",
        "Delete a location",
        writes=_delete,
        status=204,
        permit=permits.LOCATION_WRITE,
        tag="locations",
    ),
)
