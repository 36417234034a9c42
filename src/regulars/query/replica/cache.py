"""Columnar replicas of communities' members, each brought up to the snapshot of a query before it runs."""

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import pyarrow as pa
import structlog

from regulars.aggregations.compiled_values import values_statement as values_statement
from regulars.auth.tenants import Tenant
from regulars.clock import Clock, system_clock
from regulars.core.uninterrupted import uninterrupted
from regulars.query.replica import statements
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
from regulars.storage.database import Database, Scope

_log = structlog.get_logger(__name__)

REFRESH_BATCH = 2_000
"""Profiles whose values are refreshed by one statement."""

MAX_REFRESH_SECONDS = 3.0
"""A request refreshes values for at most this long before it fails with ReplicaStaleError."""

BACKFILL_RETRY_SECONDS = 30
"""Seconds until a retry while a backfill is running."""

CREATION_RETRY_SECONDS = 10
"""Seconds until a retry while a replica is being created."""

MAX_IDLE = timedelta(days=4)
"""Replicas that no query used for this long are dropped. A weekend and a holiday are shorter."""

MAX_LAG = timedelta(hours=1)
"""Replicas that have not caught up for this long are dropped. What they lack is in the database for a day at least."""

_MIN_MEGABYTES = 64
"""DuckDB does not work with less memory."""

_MAX_VERSIONS = 256

_MAX_COMMIT_DELAY = timedelta(days=1)
"""The day recorded by a commit may differ this much from the day on which the commit becomes snapshot."""

Result = TypeVar("Result")


class ReplicaUnavailableError(Exception):
    """Raised where a replica is not up to date yet; `retry_after` is in seconds."""

    def __init__(self, reason: str, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"{reason} Retry in {retry_after} seconds.")


