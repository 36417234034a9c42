"""Memberships from files and imports: deleted members that join again become active, and keep their id."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from regulars.core.errors import ValidationError
from regulars.model import memberships
from regulars.model.memberships import MembershipRow, Outcome
from regulars.model.profiles import lookup
from regulars.model.profiles.profiles import set_type
from regulars.model.profiles.unique_values import find_conflicts
from regulars.model.unit_of_work import UnitOfWork

_REJOINED = """
SELECT profile_id
FROM profiles
WHERE community_id = $1 AND profile_id = ANY ($2)
    AND 'in' = (
        SELECT type
        FROM memberships
        WHERE community_id = $1 AND memberships.profile_id = profiles.profile_id AND occurred_at <= $3
        ORDER BY occurred_at DESC, id DESC
        LIMIT 1
    )
"""


async def write_memberships(uow: UnitOfWork, rows: Sequence[MembershipRow]) -> list[Outcome]:
    """Creates or updates memberships, also of deleted profiles, and returns an outcome per row.

    A deleted profile whose last membership is an `in` then is active again. A row is rejected if another profile has
    its e-mail address or phone number by now.
    """
    deleted = await lookup.find_deleted(uow, {row.profile for row in rows})
    if not deleted:
        return await memberships.upsert_many(uow, rows)
    errors = await _conflicts(
        uow, {deleted[row.profile] for row in rows if row.type == "in" and row.profile in deleted}
    )
    by_row = [errors.get(deleted[row.profile]) if row.type == "in" and row.profile in deleted else None for row in rows]
    valid = [row for row, error in zip(rows, by_row, strict=True) if error is None]
    written = iter(await memberships.upsert_many(uow, valid, deleted))
    rejoined = await uow.fetch(_REJOINED, uow.community_id, sorted(deleted.values()), uow.now)
    for each in rejoined:
        await set_type(uow, each["profile_id"], "active")
    return [next(written) if error is None else error for error in by_row]


async def _conflicts(uow: UnitOfWork, profile_ids: set[UUID]) -> dict[UUID, ValidationError]:
    """The errors of deleted profiles that can't become active again."""
    stored = list((await lookup.fetch_for_update(uow, profile_ids)).values())
    active = [msgspec.structs.replace(each, profile_type="active", deleted_at=None) for each in stored]
    found = await find_conflicts(uow, list(zip(stored, active, strict=True)))
    return {stored[index].profile_id: error for index, error in found.items()}
