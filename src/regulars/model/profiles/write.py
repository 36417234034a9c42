"""Writes profiles with their identities, addresses and memberships, many in a few statements."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

import msgspec

from regulars.core.errors import QuotingText, ValidationError, field_error
from regulars.model import addresses, identities, memberships
from regulars.model.addresses import AddressChanges
from regulars.model.identities import Identity
from regulars.model.profiles import lookup, name_words, unique_values
from regulars.model.profiles.schema import COLUMNS, Profile, ProfileRow, apply
from regulars.model.profiles.stores import resolve_location_ids
from regulars.model.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ProfileWriteResult:
    """The result of a row: its profile, and whether it changed anything."""

    profile_id: UUID
    outcome: Literal["accepted", "unchanged"]


@dataclass(slots=True)
class _Draft:
    """The planned write of a row: the profile before (None if it is new) and after, or the error."""

    row: ProfileRow
    before: Profile | None
    after: Profile
    error: ValidationError | None = None
    addresses: AddressChanges = field(default_factory=AddressChanges)
    identities: list[Identity] = field(default_factory=list)

    @property
    def is_change(self) -> bool:
        """Whether anything must be written."""
        return self.before != self.after or bool(self.addresses) or bool(self.identities)


async def write_rows(
    uow: UnitOfWork, rows: Sequence[ProfileRow], targets: Sequence[UUID | None]
) -> list[ProfileWriteResult | ValidationError]:
    """Writes each row to its target profile, or to a new one if the target is None. Returns a result per row.

    Targets are active profiles, each at most once.
    """
    drafts = await _plan_profiles(uow, rows, targets)
    await _plan_addresses(uow, drafts)
    released = await _reject_conflicts(uow, drafts)
    changes = [draft for draft in drafts if draft.error is None and draft.is_change]
    await unique_values.release(uow, released)
    await _write(uow, changes)
    written = {id(draft) for draft in changes}
    return [
        draft.error or ProfileWriteResult(draft.after.profile_id, "accepted" if id(draft) in written else "unchanged")
        for draft in drafts
    ]


async def _plan_profiles(uow: UnitOfWork, rows: Sequence[ProfileRow], targets: Sequence[UUID | None]) -> list[_Draft]:
    refs = [ref for row in rows for ref in (*row.location_refs.values(), *(row.favorite_stores or ())) if ref]
    location_ids = await resolve_location_ids(uow, refs)
    stored = await lookup.fetch_for_update(uow, [target for target in targets if target is not None])
    drafts = []
    for row, target in zip(rows, targets, strict=True):
        before = None if target is None else stored.get(target)
        # A new profile without a join date joins now.
        start = before or Profile(profile_id=target or lookup.new_id(), joined_at=uow.now)
        draft = _Draft(row, before, start)
        drafts.append(draft)
        try:
            if target is not None and (before is None or before.deleted_at is not None):
                raise field_error("", QuotingText(f"There is no profile {target}", "There is no profile with this id"))
            draft.after = apply(start, row, location_ids, uow.now, uow.community)
        except ValidationError as error:
            draft.error = error
    return drafts


async def _plan_addresses(uow: UnitOfWork, drafts: Sequence[_Draft]) -> None:
    with_addresses = [draft for draft in drafts if draft.error is None and draft.row.addresses is not None]
    before = [draft.before.profile_id for draft in with_addresses if draft.before is not None]
    stored = await addresses.fetch_by_profile(uow, before) if before else {}
    for draft in with_addresses:
        profile_id = draft.after.profile_id
        draft.addresses = addresses.plan_replacement(profile_id, stored.get(profile_id, []), draft.row.addresses or ())


async def _reject_conflicts(uow: UnitOfWork, drafts: Sequence[_Draft]) -> set[UUID]:
    """Plans identities, and rejects rows whose unique values or identities another profile has.

    A rejected row takes nothing from later rows, and frees nothing for them. Returns the profiles that later rows take
    values from.
    """
    existing = await identities.find_existing(uow, [each for draft in drafts for each in draft.row.identities])
    values = await unique_values.find(uow, [(draft.before, draft.after) for draft in drafts])
    for index, draft in enumerate(drafts):
        draft.error = draft.error or values.conflict(index)
        if draft.error is not None:
            continue
        try:
            draft.identities = identities.plan_upsert(draft.after.profile_id, draft.row.identities, existing)
        except ValidationError as error:
            draft.error = error.with_prefix("identities")
        else:
            values.take(index)
    return values.released


# Storage ------------------------------------------------------------------------------------------------

_NAMES = ", ".join(COLUMNS)
_BLANK = Profile(profile_id=UUID(int=0))


def _value(name: str, kind: str) -> str:
    """SQL of a column's value. The JSON of a profile has no fields with defaults."""
    default = getattr(_BLANK, name)
    if default is None:
        return f"input.{name}"
    text = (
        default if isinstance(default, str) else "{}" if kind.endswith("[]") else msgspec.json.encode(default).decode()
    )
    return f"coalesce(input.{name}, '{text}'::{kind})"