class ReplicaStaleError(ReplicaUnavailableError):
    """Raised where too many values are stale to be refreshed within a request."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("The values of many members are being refreshed.", retry_after)


class ReplicaCreationError(ReplicaUnavailableError):
    """Raised where a request does not wait any longer for its replica, which is still being created."""

    def __init__(self) -> None:
        super().__init__("The members are being copied into memory.", CREATION_RETRY_SECONDS)


@dataclass
class _Replica:
    """A replica with its snapshot and instant, and the snapshot of each recent version of its rows.

    `used_at` is the time of its last query, `current_at` that at which it was last brought up to date.
    """

    table: MemberReplica
    snapshot: PgSnapshot
    now: datetime
    used_at: datetime
    current_at: datetime
    version: int = 0
    versions: deque[tuple[int, PgSnapshot]] = field(default_factory=lambda: deque(maxlen=_MAX_VERSIONS))

    def set_snapshot(self, snapshot: PgSnapshot, now: datetime) -> None:
        """Records that the replica has caught up with a snapshot."""
        self.snapshot, self.now = snapshot, now
        self.versions.append((self.version, snapshot))

    def version_within(self, snapshot: PgSnapshot) -> int:
        """The newest version of which a snapshot sees every row; -1 where that is unknown."""
        return max((number for number, seen in self.versions if not seen.is_ahead_of(snapshot)), default=-1)


@dataclass(frozen=True, slots=True)
class _Read:
    """A transaction of a community that reads from its database, with its instant and its snapshot."""

    connection: Any
    community_id: int
    now: datetime
    snapshot: PgSnapshot


@dataclass(frozen=True, slots=True)
class _Request(_Read):
    """A query on a replica.

    `due_members` are profiles whose membership begins or ends by the clock, which is not yet stored. `dirty` are
    profiles whose values a running backfill has not computed yet, at most one more than REFRESH_BATCH.
    """

    plan: ReplicaPlan
    values_version: int
    due_members: Sequence[UUID]
    dirty: Sequence[UUID]


class ReplicaCache:
    """The replicas of a process, limited by memory; the least recently used are evicted first.

    They are brought up to date also while no query uses them (`catch_up`), because to create one takes a minute for
    millions of members. How long that is, and how long they are not used, is measured by `clock`.
    """

    def __init__(
        self,
        database: Database,
        megabytes: int,
        *,
        max_refresh_seconds: float = MAX_REFRESH_SECONDS,
        clock: Clock = system_clock,
    ) -> None:
        self._database = database
        self._megabytes = megabytes
        self._seconds = max_refresh_seconds
        self._clock = clock
        self._replicas: OrderedDict[int, _Replica] = OrderedDict()
        self._creations: dict[int, asyncio.Task[None]] = {}
        self._locks: dict[int, asyncio.Lock] = {}

    @property
    def cached_communities(self) -> list[int]:
        """The communities that have a replica, least recently used first."""
        return list(self._replicas)

    def replica(self, community_id: int) -> MemberReplica:
        """The replica of a community that has one."""
        return self._replicas[community_id].table

    def caught_up_at(self, community_id: int) -> datetime | None:
        """The instant of the last query for which a community's replica was brought up to date; None without a replica."""
        replica = self._replicas.get(community_id)
        return None if replica is None else replica.now

    async def fetch(
        self,
        connection: Any,
        tenant: Tenant,
        now: datetime,
        statement: str,
        values: Sequence[Any],
        max_wait_seconds: float | None = None,
    ) -> list[tuple[Any, ...]]:
        """Runs a statement in DuckDB's dialect over `members`, with values $1, $2, ..., and returns its rows.

        The connection is in a repeatable-read transaction within the tenant's community. The result is true at `now`
        for everything that this snapshot sees, and possibly for later commits. Raises ReplicaStaleError, and
        ReplicaCreationError if the replica takes longer than `max_wait_seconds` to create.
        """
        plan = rewrite(statement)
        state = await connection.fetchrow(statements.STATE, tenant.community_id, now, REFRESH_BATCH + 1)
        if state is None:
            raise LookupError("The connection is in another community.")
        snapshot = PgSnapshot.parse(state["snapshot"])
        values_version, due_members, dirty = state["values_version"], state["due_members"], state["dirty"]
        request = _Request(connection, tenant.community_id, now, snapshot, plan, values_version, due_members, dirty)
        lock = self._lock(tenant.community_id)
        async with lock:
            creation = await self._begin_creation(request)
        if creation is not None:
            # It goes on when the request ends, so that the next one has the replica.
            done, _ = await asyncio.wait([creation], timeout=max_wait_seconds)
            if not done or creation.cancelled():
                raise ReplicaCreationError
            creation.result()
        async with lock:
            # A replica is neither left incomplete nor used by others while a thread still works on it.
            replica = await uninterrupted(self._replica_for(request))
        return await asyncio.to_thread(replica.table.fetch, plan, values)

    async def catch_up(self, community_id: int) -> int:
        """Brings the replica of a community up to date, or drops it if it was not used for long.

        Returns the number of replicas that were brought up to date: 1 or 0.
        """
        self._drop_old()
        if community_id not in self._replicas:
            return 0
        async with self._database.read_transaction(community_id) as scope, self._lock(community_id):
            return await uninterrupted(self._catch_up_in(scope))

    async def _catch_up_in(self, scope: Scope) -> int:
        snapshot = PgSnapshot.parse(await scope.fetchval(statements.SNAPSHOT))
        replica = self._replicas.get(scope.community_id)
        if replica is None or replica.snapshot.is_ahead_of(snapshot):
            # It was evicted, or a query has brought it up to date.
            return 0
        try:
            await _catch_up(replica, _Read(scope.connection, scope.community_id, scope.now, snapshot))
        except BaseException:
            # It may be incomplete.
            self._replicas.pop(scope.community_id, None)
            raise
        replica.current_at = self._clock()
        return 1

    async def close(self) -> None:
        """Cancels the creation of replicas."""
        creations = list(self._creations.values())
        for creation in creations:
            creation.cancel()
        await asyncio.gather(*creations, return_exceptions=True)

    async def _begin_creation(self, request: _Request) -> asyncio.Task[None] | None:
        """Begins to create the replica of a community that has none, with the snapshot of a request."""
        self._drop_old()
        community_id = request.community_id
        if community_id not in self._replicas and community_id not in self._creations:
            exported = await request.connection.fetchval("SELECT pg_export_snapshot()")
            has_snapshot = asyncio.get_running_loop().create_future()
            creation = asyncio.create_task(self._create_in_background(request, exported, has_snapshot))
            creation.add_done_callback(_log_failure)
            self._creations[community_id] = creation
            # An exported snapshot is lost with the transaction of the request.
            await asyncio.wait([creation, has_snapshot], return_when=asyncio.FIRST_COMPLETED)
        return self._creations.get(community_id)

    async def _create_in_background(self, request: _Request, exported: str, has_snapshot: asyncio.Future[None]) -> None:
        try:
            async with self._database.long_read_transaction(request.community_id, exported) as connection:
                has_snapshot.set_result(None)
                replica = await self._create(replace(request, connection=connection), request.plan.columns)
            self._replicas[request.community_id] = replica
        finally:
            del self._creations[request.community_id]

    async def _replica_for(self, request: _Request) -> _Replica:
        # After an error the replica may be incomplete, so it is removed from the cache until it is up to date.
        replica = self._replicas.pop(request.community_id, None)
        if replica is None:
            # Evicted, or an error removed it, since the request has waited for it.
            replica = await self._create(request, request.plan.columns)
        elif request.snapshot.is_ahead_of(replica.snapshot):
            await _catch_up(replica, request)
        if any(each not in replica.table.columns for each in request.plan.columns):
            if replica.snapshot.is_ahead_of(request.snapshot):
                # The request's snapshot is older than the replica, so it gets a new one; current readers keep the
                # other.
                replica = await self._create(request, (*replica.table.columns, *request.plan.columns))
            else:
                await _add_columns(replica, request)
        if request.due_members and not replica.snapshot.is_ahead_of(request.snapshot):
            await _apply_due_members(replica, request)
        replica.used_at = replica.current_at = self._clock()
        self._replicas[request.community_id] = replica
        if request.plan.reads_values:
            await _refresh_dirty(replica, request)
            await self._refresh_stale_values(replica, request)
        self._evict()
        return replica

    async def _create(self, request: _Request, requested: Sequence[ReplicaColumn]) -> _Replica:
        columns = statements.with_metadata((*INITIAL_COLUMNS, *requested))
        table = MemberReplica(max(self._megabytes, _MIN_MEGABYTES))
        async with copy_to_arrow(
            request.connection, statements.members(request.community_id, columns), statements.arrow_types(columns)
        ) as batches:
            await asyncio.to_thread(table.fill, batches, columns)
        replica = _Replica(table, request.snapshot, request.now, self._clock(), self._clock())
        replica.set_snapshot(request.snapshot, request.now)
        return replica

    async def _refresh_stale_values(self, replica: _Replica, request: _Request) -> None:
        table = replica.table
        done = 0
        began = time.monotonic()
        version = replica.version_within(request.snapshot)
        while table.oldest_version < request.values_version or (
            request.plan.reads_time_dependent and table.next_due_at is not None and table.next_due_at <= request.now
        ):
            profile_ids = await asyncio.to_thread(
                table.due_profile_ids, request.now, request.values_version, version, REFRESH_BATCH
            )
            if not profile_ids:
                break
            if done and time.monotonic() > began + self._seconds:
                remaining = await asyncio.to_thread(table.count_due, request.now, request.values_version)
                raise ReplicaStaleError(min(60, math.ceil(remaining * (time.monotonic() - began) / done)))
            await _update_values(replica, request, profile_ids)
            done += len(profile_ids)

    def _lock(self, community_id: int) -> asyncio.Lock:
        return self._locks.setdefault(community_id, asyncio.Lock())

    def _drop_old(self) -> None:
        now = self._clock()
        for community_id, replica in list(self._replicas.items()):
            if replica.used_at < now - MAX_IDLE or replica.current_at < now - MAX_LAG:
                del self._replicas[community_id]

    def _evict(self) -> None:
        max_bytes = self._megabytes * 1_000_000
        while (
            len(self._replicas) > 1
            and sum(replica.table.memory_bytes for replica in self._replicas.values()) > max_bytes
        ):
            self._replicas.popitem(last=False)


