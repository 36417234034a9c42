"""Memberships: profiles that join and leave a community.

At every instant the members are the joins minus the leaves.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from regulars.core import timestamps, validation
from regulars.core.errors import QuotingText, ValidationError, field_error
from regulars.model import consents
from regulars.model.concurrency import retry_on_conflict
from regulars.model.profiles import lookup
from regulars.model.unit_of_work import UnitOfWork

Outcome = Literal["accepted", "unchanged"] | ValidationError


class MembershipIn(msgspec.Struct, frozen=True, kw_only=True):
    """A request to record that a profile joined or left. `profile` is an external id or a profile's id."""

    external_id: validation.Code = UNSET
    profile: validation.Code = UNSET
    type: validation.Text = UNSET
    at: validation.Text = UNSET
    optin_channel: validation.Text = UNSET
    optin_subchannel: validation.Text = UNSET
    consents: dict[str, Any] | UnsetType | None = UNSET


@dataclass(frozen=True, slots=True)
class MembershipRow:
    """A validated membership. `consents` is None where the request has none."""

    external_id: str | None
    profile: str
    type: str
    at: datetime
    optin_channel: str | None = None
    optin_subchannel: str | None = None
    consents: Mapping[str, bool] | None = None


@dataclass(frozen=True, slots=True)
class MemberJoin:
    """A profile that joins, with its consents at that moment."""

    profile_id: UUID
    at: datetime
    optin_channel: str | None = None
    optin_subchannel: str | None = None
    consents: Mapping[str, bool] = field(default_factory=dict)


def validate(membership: MembershipIn) -> MembershipRow:
    """Validates a membership. Raises ValidationError."""
    reader = validation.FieldReader()
    reader.read("external_id", membership.external_id, validation.check_code)
    reader.read("profile", membership.profile, validation.check_code)
    reader.read("type", membership.type, _type)
    reader.read("at", membership.at, timestamps.parse_timestamp)
    reader.read("optin_channel", membership.optin_channel, validation.check_text)
    reader.read("optin_subchannel", membership.optin_subchannel, validation.check_text)
    reader.read("consents", membership.consents, _known_consents)
    reader.require("profile", "type", "at")
    return MembershipRow(**{"external_id": None, **reader.result()})


def _type(text: str) -> str:
    if text not in ("in", "out"):
        raise ValueError("must be in or out")
    return text


def _known_consents(value: Mapping[str, Any]) -> dict[str, bool]:
    return {
        name: is_granted for name, is_granted in consents.validate_consents(value).items() if is_granted is not None
    }


# A join of a member and a leave of a non-member are stored without effect. Which ones have an effect follows from all
# memberships of a profile in the order of their time, not of their arrival.
_RECOMPUTE_EFFECTIVE = """
UPDATE memberships AS target
SET is_effective = recomputed.is_effective
FROM (
    SELECT
        id,
        type <> lag(type, 1, 'out') OVER (PARTITION BY profile_id ORDER BY occurred_at, id) AS is_effective
    FROM memberships
    WHERE community_id = $1 AND profile_id = ANY ($2)
) AS recomputed
WHERE target.community_id = $1
    AND target.id = recomputed.id
    AND target.is_effective IS DISTINCT FROM recomputed.is_effective
"""


async def recompute_effective(uow: UnitOfWork, profile_ids: Collection[UUID]) -> None:
    """Recomputes which memberships of these profiles are effective."""
    if profile_ids:
        await uow.execute(_RECOMPUTE_EFFECTIVE, uow.community_id, sorted(set(profile_ids)))


_INSERT = """
INSERT INTO memberships (
    community_id, external_id, profile_id, type, occurred_at, optin_channel, optin_subchannel, consents, created_at
)
SELECT $1, external_id, profile_id, type, at, optin_channel, optin_subchannel, consents, $3
FROM json_to_recordset($2::json) AS input (
    external_id text, profile_id uuid, type text, at timestamptz, optin_channel text,
    optin_subchannel text, consents jsonb
)
"""


async def insert_joins(uow: UnitOfWork, joins: Sequence[MemberJoin]) -> None:
    """Inserts the first join of new profiles; each is effective."""
    if joins:
        rows = [{"type": "in", **_columns(each)} for each in joins]
        await uow.execute(_INSERT, uow.community_id, rows, uow.now)


def _columns(membership: MemberJoin | MembershipRow) -> dict[str, Any]:
    names = ("profile_id", "external_id", "type", "at", "optin_channel", "optin_subchannel", "consents")
    return {name: getattr(membership, name) for name in names if hasattr(membership, name)}


