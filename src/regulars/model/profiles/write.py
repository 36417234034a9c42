"""Writing profiles with all that hangs on them: thousands in a handful of statements, or one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from regulars.core.errors import ValidationError, field_error
from regulars.model import addresses, identities, memberships
from regulars.model.addresses import AddressChanges
from regulars.model.identities import Identity
from regulars.model.profiles import lookup
from regulars.model.profiles.schema import COLUMNS, Profile, ProfileRow, apply
from regulars.model.profiles.stores import resolve_location_ids
from regulars.model.unit_of_work import UnitOfWork

CONFLICT_MESSAGES = {
    "email": "The email exists",
    "mobile_phone": "The phone number exists",
    "external_id": "The external id exists",
}


@dataclass(frozen=True, slots=True)
class ProfileWriteResult:
    """What came of a row: its profile, and whether it said anything new."""

    profile_id: UUID
    outcome: Literal["accepted", "unchanged"]


@dataclass(slots=True)
class _Draft:
    """One row on its way: the profile before (None where it is new) and after, or why it is refused."""

    row: ProfileRow
    before: Profile | None
    after: Profile
    refusal: ValidationError | None = None
    addresses: AddressChanges = field(default_factory=AddressChanges)
    identities: list[Identity] = field(default_factory=list)

    @property
    def says_something(self) -> bool:
        """Whether anything is to be written."""
        return self.before != self.after or bool(self.addresses) or bool(self.identities)


async def write_rows(
    uow: UnitOfWork, rows: Sequence[ProfileRow], targets: Sequence[UUID | None]
) -> list[ProfileWriteResult | ValidationError]:
    """Writes rows, each to its own profile or, where the target is None, to a new one.

    Targets are living profiles, none of them twice. Gives for each row what came of it.
    """
    drafts = await _drafted(uow, rows, targets)
    await _plan_parts(uow, drafts)
    await _refuse_clashes(uow, drafts)
    taken = [draft for draft in drafts if draft.refusal is None and draft.says_something]
    await _write(uow, taken)
    written = {id(draft) for draft in taken}
    return [
        draft.refusal or ProfileWriteResult(draft.after.profile_id, "accepted" if id(draft) in written else "unchanged")
        for draft in drafts
    ]


async def _drafted(uow: UnitOfWork, rows: Sequence[ProfileRow], targets: Sequence[UUID | None]) -> list[_Draft]:
    refs = [ref for row in rows for ref in (*row.location_refs.values(), *(row.favorite_stores or ())) if ref]
    places = await resolve_location_ids(uow, refs)
    kept = await lookup.fetch_for_update(uow, [target for target in targets if target is not None])
    drafts = []
    for row, target in zip(rows, targets, strict=True):
        before = None if target is None else kept.get(target)
        # Who is made without a join date joins now.
        start = before or Profile(profile_id=target or lookup.new_id(), joined_at=uow.now)
        draft = _Draft(row, before, start)
        drafts.append(draft)
        try:
            if target is not None and (before is None or before.deleted_at is not None):
                raise field_error("", f"There is no profile {target}")
            draft.after = apply(start, row, places, uow.now)
        except ValidationError as refusal:
            draft.refusal = refusal
    return drafts


async def _plan_parts(uow: UnitOfWork, drafts: Sequence[_Draft]) -> None:
    standing = [draft for draft in drafts if draft.refusal is None]
    with_addresses = [draft for draft in standing if draft.row.addresses is not None]
    before = [draft.before.profile_id for draft in with_addresses if draft.before is not None]
    kept = await addresses.fetch_by_profile(uow, before) if before else {}
    for draft in with_addresses:
        profile_id = draft.after.profile_id
        draft.addresses = addresses.plan_replacement(profile_id, kept.get(profile_id, []), draft.row.addresses or ())
    there = await identities.find_existing(uow, [row for draft in standing for row in draft.row.identities])
    for draft in standing:
        try:
            draft.identities = identities.plan_upsert(draft.after.profile_id, draft.row.identities, there)
        except ValidationError as refusal:
            draft.refusal = refusal.with_prefix("identities")


# Clashes ------------------------------------------------------------------------------------------------

_CLASHES = """
WITH given AS (
    SELECT *
    FROM unnest($2::int[], $3::uuid[], $4::text[], $5::text[], $6::text[])
        AS input (n, profile_id, email, mobile_phone, external_id)
),
numbered AS (
    SELECT
        given.*,
        row_number() OVER (PARTITION BY lower(email) ORDER BY n) AS nth_email,
        row_number() OVER (PARTITION BY mobile_phone ORDER BY n) AS nth_mobile_phone,
        row_number() OVER (PARTITION BY external_id ORDER BY n) AS nth_external_id
    FROM given
)
SELECT n, 'email' AS field FROM numbered WHERE email IS NOT NULL AND nth_email > 1
UNION ALL
SELECT n, 'mobile_phone' FROM numbered WHERE mobile_phone IS NOT NULL AND nth_mobile_phone > 1
UNION ALL
SELECT n, 'external_id' FROM numbered WHERE external_id IS NOT NULL AND nth_external_id > 1
UNION ALL
SELECT input.n, 'email'
FROM given
JOIN profiles AS other
    ON other.community_id = $1 AND other.email_normalized = lower(input.email) AND other.deleted_at IS NULL
