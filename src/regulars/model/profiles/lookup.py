"""Finds profiles by their id, external id, e-mail address, phone number or identity, and locks them."""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
import uuid_utils.compat

from regulars.core import phones
from regulars.core.errors import NotFoundError
from regulars.model.profiles.schema import COLUMNS, Profile
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.array_literals import array_literal
from regulars.storage.database import Scope

ProfileRef = tuple[str, str]
"""A handle (`id`, `external_id`, `email`, `mobile_phone`, or that of an identity) and its value."""

EXTERNAL_ID_OR_ID = "external_id_or_id"
"""The handle of a value that is an external id or else a profile's id, as in files."""


def new_id() -> UUID:
    """Creates an id for a new profile; later ids are larger."""
    return uuid_utils.compat.uuid7()


async def require_active(scope: Scope, profile_id: UUID) -> None:
    """Raises NotFoundError for an unknown or deleted profile; for a merged one the error names its destination."""
    row = await scope.fetchrow(
        "SELECT merged_into, deleted_at FROM profiles WHERE community_id = $1 AND profile_id = $2",
        scope.community_id,
        profile_id,
    )
    if row is None or row["deleted_at"] is not None:
        raise not_found_error(profile_id, None if row is None else row["merged_into"])


def not_found_error(profile_id: UUID, merged_into: UUID | None) -> NotFoundError:
    """The error for a profile that does not exist, was deleted or was merged."""
    if merged_into is None:
        return NotFoundError(f"There is no profile {profile_id}.")
    return NotFoundError(f"The profile {profile_id} was merged into {merged_into}.", {"merged_into": str(merged_into)})


_LOCKED = f"""
SELECT profile_id, {", ".join(COLUMNS)}
FROM profiles
WHERE community_id = $1 AND profile_id = ANY ($2)
ORDER BY profile_id
FOR NO KEY UPDATE
"""


async def fetch_for_update(uow: UnitOfWork, profile_ids: Iterable[UUID]) -> dict[UUID, Profile]:
    """Locks profiles in the order of their ids and returns them, including deleted and merged ones."""
    requested = sorted(set(profile_ids))
    if not requested:
        return {}
    rows = await uow.fetch(_LOCKED, uow.community_id, requested)
    return {row["profile_id"]: Profile(**_decoded(row)) for row in rows}


def _decoded(row: Any) -> dict[str, Any]:
    return {
        name: msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value for name, value in row.items()
    }


async def lock(uow: UnitOfWork, profile_ids: Iterable[UUID]) -> None:
    """Locks profiles in the order of their ids."""
    await uow.execute(
        """
        SELECT FROM profiles
        WHERE community_id = $1 AND profile_id = ANY ($2)
        ORDER BY profile_id
        FOR NO KEY UPDATE
        """,
        uow.community_id,
        sorted(set(profile_ids)),
    )


async def fetch_one_for_update(uow: UnitOfWork, profile_id: UUID) -> Profile:
    """Locks a profile and returns it. Raises NotFoundError if it does not exist, was deleted or was merged."""
    found = (await fetch_for_update(uow, [profile_id])).get(profile_id)
    if found is None or found.deleted_at is not None:
        raise not_found_error(profile_id, None if found is None else found.merged_into)
    return found


# By reference -------------------------------------------------------------------------------------------

# Each profile is looked up by its key, and deleted ones are left out afterwards: while the table has no statistics, the
# planner might otherwise read all profiles of the community for each reference.
_BY_KEY = """
CROSS JOIN LATERAL (
    SELECT profile_id, merged_into, deleted_at
    FROM profiles
    WHERE community_id = $1 AND profile_id = {profile_id}
    OFFSET 0
) AS {name}
"""

# A merged profile leads to its destination in one step. CASE is leakproof; COALESCE is not, so row-level security would
# rule out the index.
_ACTIVE_OF_NAMED = _BY_KEY.format(
    name="active", profile_id="CASE WHEN named.merged_into IS NULL THEN named.profile_id ELSE named.merged_into END"
)

BY_ID = f"""
SELECT input.ref::text AS value, active.profile_id
FROM unnest($2::text::uuid[]) AS input (ref)
{_BY_KEY.format(name="named", profile_id="input.ref")}
{_ACTIVE_OF_NAMED}
WHERE active.deleted_at IS NULL
"""
"""Finds the active profiles of community $1 by the ids $2, an array literal: the requested id and that of the profile."""

_BY_EXTERNAL_ID = f"""
SELECT named.external_id AS value, active.profile_id
FROM profiles AS named
{_ACTIVE_OF_NAMED}
WHERE named.community_id = $1 AND named.external_id = ANY ($2::text::text[]) AND active.deleted_at IS NULL
"""

_BY_EMAIL = """
SELECT input.ref AS value, active.profile_id
FROM unnest($2::text::text[]) AS input (ref)
JOIN profiles AS active
    ON active.community_id = $1 AND active.email_normalized = lower(input.ref) AND active.deleted_at IS NULL
"""

_BY_FORMER = f"""
SELECT DISTINCT ON (input.ref) input.ref AS value, active.profile_id
FROM unnest($2::text::text[]) AS input (ref)
JOIN profiles AS named ON named.community_id = $1 AND named.merged_into IS NOT NULL AND {{condition}}
{_BY_KEY.format(name="active", profile_id="named.merged_into")}
WHERE active.deleted_at IS NULL
ORDER BY input.ref, named.deleted_at DESC
"""

