"""The e-mail address, phone number and external id of a profile, which are unique in a community: who has or gets which."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from regulars.core import phones
from regulars.core.errors import ValidationError
from regulars.model.profiles.lookup import ProfileRef
from regulars.model.profiles.schema import Profile, ProfileRow
from regulars.model.unit_of_work import UnitOfWork

_MESSAGES = {
    "email": "The email exists",
    "mobile_phone": "The phone number exists",
    "external_id": "The external id exists",
}
_COLUMNS = (*_MESSAGES, "mobile_phone_e164")

# Profiles that are written together ----------------------------------------------------------------------------

_CONFLICTS = """
WITH input AS (
    SELECT *
    FROM unnest($2::int[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[])
        AS input (n, profile_id, email, mobile_phone, mobile_phone_e164, external_id)
)
SELECT 'email' AS field, array_agg(n) AS indexes, NULL::uuid AS holder_id
FROM input
WHERE email IS NOT NULL
GROUP BY lower(email)
HAVING count(*) > 1
UNION ALL
SELECT 'mobile_phone', array_agg(n), NULL
FROM input
WHERE mobile_phone IS NOT NULL
GROUP BY coalesce(mobile_phone_e164, mobile_phone)
HAVING count(*) > 1
UNION ALL
SELECT 'external_id', array_agg(n), NULL
FROM input
WHERE external_id IS NOT NULL
GROUP BY external_id
HAVING count(*) > 1
UNION ALL
SELECT 'email', ARRAY[input.n], other.profile_id
FROM input
JOIN profiles AS other
    ON other.community_id = $1 AND other.email_normalized = lower(input.email) AND other.deleted_at IS NULL
WHERE other.profile_id <> input.profile_id
UNION ALL
SELECT 'mobile_phone', ARRAY[input.n], other.profile_id
FROM input
JOIN profiles AS other
    ON other.community_id = $1 AND other.mobile_phone = input.mobile_phone AND other.deleted_at IS NULL
WHERE other.profile_id <> input.profile_id
UNION ALL
SELECT 'mobile_phone_e164', ARRAY[input.n], other.profile_id
FROM input
JOIN profiles AS other
    ON other.community_id = $1 AND other.mobile_phone_e164 = input.mobile_phone_e164 AND other.deleted_at IS NULL
WHERE other.profile_id <> input.profile_id
UNION ALL
SELECT 'external_id', ARRAY[input.n], other.profile_id
FROM input
JOIN profiles AS other ON other.community_id = $1 AND other.external_id = input.external_id
WHERE other.profile_id <> input.profile_id
"""


@dataclass(slots=True)
class UniqueValues:
    """The new unique values of profiles that are written together, by index.

    Of profiles with the same value, the first one that is written has it. What a profile had before is free for those
    that are written after it.
    """

    profiles: Sequence[tuple[Profile | None, Profile]]
    """The profiles before and after."""
    stored: dict[int, set[tuple[str, UUID]]] = field(default_factory=dict)
    """The columns whose value another stored profile has, and that profile."""
    shared: dict[int, set[tuple[str, int]]] = field(default_factory=dict)
    """The values that several of the profiles have, by their field and a number."""
    taken: set[tuple[str, int]] = field(default_factory=set)
    freed: set[tuple[str, UUID]] = field(default_factory=set)
    """The columns whose stored value is free by now, and the profile that has it until it is written."""
    released: set[UUID] = field(default_factory=set)
    """The profiles with freed values that others take."""

    def conflict(self, index: int) -> ValidationError | None:
        """The error of a profile whose e-mail, phone or external id another one has."""
        stored = self.stored.get(index, set()) - self.freed
        shared = self.shared.get(index, set()) & self.taken
        fields = {name.removesuffix("_e164") for name, _ in (*stored, *shared)}
        errors = {name: message for name, message in _MESSAGES.items() if name in fields}
        return ValidationError(errors) if errors else None

    def take(self, index: int) -> None:
        """Gives a profile its values, and frees those that it had."""
        self.taken |= self.shared.get(index, set())
        self.released |= {holder_id for _, holder_id in self.stored.get(index, ())}
        before, after = self.profiles[index]
        if before is not None:
            self.freed |= {(name, before.profile_id) for name in _COLUMNS if _is_freed(before, after, name)}


def _is_freed(before: Profile, after: Profile, name: str) -> bool:
    if name == "email":
        is_changed = before.contacts["email"] != after.contacts["email"]
    else:
        is_changed = getattr(before, name) != getattr(after, name)
    # A deleted profile keeps its external id.
    return is_changed or (after.deleted_at is not None and name != "external_id")


async def find_conflicts(
    uow: UnitOfWork, profiles: Sequence[tuple[Profile | None, Profile]]
) -> dict[int, ValidationError]:
    """The errors of profiles (before, after) whose e-mail, phone or external id another one has, by index."""
    values = await find(uow, profiles)
    found = {}
    for index in range(len(profiles)):
        if error := values.conflict(index):
            found[index] = error
        else:
            values.take(index)
    return found


async def find(uow: UnitOfWork, profiles: Sequence[tuple[Profile | None, Profile]]) -> UniqueValues:
    """The new unique values of profiles (before, after), and which other profiles have them."""
    new = {name: [_new_value(before, after, name) for before, after in profiles] for name in _COLUMNS}
    found = UniqueValues(profiles)
    if not any(value is not None for values in new.values() for value in values):
        return found
    rows = await uow.fetch(
        _CONFLICTS,
        uow.community_id,
        list(range(len(profiles))),
        [after.profile_id for _, after in profiles],
        new["email"],
        new["mobile_phone"],
        new["mobile_phone_e164"],
        new["external_id"],
    )
    for number, row in enumerate(rows):
        for index in row["indexes"]:
            if row["holder_id"] is None:
                found.shared.setdefault(index, set()).add((row["field"], number))
            else:
                found.stored.setdefault(index, set()).add((row["field"], row["holder_id"]))
    return found


def _new_value(before: Profile | None, after: Profile, name: str) -> str | None:
    value: str | None = getattr(after, name)
    is_unchanged = before is not None and before.deleted_at is None and getattr(before, name) == value
    return None if is_unchanged else value


_RELEASE = """
UPDATE profiles
SET email = NULL, mobile_phone = NULL, mobile_phone_e164 = NULL, external_id = NULL
WHERE community_id = $1 AND profile_id = ANY ($2)
"""


async def release(uow: UnitOfWork, profile_ids: Collection[UUID]) -> None:
    """Blanks the unique values of profiles that are about to be written: a unique index compares row by row."""
    if profile_ids:
        await uow.execute(_RELEASE, uow.community_id, sorted(profile_ids))


# Rows in their order --------------------------------------------------------------------------------------------

_STORED_VALUES = """
SELECT profile_id, email, coalesce(mobile_phone_e164, mobile_phone) AS mobile_phone, external_id
FROM profiles
WHERE community_id = $1 AND profile_id = ANY ($2)
"""


async def rows_of_round(uow: UnitOfWork, rows: Sequence[ProfileRow], keys: Mapping[int, object]) -> list[int]:
    """The rows to write together, of those with keys of their profiles: the first one of each profile.

    A row waits for an earlier one that waits if the profiles of both have or get the same e-mail, phone or external id:
    the earlier one may free it or take it.
    """
    if len(set(keys.values())) == len(keys):
        return list(keys)
    values: defaultdict[object, set[ProfileRef]] = defaultdict(set)
    targets = [key for key in keys.values() if isinstance(key, UUID)]
    for stored in await uow.fetch(_STORED_VALUES, uow.community_id, targets):
        values[stored["profile_id"]] = _values_of(stored, uow.community.country)
    chosen: dict[object, int] = {}
    values_of_waiting: set[ProfileRef] = set()
    for index, key in keys.items():
        values[key] |= _values_of(rows[index].columns, uow.community.country)
        if key in chosen or not values[key].isdisjoint(values_of_waiting):
            values_of_waiting |= values[key]
        else:
            chosen[key] = index
    return list(chosen.values())


def _values_of(columns: Mapping[str, Any], country: str) -> set[ProfileRef]:
    names = ("email", "mobile_phone", "external_id")
    return {key_of((name, value), country) for name in names if (value := columns.get(name)) is not None}


def key_of(ref: ProfileRef, country: str) -> ProfileRef:
    """Equal for references that will be of one profile, once the first of their rows has created it."""
    handle, value = ref
    return handle, (phones.to_e164(value, country) or value) if handle == "mobile_phone" else value.lower()