WHERE other.profile_id <> input.profile_id
UNION ALL
SELECT input.n, 'mobile_phone'
FROM given
JOIN profiles AS other
    ON other.community_id = $1 AND other.mobile_phone = input.mobile_phone AND other.deleted_at IS NULL
WHERE other.profile_id <> input.profile_id
UNION ALL
SELECT input.n, 'external_id'
FROM given
JOIN profiles AS other ON other.community_id = $1 AND other.external_id = input.external_id
WHERE other.profile_id <> input.profile_id
"""


async def find_conflicts(
    uow: UnitOfWork, wanted: Sequence[tuple[Profile | None, Profile]]
) -> dict[int, ValidationError]:
    """Of profiles (before, after), by position: those whose e-mail, phone or external id another one has."""
    new = {name: [_new_value(before, after, name) for before, after in wanted] for name in CONFLICT_MESSAGES}
    if not any(value is not None for values in new.values() for value in values):
        return {}
    rows = await uow.fetch(
        _CLASHES,
        uow.community_id,
        list(range(len(wanted))),
        [after.profile_id for _, after in wanted],
        new["email"],
        new["mobile_phone"],
        new["external_id"],
    )
    found: dict[int, dict[str, str]] = {}
    for row in rows:
        found.setdefault(row["n"], {})[row["field"]] = CONFLICT_MESSAGES[row["field"]]
    return {n: ValidationError(errors) for n, errors in found.items()}


def _new_value(before: Profile | None, after: Profile, name: str) -> str | None:
    value: str | None = getattr(after, name)
    held = before is not None and before.deleted_at is None and getattr(before, name) == value
    return None if held else value


async def _refuse_clashes(uow: UnitOfWork, drafts: Sequence[_Draft]) -> None:
    standing = [draft for draft in drafts if draft.refusal is None and draft.before != draft.after]
    found = await find_conflicts(uow, [(draft.before, draft.after) for draft in standing])
    for n, refusal in found.items():
        standing[n].refusal = refusal


# Writing ------------------------------------------------------------------------------------------------

_NAMES = ", ".join(COLUMNS)
_GIVEN = f"""json_to_recordset($2::json) AS input (
    profile_id uuid, {", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())}
)"""

_INSERT = f"""
INSERT INTO profiles (community_id, profile_id, {_NAMES}, created_at, updated_at)
SELECT $1, profile_id, {_NAMES}, $3, $3
FROM {_GIVEN}
ORDER BY external_id COLLATE "C", profile_id
"""

_UPDATE = f"""
UPDATE profiles AS target
SET {", ".join(f"{name} = input.{name}" for name in COLUMNS)}, updated_at = $3
FROM {_GIVEN}
WHERE target.community_id = $1 AND target.profile_id = input.profile_id
"""


async def save(uow: UnitOfWork, profiles: Sequence[Profile]) -> None:
    """Writes profiles that are locked as they are now."""
    if profiles:
        await uow.execute(_UPDATE, uow.community_id, list(profiles), uow.now)


async def _write(uow: UnitOfWork, drafts: Sequence[_Draft]) -> None:
    made = [draft.after for draft in drafts if draft.before is None]
    kept = [draft.after for draft in drafts if draft.before is not None]
    if made:
        await uow.execute(_INSERT, uow.community_id, made, uow.now)
    await save(uow, kept)
    parts = AddressChanges()
    for draft in drafts:
        parts += draft.addresses
    await addresses.write(uow, parts)
    await identities.write(uow, [each for draft in drafts for each in draft.identities])
    # Those of a new profile were counted with its row.
    if added := [draft.after.profile_id for draft in drafts if draft.before is not None and draft.identities]:
        await identities.check_limit(uow, added)
    await _write_memberships(uow, drafts)
    uow.mark_members_dirty((each.profile_id for each in made), "profile.created")
    uow.mark_members_dirty((each.profile_id for each in kept), "profile.updated")


async def _write_memberships(uow: UnitOfWork, drafts: Sequence[_Draft]) -> None:
    joins, moves, leaving = [], [], []
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
            moves.append((after.profile_id, before.joined_at, after.joined_at))
        if after.deleted_at is not None:
            leaving.append(after.profile_id)
    await memberships.insert_joins(uow, joins)
    await memberships.update_join_dates(uow, moves)
    await memberships.set_state(uow, leaving, "out")