async def _catch_up(replica: _Replica, read: _Read) -> None:
    columns = replica.table.columns
    days = replica.now.date() - _MAX_COMMIT_DELAY, read.now.date() + _MAX_COMMIT_DELAY
    select = statements.changed_members(read.community_id, columns, replica.snapshot.unseen_condition, days)
    async with copy_to_arrow(
        read.connection, select, {**statements.arrow_types(columns), "is_member": pa.bool_()}
    ) as batches:
        replica.version += 1
        await asyncio.to_thread(replica.table.replace_members, batches, replica.version)
    replica.set_snapshot(read.snapshot, read.now)


async def _refresh_dirty(replica: _Replica, request: _Request) -> None:
    """Refreshes the values of profiles that a running backfill has not computed yet."""
    if len(request.dirty) > REFRESH_BATCH:
        raise ReplicaStaleError(BACKFILL_RETRY_SECONDS)
    if request.dirty:
        await _update_values(replica, request, request.dirty)


async def _apply_due_members(replica: _Replica, request: _Request) -> None:
    columns = replica.table.columns
    select = statements.members_at(request.community_id, columns, request.due_members, request.now)
    async with copy_to_arrow(
        request.connection, select, {**statements.arrow_types(columns), "is_member": pa.bool_()}
    ) as batches:
        await asyncio.to_thread(replica.table.replace_members, batches, replica.version)


