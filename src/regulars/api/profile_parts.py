"""What a profile consists of, over HTTP: addresses, identities, and how it may be reached."""

from typing import Any
from uuid import UUID

from msgspec import UNSET

from regulars.access import permits
from regulars.api.endpoint import Call, Caller, Endpoint, Reads, data, page
from regulars.api.errors import ApiError
from regulars.facts import addresses, consents, identities, member_handles, profile_lookup, profiles
from regulars.facts.addresses import ADDRESSES, AddressIn
from regulars.facts.identities import IDENTITIES, IdentityIn
from regulars.facts.profiles import COMMS
from regulars.facts.refusals import refuse
from regulars.facts.resource import Resource, listed, listing, wire
from regulars.facts.writing import Writing
from regulars.storage.database import Scope


def _the_list(resource: Resource) -> Reads:
    async def reads(call: Call) -> dict[str, object]:
        profile_id = call.uuid()
        asked = listing(resource, call.query)
        async with call.server.database.reading(call.community_id) as scope:
            await profile_lookup.living(scope, profile_id)
            things, total = await listed(resource, scope, asked, "r.profile_id = {0}", profile_id)
        return page(call, things, total, asked.page.number, asked.page.size)

    return reads


async def _part(scope: Scope, resource: Resource, profile_id: UUID, part_id: int) -> dict[str, object]:
    found = await scope.fetchrow(
        resource.statement("r.profile_id = $2 AND r.id = $3"), scope.community_id, profile_id, part_id
    )
    return data(wire(found))


# Addresses ----------------------------------------------------------------------------------------------


async def _read_address(call: Call) -> dict[str, object]:
    profile_id, address_id = call.uuid(), call.integer("address_id")
    async with call.server.database.reading(call.community_id) as scope:
        await profile_lookup.living(scope, profile_id)
        await addresses.there(scope, profile_id, address_id)
        return await _part(scope, ADDRESSES, profile_id, address_id)


async def _create_address(call: Call, writing: Writing) -> dict[str, object]:
    profile_id = call.uuid()
    await profile_lookup.locked_one(writing, profile_id)
    return await _part(writing, ADDRESSES, profile_id, await addresses.create(writing, profile_id, call.body))


async def _update_address(call: Call, writing: Writing) -> dict[str, object]:
    profile_id, address_id = call.uuid(), call.integer("address_id")
    await profile_lookup.locked_one(writing, profile_id)
    await addresses.update(writing, profile_id, address_id, call.body)
    return await _part(writing, ADDRESSES, profile_id, address_id)


async def _delete_address(call: Call, writing: Writing) -> None:
    profile_id, address_id = call.uuid(), call.integer("address_id")
    await profile_lookup.locked_one(writing, profile_id)
    await addresses.delete(writing, profile_id, address_id)


# Identities ---------------------------------------------------------------------------------------------


async def _require_handle(call: Call, writing: Writing, profile_id: UUID, which: str | int | None = None) -> None:
    """Checks that a member may write a handle: the new one, and the one of the identity that is changed.

    Raises Refused for the new one, ApiError 403 for an identity that only the community may change.
    """
    if not call.principal.is_member:
        return
    handle = getattr(call.body, "handle", UNSET)
    if isinstance(handle, str) and (problem := member_handles.problem(writing.community, handle)):
        raise refuse("handle", problem)
    if which is not None:
        for identity in await identities.of(writing, profile_id, which):
            if problem := member_handles.problem(writing.community, identity.handle):
                raise ApiError(403, f"The handle {identity.handle} {problem}.")


def _which(call: Call) -> str | int:
    return call.integer("identity_id") if "identity_id" in call.path else call.path["handle"]


async def _read_identity(call: Call) -> dict[str, object]:
    profile_id, which = call.uuid(), _which(call)
    async with call.server.database.reading(call.community_id) as scope:
        await profile_lookup.living(scope, profile_id)
        newest = (await identities.of(scope, profile_id, which))[-1]
        return await _part(scope, IDENTITIES, profile_id, newest.id or 0)


async def _create_identity(call: Call, writing: Writing) -> dict[str, object]:
    profile_id = call.uuid()
    await profile_lookup.locked_one(writing, profile_id)
    await _require_handle(call, writing, profile_id)
    return await _part(writing, IDENTITIES, profile_id, await identities.create(writing, profile_id, call.body))


