"""Identities: identifiers of profiles in other systems. A handle and identifier belong to at most one profile."""

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from regulars.core import validation
from regulars.core.errors import NotFoundError, ValidationError, field_error
from regulars.core.field_type import FieldType
from regulars.model.concurrency import UniqueConflictError
from regulars.model.repository import EntityTable
from regulars.model.resource import Resource, ResourceField
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Scope

MAX_IDENTITIES = 1000
"""The maximum number of identities of a profile."""

EXISTS_MESSAGE = "The identity exists"


class IdentityIn(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of an identity in a request. Absent fields are unchanged."""

    id: validation.Id = UNSET
    handle: validation.Text = UNSET
    identifier: validation.Code = UNSET
    is_primary: validation.Bool = UNSET
    is_active: validation.Bool = UNSET


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """A validated identity: the fields of the request."""

    id: int | None
    handle: str | None
    identifier: str | None
    extra: Mapping[str, bool | None]


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity of a profile; `id` is None until it is stored."""

    id: int | None
    profile_id: UUID
    handle: str
    identifier: str
    extra: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """The handle and identifier, which are unique in a community."""
        return self.handle, self.identifier


def _flag(name: str, default: str) -> ResourceField:
    return ResourceField(name, FieldType.BOOLEAN, f"coalesce((r.extra ->> '{name}')::boolean, {default})")


IDENTITIES = Resource(
    "identity",
    "identities AS r",
    (
        ResourceField("id", FieldType.INTEGER),
        ResourceField("handle", FieldType.STRING),
        ResourceField("identifier", FieldType.STRING),
        _flag("is_primary", "false"),
        _flag("is_active", "true"),
        ResourceField("profile_id", FieldType.UUID),
        ResourceField("created_at", FieldType.TIMESTAMP),
        ResourceField("updated_at", FieldType.TIMESTAMP),
    ),
)

_NEW: Mapping[str, Any] = {"is_primary": False, "is_active": True}

_TABLE = EntityTable(
    "identities",
    {"profile_id": "uuid", "handle": "text", "identifier": "text", "extra": "jsonb"},
    unique_fields={"identities_by_identifier": "identifier"},
    is_soft_deleted=False,
)


def validate(identity: IdentityIn, require_all: bool = True) -> IdentityRow:
    """Validates an identity; with `require_all` it must have a handle and an identifier. Raises ValidationError."""
    reader = validation.FieldReader()
    reader.read("handle", identity.handle, validation.check_text)
    reader.read("identifier", identity.identifier, validation.check_code)
    for name in ("is_primary", "is_active"):
        reader.read(name, getattr(identity, name), bool)
    for name in ("handle", "identifier"):
        if (require_all or name in reader.columns) and not reader.columns.get(name):
            reader.errors.setdefault(name, "is required")
    columns = reader.result()
    return IdentityRow(
        id=identity.id if isinstance(identity.id, int) else None,
        handle=columns.pop("handle", None),
        identifier=columns.pop("identifier", None),
        extra=columns,
    )


def validate_list(identities: Sequence[IdentityIn]) -> tuple[IdentityRow, ...]:
    """Validates the identities of a profile. Raises ValidationError with paths below the list."""
    if len(identities) > MAX_IDENTITIES:
        raise ValidationError({"": f"must be at most {MAX_IDENTITIES} identities"})
    rows: list[IdentityRow] = []
    errors: dict[str, str] = {}
    for index, identity in enumerate(identities):
        try:
            rows.append(validate(identity))
        except ValidationError as error:
            errors |= error.with_prefix(str(index)).errors
    if errors:
        raise ValidationError(errors)
    return tuple(rows)


_SELECT = """
SELECT id, profile_id, handle, identifier, extra
FROM identities
WHERE community_id = $1 AND {condition}
ORDER BY id
"""

# Each identity is looked up by a key. The lateral with OFFSET keeps this also in tables without statistics.
_IS_OF_ROWS = """id = ANY (ARRAY(
    SELECT same.id
    FROM unnest($2::text[], $3::text[]) AS input (handle, identifier)
    CROSS JOIN LATERAL (
        SELECT id
        FROM identities
        WHERE community_id = $1 AND handle = input.handle AND identifier = input.identifier
        OFFSET 0
    ) AS same
    UNION ALL
    SELECT unnest($4::bigint[])
))"""


async def _fetch(scope: Scope, condition: str, *bound: object) -> list[Identity]:
    rows = await scope.fetch(_SELECT.format(condition=condition), scope.community_id, *bound)
    return [Identity(**{**row, "extra": {**_NEW, **msgspec.json.decode(row["extra"])}}) for row in rows]


IdentityIndex = dict[tuple[str, str] | int, Identity]
"""Identities by handle and identifier, and by id."""


async def find_existing(uow: UnitOfWork, rows: Iterable[IdentityRow]) -> IdentityIndex:
    """The stored identities with the ids, or the handles and identifiers, of rows."""
    planned = list(rows)
    if not planned:
        return {}
    found = await _fetch(
        uow,
        _IS_OF_ROWS,
        [row.handle for row in planned],
        [row.identifier for row in planned],
        [row.id for row in planned if row.id is not None],
    )
    return {key: each for each in found if each.id is not None for key in (each.key, each.id)}


def plan_upsert(profile_id: UUID, rows: Sequence[IdentityRow], existing: IdentityIndex) -> list[Identity]:
    """The identities to create (without an id) or update for a profile to have those of `rows`; others are unchanged.

    Rows match by id, else by handle and identifier; of rows of the same identity the later one wins. A new identity may
    take the handle and identifier that an earlier row changed. The planned ones are added to `existing`, and none if
    it raises ValidationError, with paths below the list, for an identity of another profile.
    """
    known: ChainMap[tuple[str, str] | int, Identity] = ChainMap({}, existing)
    planned: dict[tuple[str, str] | int, Identity] = {}
    for index, row in enumerate(rows):
        before = known.get(row.id) if row.id is not None else None
        if before is None or before.profile_id != profile_id:
            before = _current_holder(known, (row.handle or "", row.identifier or ""))
        after = _with(before or Identity(None, profile_id, "", "", _NEW), row)
        holder = known.get(after.key) if before is not None else None
        if after.profile_id != profile_id or (holder is not None and holder.id != after.id):
            raise field_error(f"{index}.identifier", EXISTS_MESSAGE)
        if after != before:
            place = after.key if after.id is None else after.id
            planned[place] = known[after.key] = known[place] = after
    changed = [each for place, each in planned.items() if existing.get(place) != each]
    existing.update(known.maps[0])
    return changed


def _current_holder(index: Mapping[tuple[str, str] | int, Identity], key: tuple[str, str]) -> Identity | None:
    """The identity with a handle and identifier, unless an earlier row has changed them."""
    found = index.get(key)
    current = found if found is None or found.id is None else index[found.id]
    return current if current is not None and current.key == key else None


def _with(before: Identity, row: IdentityRow) -> Identity:
    return replace(
        before,
        handle=row.handle or before.handle,
        identifier=row.identifier or before.identifier,
        extra={**before.extra, **{name: flag for name, flag in row.extra.items() if flag is not None}},
    )


async def write(uow: UnitOfWork, planned: Sequence[Identity]) -> None:
    """Creates and updates identities. Raises UniqueConflictError if a concurrent writer created one of them."""
    created = [_columns(each) for each in planned if each.id is None]
    updated = [_columns(each) | {"id": each.id} for each in planned if each.id is not None]
    try:
        await _TABLE.update(uow, updated)
    except ValidationError as error:
        raise UniqueConflictError from error
    if len(await _TABLE.insert(uow, created)) < len(created):
        raise UniqueConflictError


async def check_limit(uow: UnitOfWork, profile_ids: Sequence[UUID]) -> None:
    """Raises ValidationError if one of the profiles has more than MAX_IDENTITIES identities."""
    found = await uow.fetchval(
        """
        SELECT max(identities)
        FROM (
            SELECT count(*) AS identities
            FROM identities
            WHERE community_id = $1 AND profile_id = ANY ($2)
            GROUP BY profile_id
        ) AS counted
        """,
        uow.community_id,
        profile_ids,
    )
    if found is not None and found > MAX_IDENTITIES:
        raise field_error("identities", f"must be at most {MAX_IDENTITIES} of one profile")


def _columns(identity: Identity) -> dict[str, Any]:
    return {
        "profile_id": identity.profile_id,
        "handle": identity.handle,
        "identifier": identity.identifier,
        "extra": identity.extra,
    }


# Identities of one locked profile -------------------------------------------------------------------------


async def create(uow: UnitOfWork, profile_id: UUID, identity: IdentityIn) -> int:
    """Creates an identity and returns its ID. Raises ValidationError."""
    row = validate(identity)
    if await find_existing(uow, [row]):
        raise field_error("identifier", EXISTS_MESSAGE)
    created = await _TABLE.insert_one(uow, _columns(_with(Identity(None, profile_id, "", "", _NEW), row)))
    await check_limit(uow, [profile_id])
    uow.mark_dirty(profile_id, "identity.created")
    uow.record_event("profile.updated", profile_id)
    return created


async def list_by_profile(scope: Scope, profile_id: UUID) -> list[Identity]:
    """Returns all identities of a profile."""
    return await _fetch(scope, "profile_id = $2", profile_id)


async def get_matching(scope: Scope, profile_id: UUID, handle_or_id: str | int) -> list[Identity]:
    """Returns the identities of a profile with a handle or an id. Raises NotFoundError if there is none."""
    column = "id" if isinstance(handle_or_id, int) else "handle"
    found = await _fetch(scope, f"profile_id = $2 AND {column} = $3", profile_id, handle_or_id)
    if not found:
        raise NotFoundError(f"There is no identity {handle_or_id} of this profile.")
    return found


async def update(uow: UnitOfWork, profile_id: UUID, handle_or_id: str | int, identity: IdentityIn) -> int:
    """Updates an identity and returns its ID; by handle the newest one.

    Raises ValidationError and NotFoundError.
    """
    row = validate(identity, require_all=False)
    before = (await get_matching(uow, profile_id, handle_or_id))[-1]
    after = _with(before, row)
    holder = (await find_existing(uow, [IdentityRow(None, *after.key, {})])).get(after.key)
    if holder is not None and holder.id != after.id:
        raise field_error("identifier", EXISTS_MESSAGE)
    if after != before:
        await _TABLE.update(uow, [_columns(after) | {"id": after.id}])
        uow.mark_dirty(profile_id, "identity.changed")
        uow.record_event("profile.updated", profile_id)
    assert after.id is not None  # noqa: S101
    return after.id


async def delete(uow: UnitOfWork, profile_id: UUID, handle_or_id: str | int) -> None:
    """Deletes the identity with an id, or all of a handle. Raises NotFoundError."""
    matching = await get_matching(uow, profile_id, handle_or_id)
    await _TABLE.delete(uow, "id = ANY ($2)", [each.id for each in matching])
    uow.mark_dirty(profile_id, "identity.deleted")
    uow.record_event("profile.updated", profile_id)