async def _add_columns(replica: _Replica, request: _Request) -> None:
    missing = [each for each in statements.with_metadata(request.plan.columns) if each not in replica.table.columns]
    # Due times are read again, because existing values may have been refreshed in the replica only.
    columns = [PROFILE_ID, *statements.with_metadata(missing)] if request.plan.reads_values else [PROFILE_ID, *missing]
    async with copy_to_arrow(
        request.connection, statements.members(request.community_id, columns), statements.arrow_types(columns)
    ) as batches:
        await asyncio.to_thread(replica.table.add_columns, batches, columns)


async def _update_values(replica: _Replica, request: _Request, profile_ids: Sequence[UUID]) -> None:
    """Updates values of profiles: from their stored rows where these are current, else computed from facts."""
    values = [each for each in replica.table.columns if each.name in VALUE_COLUMNS]
    stored = await request.connection.fetch(
        statements.stored_values(values), request.community_id, profile_ids, request.values_version, request.now
    )
    stale = sorted(set(profile_ids) - {row["profile_id"] for row in stored})
    computed = []
    if stale:
        computed = await request.connection.fetch(
            values_statement(), request.community_id, stale, [request.now] * len(stale)
        )
    removed = set(stale) - {row["profile_id"] for row in computed}
    columns = [PROFILE_ID, NEXT_CHANGE, VALUES_VERSION, *values]
    found = [[each.to_copy_value(row[each.name]) for each in columns] for row in (*stored, *computed)]
    found += [[str(each), None, request.values_version, *([None] * len(values))] for each in removed]
    batches = pa.table(
        [pa.array([row[index] for row in found], each.arrow_type) for index, each in enumerate(columns)],
        names=[each.name for each in columns],
    )
    await asyncio.to_thread(replica.table.update_values, batches, columns)


def _log_failure(creation: asyncio.Task[None]) -> None:
    if not creation.cancelled() and (error := creation.exception()) is not None:
        _log.warning("replica.creation_failed", error=f"{type(error).__name__}: {error}")
