"""Columnar copies of communities' members, each caught up with what was committed before it answers."""

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import pyarrow as pa

from regulars.aggregations.table import values_statement as values_statement
from regulars.auth.tenants import Tenant
from regulars.query.replica.columns import (
    INITIAL_COLUMNS,
    NEXT_CHANGE,
    PROFILE_ID,
    VALUE_COLUMNS,
    VALUES_VERSION,
    ReplicaColumn,
)
from regulars.query.replica.member_replica import MemberReplica
from regulars.query.replica.pg_snapshot import PgSnapshot
from regulars.query.replica.rewrite import ReplicaPlan, rewrite
from regulars.storage.copy_out import copy_to_arrow

REFRESH_BATCH = 2_000
"""Profiles whose values are brought up to date by one statement."""

MAX_REFRESH_SECONDS = 3.0
"""How long a request has values brought up to date before it asks its client to come back."""

LOAD_RETRY_SECONDS = 30
"""When to ask again while a load of years of history is under way."""

IDLE_TTL_SECONDS = 3_600.0
"""A copy that nobody asked for so long is dropped: it is made faster than it is caught up."""

_LEAST_MEGABYTES = 64
"""With less no copy works at all."""

_REMEMBERED = 256

_LONGEST_COMMIT = timedelta(days=1)
"""So far may the day that a commit bears be from the day on which it is seen."""

Result = TypeVar("Result")


class ReplicaStaleError(Exception):
    """So many values are out of date that they can't be had within a request; `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(
            f"The values of many members are being brought up to date. Ask again in {retry_after} seconds."
        )


@dataclass
class _Copy:
    """A table with the snapshot that it is true for, the instant at which that was asked for, and of which snapshot
    each version of its rows was.
    """

    table: MemberReplica
    visible: PgSnapshot
    now: datetime
    asked_at: float
    version: int = 0
    versions: deque[tuple[int, PgSnapshot]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def caught_up(self, visible: PgSnapshot, now: datetime) -> None:
        """Takes the rows of `self.version` for those of a snapshot."""
        self.visible, self.now = visible, now
        self.versions.append((self.version, visible))

    def version_within(self, visible: PgSnapshot) -> int:
        """The newest version of which a snapshot sees everything; -1 where that is not remembered."""
        return max((number for number, seen in self.versions if not seen.is_ahead_of(visible)), default=-1)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request: its transaction's connection, what its snapshot sees, and its instant. `waiting` are the profiles that
    have become members by the clock, or ceased to be, which is still to be written; `marked` those whose values a load
    has still to compute, one more than are computed here where there are more.
    """

    connection: Any
    community_id: int
    plan: ReplicaPlan
    now: datetime
    visible: PgSnapshot
    epoch: int
    waiting: Sequence[UUID]
    marked: Sequence[UUID]