_BY_FORMER_VALUE = {
    "email": _BY_FORMER.format(condition="named.email_normalized = lower(input.ref)"),
    "mobile_phone": _BY_FORMER.format(
        condition="(named.mobile_phone = input.ref OR named.mobile_phone_e164 = input.e164)"
    ).replace("unnest($2::text::text[]) AS input (ref)", "unnest($2::text::text[], $3::text[]) AS input (ref, e164)"),
}
"""Finds the profiles that others with an e-mail address or a phone number were merged into."""

_BY_PHONE = """
SELECT active.mobile_phone AS value, active.profile_id
FROM profiles AS active
WHERE active.community_id = $1 AND active.mobile_phone = ANY ($2::text::text[]) AND active.deleted_at IS NULL
UNION
SELECT input.ref, active.profile_id
FROM unnest($2::text::text[], $3::text[]) AS input (ref, e164)
JOIN profiles AS active
    ON active.community_id = $1 AND active.mobile_phone_e164 = input.e164 AND active.deleted_at IS NULL
"""

_BY_IDENTITY = f"""
SELECT identities.handle, identities.identifier AS value, active.profile_id
FROM unnest($2::text[], $3::text[]) AS input (handle, identifier)
JOIN identities
    ON identities.community_id = $1
    AND identities.handle = input.handle
    AND identities.identifier = input.identifier
{_BY_KEY.format(name="active", profile_id="identities.profile_id")}
WHERE active.deleted_at IS NULL
"""

_BY_COLUMN = {"external_id": _BY_EXTERNAL_ID, "email": _BY_EMAIL, "mobile_phone": _BY_PHONE}


async def resolve(scope: Scope, refs: Collection[ProfileRef]) -> dict[ProfileRef, UUID]:
    """The ids of active profiles by reference. A reference to a merged profile resolves to its destination; its e-mail
    address and phone number do so until another profile has them.

    Unknown references are left out.
    """
    found = await find_holders(scope, refs)
    for handle, statement in _BY_FORMER_VALUE.items():
        values = sorted(value for name, value in set(refs) - found.keys() if name == handle)
        if values:
            found |= await _by_value(scope, handle, statement, values)
    return found


async def _by_value(scope: Scope, handle: str, statement: str, values: Sequence[str]) -> dict[ProfileRef, UUID]:
    more: list[object] = []
    if handle == "mobile_phone":
        country = await scope.fetchval("SELECT country FROM communities WHERE id = $1", scope.community_id)
        more = [[phones.to_e164(value, country) for value in values]]
    rows = await scope.fetch(statement, scope.community_id, array_literal(values), *more)
    return {(handle, row["value"]): row["profile_id"] for row in rows}


async def find_holders(scope: Scope, refs: Collection[ProfileRef]) -> dict[ProfileRef, UUID]:
    """The ids of active profiles by reference, without the former e-mail addresses and phone numbers of merged ones."""
    by_handle: dict[str, set[str]] = {}
    for handle, value in refs:
        by_handle.setdefault(handle, set()).add(value)
    either = by_handle.pop(EXTERNAL_ID_OR_ID, set())
    found: dict[ProfileRef, UUID] = {}
    for handle, statement in _BY_COLUMN.items():
        values = by_handle.pop(handle, set()) | (either if handle == "external_id" else set())
        if values:
            found |= await _by_value(scope, handle, statement, sorted(values))
    no_external_ids = {value for value in either if ("external_id", value) not in found}
    found |= await _by_id(scope, by_handle.pop("id", set()) | no_external_ids)
    identities = [(handle, value) for handle, values in by_handle.items() for value in values]
    found |= await _by_identity(scope, identities)
    for value in either:
        profile_id = found.get(("external_id", value)) or found.get(("id", value))
        if profile_id is not None:
            found[(EXTERNAL_ID_OR_ID, value)] = profile_id
    return {ref: found[ref] for ref in set(refs) if ref in found}


_DELETED = """
SELECT external_id AS value, profile_id
FROM profiles
WHERE community_id = $1 AND external_id = ANY ($2) AND deleted_at IS NOT NULL AND merged_into IS NULL
UNION ALL
SELECT input.ref, profiles.profile_id
FROM unnest($2::text[], $3::uuid[]) AS input (ref, id)
JOIN profiles ON profiles.community_id = $1 AND profiles.profile_id = input.id
WHERE profiles.deleted_at IS NOT NULL AND profiles.merged_into IS NULL
"""


async def find_deleted(scope: Scope, values: Collection[str]) -> dict[str, UUID]:
    """The ids of deleted profiles, but not of merged ones, by external id or id."""
    names = sorted(values)
    rows = await scope.fetch(_DELETED, scope.community_id, names, [_canonical_uuid(name) for name in names])
    return {row["value"]: row["profile_id"] for row in rows}


async def _by_id(scope: Scope, values: Iterable[str]) -> dict[ProfileRef, UUID]:
    ids = {value: uuid for value in values if (uuid := _canonical_uuid(value)) is not None}
    if not ids:
        return {}
    rows = await scope.fetch(BY_ID, scope.community_id, array_literal(sorted(set(ids.values()))))
    targets = {row["value"]: row["profile_id"] for row in rows}
    return {("id", value): targets[uuid] for value, uuid in ids.items() if uuid in targets}


is_canonical_uuid = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
"""Whether a text is a UUID in canonical form, which needs no parsing."""


def _canonical_uuid(text: str) -> str | None:
    if is_canonical_uuid(text):
        return text
    try:
        return str(UUID(text))
    except ValueError:
        return None


async def _by_identity(scope: Scope, refs: Collection[ProfileRef]) -> dict[ProfileRef, UUID]:
    if not refs:
        return {}
    handles, identifiers = zip(*sorted(refs), strict=True)
    rows = await scope.fetch(_BY_IDENTITY, scope.community_id, list(handles), list(identifiers))
    return {(row["handle"], row["value"]): row["profile_id"] for row in rows}
