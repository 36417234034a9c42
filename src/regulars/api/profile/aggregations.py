"""What is known of one profile: its values now and as of any instant, why, and how they went."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from regulars.aggregations import explain, history, serialization
from regulars.aggregations.aggregation import Aggregation, ValueType
from regulars.aggregations.reader import ProfileValues
from regulars.auth import permits
from regulars.auth.authorization import Caller
from regulars.core.errors import field_error
from regulars.core.timestamps import format_timestamp, parse_timestamp
from regulars.ingest.commit import refresh_derived
from regulars.model.profiles import lookup
from regulars.model.resource import JsonType, Resource, ResourceField
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope
from regulars.web.errors import ApiError

_V3 = "/api/v3/profiles/{id}/aggregations"
_MINE = "/id/api/v1/profiles/me/aggregations"
_TAG = "aggregations"


def parse_past_instant(call: RequestContext, name: str) -> datetime | None:
    """An instant of the query that is not in the future; None where it is not given."""
    text = call.query_params.get(name, "")
    if not text:
        return None
    try:
        at = parse_timestamp(text.replace(" ", "+") if text.count(" ") == 1 and "T" in text else text)
    except ValueError as error:
        raise field_error(name, str(error)) from None
    if at > call.now:
        raise field_error(name, "must not be in the future")
    return at


def find_aggregations(names: Sequence[str] | None, path: str) -> tuple[Aggregation, ...]:
    """The aggregations of those names; all where none are given. Raises Refused for one that is not there."""
    try:
        return serialization.aggregations_by_name(names)
    except KeyError as error:
        raise field_error(path, f"there is no aggregation {error.args[0]!r}") from None


async def _read(call: RequestContext, profile_id: UUID, as_of: datetime | None) -> ProfileValues:
    reader = call.app.value_reader
    if as_of is None:
        found = await reader.read(call.community_id, profile_id)
    else:
        (found,) = await reader.read_as_of(call.community_id, [(profile_id, as_of)])
    if found is None:
        async with call.app.database.read_transaction(call.community_id) as scope:
            await lookup.require_active(scope, profile_id)
        raise lookup.not_found_error(profile_id, None)
    return found


async def read_values(call: RequestContext) -> dict[str, Any]:
    """Every value, now or as of a past instant."""
    return data_envelope((await _read(call, call.path_uuid(), parse_past_instant(call, "as_of"))).values())


async def read_values_v1(call: RequestContext) -> dict[str, Any]:
    """The first version's object: its keys, in its order."""
    return (await _read(call, call.path_uuid(), None)).values(serialization.FIRST_VERSION_AGGREGATIONS)


async def recalculate(call: RequestContext, uow: UnitOfWork) -> dict[str, Any]:
    """Recalculates from the facts, stores, and gives the values."""
    profile_id = call.path_uuid()
    await lookup.require_active(uow, profile_id)
    uow.mark_dirty(profile_id, "recalculation")
    await refresh_derived(uow, call.app.database.clock)
    (found,) = await call.app.value_reader.read_in_scope(uow, [(profile_id, call.now)])
    assert found is not None  # noqa: S101 - it was required above, and is locked since
    return data_envelope(found.values())


class AggregationsQuery(msgspec.Struct, frozen=True):
    """Which profiles, which values, as of when."""

    profile_ids: Annotated[tuple[str, ...], Meta(max_length=1000)]
    names: tuple[str, ...] | None = None
    as_of: str | None = None


async def query_values(call: RequestContext) -> dict[str, Any]:
    """Many profiles at once, in the order asked; unknown ones are null."""
    asked: AggregationsQuery = call.body
    shown = find_aggregations(asked.names, "names")
    call.query_params = {"as_of": asked.as_of or ""}
    as_of = parse_past_instant(call, "as_of")
    profile_ids: list[UUID | None] = []
    for text in asked.profile_ids:
        try:
            profile_ids.append(UUID(text))
        except ValueError:
            profile_ids.append(None)
    known = [each for each in profile_ids if each is not None]
    if as_of is None:
        found = await call.app.value_reader.read_many(call.community_id, known)
    else:
        reads = await call.app.value_reader.read_as_of(call.community_id, [(each, as_of) for each in known])
        found = {profile_id: read for profile_id, read in zip(known, reads, strict=True) if read is not None}
    return data_envelope(
        [found[each].values(shown) if each is not None and each in found else None for each in profile_ids]
    )


