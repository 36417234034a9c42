"""Locations over HTTP."""

import msgspec

from regulars.api.profile import examples, response_schemas
from regulars.api.profile.batch_response import RowBatch
from regulars.api.profile.crud import get_handler, get_representation, list_handler
from regulars.auth import audit_rules, permits
from regulars.auth.errors import AccessDenied
from regulars.model import locations
from regulars.model.locations import LOCATIONS, LocationIn, LocationRow
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint


class LocationBatch(msgspec.Struct, frozen=True):
    """Locations to create, or to update if their external id exists."""

    locations: list[msgspec.Raw]


async def _create(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    return await get_representation(LOCATIONS, uow, await locations.create(uow, context.body))


_get_any = get_handler(LOCATIONS)


async def _get(context: RequestContext) -> object:
    """A location; one of their own stores for people who are limited to some."""
    limit = context.principal.location_ids
    if limit is not None and context.path_integer("id") not in limit:
        raise AccessDenied(403, f"Your role is limited to other stores than {context.path_params['id']}.")
    return await _get_any(context)


async def _update(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    location_id = context.path_integer("id")
    await locations.update(uow, location_id, context.body)
    return await get_representation(LOCATIONS, uow, location_id)


async def _delete(context: RequestContext, uow: UnitOfWork) -> None:
    await locations.delete(uow, context.path_integer("id"))


def _row(location: LocationIn) -> LocationRow:
    row = locations.validate(location)
    locations.require_external_id(row)
    return row


async def _write_batch(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    batch = RowBatch("locations", context.body.locations)
    await batch.write(
        uow, await context.app.worker_threads.run(batch.validate, LocationIn, _row), locations.upsert_many
    )
    return await batch.store_result(uow)


_PATH = "/api/v3/locations"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _PATH,
        "List locations",
        read_handler=list_handler(LOCATIONS),
        resource=LOCATIONS,
        is_list=True,
        permit=permits.LOCATION_READ,
        audit=audit_rules.NOTHING,
        tag="locations",
    ),
    Endpoint(
        "POST",
        _PATH,
        "Create a location",
        write_handler=_create,
        request_model=LocationIn,
        request_example=examples.LOCATION,
        resource=LOCATIONS,
        status=201,
        permit=permits.LOCATION_WRITE,
        audit=audit_rules.CREATE_LOCATIONS,
        tag="locations",
    ),
    Endpoint(
        "POST",
        f"{_PATH}/batch.json",
        "Create or update many locations by external id",
        write_handler=_write_batch,
        schema=response_schemas.BATCH,
        request_model=LocationBatch,
        request_example=examples.LOCATIONS,
        permit=permits.LOCATION_WRITE,
        audit=audit_rules.CREATE_LOCATIONS,
        tag="locations",
    ),
    Endpoint(
        "GET",
        f"{_PATH}/{{id}}",
        "Get a location",
        read_handler=_get,
        resource=LOCATIONS,
        permit=permits.LOCATION_READ,
        is_limited_to_stores=True,
        audit=audit_rules.NOTHING,
        tag="locations",
    ),
    Endpoint(
        "PUT",
        f"{_PATH}/{{id}}",
        "Update a location",
        write_handler=_update,
        request_model=LocationIn,
        request_example=examples.LOCATION,
        resource=LOCATIONS,
        permit=permits.LOCATION_WRITE,
        audit=audit_rules.CHANGE_LOCATION,
        tag="locations",
    ),
    Endpoint(
        "DELETE",
        f"{_PATH}/{{id}}",
        "Delete a location",
        write_handler=_delete,
        status=204,
        permit=permits.LOCATION_WRITE,
        audit=audit_rules.CHANGE_LOCATION,
        tag="locations",
    ),
)