class ReplicaCache:
    """The copies that a process keeps, together at most of so many megabytes; the least recently used go first."""

    def __init__(self, megabytes: int, *, max_refresh_seconds: float = MAX_REFRESH_SECONDS) -> None:
        self._megabytes = megabytes
        self._seconds = max_refresh_seconds
        self._copies: OrderedDict[int, _Copy] = OrderedDict()
        self._locks: dict[int, asyncio.Lock] = {}

    @property
    def cached_communities(self) -> list[int]:
        """The communities that there are copies of, the least recently used first."""
        return list(self._copies)

    def replica(self, community_id: int) -> MemberReplica:
        """The table of a community that there is a copy of."""
        return self._copies[community_id].table

    async def fetch(
        self, connection: Any, customer: Tenant, now: datetime, statement: str, values: Sequence[Any]
    ) -> list[tuple[Any, ...]]:
        """The rows of a statement in DuckDB's dialect over `members`, its values $1, $2, ...

        The connection is in a transaction of one snapshot, within the customer's community. What is answered is true
        at `now` for all that the snapshot sees, and for what was committed while this waited for others. Raises
        ReplicaStaleError.
        """
        plan = rewrite(statement)
        state = await connection.fetchrow(_STATE, customer.community_id, now, REFRESH_BATCH + 1)
        if state is None:
            raise LookupError("The connection is in another community.")
        visible = PgSnapshot.parse(state["visible"])
        epoch, waiting, marked = state["values_version"], state["waiting"], state["marked"]
        asked = _Asked(connection, customer.community_id, plan, now, visible, epoch, waiting, marked)
        async with self._locks.setdefault(customer.community_id, asyncio.Lock()):
            copy = await self._caught_up(asked)
        return await asyncio.to_thread(copy.table.fetch, plan, values)

    async def _caught_up(self, asked: _Asked) -> _Copy:
        self._drop_idle()
        # Whatever goes wrong on the way, what might be half done is not used again.
        copy = self._copies.pop(asked.community_id, None)
        if copy is None:
            copy = await self._made(asked, asked.plan.columns)
        elif asked.visible.is_ahead_of(copy.visible):
            await _catch_up(copy, asked)
        if any(each not in copy.table.columns for each in asked.plan.columns):
            if copy.visible.is_ahead_of(asked.visible):
                # What is read now is older than what is there; those who read that keep it.
                copy = await self._made(asked, (*copy.table.columns, *asked.plan.columns))
            else:
                await _widen(copy, asked)
        if asked.waiting and not copy.visible.is_ahead_of(asked.visible):
            await _settle(copy, asked)
        copy.asked_at = time.monotonic()
        self._copies[asked.community_id] = copy
        if asked.plan.reads_values:
            await _compute_marked(copy, asked)
            await self._bring_up_to_date(copy, asked)
        self._keep_within_limit()
        return copy

    async def _made(self, asked: _Asked, wanted: Sequence[ReplicaColumn]) -> _Copy:
        columns = _complete((*INITIAL_COLUMNS, *wanted))
        table = MemberReplica(max(self._megabytes, _LEAST_MEGABYTES))
        async with copy_to_arrow(asked.connection, _members(asked.community_id, columns), _read(columns)) as given:
            await _in_thread(table.fill, given, columns)
        copy = _Copy(table, asked.visible, asked.now, time.monotonic())
        copy.caught_up(asked.visible, asked.now)
        return copy

    async def _bring_up_to_date(self, copy: _Copy, asked: _Asked) -> None:
        table = copy.table
        done = 0
        began = time.monotonic()
        version = copy.version_within(asked.visible)
        while table.oldest_version < asked.epoch or (
            asked.plan.reads_time_dependent and table.next_due_at is not None and table.next_due_at <= asked.now
        ):
            profile_ids = await asyncio.to_thread(table.due_profile_ids, asked.now, asked.epoch, version, REFRESH_BATCH)
            if not profile_ids:
                break
            if done and time.monotonic() > began + self._seconds:
                rest = await asyncio.to_thread(table.count_due, asked.now, asked.epoch)
                raise ReplicaStaleError(min(60, math.ceil(rest * (time.monotonic() - began) / done)))
            await _revise(copy, asked, profile_ids)
            done += len(profile_ids)

    def _drop_idle(self) -> None:
        before = time.monotonic() - IDLE_TTL_SECONDS
        for community_id in [key for key, copy in self._copies.items() if copy.asked_at < before]:
            del self._copies[community_id]

    def _keep_within_limit(self) -> None:
        most = self._megabytes * 1_000_000
        while len(self._copies) > 1 and sum(copy.table.memory_bytes for copy in self._copies.values()) > most:
            self._copies.popitem(last=False)


async def _catch_up(copy: _Copy, asked: _Asked) -> None:
    columns = copy.table.columns
    days = copy.now.date() - _LONGEST_COMMIT, asked.now.date() + _LONGEST_COMMIT
    select = _changed(asked.community_id, columns, copy.visible.unseen_condition, days)
    async with copy_to_arrow(asked.connection, select, {**_read(columns), "is_member": pa.bool_()}) as given:
        copy.version += 1
        await _in_thread(copy.table.replace_members, given, copy.version)
    copy.caught_up(asked.visible, asked.now)


async def _compute_marked(copy: _Copy, asked: _Asked) -> None:
    """Brings up to date what a load under way has marked: it tells of each profile only at its end."""
    if len(asked.marked) > REFRESH_BATCH:
        raise ReplicaStaleError(LOAD_RETRY_SECONDS)
    if asked.marked:
        await _revise(copy, asked, asked.marked)


async def _settle(copy: _Copy, asked: _Asked) -> None:
    columns = copy.table.columns
    select = _at(asked.community_id, columns, asked.waiting, asked.now)
    async with copy_to_arrow(asked.connection, select, {**_read(columns), "is_member": pa.bool_()}) as given:
        await _in_thread(copy.table.replace_members, given, copy.version)


async def _widen(copy: _Copy, asked: _Asked) -> None:
    missing = [each for each in _complete(asked.plan.columns) if each not in copy.table.columns]
    # When they are due is read again, for the values that are there may have been brought up to date here.
    columns = [PROFILE_ID, *_complete(missing)] if asked.plan.reads_values else [PROFILE_ID, *missing]
    async with copy_to_arrow(asked.connection, _members(asked.community_id, columns), _read(columns)) as given:
        await _in_thread(copy.table.add_columns, given, columns)


