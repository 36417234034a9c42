"""Locations over HTTP."""

import msgspec

from regulars.access import permits
from regulars.api.batches import Batch
from regulars.api.endpoint import Call, Endpoint
from regulars.api.resources import as_it_is, the_list, the_one
from regulars.facts import locations
from regulars.facts.locations import LOCATIONS, LocationIn, LocationRow
from regulars.facts.writing import Writing


class LocationBatch(msgspec.Struct, frozen=True):
    """Locations to make, or to change where their external id is known."""

    locations: list[msgspec.Raw]


async def _create(call: Call, writing: Writing) -> dict[str, object]:
    return await as_it_is(LOCATIONS, writing, await locations.create(writing, call.body))


async def _update(call: Call, writing: Writing) -> dict[str, object]:
    location_id = call.integer("id")
    await locations.update(writing, location_id, call.body)
    return await as_it_is(LOCATIONS, writing, location_id)


async def _delete(call: Call, writing: Writing) -> None:
    await locations.delete(writing, call.integer("id"))


def _row(location: LocationIn) -> LocationRow:
    row = locations.checked(location)
    locations.keyed(row)
    return row


async def _put_batch(call: Call, writing: Writing) -> dict[str, object]:
    batch = Batch("locations", call.body.locations)
    await batch.put(writing, await call.server.worker_threads.run(batch.checked, LocationIn, _row), locations.put_many)
    return await batch.kept(writing)


_AT = "/api/v3/locations"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _AT,
        "List locations",
        reads=the_list(LOCATIONS),
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
        reads=the_one(LOCATIONS),
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
