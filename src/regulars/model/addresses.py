"""Addresses of profiles. At most one address of a profile is the default."""

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
"""The maximum number of addresses of a profile."""


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
    """A validated address: the fields of the request. `is_default` is None where the request has none."""

    id: int | None
    is_default: bool | None
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredAddress:
    """An address of a profile; `id` is None until it is stored."""

    profile_id: UUID
    id: int | None
    is_default: bool
    fields: Mapping[str, Any]

    def apply(self, row: AddressRow) -> "StoredAddress":
        """Returns the address with the fields of a row."""
        fields = {name: value for name, value in {**self.fields, **row.fields}.items() if value is not None}
        is_default = self.is_default if row.is_default is None else row.is_default
        return replace(self, fields=fields, is_default=is_default)

    def to_columns(self) -> dict[str, Any]:
        """The columns of the table."""
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
        fields=_with_numeric_coordinates(reader.result()),
    )


def _with_numeric_coordinates(fields: dict[str, Any]) -> dict[str, Any]:
    """Converts coordinates that are texts into numbers."""
    texts = {name: fields[name] for name in address_country.MAX_DEGREES if isinstance(fields.get(name), str)}
    return {**fields, **{name: float(text) if text.strip() else None for name, text in texts.items()}}


def _country(text: str) -> str | None:
    if not validation.check_text(text).strip():
        return None
    countries.alpha_2(text)
    return text


def validate_list(addresses: Sequence[AddressIn]) -> tuple[AddressRow, ...]:
    """Validates all addresses of a profile. Raises ValidationError with paths below the list."""
    if len(addresses) > MAX_ADDRESSES:
        raise ValidationError({"": f"must be at most {MAX_ADDRESSES} addresses"})
    rows: list[AddressRow] = []
    errors: dict[str, str] = {}
    for index, address in enumerate(addresses):
        try:
            rows.append(validate(address))
        except ValidationError as error:
            errors |= error.with_prefix(str(index)).errors
            continue
        if rows[-1].is_default and any(each.is_default for each in rows[:-1]):
            errors[f"{index}.is_default"] = "can be true for one address only"
    if errors:
        raise ValidationError(errors)
    return tuple(rows)


@dataclass(slots=True)
class AddressChanges:
    """Addresses to create, update and delete, of any number of profiles."""

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


def plan_replacement(profile_id: UUID, stored: Sequence[StoredAddress], rows: Sequence[AddressRow]) -> AddressChanges:
    """The changes that replace the stored addresses of a profile by a list.

    A row matches the stored address with its id, else with its external id, else with the same fields. Other rows are
    created, and stored addresses without a match are deleted.
    """
    unmatched = {each.id: each for each in stored}
    planned: list[StoredAddress] = []
    for row in rows:
        match = _match(unmatched, row)
        if match is None:
            match = StoredAddress(profile_id, None, False, {})
        else:
            del unmatched[match.id]
        planned.append(match.apply(row))
    chosen = next((index for index, row in enumerate(rows) if row.is_default), None)
    if chosen is not None:
        planned = [replace(each, is_default=index == chosen) for index, each in enumerate(planned)]
    before = {each.id: each for each in stored}
    return AddressChanges(
        created=[each for each in planned if each.id is None],
        updated=[each for each in planned if each.id is not None and before[each.id] != each],
        deleted=list(unmatched.values()),
    )


def _match(unmatched: Mapping[int | None, StoredAddress], row: AddressRow) -> StoredAddress | None:
    if row.id in unmatched and row.id is not None:
        return unmatched[row.id]
    external_id = row.fields.get("external_id")
    for each in unmatched.values():
        if external_id is not None and each.fields.get("external_id") == external_id:
            return each
    same = StoredAddress(UUID(int=0), None, False, {}).apply(row)
    return next(
        (each for each in unmatched.values() if each.fields == same.fields and each.is_default == same.is_default),
        None,
    )


# Storage ----------------------------------------------------------------------------------------------

_COLUMNS = "profile_id, id, is_default, fields"
_INPUT = """json_to_recordset($2::json) AS input (
    profile_id uuid, id bigint, is_default boolean, country text, iso_state text, state text, fields jsonb
)"""


async def fetch_by_profile(scope: Scope, profile_ids: Iterable[UUID]) -> dict[UUID, list[StoredAddress]]:
    """Returns the addresses of profiles by profile id, in the order of their ids."""
    rows = await scope.fetch(
        f"SELECT {_COLUMNS} FROM addresses WHERE community_id = $1 AND profile_id = ANY ($2) ORDER BY id",
        scope.community_id,
        list(profile_ids),
    )
    found: dict[UUID, list[StoredAddress]] = {}
    for row in rows:
        stored = StoredAddress(row["profile_id"], row["id"], row["is_default"], msgspec.json.decode(row["fields"]))
        found.setdefault(stored.profile_id, []).append(stored)
    return found


