"""Addresses of a profile: any number, one of them the default at most."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from regulars.core import countries, validation
from regulars.core.errors import NotFoundError, ValidationError
from regulars.core.field_type import FieldType
from regulars.model import address_country
from regulars.model.resource import Resource, ResourceField
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Scope

MAX_ADDRESSES = 100
"""No profile has more addresses."""


class AddressIn(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of an address in a request. Absent fields are unchanged."""

    id: validation.Id = UNSET
    address_line_1: validation.Text = UNSET
    address_line_2: validation.Text = UNSET
    address_line_3: validation.Text = UNSET
    company: validation.Text = UNSET
    latitude: float | str | msgspec.UnsetType | None = UNSET
    longitude: float | str | msgspec.UnsetType | None = UNSET
    city: validation.Text = UNSET
    postcode: validation.Code = UNSET
    state: validation.Text = UNSET
    country: validation.Text = UNSET
    iso: validation.Text = UNSET
    iso_state: validation.Text = UNSET
    country_iso_3: validation.Text = UNSET
    notes: validation.LongText = UNSET
    external_id: validation.Code = UNSET
    name: validation.Text = UNSET
    type: validation.Text = UNSET
    phone: validation.Code = UNSET
    is_default: validation.Bool = UNSET
    meta: validation.JsonCollection = UNSET


@dataclass(frozen=True, slots=True)
class AddressRow:
    """An address that was checked: what was given of it. `is_default` None was not given."""

    id: int | None
    is_default: bool | None
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredAddress:
    """An address as it is kept; `id` is None until it is."""

    profile_id: UUID
    id: int | None
    is_default: bool
    fields: Mapping[str, Any]

    def apply(self, row: AddressRow) -> "StoredAddress":
        """What a row makes of it."""
        fields = {name: value for name, value in {**self.fields, **row.fields}.items() if value is not None}
        is_default = self.is_default if row.is_default is None else row.is_default
        return replace(self, fields=fields, is_default=is_default)

    def to_columns(self) -> dict[str, Any]:
        """It as a row of its table."""
        return {
            "profile_id": self.profile_id,
            "id": self.id,
            "is_default": self.is_default,
            "fields": self.fields,
            **address_country.country_and_state(self.fields, self.fields.get("country_iso_3")),
        }


def _json(name: str, kind: FieldType) -> ResourceField:
    return ResourceField(name, kind, f"r.fields -> '{name}'")


def _text(name: str) -> ResourceField:
    return ResourceField(name, FieldType.STRING, f"r.fields ->> '{name}'")


ADDRESSES = Resource(
    "address",
    "addresses AS r",
    (
        ResourceField("id", FieldType.INTEGER),
        *map(_text, ("address_line_1", "address_line_2", "address_line_3", "company")),
        _json("latitude", FieldType.NUMBER),
        _json("longitude", FieldType.NUMBER),
        *map(_text, ("city", "postcode", "state", "country", "iso", "iso_state", "country_iso_3")),
        *map(_text, ("notes", "external_id", "name", "type", "phone")),
        ResourceField("is_default", FieldType.BOOLEAN),
        _json("meta", FieldType.OBJECT),
        ResourceField("profile_id", FieldType.UUID),
        ResourceField("created_at", FieldType.TIMESTAMP),
        ResourceField("updated_at", FieldType.TIMESTAMP),
    ),
)

_TEXTS = (
    "address_line_1", "address_line_2", "address_line_3", "company", "city", "state", "country", "iso",
    "iso_state", "notes", "name", "type",
)  # fmt: skip


def validate(address: AddressIn) -> AddressRow:
    """Validates an address. Raises ValidationError."""
    reader = validation.FieldReader()
    for name in _TEXTS:
        reader.read(name, getattr(address, name), validation.check_text)
    for name in ("postcode", "external_id", "phone"):
        reader.read(name, getattr(address, name), validation.check_code)
    for name in ("latitude", "longitude", "meta"):
        reader.read(name, getattr(address, name), validation.check_json)
    reader.read("country_iso_3", address.country_iso_3, _country)
    for part, text in address_country.address_errors(reader.columns).items():
        reader.errors.setdefault(part, text)
    return AddressRow(
        id=address.id if isinstance(address.id, int) else None,
        is_default=address.is_default if isinstance(address.is_default, bool) else None,
        fields=_with_numbers(reader.result()),
    )


