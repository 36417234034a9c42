"""Maintains the stored memberships of segments: of new versions, on birthdays, and of deleted segments.

All other changes of memberships are stored by the commits that cause them.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import structlog

from regulars.ingest.commit import commit
from regulars.jobs import per_community
from regulars.model import community as communities
from regulars.model.profiles import lookup
from regulars.model.unit_of_work import UnitOfWork
from regulars.query.compiler.statements import local_date_number
from regulars.segments import candidates, changes, definitions, membership
from regulars.segments.definitions import CommunitySegments, Segment
from regulars.storage.database import Database, Scope

PROFILES_PER_COMMIT = 2_500
"""Profiles that one commit locks, so that no other writer waits long."""

MEMBERSHIPS_PER_DELETE = 50_000

_log = structlog.get_logger("regulars.segments")

_COMMUNITIES = "SELECT id FROM communities WHERE segments_version IS NOT NULL ORDER BY id"

# One process maintains a community at a time. The lock ends with the transaction, so it works behind poolers.
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('regulars.segment_maintenance'), $1)"

_FIRST_ID, _LAST_ID = UUID(int=0), UUID(int=2**128 - 1)


class SegmentMaintenance:
    """Maintains the segments of all communities, step by step.

    Before a new version is filled, and before its memberships count as known, all commits must have ended that began
    with the earlier definitions. `_waiting` has these commits, by community and step.
    """

    def __init__(self, database: Database, stopping: Callable[[], bool] = lambda: False) -> None:
        self._database = database
        self._stopping = stopping
        self._waiting: dict[tuple[int, str, frozenset[int]], frozenset[str]] = {}

    async def run(self) -> int:
        """Maintains every community that has segments. Returns the number of communities that have more to do."""
        async with self._database.unscoped_connection() as connection:
            community_ids = [row["id"] for row in await connection.fetch(_COMMUNITIES)]
        return await per_community.run_for_each("segments", community_ids, self.run_community, self._stopping)

    async def run_community(self, community_id: int) -> int:
        """Maintains one community. Returns 1 if it waits for other commits, or was stopped, else 0."""
        await self._remove_deleted(community_id)
        await self._update_problems(community_id)
        has_more = await self._fill(community_id)
        await self._evaluate_birthdays(community_id)
        return int(has_more)

    # New versions ---------------------------------------------------------------------------------------------

    async def _fill(self, community_id: int) -> bool:
        """Computes the memberships of new versions. Returns whether more remains to be done."""
        while not self._stopping():
            async with self._database.read_transaction(community_id) as scope:
                rows = await scope.fetch(_UNKNOWN_VERSIONS, community_id)
            if not rows:
                return False
            waiting = [row["id"] for row in rows if row["filled_up_to"] is None]
            filled = [row["id"] for row in rows if row["is_filled"]]
            if waiting:
                if not await self._have_ended(community_id, "fill", waiting):
                    return True
                await self._execute(community_id, _START_FILL, waiting)
            elif filled:
                if not await self._have_ended(community_id, "known", filled):
                    return True
                await self._execute(community_id, _SET_KNOWN, filled, self._database.clock())
            elif not await commit(self._database, community_id, self._fill_batch):
                return True
        return True

    async def _have_ended(self, community_id: int, step: str, version_ids: Sequence[int]) -> bool:
        """Whether all commits have ended that were running when this was first called for a step of these versions."""
        key = community_id, step, frozenset(version_ids)
        async with self._database.unscoped_connection() as connection:
            running = await communities.list_writers(connection, community_id)
        remaining = self._waiting.get(key, running) & running
        if remaining:
            self._waiting[key] = remaining
            return False
        self._waiting.pop(key, None)
        return True

    async def _execute(self, community_id: int, statement: str, *values: object) -> None:
        async with self._database.write_transaction(community_id) as scope:
            await scope.execute(statement, community_id, *values)

    async def _fill_batch(self, uow: UnitOfWork) -> bool:
        """Computes the memberships of some members. Returns False if another process does so, or nothing is left."""
        if not await uow.fetchval(_TRY_LOCK, uow.community_id):
            return False
        rows = await uow.fetch(_UNFILLED_VERSIONS, uow.community_id)
        segments = await definitions.load(uow, uow.community.segments_version)
        positions = {row["id"]: row["filled_up_to"] for row in rows}
        pending = [
            each
            for each in segments.segments.values()
            if each.version_id in positions and not segments.filters[each.name].problem
        ]
        if not pending:
            return False
        after = min(positions[each.version_id] for each in pending)
        some = [each for each in pending if positions[each.version_id] == after]
        last = await _fill_range(uow, segments, some, after, self._database.clock())
        version_ids = [each.version_id for each in some]
        await uow.execute(_SET_POSITION, uow.community_id, version_ids, last)
        if last == _LAST_ID:
            await uow.execute(_SET_FILLED, uow.community_id, version_ids)
            await uow.execute(changes.RAISE_VERSION, uow.community_id)
        return True

    # The calendar ---------------------------------------------------------------------------------------------

    async def _evaluate_birthdays(self, community_id: int) -> None:
        """Evaluates the members whose age group has changed since the last day that was evaluated."""
        async with self._database.read_transaction(community_id) as scope:
            community = await communities.get_by_id(scope.connection, community_id)
            segments = await definitions.load(scope, community.segments_version)
            if not membership.depends_on_day(segments):
                return
            day = local_date_number(community.timezone, scope.now)
            last_day = await scope.fetchval("SELECT day FROM segment_days WHERE community_id = $1", community_id)
            found = [] if last_day is None else await candidates.age_changes(scope, last_day, day)
        if last_day == day:
            return
        for start in range(0, len(found), PROFILES_PER_COMMIT):
            if self._stopping():
                return
            await self._evaluate(community_id, found[start : start + PROFILES_PER_COMMIT])
        await self._execute(community_id, _SET_DAY, day)

    async def _evaluate(self, community_id: int, profile_ids: list[UUID]) -> None:
        async def work(uow: UnitOfWork) -> None:
            await lookup.lock(uow, profile_ids)
            uow.stored_values.update(profile_ids)

        await commit(self._database, community_id, work)

    # Definitions ----------------------------------------------------------------------------------------------

    async def _update_problems(self, community_id: int) -> None:
        """Records which filters can't be evaluated any more, and starts new versions of those that can again."""
        async with self._database.read_transaction(community_id) as scope:
            segments = await definitions.fetch(scope)
            rows = await scope.fetch(_PROBLEMS, community_id)
        known = {row["id"]: row["problem"] for row in rows}
        changed = [
            each
            for each in segments.segments.values()
            if bool(segments.filters[each.name].problem) != bool(known.get(each.version_id))
        ]
        if changed:
            async with self._database.write_transaction(community_id) as scope:
                for each in changed:
                    await _update_problem(scope, each, segments.filters[each.name].problem)

    async def _remove_deleted(self, community_id: int) -> None:
        """Deletes the memberships of deleted segments, then the segments."""
        async with self._database.read_transaction(community_id) as scope:
            rows = await scope.fetch(_DELETED_VERSIONS, community_id)
        if not rows:
            return
        version_ids = [row["id"] for row in rows]
        deleted = -1
        while deleted and not self._stopping():
            async with self._database.write_transaction(community_id) as scope:
                status = await scope.execute(_DELETE_MEMBERSHIPS, community_id, version_ids, MEMBERSHIPS_PER_DELETE)
                deleted = int(status.rpartition(" ")[2])
        if not deleted:
            await self._execute(community_id, _DELETE_SEGMENTS, version_ids)
            await self._execute(community_id, changes.RAISE_VERSION)


