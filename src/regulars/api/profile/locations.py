"""Locations over HTTP."""

import msgspec

from regulars.api.profile.batch_response import RowBatch
from regulars.api.profile.crud import get_handler, get_representation, list_handler
from regulars.auth import permits
from regulars.model import locations
from regulars.model.locations import LOCATIONS, LocationIn, LocationRow
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint


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
        read_handler=list_handler(LOCATIONS),
        resource=LOCATIONS,
        is_list=True,
        permit=permits.LOCATION_READ,
        tag="locations",
    ),
    Endpoint(
        "POST",
        _AT,
        "Make a location",
        write_handler=_create,
        request_model=LocationIn,
        resource=LOCATIONS,
        status=201,
        permit=permits.LOCATION_WRITE,
        tag="locations",
    ),
    Endpoint(
        "POST",
        f"{_AT}/batch.json",
        "Make or change many locations by external id",
        write_handler=_put_batch,
        request_model=LocationBatch,
        permit=permits.LOCATION_WRITE,
        tag="locations",
    ),
    Endpoint(
        "GET",
        f"{_AT}/{{id}}",
        "Read a location",
        read_handler=get_handler(LOCATIONS),
        resource=LOCATIONS,
        permit=permits.LOCATION_READ,
        tag="locations",
    ),
    Endpoint(
        "PUT",
        f"{_AT}/{{id}}",
        "Change what is given of a location",
        write_handler=_update,
        request_model=LocationIn,
        resource=LOCATIONS,
        permit=permits.LOCATION_WRITE,
        tag="locations",
    ),
    Endpoint(
        "DELETE",
        f"{_AT}/{{id}}",
        "Delete a location",
        write_handler=_delete,
        status=204,
        permit=permits.LOCATION_WRITE,
        tag="locations",
    ),
)
