"""The values of a profile: now or as of a past instant, with explanation and history."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from regulars.aggregations import explain, history, serialization
from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.definitions import FIRST_VERSION_ORDER, GROUPS
from regulars.aggregations.reader import ProfileValues
from regulars.api.profile import examples, impersonal, member_schemas, response_schemas
from regulars.auth import audit_rules, permits
from regulars.auth.authorization import Caller
from regulars.core.errors import field_error
from regulars.core.field_type import FieldType
from regulars.core.timestamps import format_timestamp, parse_timestamp
from regulars.ingest.commit import refresh_derived
from regulars.model import community as communities
from regulars.model.locations import EMBEDDED_LOCATIONS
from regulars.model.profiles import lookup
from regulars.model.resource import Resource, ResourceField
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope
from regulars.web.errors import ApiError

_PATH = "/api/v3/profiles/{id}/aggregations"
_MAX_POINTS = 200
_MEMBER_PATH = "/id/api/v1/profiles/me/aggregations"
_TAG = "aggregations"


def parse_past_instant(context: RequestContext, name: str) -> datetime | None:
    """The query parameter `name` as an instant that is not in the future; None if it is absent."""
    text = context.query_params.get(name, "")
    if not text:
        return None
    try:
        at = parse_timestamp(text.replace(" ", "+") if text.count(" ") == 1 and "T" in text else text)
    except ValueError as error:
        raise field_error(name, str(error)) from None
    if at > context.now:
        raise field_error(name, "must not be in the future")
    return at


def find_aggregations(names: Sequence[str] | None, path: str) -> tuple[Aggregation, ...]:
    """The aggregations with these names, or all of them. Raises ValidationError for an unknown name."""
    try:
        return serialization.aggregations_by_name(names)
    except KeyError as error:
        raise field_error(path, f"has the unknown aggregation {error.args[0]!r}") from None


async def _read(context: RequestContext, profile_id: UUID, as_of: datetime | None) -> ProfileValues:
    reader = context.app.value_reader
    if as_of is None:
        values = await reader.read(context.community_id, profile_id)
    else:
        (values,) = await reader.read_as_of(context.community_id, [(profile_id, as_of)])
    if values is None:
        async with context.app.database.read_transaction(context.community_id) as scope:
            await lookup.require_active(scope, profile_id)
        raise lookup.not_found_error(profile_id, None)
    return values


async def read_values(context: RequestContext) -> dict[str, Any]:
    """All values of a profile, now or as of a past instant."""
    return data_envelope((await _read(context, context.path_uuid(), parse_past_instant(context, "as_of"))).values())


async def read_values_v1(context: RequestContext) -> dict[str, Any]:
    """The values in the format of API version 1: its keys, in its order."""
    return (await _read(context, context.path_uuid(), None)).values(serialization.FIRST_VERSION_AGGREGATIONS)


async def recalculate(context: RequestContext, uow: UnitOfWork) -> dict[str, Any]:
    """Recalculates and stores the values of a profile."""
    profile_id = context.path_uuid()
    await lookup.require_active(uow, profile_id)
    uow.mark_dirty(profile_id, "recalculation")
    await refresh_derived(uow, context.app.database.clock)
    (values,) = await context.app.value_reader.read_in_scope(uow, [(profile_id, context.now)])
    assert values is not None  # noqa: S101 - the profile is active and locked
    return data_envelope(values.values())


class AggregationsQuery(msgspec.Struct, frozen=True):
    """Profiles and, optionally, names of values and a past instant."""

    profile_ids: Annotated[tuple[str, ...], Meta(max_length=1000)]
    names: tuple[str, ...] | None = None
    as_of: str | None = None


async def query_values(context: RequestContext) -> dict[str, Any]:
    """The values of many profiles, in the order of the request; null for an unknown profile."""
    query: AggregationsQuery = context.body
    selected = find_aggregations(query.names, "names")
    context.query_params = {"as_of": query.as_of or ""}
    as_of = parse_past_instant(context, "as_of")
    profile_ids: list[UUID | None] = []
    for text in query.profile_ids:
        try:
            profile_ids.append(UUID(text))
        except ValueError:
            profile_ids.append(None)
    known = [each for each in profile_ids if each is not None]
    if as_of is None:
        values_by_id = await context.app.value_reader.read_many(context.community_id, known)
    else:
        reads = await context.app.value_reader.read_as_of(context.community_id, [(each, as_of) for each in known])
        values_by_id = {profile_id: read for profile_id, read in zip(known, reads, strict=True) if read is not None}
    return data_envelope(
        [
            values_by_id[each].values(selected) if each is not None and each in values_by_id else None
            for each in profile_ids
        ]
    )


async def explain_value(context: RequestContext) -> dict[str, Any]:
    """A value, its definition, and the facts that contribute to it."""
    (aggregation,) = find_aggregations([_required(context, "name")], "name")
    profile_id, as_of = context.path_uuid(), parse_past_instant(context, "as_of") or context.now
    async with context.app.database.read_transaction(context.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        (values,) = await context.app.value_reader.read_in_scope(scope, [(profile_id, as_of)])
        assert values is not None  # noqa: S101 - the profile is active in this snapshot
        facts = await explain.contributing_rows(scope, profile_id, aggregation, as_of)
    if not permits.has_permit(context.principal.permits, permits.PROFILE_READ):
        facts = impersonal.without_personal_data(facts)
    return data_envelope(
        {
            "name": aggregation.name,
            "value": values.values((aggregation,))[aggregation.name],
            "type": aggregation.type.aggregation_name,
            "definition": aggregation.description,
            "as_of": format_timestamp(as_of),
            **facts,
        }
    )


async def value_history(context: RequestContext) -> dict[str, Any]:
    """The history of values: the value at `from`, then each change up to `to`; or the values at evenly spaced instants.

    A list for one name, lists by name for several.
    """
    names = [name for part in _required(context, "name").split(",") if (name := part.strip())]
    if not names:
        raise field_error("name", "is required")
    aggregations = find_aggregations(names, "name")
    profile_id = context.path_uuid()
    start, end = parse_past_instant(context, "from"), parse_past_instant(context, "to") or context.now
    if start is None:
        raise field_error("from", "is required")
    if start > end:
        raise field_error("from", "must not be after to")
    points = context.query_integer("points", 0, _MAX_POINTS) if context.query_params.get("points") else 0
    reader = context.app.value_reader
    async with context.app.database.read_transaction(context.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        if points:
            instants = [start + (end - start) * n / max(1, points - 1) for n in range(points)]
            found = await history.values_at(reader, scope, profile_id, aggregations, instants)
        else:
            found = await history.value_changes(reader, scope, profile_id, aggregations, start, end)
    return data_envelope(found if len(names) > 1 else found[names[0]])


async def list_declared_values(context: RequestContext) -> dict[str, Any]:
    """The values that profiles have: their types, units, groups and meanings, in the order of responses."""
    async with context.app.database.unscoped_connection() as connection:
        community = await communities.get_by_id(connection, context.community_id)
    return data_envelope(
        [
            {
                "name": each.name,
                "type": each.type.aggregation_name,
                "unit": _unit(each, community.currency),
                "group": GROUPS[each.name].value,
                "description": each.description,
                "codes": each.codes,
                "has_more_codes": each.has_more_codes,
                "is_explained_by_transactions": each.explain_filter is not None,
            }
            for each in serialization.ALL_AGGREGATIONS
        ]
    )


def _unit(aggregation: Aggregation, currency: str) -> str | None:
    if aggregation.unit is not None:
        return str(aggregation.unit.value)
    units = {FieldType.MONEY: currency, FieldType.PERCENT: "percent"}
    return units.get(aggregation.type)


def _required(context: RequestContext, name: str) -> str:
    text = context.query_params.get(name, "")
    if not text:
        raise field_error(name, "is required")
    return text


async def reject_write(context: RequestContext) -> None:
    """Raises ApiError 405: values are computed."""
    raise ApiError(405, "Aggregations are computed and read-only.", headers={"Allow": "GET, HEAD"})


VALUES_RESOURCE = Resource(
    "aggregations",
    "aggregations AS r",
    tuple(
        ResourceField(
            each.name,
            each.type,
            description=each.description,
            embeds=EMBEDDED_LOCATIONS if each.type is FieldType.LOCATION else None,
        )
        for each in serialization.ALL_AGGREGATIONS
    ),
    key="profile_id",
)
"""The values of a profile as a resource, for OpenAPI and documentation."""

_FIRST_VERSION = Resource(
    "aggregations of version 1",
    "aggregations AS r",
    tuple(field for name in FIRST_VERSION_ORDER if (field := VALUES_RESOURCE.field(name)) is not None),
    key="profile_id",
)

_AS_OF = {"as_of": "A past instant, ISO 8601; without it, the current values."}
_NAME = {"name": "The name of an aggregation."}

READ_VALUES = Endpoint(
    "GET",
    _PATH,
    "Get all values of a profile",
    read_handler=read_values,
    resource=VALUES_RESOURCE,
    permit=permits.PROFILE_READ,
    audit=audit_rules.READ_PROFILE,
    alternative_permit=permits.PROFILE_AGGREGATIONS,
    subject="id",
    tag=_TAG,
    query_params=_AS_OF,
)

ENDPOINTS = (
    READ_VALUES,
    Endpoint(
        "GET",
        "/api/v3/aggregations",
        "List the values of profiles with their types, units and meanings",
        read_handler=list_declared_values,
        schema=member_schemas.DECLARED_VALUES,
        permit=permits.PROFILE_READ,
        audit=audit_rules.NOTHING,
        alternative_permit=permits.PROFILE_AGGREGATIONS,
        tag=_TAG,
    ),
    Endpoint(
        "GET",
        "/profiles/{id}/aggregations",
        "Get all values in the format of API version 1",
        read_handler=read_values_v1,
        schema=response_schemas.bare_values(_FIRST_VERSION),
        permit=permits.PROFILE_READ,
        audit=audit_rules.READ_PROFILE,
        alternative_permit=permits.PROFILE_AGGREGATIONS,
        subject="id",
        tag=_TAG,
    ),
    Endpoint(
        "GET",
        f"{_PATH}/calculate",
        "Recalculate the values of a profile",
        write_handler=recalculate,
        resource=VALUES_RESOURCE,
        permit=permits.PROFILE_READ,
        audit=audit_rules.READ_PROFILE,
        subject="id",
        tag=_TAG,
    ),
    Endpoint(
        "GET",
        f"{_PATH}/explain",
        "Explain a value: the facts that contribute to it",
        read_handler=explain_value,
        schema=response_schemas.EXPLANATION,
        permit=permits.PROFILE_READ,
        audit=audit_rules.READ_PROFILE,
        alternative_permit=permits.PROFILE_AGGREGATIONS,
        subject="id",
        tag=_TAG,
        query_params={**_NAME, **_AS_OF},
    ),
    Endpoint(
        "GET",
        f"{_PATH}/history",
        "Get the history of a value",
        read_handler=value_history,
        schema=response_schemas.HISTORY,
        permit=permits.PROFILE_READ,
        audit=audit_rules.READ_PROFILE,
        alternative_permit=permits.PROFILE_AGGREGATIONS,
        subject="id",
        tag=_TAG,
        query_params={
            "name": "The name of an aggregation, or several separated by commas; then the response has a list for each.",
            "from": "Start of the history, ISO 8601.",
            "to": "End of the history, ISO 8601; the default is now.",
            "points": f"Instead of the changes, the values at so many evenly spaced instants, at most {_MAX_POINTS}; for charts.",
        },
    ),
    Endpoint(
        "POST",
        "/api/v3/profiles/aggregations/query",
        "Get the values of many profiles",
        read_handler=query_values,
        schema=response_schemas.selected_values(VALUES_RESOURCE),
        request_model=AggregationsQuery,
        request_example=examples.AGGREGATIONS_QUERY,
        permit=permits.PROFILE_READ,
        audit=audit_rules.READ_PROFILES,
        alternative_permit=permits.PROFILE_AGGREGATIONS,
        tag=_TAG,
    ),
    Endpoint(
        "GET",
        _MEMBER_PATH,
        "Get the member's own values",
        read_handler=read_values,
        resource=VALUES_RESOURCE,
        caller=Caller.MEMBER,
        permit=permits.PROFILE_READ,
        tag="members",
    ),
    Endpoint(
        "GET",
        f"{_MEMBER_PATH}/calculate",
        "Recalculate the member's own values",
        write_handler=recalculate,
        resource=VALUES_RESOURCE,
        caller=Caller.MEMBER,
        permit=permits.PROFILE_READ,
        tag="members",
    ),
    *(
        Endpoint(
            method,
            _PATH,
            "Not allowed: values are computed",
            read_handler=reject_write,
            permit=permits.PROFILE_READ,
            audit=audit_rules.NOTHING,
            subject="id",
            tag=_TAG,
            status=405,
        )
        for method in ("POST", "PUT", "PATCH", "DELETE")
    ),
)