_VALUES = {name: _value(name, kind) for name, kind in COLUMNS.items()}
_INPUT = f"""json_to_recordset($2::json) AS input (
    profile_id uuid, {", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())}
)"""

_INSERT = f"""
INSERT INTO profiles (community_id, profile_id, {_NAMES}, created_at, updated_at)
SELECT $1, profile_id, {", ".join(_VALUES.values())}, $3, $3
FROM {_INPUT}
ORDER BY external_id COLLATE "C", profile_id
"""

_UPDATE = f"""
UPDATE profiles AS target
SET {", ".join(f"{name} = {value}" for name, value in _VALUES.items())}, updated_at = $3
FROM {_INPUT}
WHERE target.community_id = $1 AND target.profile_id = input.profile_id
"""


async def save(uow: UnitOfWork, changes: Sequence[tuple[Profile, Profile]]) -> None:
    """Updates locked profiles, each given as it is stored and as it becomes."""
    if changes:
        await uow.execute(_UPDATE, uow.community_id, [after for _, after in changes], uow.now)
        await name_words.update(uow, changes)


async def _write(uow: UnitOfWork, drafts: Sequence[_Draft]) -> None:
    new = [draft.after for draft in drafts if draft.before is None]
    stored = [(draft.before, draft.after) for draft in drafts if draft.before is not None]
    if new:
        await uow.execute(_INSERT, uow.community_id, new, uow.now)
        await name_words.insert(uow, new)
    await save(uow, stored)
    address_changes = AddressChanges()
    for draft in drafts:
        address_changes += draft.addresses
    await addresses.write(uow, address_changes)
    await identities.write(uow, [each for draft in drafts for each in draft.identities])
    # The limit of a new profile was checked with its row.
    if added := [draft.after.profile_id for draft in drafts if draft.before is not None and draft.identities]:
        await identities.check_limit(uow, added)
    await _write_memberships(uow, drafts)
    uow.mark_members_dirty((each.profile_id for each in new), "profile.created")
    uow.mark_members_dirty((after.profile_id for _, after in stored), "profile.updated")
    for draft in drafts:
        _record_event(uow, draft)


def _record_event(uow: UnitOfWork, draft: _Draft) -> None:
    before, profile_id = draft.before, draft.after.profile_id
    if before is None:
        uow.record_event("profile.created", profile_id)
    elif draft.after.deleted_at is not None:
        record_deletion(uow, profile_id)
    else:
        uow.record_event("profile.updated", profile_id)


def record_deletion(uow: UnitOfWork, profile_id: UUID, *, is_purged: bool = False) -> None:
    """Records that a profile was deleted; the event contains nothing but its id."""
    uow.record_event("profile.deleted", profile_id, data={"id": profile_id, "is_purged": is_purged})


async def _write_memberships(uow: UnitOfWork, drafts: Sequence[_Draft]) -> None:
    joins, join_dates, leaving = [], [], []
    for draft in drafts:
        before, after = draft.before, draft.after
        if before is None:
            joins.append(
                memberships.MemberJoin(
                    after.profile_id,
                    after.joined_at or uow.now,
                    after.optin_channel,
                    after.optin_subchannel,
                    after.consents,
                )
            )
        elif after.joined_at is not None and after.joined_at != before.joined_at:
            join_dates.append((after.profile_id, before.joined_at, after.joined_at))
        if after.deleted_at is not None:
            leaving.append(after.profile_id)
    await memberships.insert_joins(uow, joins)
    await memberships.update_join_dates(uow, join_dates)
    await memberships.set_state(uow, leaving, "out")
