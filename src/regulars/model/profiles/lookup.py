"""Which profile is meant: by its id, its external id, its e-mail, or an identity."""

import re
from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

import msgspec
import uuid_utils.compat

from regulars.core.errors import NotFoundError
from regulars.model.profiles.schema import COLUMNS, Profile
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.array_literals import array_literal
from regulars.storage.database import Scope

ProfileRef = tuple[str, str]
"""A handle (`id`, `external_id`, `email`, or that of an identity) and the value under it."""

EXTERNAL_ID_OR_ID = "external_id_or_id"
"""The handle of a name that is an external id, else a profile's id, as in files."""


def new_id() -> UUID:
    """An id for a new profile; later ones are larger."""
    return uuid_utils.compat.uuid7()


async def require_active(scope: Scope, profile_id: UUID) -> None:
    """Raises NotFoundError where there is no such profile; of a merged one it says where it went."""
    row = await scope.fetchrow(
        "SELECT merged_into, deleted_at FROM profiles WHERE community_id = $1 AND profile_id = $2",
        scope.community_id,
        profile_id,
    )
    if row is None or row["deleted_at"] is not None:
        raise not_found_error(profile_id, None if row is None else row["merged_into"])


def not_found_error(profile_id: UUID, merged_into: UUID | None) -> NotFoundError:
    """The answer for a profile that is not there, or no more."""
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
    """The profiles with these ids, deleted and merged ones too, locked in the order of their ids."""
    wanted = sorted(set(profile_ids))
    if not wanted:
        return {}
    rows = await uow.fetch(_LOCKED, uow.community_id, wanted)
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
    """One profile, locked. Raises NotFoundError where it is not there, deleted or merged."""
    found = (await fetch_for_update(uow, [profile_id])).get(profile_id)
    if found is None or found.deleted_at is not None:
        raise not_found_error(profile_id, None if found is None else found.merged_into)
    return found


# By what others call them -------------------------------------------------------------------------------

# Merged profiles lead to the living one in one step. Written as CASE, which is leakproof, where COALESCE is not
# and would cost the index under row-level security.
_BY_ID = """
SELECT wanted.ref::text AS value, there.profile_id
FROM unnest($2::text::uuid[]) AS wanted (ref)
JOIN profiles AS meant ON meant.community_id = $1 AND meant.profile_id = wanted.ref
JOIN profiles AS there
    ON there.community_id = $1
    AND there.profile_id = CASE WHEN meant.merged_into IS NULL THEN meant.profile_id ELSE meant.merged_into END
WHERE there.deleted_at IS NULL
"""

_BY_EXTERNAL_ID = """
SELECT meant.external_id AS value, there.profile_id
FROM profiles AS meant
JOIN profiles AS there
    ON there.community_id = $1
    AND there.profile_id = CASE WHEN meant.merged_into IS NULL THEN meant.profile_id ELSE meant.merged_into END
WHERE meant.community_id = $1 AND meant.external_id = ANY ($2::text::text[]) AND there.deleted_at IS NULL
"""

_BY_EMAIL = """
SELECT wanted.ref AS value, there.profile_id
FROM unnest($2::text::text[]) AS wanted (ref)
JOIN profiles AS there
    ON there.community_id = $1 AND there.email_normalized = lower(wanted.ref) AND there.deleted_at IS NULL
"""

_BY_PHONE = """
SELECT there.mobile_phone AS value, there.profile_id
FROM profiles AS there
WHERE there.community_id = $1 AND there.mobile_phone = ANY ($2::text::text[]) AND there.deleted_at IS NULL
"""

_BY_IDENTITY = """
SELECT identities.handle, identities.identifier AS value, there.profile_id
FROM unnest($2::text[], $3::text[]) AS wanted (handle, identifier)
JOIN identities
    ON identities.community_id = $1
    AND identities.handle = wanted.handle AND identities.identifier = wanted.identifier
JOIN profiles AS there
    ON there.community_id = $1 AND there.profile_id = identities.profile_id
WHERE there.deleted_at IS NULL
"""

_OF_COLUMNS = {"external_id": _BY_EXTERNAL_ID, "email": _BY_EMAIL, "mobile_phone": _BY_PHONE}


async def resolve(scope: Scope, refs: Collection[ProfileRef]) -> dict[ProfileRef, UUID]:
    """The living profiles that refs mean; a merged one means the one it was merged into.

    What means no profile is left out.
    """
    by_handle: dict[str, set[str]] = {}
    for handle, value in refs:
        by_handle.setdefault(handle, set()).add(value)
    either = by_handle.pop(EXTERNAL_ID_OR_ID, set())
    found: dict[ProfileRef, UUID] = {}
    for handle, statement in _OF_COLUMNS.items():
        values = by_handle.pop(handle, set()) | (either if handle == "external_id" else set())
        if values:
            rows = await scope.fetch(statement, scope.community_id, array_literal(sorted(values)))
            found |= {(handle, row["value"]): row["profile_id"] for row in rows}
    nameless = {value for value in either if ("external_id", value) not in found}
    found |= await _by_id(scope, by_handle.pop("id", set()) | nameless)
    named = [(handle, value) for handle, values in by_handle.items() for value in values]
    found |= await _by_identity(scope, named)
    for value in either:
        profile_id = found.get(("external_id", value)) or found.get(("id", value))
        if profile_id is not None:
            found[(EXTERNAL_ID_OR_ID, value)] = profile_id
    return {ref: found[ref] for ref in set(refs) if ref in found}


async def _by_id(scope: Scope, values: Iterable[str]) -> dict[ProfileRef, UUID]:
    ids = {value: written for value in values if (written := _written(value)) is not None}
    if not ids:
        return {}
    rows = await scope.fetch(_BY_ID, scope.community_id, array_literal(sorted(set(ids.values()))))
    meant = {row["value"]: row["profile_id"] for row in rows}
    return {("id", value): meant[written] for value, written in ids.items() if written in meant}


is_canonical_uuid = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
"""Whether a text is a UUID as it is written, so that it need not be read."""


def _written(text: str) -> str | None:
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