async def write(uow: UnitOfWork, changes: AddressChanges) -> list[int]:
    """Creates, updates and deletes addresses; returns the ids of the created ones in their order."""
    if changes.deleted:
        await uow.execute(
            """
            DELETE FROM addresses
            USING unnest($2::uuid[], $3::bigint[]) AS input (profile_id, id)
            WHERE addresses.community_id = $1
                AND addresses.profile_id = input.profile_id AND addresses.id = input.id
            """,
            uow.community_id,
            [each.profile_id for each in changes.deleted],
            [each.id for each in changes.deleted],
        )
    if changes.updated:
        await uow.execute(
            f"""
            UPDATE addresses AS target
            SET is_default = input.is_default,
                country = input.country,
                iso_state = input.iso_state,
                state = input.state,
                fields = input.fields,
                updated_at = $3
            FROM {_INPUT}
            WHERE target.community_id = $1 AND target.profile_id = input.profile_id AND target.id = input.id
            """,
            uow.community_id,
            [each.to_columns() for each in changes.updated],
            uow.now,
        )
    if not changes.created:
        return []
    created = await uow.fetch(
        f"""
        INSERT INTO addresses (
            community_id, profile_id, is_default, country, iso_state, state, fields, created_at, updated_at
        )
        SELECT $1, profile_id, is_default, country, iso_state, state, fields, $3, $3
        FROM {_INPUT}
        RETURNING id
        """,
        uow.community_id,
        [each.to_columns() for each in changes.created],
        uow.now,
    )
    return [row["id"] for row in created]


# One address of a locked profile ------------------------------------------------------------------------


async def create(uow: UnitOfWork, profile_id: UUID, address: AddressIn) -> int:
    """Creates an address and returns its ID. Raises ValidationError."""
    row = validate(address)
    stored = (await fetch_by_profile(uow, [profile_id])).get(profile_id, [])
    if len(stored) >= MAX_ADDRESSES:
        raise ValidationError({"": f"A profile has at most {MAX_ADDRESSES} addresses"})
    new = StoredAddress(profile_id, None, False, {}).apply(row)
    created = await write(uow, AddressChanges(created=[new], updated=_no_default(stored) if new.is_default else []))
    uow.mark_member_dirty(profile_id, "address.created")
    uow.record_event("profile.updated", profile_id)
    return created[0]


async def update(uow: UnitOfWork, profile_id: UUID, address_id: int, address: AddressIn) -> None:
    """Updates an address. Raises ValidationError and NotFoundError."""
    row = validate(address)
    stored = (await fetch_by_profile(uow, [profile_id])).get(profile_id, [])
    before = _one(stored, address_id)
    after = before.apply(row)
    if after == before:
        return
    others = _no_default([each for each in stored if each is not before]) if after.is_default else []
    await write(uow, AddressChanges(updated=[after, *others]))
    uow.mark_member_dirty(profile_id, "address.changed")
    uow.record_event("profile.updated", profile_id)


async def delete(uow: UnitOfWork, profile_id: UUID, address_id: int) -> None:
    """Deletes an address. Raises NotFoundError."""
    stored = (await fetch_by_profile(uow, [profile_id])).get(profile_id, [])
    await write(uow, AddressChanges(deleted=[_one(stored, address_id)]))
    uow.mark_member_dirty(profile_id, "address.deleted")
    uow.record_event("profile.updated", profile_id)


async def require_exists(scope: Scope, profile_id: UUID, address_id: int) -> None:
    """Raises NotFoundError if a profile has no address with that id."""
    _one((await fetch_by_profile(scope, [profile_id])).get(profile_id, []), address_id)


def _one(stored: Sequence[StoredAddress], address_id: int) -> StoredAddress:
    found = next((each for each in stored if each.id == address_id), None)
    if found is None:
        raise NotFoundError(f"There is no address {address_id} of this profile.")
    return found


def _no_default(stored: Sequence[StoredAddress]) -> list[StoredAddress]:
    return [replace(each, is_default=False) for each in stored if each.is_default]


async def reassign(uow: UnitOfWork, source_id: UUID, destination_id: UUID) -> None:
    """Reassigns all addresses of a profile to another one, whose default stays the default."""
    await uow.execute(
        """
        UPDATE addresses AS target
        SET profile_id = $3,
            is_default = target.is_default AND NOT EXISTS (
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