async def explain_value(call: RequestContext) -> dict[str, Any]:
    """A value, what it means, and the facts that made it."""
    (aggregation,) = find_aggregations([_required(call, "name")], "name")
    profile_id, as_of = call.path_uuid(), parse_past_instant(call, "as_of") or call.now
    async with call.app.database.read_transaction(call.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        (found,) = await call.app.value_reader.read_in_scope(scope, [(profile_id, as_of)])
        assert found is not None  # noqa: S101 - it lives in this snapshot
        facts = await explain.contributing_rows(scope, profile_id, aggregation, as_of)
    return data_envelope(
        {
            "name": aggregation.name,
            "value": found.values((aggregation,))[aggregation.name],
            "type": aggregation.type.value[0],
            "definition": aggregation.description,
            "as_of": format_timestamp(as_of),
            **facts,
        }
    )


async def value_history(call: RequestContext) -> dict[str, Any]:
    """How a value went: what it was at `from`, then each change up to `to`."""
    (aggregation,) = find_aggregations([_required(call, "name")], "name")
    profile_id = call.path_uuid()
    start, end = parse_past_instant(call, "from"), parse_past_instant(call, "to") or call.now
    if start is None:
        raise field_error("from", "is required: the instant to begin at")
    if start > end:
        raise field_error("from", "must not be after to")
    async with call.app.database.read_transaction(call.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        return data_envelope(
            await history.value_changes(call.app.value_reader, scope, profile_id, aggregation, start, end)
        )


def _required(call: RequestContext, name: str) -> str:
    text = call.query_params.get(name, "")
    if not text:
        raise field_error(name, "is required: the name of an aggregation")
    return text


async def reject_write(call: RequestContext) -> None:
    """Values are derived: nobody writes them."""
    raise ApiError(405, "Aggregations are read only: they follow from the facts.", headers={"Allow": "GET, HEAD"})


_KINDS = {
    ValueType.MONEY: JsonType.DECIMAL,
    ValueType.PERCENT: JsonType.DECIMAL,
    ValueType.INTEGER: JsonType.INTEGER,
    ValueType.TIMESTAMP: JsonType.TIMESTAMP,
    ValueType.AS_OF: JsonType.TIMESTAMP,
    ValueType.LOCATION: JsonType.OBJECT,
    ValueType.LOCATIONS: JsonType.LIST,
    ValueType.STRINGS: JsonType.LIST,
    ValueType.PROFILE_ID: JsonType.UUID,
}

VALUES_RESOURCE = Resource(
    "aggregations",
    "aggregations AS r",
    tuple(
        ResourceField(each.name, _KINDS.get(each.type, JsonType.STRING), description=each.description)
        for each in serialization.ALL_AGGREGATIONS
    ),
    key="profile_id",
)
"""What the documents say of a profile's values, from their declarations."""

_AS_OF = {"as_of": "A past instant, ISO 8601: the values as they were true then."}
_NAME = {"name": "The name of an aggregation."}

READ_VALUES = Endpoint(
    "GET",
    _V3,
    "Every value of a profile",
    read_handler=read_values,
    resource=VALUES_RESOURCE,
    permit=permits.PROFILE_READ,
    subject="id",
    tag=_TAG,
    query_params=_AS_OF,
)

ENDPOINTS = (
    READ_VALUES,
    Endpoint(
        "GET",
        "/profiles/{id}/aggregations",
        "The values of the first version of this API",
        read_handler=read_values_v1,
        permit=permits.PROFILE_READ,
        subject="id",
        tag=_TAG,
    ),
    Endpoint(
        "GET",
        f"{_V3}/calculate",
        "Recalculate from the facts, store, and show",
        write_handler=recalculate,
        resource=VALUES_RESOURCE,
        permit=permits.PROFILE_READ,
        subject="id",
        tag=_TAG,
    ),
    Endpoint(
        "GET",
        f"{_V3}/explain",
        "Why a value is what it is",
        read_handler=explain_value,
        permit=permits.PROFILE_READ,
        subject="id",
        tag=_TAG,
        query_params={**_NAME, **_AS_OF},
    ),
    Endpoint(
        "GET",
        f"{_V3}/history",
        "How a value went over time",
        read_handler=value_history,
        permit=permits.PROFILE_READ,
        subject="id",
        tag=_TAG,
        query_params={
            **_NAME,
            "from": "The instant to begin at.",
            "to": "The instant to end at; now where it is missing.",
        },
    ),
    Endpoint(
        "POST",
        "/api/v3/profiles/aggregations/query",
        "The values of many profiles",
        read_handler=query_values,
        request_model=AggregationsQuery,
        permit=permits.PROFILE_READ,
        tag=_TAG,
    ),
    Endpoint(
        "GET",
        _MINE,
        "The member's own values",
        read_handler=read_values,
        resource=VALUES_RESOURCE,
        caller=Caller.MEMBER,
        permit=permits.PROFILE_READ,
        tag="member",
    ),
    Endpoint(
        "GET",
        f"{_MINE}/calculate",
        "Recalculate the member's own values",
        write_handler=recalculate,
        caller=Caller.MEMBER,
        permit=permits.PROFILE_READ,
        tag="member",
    ),
    *(
        Endpoint(
            method,
            _V3,
            "Not allowed: values are derived",
            read_handler=reject_write,
            permit=permits.PROFILE_READ,
            subject="id",
            tag=_TAG,
            status=405,
        )
        for method in ("POST", "PUT", "PATCH", "DELETE")
    ),
)
