"""Identities: what other systems call a profile; a handle and identifier name one profile at most."""

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
"""No profile is sent with more identities."""

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
    """An identity that was checked: what was given of it."""

    id: int | None
    handle: str | None
    identifier: str | None
    extra: Mapping[str, bool | None]


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity as it is kept; `id` is None until it is."""

    id: int | None
    profile_id: UUID
    handle: str
    identifier: str
    extra: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """What names the profile."""
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
    """An identity held to its rules; a `whole` one has handle and identifier. Raises ValidationError."""
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
    """Identities of a profile, held to their rules. Raises ValidationError with paths below the list."""
    if len(identities) > MAX_IDENTITIES:
        raise ValidationError({"": f"must be at most {MAX_IDENTITIES} identities"})
    rows: list[IdentityRow] = []
    errors: dict[str, str] = {}
    for index, identity in enumerate(identities):
        try:
            rows.append(validate(identity))
        except ValidationError as refusal:
            errors |= refusal.with_prefix(str(index)).errors
    if errors:
        raise ValidationError(errors)
    return tuple(rows)


async def _kept(scope: Scope, condition: str, *bound: object) -> list[Identity]:
    rows = await scope.fetch(
        f"""
        SELECT id, profile_id, handle, identifier, extra
        FROM identities
        WHERE community_id = $1 AND {condition}
        ORDER BY id
        """,
        scope.community_id,
        *bound,
    )
    return [Identity(**{**row, "extra": {**_NEW, **msgspec.json.decode(row["extra"])}}) for row in rows]


IdentityIndex = dict[tuple[str, str] | int, Identity]
"""Identities by handle and identifier, and by id."""


async def find_existing(uow: UnitOfWork, rows: Iterable[IdentityRow]) -> IdentityIndex:
    """The identities that there are of what rows name."""
    wanted = list(rows)
    if not wanted:
        return {}
    found = await _kept(
        uow,
        "((handle, identifier) IN (SELECT * FROM unnest($2::text[], $3::text[])) OR id = ANY ($4))",
        [row.handle for row in wanted],
        [row.identifier for row in wanted],
        [row.id for row in wanted if row.id is not None],
    )
    return {key: each for each in found if each.id is not None for key in (each.key, each.id)}


def plan_upsert(profile_id: UUID, rows: Sequence[IdentityRow], there: IdentityIndex) -> list[Identity]:
    """What is to be made (without an id) or changed for a profile to have these identities; others stay.

    Rows match by id, then by handle and identifier. `there` is told of what is to be. Raises ValidationError by
    path below the list where one is another profile's.
    """
    wanted: list[Identity] = []
    for index, row in enumerate(rows):
        before = there.get(row.id) if row.id is not None else None
        if before is None or before.profile_id != profile_id:
            before = there.get((row.handle or "", row.identifier or ""))
        if before is None:
            before = Identity(None, profile_id, "", "", _NEW)
        after = _with(before, row)
        holder = there.get(after.key)
        if after.profile_id != profile_id or (holder is not None and holder.id != after.id):
            raise field_error(f"{index}.identifier", EXISTS_MESSAGE)
        if after != before:
            wanted.append(after)
            there[after.key] = after
    return wanted


def _with(before: Identity, row: IdentityRow) -> Identity:
    return replace(
        before,
        handle=row.handle or before.handle,
        identifier=row.identifier or before.identifier,
        extra={**before.extra, **{name: flag for name, flag in row.extra.items() if flag is not None}},
    )


async def write(uow: UnitOfWork, wanted: Sequence[Identity]) -> None:
    """Makes and changes identities. Raises UniqueConflictError where another writer was faster."""
    made = [_columns(each) for each in wanted if each.id is None]
    kept = [_columns(each) | {"id": each.id} for each in wanted if each.id is not None]
    try:
        await _TABLE.update(uow, kept)
    except ValidationError as refusal:
        raise UniqueConflictError from refusal
    if len(await _TABLE.insert(uow, made)) < len(made):
        raise UniqueConflictError


async def check_limit(uow: UnitOfWork, profile_ids: Sequence[UUID]) -> None:
    """Raises ValidationError where one of the profiles has more than MOST identities, those just written included."""
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


# Identities of one profile that is locked -----------------------------------------------------------------


async def create(uow: UnitOfWork, profile_id: UUID, identity: IdentityIn) -> int:
    """Creates an identity and returns its ID. Raises ValidationError."""
    row = validate(identity)
    if await find_existing(uow, [row]):
        raise field_error("identifier", EXISTS_MESSAGE)
    made = await _TABLE.insert_one(uow, _columns(_with(Identity(None, profile_id, "", "", _NEW), row)))
    await check_limit(uow, [profile_id])
    uow.mark_dirty(profile_id, "identity.created")
    return made


async def list_by_profile(scope: Scope, profile_id: UUID) -> list[Identity]:
    """All identities of a profile."""
    return await _kept(scope, "profile_id = $2", profile_id)


async def get_matching(scope: Scope, profile_id: UUID, handle_or_id: str | int) -> list[Identity]:
    """The identities of a profile with that handle, or that id. Raises NotFoundError if there is none."""
    column = "id" if isinstance(handle_or_id, int) else "handle"
    found = await _kept(scope, f"profile_id = $2 AND {column} = $3", profile_id, handle_or_id)
    if not found:
        raise NotFoundError(f"There is no identity {handle_or_id} of this profile.")
    return found


async def update(uow: UnitOfWork, profile_id: UUID, handle_or_id: str | int, identity: IdentityIn) -> int:
    """Updates an identity, by handle the newest one; gives its id.

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
    assert after.id is not None  # noqa: S101
    return after.id


async def delete(uow: UnitOfWork, profile_id: UUID, handle_or_id: str | int) -> None:
    """Takes away an identity by its id, or all of a handle. Raises NotFoundError."""
    gone = await get_matching(uow, profile_id, handle_or_id)
    await _TABLE.delete(uow, "id = ANY ($2)", [each.id for each in gone])
    uow.mark_dirty(profile_id, "identity.deleted")
