"""Joining and leaving: facts of their own, so that at every instant members are ins minus outs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from regulars.core import timestamps, validation
from regulars.core.errors import ValidationError, field_error
from regulars.model import consents
from regulars.model.concurrency import retry_on_conflict
from regulars.model.profiles import lookup
from regulars.model.unit_of_work import UnitOfWork

Outcome = Literal["loaded", "unchanged"] | ValidationError


class MembershipIn(msgspec.Struct, frozen=True, kw_only=True):
    """A member coming in or going out, as it comes in. `profile` is an external id or a profile's id."""

    external_id: validation.Code = UNSET
    profile: validation.Code = UNSET
    type: validation.Text = UNSET
    at: validation.Text = UNSET
    optin_channel: validation.Text = UNSET
    optin_subchannel: validation.Text = UNSET
    consents: dict[str, Any] | UnsetType | None = UNSET


@dataclass(frozen=True, slots=True)
class MembershipRow:
    """A membership that was checked. `consents` None were not given."""

    external_id: str | None
    profile: str
    type: str
    at: datetime
    optin_channel: str | None = None
    optin_subchannel: str | None = None
    consents: Mapping[str, bool] | None = None


@dataclass(frozen=True, slots=True)
class MemberJoin:
    """A profile that joins, with what it agreed to at that moment."""

    profile_id: UUID
    at: datetime
    optin_channel: str | None = None
    optin_subchannel: str | None = None
    consents: Mapping[str, bool] = field(default_factory=dict)


def validate(membership: MembershipIn) -> MembershipRow:
    """A membership held to its rules. Raises Refused by path."""
    reading = validation.FieldReader()
    reading.read("external_id", membership.external_id, validation.check_code)
    reading.read("profile", membership.profile, validation.check_code)
    reading.read("type", membership.type, _type)
    reading.read("at", membership.at, timestamps.parse_timestamp)
    reading.read("optin_channel", membership.optin_channel, validation.check_text)
    reading.read("optin_subchannel", membership.optin_subchannel, validation.check_text)
    reading.read("consents", membership.consents, _answered)
    for name in ("profile", "type", "at"):
        if reading.columns.get(name) is None:
            reading.errors.setdefault(name, "is required")
    return MembershipRow(**{"external_id": None, **reading.result()})


def _type(text: str) -> str:
    if text not in ("in", "out"):
        raise ValueError("must be in or out")
    return text


def _answered(value: Mapping[str, Any]) -> dict[str, bool]:
    return {name: answer for name, answer in consents.validate_consents(value).items() if answer is not None}


# An in while in, an out while out stand, but do not count: which do follows from all that are known of a
# profile, in whatever order they came.
_COUNT = """
UPDATE memberships AS kept
SET counted = seen.counted
FROM (
    SELECT
        id,
        type <> lag(type, 1, 'out') OVER (PARTITION BY profile_id ORDER BY at, id) AS counted
    FROM memberships
    WHERE community_id = $1 AND profile_id = ANY ($2)
) AS seen
WHERE kept.community_id = $1 AND kept.id = seen.id AND kept.counted IS DISTINCT FROM seen.counted
"""


async def recompute_effective(uow: UnitOfWork, profile_ids: Collection[UUID]) -> None:
    """Finds anew which of the memberships of these profiles count."""
    if profile_ids:
        await uow.execute(_COUNT, uow.community_id, sorted(set(profile_ids)))


_INSERT = """
INSERT INTO memberships (
    community_id, external_id, profile_id, type, at, optin_channel, optin_subchannel, consents, created_at
)
SELECT $1, external_id, profile_id, type, at, optin_channel, optin_subchannel, consents, $3
FROM json_to_recordset($2::json) AS made (
    external_id text, profile_id uuid, type text, at timestamptz, optin_channel text,
    optin_subchannel text, consents jsonb
)
"""


async def insert_joins(uow: UnitOfWork, joins: Sequence[MemberJoin]) -> None:
    """The first `in` of profiles that are new: each counts."""
    if joins:
        rows = [{"type": "in", **_columns(each)} for each in joins]
        await uow.execute(_INSERT, uow.community_id, rows, uow.now)


def _columns(one: MemberJoin | MembershipRow) -> dict[str, Any]:
    names = ("profile_id", "external_id", "type", "at", "optin_channel", "optin_subchannel", "consents")
    return {name: getattr(one, name) for name in names if hasattr(one, name)}


_TURN = """
INSERT INTO memberships (
    community_id, profile_id, type, at, optin_channel, optin_subchannel, consents, created_at
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
            WHERE community_id = $1 AND profile_id = profiles.profile_id AND at <= $4
            ORDER BY at DESC, id DESC
            LIMIT 1
        ),
        'out'
    )
"""