def _with_numbers(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields whose coordinates are numbers, where they came as text."""
    texts = {name: fields[name] for name in address_country.MAX_DEGREES if isinstance(fields.get(name), str)}
    return {**fields, **{name: float(text) if text.strip() else None for name, text in texts.items()}}


def _country(text: str) -> str | None:
    if not validation.check_text(text).strip():
        return None
    countries.alpha_2(text)
    return text


def validate_list(addresses: Sequence[AddressIn]) -> tuple[AddressRow, ...]:
    """All addresses of a profile, held to their rules. Raises ValidationError with paths below the list."""
    if len(addresses) > MAX_ADDRESSES:
        raise ValidationError({"": f"must be at most {MAX_ADDRESSES} addresses"})
    rows: list[AddressRow] = []
    errors: dict[str, str] = {}
    for index, address in enumerate(addresses):
        try:
            rows.append(validate(address))
        except ValidationError as refusal:
            errors |= refusal.with_prefix(str(index)).errors
            continue
        if rows[-1].is_default and any(each.is_default for each in rows[:-1]):
            errors[f"{index}.is_default"] = "can be true for one address only"
    if errors:
        raise ValidationError(errors)
    return tuple(rows)


@dataclass(slots=True)
class AddressChanges:
    """What is to be done to addresses, of any number of profiles."""

    created: list[StoredAddress] = field(default_factory=list)
    updated: list[StoredAddress] = field(default_factory=list)
    deleted: list[StoredAddress] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.created or self.updated or self.deleted)

    def __iadd__(self, other: "AddressChanges") -> "AddressChanges":
        self.created += other.created
        self.updated += other.updated
        self.deleted += other.deleted
        return self


def plan_replacement(profile_id: UUID, kept: Sequence[StoredAddress], rows: Sequence[AddressRow]) -> AddressChanges:
    """What makes a list the addresses of a profile.

    Rows match by id, then by external id, then where they say nothing new; the rest is made, and what no
    row matches goes.
    """
    left = {each.id: each for each in kept}
    wanted: list[StoredAddress] = []
    for row in rows:
        match = _match(left, row)
        if match is None:
            match = StoredAddress(profile_id, None, False, {})
        else:
            del left[match.id]
        wanted.append(match.apply(row))
    chosen = next((index for index, row in enumerate(rows) if row.is_default), None)
    if chosen is not None:
        wanted = [replace(each, is_default=index == chosen) for index, each in enumerate(wanted)]
    before = {each.id: each for each in kept}
    return AddressChanges(
        created=[each for each in wanted if each.id is None],
        updated=[each for each in wanted if each.id is not None and before[each.id] != each],
        deleted=list(left.values()),
    )


def _match(left: Mapping[int | None, StoredAddress], row: AddressRow) -> StoredAddress | None:
    if row.id in left and row.id is not None:
        return left[row.id]
    external_id = row.fields.get("external_id")
    for each in left.values():
        if external_id is not None and each.fields.get("external_id") == external_id:
            return each
    same = StoredAddress(UUID(int=0), None, False, {}).apply(row)
    return next(
        (each for each in left.values() if each.fields == same.fields and each.is_default == same.is_default),
        None,
    )


# What is kept -----------------------------------------------------------------------------------------

_COLUMNS = "profile_id, id, is_default, fields"
_GIVEN = """json_to_recordset($2::json) AS input (
    profile_id uuid, id bigint, is_default boolean, country text, iso_state text, state text, fields jsonb
)"""


async def fetch_by_profile(scope: Scope, profile_ids: Iterable[UUID]) -> dict[UUID, list[StoredAddress]]:
    """The addresses of profiles, in the order of their ids."""
    rows = await scope.fetch(
        f"SELECT {_COLUMNS} FROM addresses WHERE community_id = $1 AND profile_id = ANY ($2) ORDER BY id",
        scope.community_id,
        list(profile_ids),
    )
    found: dict[UUID, list[StoredAddress]] = {}
    for row in rows:
        kept = StoredAddress(row["profile_id"], row["id"], row["is_default"], msgspec.json.decode(row["fields"]))
        found.setdefault(kept.profile_id, []).append(kept)
    return found


async def write(uow: UnitOfWork, changes: AddressChanges) -> list[int]:
    """Makes, changes and takes away addresses; gives the ids of those that were made, in their order."""
    if changes.deleted:
        await uow.execute(
            """
            DELETE FROM addresses
            USING unnest($2::uuid[], $3::bigint[]) AS gone (profile_id, id)
            WHERE addresses.community_id = $1
                AND addresses.profile_id = gone.profile_id AND addresses.id = gone.id
            """,
            uow.community_id,
            [each.profile_id for each in changes.deleted],
            [each.id for each in changes.deleted],
        )
    if changes.updated:
        await uow.execute(
            f"""
            UPDATE addresses AS target
            SET is_default = input.is_default, country = input.country, iso_state = input.iso_state,
                state = input.state, fields = input.fields, updated_at = $3
            FROM {_GIVEN}
            WHERE target.community_id = $1 AND target.profile_id = input.profile_id AND target.id = input.id
            """,
            uow.community_id,
            [each.to_columns() for each in changes.updated],
            uow.now,
        )
    if not changes.created:
        return []
    made = await uow.fetch(
        f"""
        INSERT INTO addresses (
            community_id, profile_id, is_default, country, iso_state, state, fields, created_at, updated_at
        )
        SELECT $1, profile_id, is_default, country, iso_state, state, fields, $3, $3
        FROM {_GIVEN}
        RETURNING id
        """,
        uow.community_id,
        [each.to_columns() for each in changes.created],
        uow.now,
    )
    return [row["id"] for row in made]


# One address of a profile that is locked ----------------------------------------------------------------


async def create(uow: UnitOfWork, profile_id: UUID, address: AddressIn) -> int:
    """Creates an address and returns its ID. Raises ValidationError."""
    row = validate(address)
    kept = (await fetch_by_profile(uow, [profile_id])).get(profile_id, [])
    if len(kept) >= MAX_ADDRESSES:
        raise ValidationError({"": f"A profile has at most {MAX_ADDRESSES} addresses"})
    new = StoredAddress(profile_id, None, False, {}).apply(row)
    made = await write(uow, AddressChanges(created=[new], updated=_no_default(kept) if new.is_default else []))
    uow.mark_member_dirty(profile_id, "address.created")
    return made[0]


async def update(uow: UnitOfWork, profile_id: UUID, address_id: int, address: AddressIn) -> None:
    """Updates an address. Raises ValidationError and NotFoundError."""
    row = validate(address)
    kept = (await fetch_by_profile(uow, [profile_id])).get(profile_id, [])
    before = _one(kept, address_id)
    after = before.apply(row)
    if after == before:
        return
    others = _no_default([each for each in kept if each is not before]) if after.is_default else []
    await write(uow, AddressChanges(updated=[after, *others]))
    uow.mark_member_dirty(profile_id, "address.changed")


async def delete(uow: UnitOfWork, profile_id: UUID, address_id: int) -> None:
    """Takes an address away. Raises NotFoundError."""
    kept = (await fetch_by_profile(uow, [profile_id])).get(profile_id, [])
    await write(uow, AddressChanges(deleted=[_one(kept, address_id)]))
    uow.mark_member_dirty(profile_id, "address.deleted")


async def require_exists(scope: Scope, profile_id: UUID, address_id: int) -> None:
    """Raises NotFoundError where a profile has no such address."""
    _one((await fetch_by_profile(scope, [profile_id])).get(profile_id, []), address_id)


def _one(kept: Sequence[StoredAddress], address_id: int) -> StoredAddress:
    found = next((each for each in kept if each.id == address_id), None)
    if found is None:
        raise NotFoundError(f"There is no address {address_id} of this profile.")
    return found


def _no_default(kept: Sequence[StoredAddress]) -> list[StoredAddress]:
    return [replace(each, is_default=False) for each in kept if each.is_default]


async def reassign(uow: UnitOfWork, source_id: UUID, destination_id: UUID) -> None:
    """Gives all addresses of a profile to another one, whose default stays the default."""
    await uow.execute(
        """
        UPDATE addresses AS moved
        SET profile_id = $3,
            is_default = moved.is_default AND NOT EXISTS (
                SELECT FROM addresses
                WHERE community_id = $1 AND profile_id = $3 AND is_default
            ),
            updated_at = $4
        WHERE community_id = $1 AND profile_id = $2
        """,
        uow.community_id,
        source_id,
        destination_id,
        uow.now,
    )
