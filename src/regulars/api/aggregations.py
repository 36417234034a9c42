"""What is known of one profile: its values now and as of any instant, why, and how they went."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from regulars.access import permits
from regulars.aggregations import explain, history, wire
from regulars.aggregations.aggregation import Aggregation, Type
from regulars.aggregations.reading import Read
from regulars.api.endpoint import Call, Caller, Endpoint, data
from regulars.api.errors import ApiError
from regulars.facts import profile_lookup
from regulars.facts.instants import instant, written
from regulars.facts.refusals import refuse
from regulars.facts.resource import Field, Kind, Resource
from regulars.facts.writing import Writing

_V3 = "/api/v3/profiles/{id}/aggregations"
_MINE = "/id/api/v1/profiles/me/aggregations"
_TAG = "aggregations"


def past(call: Call, name: str) -> datetime | None:
    """An instant of the query that is not in the future; None where it is not given."""
    text = call.query.get(name, "")
    if not text:
        return None
    try:
        at = instant(text.replace(" ", "+") if text.count(" ") == 1 and "T" in text else text)
    except ValueError as error:
        raise refuse(name, str(error)) from None
    if at > call.now:
        raise refuse(name, "must not be in the future")
    return at


def named(names: Sequence[str] | None, path: str) -> tuple[Aggregation, ...]:
    """The aggregations of those names; all where none are given. Raises Refused for one that is not there."""
    try:
        return wire.named(names)
    except KeyError as error:
        raise refuse(path, f"there is no aggregation {error.args[0]!r}") from None


async def _read(call: Call, profile_id: UUID, as_of: datetime | None) -> Read:
    reader = call.server.reader
    if as_of is None:
        found = await reader.read(call.community_id, profile_id)
    else:
        (found,) = await reader.read_as_of(call.community_id, [(profile_id, as_of)])
    if found is None:
        async with call.server.database.reading(call.community_id) as scope:
            await profile_lookup.living(scope, profile_id)
        raise profile_lookup.gone(profile_id, None)
    return found


async def show(call: Call) -> dict[str, Any]:
    """Every value, now or as of a past instant."""
    return data((await _read(call, call.uuid(), past(call, "as_of"))).values())


async def show_bare(call: Call) -> dict[str, Any]:
    """The first version's object: its keys, in its order."""
    return (await _read(call, call.uuid(), None)).values(wire.SEED)


async def calculate(call: Call, writing: Writing) -> dict[str, Any]:
    """Recalculates from the facts, stores, and gives the values."""
    profile_id = call.uuid()
    await profile_lookup.living(writing, profile_id)
    writing.touch(profile_id, "recalculation")
    await call.server.settle(writing)
    (found,) = await call.server.reader.read_in(writing, [(profile_id, call.now)])
    assert found is not None  # noqa: S101 - it was required above, and is locked since
    return data(found.values())


class Query(msgspec.Struct, frozen=True):
    """Which profiles, which values, as of when."""

    profile_ids: Annotated[tuple[str, ...], Meta(max_length=1000)]
    names: tuple[str, ...] | None = None
    as_of: str | None = None


async def query(call: Call) -> dict[str, Any]:
    """Many profiles at once, in the order asked; unknown ones are null."""
    asked: Query = call.body
    shown = named(asked.names, "names")
    call.query = {"as_of": asked.as_of or ""}
    as_of = past(call, "as_of")
    profile_ids: list[UUID | None] = []
    for text in asked.profile_ids:
        try:
            profile_ids.append(UUID(text))
        except ValueError:
            profile_ids.append(None)
    known = [each for each in profile_ids if each is not None]
    if as_of is None:
        found = await call.server.reader.read_many(call.community_id, known)
    else:
        reads = await call.server.reader.read_as_of(call.community_id, [(each, as_of) for each in known])
        found = {profile_id: read for profile_id, read in zip(known, reads, strict=True) if read is not None}
    return data([found[each].values(shown) if each is not None and each in found else None for each in profile_ids])


async def show_explanation(call: Call) -> dict[str, Any]:
    """A value, what it means, and the facts that made it."""
    (aggregation,) = named([_required(call, "name")], "name")
    profile_id, as_of = call.uuid(), past(call, "as_of") or call.now
    async with call.server.database.reading(call.community_id) as scope:
        await profile_lookup.living(scope, profile_id)
        (found,) = await call.server.reader.read_in(scope, [(profile_id, as_of)])
        assert found is not None  # noqa: S101 - it lives in this snapshot
        facts = await explain.facts(scope, profile_id, aggregation, as_of)
    return data(
        {
            "name": aggregation.name,
            "value": found.values((aggregation,))[aggregation.name],
            "type": aggregation.type.value[0],
            "definition": aggregation.meaning,
            "as_of": written(as_of),
            **facts,
        }
    )