async def set_state(uow: UnitOfWork, profile_ids: Collection[UUID], state: Literal["in", "out"]) -> None:
    """Profiles come in or go out now; who is there already is left alone."""
    if profile_ids:
        await uow.execute(_TURN, uow.community_id, sorted(profile_ids), state, uow.now)
        await recompute_effective(uow, profile_ids)


_MOVE = """
UPDATE memberships AS kept
SET at = moved.after
FROM unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[]) AS moved (profile_id, before, after)
WHERE kept.community_id = $1
    AND kept.profile_id = moved.profile_id
    AND kept.type = 'in'
    AND kept.external_id IS NULL
    AND kept.at = coalesce(moved.before, kept.created_at)
"""


async def update_join_dates(uow: UnitOfWork, moves: Sequence[tuple[UUID, datetime | None, datetime]]) -> None:
    """The `in` that came of making a profile follows its join date: (profile, before, after)."""
    if moves:
        profile_ids, before, after = (list(each) for each in zip(*moves, strict=True))
        await uow.execute(_MOVE, uow.community_id, profile_ids, before, after)
        await recompute_effective(uow, profile_ids)


# In bulk ------------------------------------------------------------------------------------------------

_KNOWN = """
SELECT id, external_id, profile_id, type, at, optin_channel, optin_subchannel, consents
FROM memberships
WHERE community_id = $1
    AND (
        external_id = ANY ($2)
        OR (profile_id, type, at) IN (SELECT * FROM unnest($3::uuid[], $4::text[], $5::timestamptz[]))
    )
"""

_UPDATE = """
UPDATE memberships AS kept
SET profile_id = given.profile_id, type = given.type, at = given.at, optin_channel = given.optin_channel,
    optin_subchannel = given.optin_subchannel, consents = given.consents
FROM json_to_recordset($2::json) AS given (
    id bigint, profile_id uuid, type text, at timestamptz, optin_channel text,
    optin_subchannel text, consents jsonb
)
WHERE kept.community_id = $1 AND kept.id = given.id
"""


async def upsert_many(uow: UnitOfWork, rows: Sequence[MembershipRow]) -> list[Outcome]:
    """Writes memberships of the profiles that they name; gives an outcome a row.

    A row that comes again, by its external id or else as the same in or out at the same instant, changes
    what it told before.
    """
    refs = {row.profile: (lookup.EXTERNAL_ID_OR_ID, row.profile) for row in rows}
    found = await lookup.resolve(uow, set(refs.values()))
    profile_ids = {name: found[ref] for name, ref in refs.items() if ref in found}
    await lookup.lock(uow, profile_ids.values())
    return await retry_on_conflict(uow, lambda: _put(uow, rows, profile_ids))


async def _put(uow: UnitOfWork, rows: Sequence[MembershipRow], profile_ids: Mapping[str, UUID]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    before = await _known(uow, rows, profile_ids)
    states: dict[object, dict[str, Any]] = {}
    touched: set[UUID] = set()
    for row in rows:
        profile_id = profile_ids.get(row.profile)
        if profile_id is None:
            outcomes.append(field_error("profile", f"There is no profile {row.profile}"))
            continue
        new = _columns(row) | {"profile_id": profile_id}
        old = states.get(_key(new)) or before.get(_key(new))
        if old is not None and new == {name: old[name] for name in new}:
            outcomes.append("unchanged")
            continue
        states[_key(new)] = new | {"id": old.get("id") if old else None}
        touched |= {profile_id, old["profile_id"]} if old else {profile_id}
        outcomes.append("loaded")
    await _write(uow, states.values(), touched)
    return outcomes


def _key(state: Mapping[str, Any]) -> object:
    return state["external_id"] or (state["profile_id"], state["type"], state["at"])


async def _known(
    uow: UnitOfWork, rows: Sequence[MembershipRow], profile_ids: Mapping[str, UUID]
) -> dict[object, dict[str, Any]]:
    bare = [row for row in rows if row.external_id is None and row.profile in profile_ids]
    found = await uow.fetch(
        _KNOWN,
        uow.community_id,
        [row.external_id for row in rows if row.external_id is not None],
        [profile_ids[row.profile] for row in bare],
        [row.type for row in bare],
        [row.at for row in bare],
    )
    known: dict[object, dict[str, Any]] = {}
    for row in found:
        raw = row["consents"]
        state = {**row, "consents": None if raw is None else msgspec.json.decode(raw)}
        known[_key(state)] = state
        known.setdefault((state["profile_id"], state["type"], state["at"]), state)
    return known


async def _write(uow: UnitOfWork, states: Collection[dict[str, Any]], touched: set[UUID]) -> None:
    made = [state for state in states if state.get("id") is None]
    kept = [state for state in states if state.get("id") is not None]
    if made:
        await uow.execute(_INSERT, uow.community_id, made, uow.now)
    if kept:
        await uow.execute(_UPDATE, uow.community_id, kept)
    await recompute_effective(uow, touched)
    uow.dirty_members |= touched