async def _fill_range(
    uow: UnitOfWork, segments: CommunitySegments, some: Sequence[Segment], after: UUID, at: datetime
) -> UUID:
    """Stores the memberships of the next members in some segments; returns the last one, _LAST_ID at the end."""
    batches = membership.compile_some(segments, [each.name for each in some])
    found = await candidates.next_members(uow, batches, after, at)
    # A member who matched may have been changed until now. One who did not match and has changed since was evaluated by
    # the commit of the change.
    await lookup.lock(uow, found.matching)
    await membership.store(uow, batches, found.matching, at)
    return found.last or _LAST_ID


async def _update_problem(scope: Scope, segment: Segment, problem: str) -> None:
    if problem:
        _log.warning("segment.invalid", community=scope.community_id, segment=segment.name, problem=problem)
        await scope.execute(_SET_PROBLEM, scope.community_id, segment.version_id, problem)
        return
    _log.info("segment.valid", community=scope.community_id, segment=segment.name)
    await changes.restart(scope, segment)


_UNKNOWN_VERSIONS = """
SELECT v.id, v.filled_up_to, v.is_filled
FROM segments AS s
JOIN segment_versions AS v ON v.community_id = $1 AND v.id = s.version_id
WHERE s.community_id = $1 AND s.deleted_at IS NULL AND v.known_since IS NULL AND v.problem IS NULL
ORDER BY v.id
"""