async def _revise(copy: _Copy, asked: _Asked, profile_ids: Sequence[UUID]) -> None:
    """Brings profiles' values up to date: as they are kept where somebody else has done it, else from the facts."""
    values = [each for each in copy.table.columns if each.name in VALUE_COLUMNS]
    kept = await asked.connection.fetch(_kept(values), asked.community_id, profile_ids, asked.epoch, asked.now)
    rest = sorted(set(profile_ids) - {row["profile_id"] for row in kept})
    computed = []
    if rest:
        computed = await asked.connection.fetch(values_statement(), asked.community_id, rest, [asked.now] * len(rest))
    gone = set(rest) - {row["profile_id"] for row in computed}
    columns = [PROFILE_ID, NEXT_CHANGE, VALUES_VERSION, *values]
    found = [[each.to_copy_value(row[each.name]) for each in columns] for row in (*kept, *computed)]
    found += [[str(each), None, asked.epoch, *([None] * len(values))] for each in gone]
    given = pa.table(
        [pa.array([row[place] for row in found], each.arrow_type) for place, each in enumerate(columns)],
        names=[each.name for each in columns],
    )
    await _in_thread(copy.table.update_values, given, columns)


async def _in_thread(work: Callable[..., Result], *arguments: Any) -> Result:
    """As asyncio.to_thread, but whoever is cancelled waits for the end of the work: no other may begin before."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(task)
    finally:
        await asyncio.wait([task])


_STATE = """
SELECT CAST(pg_current_snapshot() AS text) AS visible, values_version,
       ARRAY(SELECT profile_id FROM members WHERE community_id = $1 AND next_change_at <= $2) AS waiting,
       ARRAY(
           SELECT profile_id FROM profile_aggregations WHERE community_id = $1 AND values_version < 0 LIMIT $3
       ) AS marked
FROM cache_versions
WHERE community_id = $1
"""


def _complete(columns: Sequence[ReplicaColumn]) -> list[ReplicaColumn]:
    """Columns once each; with values goes when they change."""
    needed = (NEXT_CHANGE, VALUES_VERSION) if any(each.name in VALUE_COLUMNS for each in columns) else ()
    return list(dict.fromkeys((*columns, *needed)))


def _read(columns: Sequence[ReplicaColumn]) -> dict[str, pa.DataType]:
    return {each.name: each.arrow_type for each in columns}


def _selected(columns: Sequence[ReplicaColumn]) -> str:
    return ", ".join(each.copy_expression for each in columns)


def _values_join(columns: Sequence[ReplicaColumn]) -> str:
    if all(each.table == "members" for each in columns):
        return ""
    return """
LEFT JOIN profile_aggregations ON profile_aggregations.community_id = members.community_id
                      AND profile_aggregations.profile_id = members.profile_id"""


def _members(community_id: int, columns: Sequence[ReplicaColumn]) -> str:
    return f"""
SELECT {_selected(columns)}
FROM members{_values_join(columns)}
WHERE members.community_id = {community_id} AND members.is_member
"""


def _changed(community_id: int, columns: Sequence[ReplicaColumn], unseen: str, days: tuple[date, date]) -> str:
    # Day by day, for so the key of the outbox leads to its newest rows.
    told = f"""
    UNION
    SELECT told.profile_id
    FROM generate_series('{days[0]}'::timestamp, '{days[1]}', '1 day') AS on_day
    CROSS JOIN LATERAL (
        SELECT profile_id
        FROM outbox
        WHERE outbox.community_id = {community_id} AND outbox.day = on_day::date AND {unseen}
    ) AS told"""
    return f"""
SELECT {_selected(columns)}, members.is_member
FROM (
    SELECT profile_id
    FROM members
    WHERE community_id = {community_id} AND {unseen}{told if _values_join(columns) else ""}
) AS changed
JOIN members ON members.community_id = {community_id} AND members.profile_id = changed.profile_id{_values_join(columns)}
"""


def _at(community_id: int, columns: Sequence[ReplicaColumn], profile_ids: Sequence[UUID], now: datetime) -> str:
    return f"""
SELECT {_selected(columns)}, members.groups <> '{{}}' AND coalesce(
    (
        SELECT type = 'in'
        FROM memberships
        WHERE memberships.community_id = {community_id} AND memberships.profile_id = members.profile_id
          AND memberships.is_effective AND memberships.occurred_at <= '{now.isoformat()}'
        ORDER BY occurred_at DESC, id DESC
        LIMIT 1
    ),
    false
) AS is_member
FROM members{_values_join(columns)}
WHERE members.community_id = {community_id}
  AND members.profile_id = ANY ('{{{",".join(map(str, profile_ids))}}}'::uuid[])
"""


def _kept(values: Sequence[ReplicaColumn]) -> str:
    return f"""
SELECT profile_id, next_change_at, values_version, {", ".join(each.name for each in values)}
FROM profile_aggregations
WHERE community_id = $1
  AND profile_id = ANY ($2::uuid[])
  AND values_version >= $3
  AND (next_change_at IS NULL OR next_change_at > $4)
"""