async def show_history(call: Call) -> dict[str, Any]:
    """How a value went: what it was at `from`, then each change up to `to`."""
    (aggregation,) = named([_required(call, "name")], "name")
    profile_id = call.uuid()
    start, end = past(call, "from"), past(call, "to") or call.now
    if start is None:
        raise refuse("from", "is required: the instant to begin at")
    if start > end:
        raise refuse("from", "must not be after to")
    async with call.server.database.reading(call.community_id) as scope:
        await profile_lookup.living(scope, profile_id)
        return data(await history.told(call.server.reader, scope, profile_id, aggregation, start, end))


def _required(call: Call, name: str) -> str:
    text = call.query.get(name, "")
    if not text:
        raise refuse(name, "is required: the name of an aggregation")
    return text


async def read_only(call: Call) -> None:
    """Values are derived: nobody writes them."""
    raise ApiError(405, "Aggregations are read only: they follow from the facts.", headers={"Allow": "GET, HEAD"})


_KINDS = {
    Type.MONEY: Kind.DECIMAL,
    Type.PERCENT: Kind.DECIMAL,
    Type.INTEGER: Kind.INTEGER,
    Type.INSTANT: Kind.TIME,
    Type.AS_OF: Kind.TIME,
    Type.LOCATION: Kind.OBJECT,
    Type.LOCATIONS: Kind.LIST,
    Type.STRINGS: Kind.LIST,
    Type.PROFILE_ID: Kind.UUID,
}

VALUES = Resource(
    "aggregations",
    "aggregations AS r",
    tuple(Field(each.name, _KINDS.get(each.type, Kind.STRING), meaning=each.meaning) for each in wire.ALL),
    key="profile_id",
)
"""What the documents say of a profile's values, from their declarations."""

_AS_OF = {"as_of": "A past instant, ISO 8601: the values as they were true then."}
_NAME = {"name": "The name of an aggregation."}

SHOW = Endpoint(
    "GET",
    _V3,
    "Every value of a profile",
    reads=show,
    shows=VALUES,
    permit=permits.PROFILE_READ,
    subject="id",
    tag=_TAG,
    query=_AS_OF,
)

ENDPOINTS = (
    SHOW,
    Endpoint(
        "GET",
        "/profiles/{id}/aggregations",
        "The values of the first version of this API",
        reads=show_bare,
        permit=permits.PROFILE_READ,
        subject="id",
        tag=_TAG,
    ),
    Endpoint(
        "GET",
        f"{_V3}/calculate",
        "Recalculate from the facts, store, and show",
        writes=calculate,
        shows=VALUES,
        permit=permits.PROFILE_READ,
        subject="id",
        tag=_TAG,
    ),
    Endpoint(
        "GET",
        f"{_V3}/explain",
        "Why a value is what it is",
        reads=show_explanation,
        permit=permits.PROFILE_READ,
        subject="id",
        tag=_TAG,
        query={**_NAME, **_AS_OF},
    ),
    Endpoint(
        "GET",
        f"{_V3}/history",
        "How a value went over time",
        reads=show_history,
        permit=permits.PROFILE_READ,
        subject="id",
        tag=_TAG,
        query={**_NAME, "from": "The instant to begin at.", "to": "The instant to end at; now where it is missing."},
    ),
    Endpoint(
        "POST",
        "/api/v3/profiles/aggregations/query",
        "The values of many profiles",
        reads=query,
        takes=Query,
        permit=permits.PROFILE_READ,
        tag=_TAG,
    ),
    Endpoint(
        "GET",
        _MINE,
        "The member's own values",
        reads=show,
        shows=VALUES,
        caller=Caller.MEMBER,
        permit=permits.PROFILE_READ,
        tag="member",
    ),
    Endpoint(
        "GET",
        f"{_MINE}/calculate",
        "Recalculate the member's own values",
        writes=calculate,
        caller=Caller.MEMBER,
        permit=permits.PROFILE_READ,
        tag="member",
    ),
    *(
        Endpoint(
            method,
            _V3,
            "Not allowed: values are derived",
            reads=read_only,
            permit=permits.PROFILE_READ,
            subject="id",
            tag=_TAG,
            status=405,
        )
        for method in ("POST", "PUT", "PATCH", "DELETE")
    ),
)