_UNFILLED_VERSIONS = """
SELECT v.id, v.filled_up_to
FROM segments AS s
JOIN segment_versions AS v ON v.community_id = $1 AND v.id = s.version_id
WHERE s.community_id = $1 AND s.deleted_at IS NULL AND NOT v.is_filled AND v.filled_up_to IS NOT NULL
  AND v.problem IS NULL
"""

_START_FILL = f"""
UPDATE segment_versions
SET filled_up_to = '{_FIRST_ID}'
WHERE community_id = $1 AND id = ANY ($2) AND filled_up_to IS NULL
"""

_SET_POSITION = "UPDATE segment_versions SET filled_up_to = $3 WHERE community_id = $1 AND id = ANY ($2)"

_SET_FILLED = "UPDATE segment_versions SET is_filled = TRUE WHERE community_id = $1 AND id = ANY ($2)"

_SET_KNOWN = """
UPDATE segment_versions
SET known_since = $3
WHERE community_id = $1 AND id = ANY ($2) AND is_filled AND known_since IS NULL
"""

_SET_DAY = """
INSERT INTO segment_days (community_id, day)
VALUES ($1, $2)
ON CONFLICT (community_id) DO UPDATE SET day = excluded.day
"""

_PROBLEMS = """
SELECT v.id, v.problem
FROM segments AS s
JOIN segment_versions AS v ON v.community_id = $1 AND v.id = s.version_id
WHERE s.community_id = $1 AND s.deleted_at IS NULL
"""

_SET_PROBLEM = "UPDATE segment_versions SET problem = $3 WHERE community_id = $1 AND id = $2"

_DELETED_VERSIONS = """
SELECT v.id
FROM segments AS s
JOIN segment_versions AS v ON v.community_id = $1 AND v.segment_id = s.id
WHERE s.community_id = $1 AND s.deleted_at IS NOT NULL
"""

_DELETE_MEMBERSHIPS = """
DELETE FROM segment_memberships
WHERE community_id = $1
  AND ctid = ANY (ARRAY(
      SELECT ctid
      FROM segment_memberships
      WHERE community_id = $1 AND version_id = ANY ($2) AND entered_at > '-infinity'
      LIMIT $3
  ))
"""

_DELETE_SEGMENTS = """
WITH deleted AS (
    DELETE FROM segment_versions WHERE community_id = $1 AND id = ANY ($2) RETURNING segment_id
)
DELETE FROM segments WHERE community_id = $1 AND deleted_at IS NOT NULL AND id IN (SELECT segment_id FROM deleted)
"""