_SET_STATE = """
INSERT INTO memberships (
    community_id, profile_id, type, occurred_at, optin_channel, optin_subchannel, consents, created_at
)
SELECT $1, profiles.profile_id, $3::text, $4::timestamptz, profiles.optin_channel,
    profiles.optin_subchannel, profiles.consents, $4
FROM profiles
WHERE profiles.community_id = $1
    AND profiles.profile_id = ANY ($2)
    AND $3::text IS DISTINCT FROM coalesce(
        (
            SELECT type
            FROM memberships
            WHERE community_id = $1 AND profile_id = profiles.profile_id AND occurred_at <= $4
            ORDER BY occurred_at DESC, id DESC
            LIMIT 1
        ),
        'out'
    )
"""


async def set_state(uow: UnitOfWork, profile_ids: Collection[UUID], state: Literal["in", "out"]) -> None:
    """Records that profiles join (`in`) or leave (`out`) now. Profiles already in that state are unchanged."""
    if profile_ids:
        await uow.execute(_SET_STATE, uow.community_id, sorted(profile_ids), state, uow.now)
        await recompute_effective(uow, profile_ids)


_UPDATE_JOIN_DATES = """
UPDATE memberships AS target
SET occurred_at = input.joined_at
FROM unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[]) AS input (profile_id, previous_joined_at, joined_at)
WHERE target.community_id = $1
    AND target.profile_id = input.profile_id
    AND target.type = 'in'
    AND target.external_id IS NULL
    AND target.occurred_at = coalesce(input.previous_joined_at, target.created_at)
"""


async def update_join_dates(uow: UnitOfWork, updates: Sequence[tuple[UUID, datetime | None, datetime]]) -> None:
    """Moves the joins that the creation of profiles recorded: (profile id, previous and new join date)."""
    if updates:
        profile_ids, before, after = (list(each) for each in zip(*updates, strict=True))
        await uow.execute(_UPDATE_JOIN_DATES, uow.community_id, profile_ids, before, after)
        await recompute_effective(uow, profile_ids)


# Many memberships ---------------------------------------------------------------------------------------

_HOLDERS = """
SELECT DISTINCT profile_id
FROM memberships
WHERE community_id = $1 AND external_id = ANY ($2)
"""

# The laterals with OFFSET read an index for each row, also in tables without statistics.
_EXISTING = """
WITH found AS (
    SELECT *
    FROM memberships
    WHERE community_id = $1 AND external_id = ANY ($2)
    UNION ALL
    SELECT same.*
    FROM unnest($3::uuid[], $4::text[], $5::timestamptz[]) AS input (profile_id, type, at)
    CROSS JOIN LATERAL (
        SELECT *
        FROM memberships
        WHERE community_id = $1 AND profile_id = input.profile_id AND occurred_at = input.at AND type = input.type
        OFFSET 0
    ) AS same
)
SELECT
    found.id, found.external_id, found.profile_id, found.type, found.occurred_at AS at, found.optin_channel,
    found.optin_subchannel, found.consents,
    found.type = 'in' AND found.occurred_at = coalesce(owner.joined_at, found.created_at) AS is_first_join
FROM found
CROSS JOIN LATERAL (
    SELECT joined_at FROM profiles WHERE community_id = $1 AND profile_id = found.profile_id OFFSET 0
) AS owner
ORDER BY found.id
"""

_UPDATE = """
UPDATE memberships AS target
SET external_id = input.external_id,
    profile_id = input.profile_id,
    type = input.type,
    occurred_at = input.at,
    optin_channel = input.optin_channel,
    optin_subchannel = input.optin_subchannel,
    consents = input.consents
FROM json_to_recordset($2::json) AS input (
    id bigint, external_id text, profile_id uuid, type text, at timestamptz, optin_channel text,
    optin_subchannel text, consents jsonb
)
WHERE target.community_id = $1 AND target.id = input.id
"""


async def upsert_many(
    uow: UnitOfWork, rows: Sequence[MembershipRow], deleted: Mapping[str, UUID] | None = None
) -> list[Outcome]:
    """Creates or updates memberships of the profiles that rows name, and of `deleted` ones by the name in their rows.

    Returns an outcome per row. A row matches the membership with its external id, or else the one of its profile, type and
    time, which takes the external id of the row, unless it has another one or is the join that the creation recorded.
    """
    refs = {row.profile: (lookup.EXTERNAL_ID_OR_ID, row.profile) for row in rows}
    found = await lookup.resolve(uow, set(refs.values()))
    profile_ids = {**(deleted or {}), **{name: found[ref] for name, ref in refs.items() if ref in found}}
    return await retry_on_conflict(uow, lambda: _upsert(uow, rows, profile_ids))