async def _update_identity(call: Call, writing: Writing) -> dict[str, object]:
    profile_id = call.uuid()
    await profile_lookup.locked_one(writing, profile_id)
    await _require_handle(call, writing, profile_id, _which(call))
    identity_id = await identities.update(writing, profile_id, _which(call), call.body)
    return await _part(writing, IDENTITIES, profile_id, identity_id)


async def _delete_identity(call: Call, writing: Writing) -> None:
    profile_id = call.uuid()
    await profile_lookup.locked_one(writing, profile_id)
    await _require_handle(call, writing, profile_id, _which(call))
    await identities.delete(writing, profile_id, _which(call))


# Comms --------------------------------------------------------------------------------------------------


async def _comms(scope: Scope, profile_id: UUID) -> dict[str, object]:
    return data(
        await scope.fetchval(
            f"SELECT {COMMS} FROM profiles AS r WHERE r.community_id = $1 AND r.profile_id = $2",
            scope.community_id,
            profile_id,
        )
    )


async def _read_comms(call: Call) -> dict[str, object]:
    profile_id = call.uuid()
    async with call.server.database.reading(call.community_id) as scope:
        await profile_lookup.living(scope, profile_id)
        return await _comms(scope, profile_id)


async def _write_comms(call: Call, writing: Writing) -> dict[str, object]:
    profile_id = call.uuid()
    try:
        written = consents.comms(call.body)
    except ValueError as error:
        raise refuse("", str(error)) from None
    await profiles.write_comms(writing, profile_id, written)
    return await _comms(writing, profile_id)


def parts(at: str, caller: Caller = Caller.COMMUNITY, subject: str = "", tag: str = "profiles") -> tuple[Endpoint, ...]:
    """The addresses and identities of the profile at a path."""

    def endpoint(method: str, path: str, summary: str, **more: Any) -> Endpoint:
        permit = permits.PROFILE_READ if method == "GET" else permits.PROFILE_WRITE
        return Endpoint(method, f"{at}{path}", summary, caller=caller, permit=permit, subject=subject, tag=tag, **more)

    address = {"takes": AddressIn, "shows": ADDRESSES}
    identity = {"takes": IdentityIn, "shows": IDENTITIES}
    one_address = "/addresses/{address_id}"
    made: list[Endpoint] = [
        endpoint("GET", "/addresses", "List addresses", reads=_the_list(ADDRESSES), shows=ADDRESSES, lists=True),
        endpoint("POST", "/addresses", "Make an address", writes=_create_address, status=201, **address),
        endpoint("GET", one_address, "Read an address", reads=_read_address, shows=ADDRESSES),
        endpoint("PUT", one_address, "Change what is given of an address", writes=_update_address, **address),
        endpoint("DELETE", one_address, "Delete an address", writes=_delete_address, status=204),
        endpoint("GET", "/identities", "List identities", reads=_the_list(IDENTITIES), shows=IDENTITIES, lists=True),
        endpoint("POST", "/identities", "Make an identity", writes=_create_identity, status=201, **identity),
    ]
    for path, by in (
        ("/identities/{handle}", "by its handle"),
        ("/identities/id/{identity_id}", "by its id"),
    ):
        made += [
            endpoint("GET", path, f"Read an identity {by}", reads=_read_identity, shows=IDENTITIES),
            endpoint("PUT", path, f"Change an identity {by}", writes=_update_identity, **identity),
            endpoint("DELETE", path, f"Delete an identity {by}", writes=_delete_identity, status=204),
        ]
    return tuple(made)


_AT = "/api/v3/profiles/{id}"

ENDPOINTS: tuple[Endpoint, ...] = (
    *parts(_AT, subject="id"),
    Endpoint(
        "GET",
        f"{_AT}/attributes/comms",
        "Read how a profile is reached",
        reads=_read_comms,
        permit=permits.PROFILE_READ,
        subject="id",
        tag="profiles",
    ),
    *(
        Endpoint(
            "PUT",
            f"{_AT}{path}",
            "Change how a profile is reached, and with it consents and statuses",
            writes=_write_comms,
            takes=dict[str, Any],
            permit=permits.PROFILE_WRITE,
            subject="id",
            tag="profiles",
        )
        for path in ("/attributes/comms", "/comms")
    ),
)
