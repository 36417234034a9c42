"""Identities: what other systems call a profile; a handle and identifier name one profile at most."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from regulars.facts import given
from regulars.facts.racing import OvertakenError
from regulars.facts.refusals import NotFound, Refused, refuse
from regulars.facts.resource import Field, Kind, Resource
from regulars.facts.table import Table
from regulars.facts.writing import Writing
from regulars.storage.database import Scope

MOST = 1000
"""No profile is sent with more identities."""

TAKEN = "The identity exists"


class IdentityIn(msgspec.Struct, frozen=True, kw_only=True):
    """An identity as it comes in. What is absent stays as it is."""

    id: given.Id = UNSET
    handle: given.Text = UNSET
    identifier: given.Code = UNSET
    is_primary: given.Flag = UNSET
    is_active: given.Flag = UNSET


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


def _flag(name: str, default: str) -> Field:
    return Field(name, Kind.BOOLEAN, f"coalesce((r.extra ->> '{name}')::boolean, {default})")


IDENTITIES = Resource(
    "identity",
    "identities AS r",
    (
        Field("id", Kind.INTEGER),
        Field("handle", Kind.STRING),
        Field("identifier", Kind.STRING),
        _flag("is_primary", "false"),
        _flag("is_active", "true"),
        Field("profile_id", Kind.UUID),
        Field("created_at", Kind.TIME),
        Field("updated_at", Kind.TIME),
    ),
)

_NEW: Mapping[str, Any] = {"is_primary": False, "is_active": True}

_TABLE = Table(
    "identities",
    {"profile_id": "uuid", "handle": "text", "identifier": "text", "extra": "jsonb"},
    unique={"identities_by_identifier": "identifier"},
    soft=False,
)


def checked(identity: IdentityIn, whole: bool = True) -> IdentityRow:
    """An identity held to its rules; a `whole` one has handle and identifier. Raises Refused by path."""
    reading = given.Reading()
    reading.read("handle", identity.handle, given.text)
    reading.read("identifier", identity.identifier, given.code)
    for name in ("is_primary", "is_active"):
        reading.read(name, getattr(identity, name), bool)
    for name in ("handle", "identifier"):
        if (whole or name in reading.columns) and not reading.columns.get(name):
            reading.errors.setdefault(name, "is required")
    columns = reading.done()
    return IdentityRow(
        id=identity.id if isinstance(identity.id, int) else None,
        handle=columns.pop("handle", None),
        identifier=columns.pop("identifier", None),
        extra=columns,
    )


def checked_list(identities: Sequence[IdentityIn]) -> tuple[IdentityRow, ...]:
    """Identities of a profile, held to their rules. Raises Refused by path below the list."""
    if len(identities) > MOST:
        raise Refused({"": f"must be at most {MOST} identities"})
    rows: list[IdentityRow] = []
    errors: dict[str, str] = {}
    for index, identity in enumerate(identities):
        try:
            rows.append(checked(identity))
        except Refused as refusal:
            errors |= refusal.within(str(index)).errors
    if errors:
        raise Refused(errors)
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


Known = dict[tuple[str, str] | int, Identity]
"""Identities by handle and identifier, and by id."""


async def known(writing: Writing, rows: Iterable[IdentityRow]) -> Known:
    """The identities that there are of what rows name."""
    wanted = list(rows)
    if not wanted:
        return {}
    found = await _kept(
        writing,
        "((handle, identifier) IN (SELECT * FROM unnest($2::text[], $3::text[])) OR id = ANY ($4))",
        [row.handle for row in wanted],
        [row.identifier for row in wanted],
        [row.id for row in wanted if row.id is not None],
    )
    return {key: each for each in found if each.id is not None for key in (each.key, each.id)}


def put(profile_id: UUID, rows: Sequence[IdentityRow], there: Known) -> list[Identity]:
    """What is to be made (without an id) or changed for a profile to have these identities; others stay.

    Rows match by id, then by handle and identifier. `there` is told of what is to be. Raises Refused by
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
            raise refuse(f"{index}.identifier", TAKEN)
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


async def write(writing: Writing, wanted: Sequence[Identity]) -> None:
    """Makes and changes identities. Raises OvertakenError where another writer was faster."""
    made = [_columns(each) for each in wanted if each.id is None]
    kept = [_columns(each) | {"id": each.id} for each in wanted if each.id is not None]
    try:
        await _TABLE.update(writing, kept)
    except Refused as refusal:
        raise OvertakenError from refusal
    if len(await _TABLE.insert(writing, made)) < len(made):
        raise OvertakenError


async def require_room(writing: Writing, profile_ids: Sequence[UUID]) -> None:
    """Raises Refused where one of the profiles has more than MOST identities, those just written included."""
    found = await writing.fetchval(
        """
        SELECT max(identities)
        FROM (
            SELECT count(*) AS identities
            FROM identities
            WHERE community_id = $1 AND profile_id = ANY ($2)
            GROUP BY profile_id
        ) AS counted
        """,
        writing.community_id,
        profile_ids,
    )
    if found is not None and found > MOST:
        raise refuse("identities", f"must be at most {MOST} of one profile")


def _columns(identity: Identity) -> dict[str, Any]:
    return {
        "profile_id": identity.profile_id,
        "handle": identity.handle,
        "identifier": identity.identifier,
        "extra": identity.extra,
    }


# Identities of one profile that is locked -----------------------------------------------------------------


async def create(writing: Writing, profile_id: UUID, identity: IdentityIn) -> int:
    """Makes an identity; gives its id. Raises Refused."""
    row = checked(identity)
    if await known(writing, [row]):
        raise refuse("identifier", TAKEN)
    made = await _TABLE.insert_one(writing, _columns(_with(Identity(None, profile_id, "", "", _NEW), row)))
    await require_room(writing, [profile_id])
    writing.touch(profile_id, "identity.created")
    return made


async def of_profile(scope: Scope, profile_id: UUID) -> list[Identity]:
    """All identities of a profile."""
    return await _kept(scope, "profile_id = $2", profile_id)


async def of(scope: Scope, profile_id: UUID, which: str | int) -> list[Identity]:
    """The identities of a profile with that handle, or that id. Raises NotFound where there is none."""
    column = "id" if isinstance(which, int) else "handle"
    found = await _kept(scope, f"profile_id = $2 AND {column} = $3", profile_id, which)
    if not found:
        raise NotFound(f"There is no identity {which} of this profile.")
    return found


async def update(writing: Writing, profile_id: UUID, which: str | int, identity: IdentityIn) -> int:
    """Changes what is given of an identity, by handle the newest one; gives its id.

    Raises Refused and NotFound.
    """
    row = checked(identity, whole=False)
    before = (await of(writing, profile_id, which))[-1]
    after = _with(before, row)
    holder = (await known(writing, [IdentityRow(None, *after.key, {})])).get(after.key)
    if holder is not None and holder.id != after.id:
        raise refuse("identifier", TAKEN)
    if after != before:
        await _TABLE.update(writing, [_columns(after) | {"id": after.id}])
        writing.touch(profile_id, "identity.changed")
    assert after.id is not None  # noqa: S101
    return after.id


async def delete(writing: Writing, profile_id: UUID, which: str | int) -> None:
    """Takes away an identity by its id, or all of a handle. Raises NotFound."""
    gone = await of(writing, profile_id, which)
    await _TABLE.delete(writing, "id = ANY ($2)", [each.id for each in gone])
    writing.touch(profile_id, "identity.deleted")