@dataclass(eq=False, slots=True)
class _Membership:
    """A membership that is stored or planned; `id` is None until it is stored."""

    id: int | None = None
    is_first_join: bool = False
    columns: dict[str, Any] = field(default_factory=dict)


class _Index:
    """Memberships by external id, and by profile, type and time."""

    def __init__(self) -> None:
        self._by_external_id: dict[str, _Membership] = {}
        self._by_event: dict[tuple[object, ...], list[_Membership]] = {}

    def find(self, columns: Mapping[str, Any]) -> _Membership | None:
        """The membership that a row with these columns matches."""
        external_id = columns["external_id"]
        same = self._by_event.get(_event(columns), [])
        if external_id is None:
            return min(same, key=lambda each: each.columns["external_id"] is not None, default=None)
        free = (each for each in same if each.columns["external_id"] is None and not each.is_first_join)
        return self._by_external_id.get(external_id) or next(free, None)

    def put(self, membership: _Membership, columns: dict[str, Any]) -> None:
        """Adds a membership, or changes the columns of one."""
        if membership.columns:
            self._by_event[_event(membership.columns)].remove(membership)
        membership.columns = columns
        self._by_event.setdefault(_event(columns), []).append(membership)
        if columns["external_id"] is not None:
            self._by_external_id[columns["external_id"]] = membership


def _event(columns: Mapping[str, Any]) -> tuple[object, ...]:
    return columns["profile_id"], columns["type"], columns["at"]


async def _upsert(uow: UnitOfWork, rows: Sequence[MembershipRow], profile_ids: Mapping[str, UUID]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    await _lock(uow, rows, profile_ids)
    index = await _existing(uow, rows, profile_ids)
    changed: dict[_Membership, None] = {}
    affected: set[UUID] = set()
    for row in rows:
        profile_id = profile_ids.get(row.profile)
        if profile_id is None:
            message = QuotingText(f"There is no profile {row.profile}", "There is no profile with this id")
            outcomes.append(field_error("profile", message))
            continue
        columns = _columns(row) | {"profile_id": profile_id}
        membership = index.find(columns) or _Membership()
        if membership.columns:
            columns["external_id"] = row.external_id or membership.columns["external_id"]
            if columns == membership.columns:
                outcomes.append("unchanged")
                continue
            affected.add(membership.columns["profile_id"])
        affected.add(profile_id)
        index.put(membership, columns)
        changed[membership] = None
        outcomes.append("accepted")
    await _write(uow, changed, affected)
    return outcomes


async def _lock(uow: UnitOfWork, rows: Sequence[MembershipRow], profile_ids: Mapping[str, UUID]) -> None:
    """Locks the profiles of rows, and those that have the memberships with their external ids."""
    external_ids = [row.external_id for row in rows if row.external_id is not None]
    locked: set[UUID] = set()
    while True:
        holders = await uow.fetch(_HOLDERS, uow.community_id, external_ids)
        unlocked = {*profile_ids.values(), *(row["profile_id"] for row in holders)} - locked
        if not unlocked:
            return
        # While it waits, another writer may move a membership to one more profile.
        await lookup.lock(uow, unlocked)
        locked |= unlocked


async def _existing(uow: UnitOfWork, rows: Sequence[MembershipRow], profile_ids: Mapping[str, UUID]) -> _Index:
    known = [row for row in rows if row.profile in profile_ids]
    found = await uow.fetch(
        _EXISTING,
        uow.community_id,
        [row.external_id for row in known if row.external_id is not None],
        [profile_ids[row.profile] for row in known],
        [row.type for row in known],
        [row.at for row in known],
    )
    index = _Index()
    for each in {row["id"]: dict(row) for row in found}.values():
        membership = _Membership(each.pop("id"), each.pop("is_first_join"))
        raw = each["consents"]
        index.put(membership, each | {"consents": None if raw is None else msgspec.json.decode(raw)})
    return index


async def _write(uow: UnitOfWork, changed: Collection[_Membership], profile_ids: set[UUID]) -> None:
    new = [each.columns for each in changed if each.id is None]
    updated = [each.columns | {"id": each.id} for each in changed if each.id is not None]
    if new:
        await uow.execute(_INSERT, uow.community_id, new, uow.now)
    if updated:
        await uow.execute(_UPDATE, uow.community_id, updated)
    await recompute_effective(uow, profile_ids)
    uow.dirty_members |= profile_ids
