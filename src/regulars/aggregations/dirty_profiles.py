"""Dirty profiles of a load job: their facts have changed, and their values are computed later, in bulk.

A marker is a negative number in the column values_version, so it is lower than any version: reads compute such a row
from the facts, and the refresh job stores the result. It encodes the load job and the cause of the first change since
the values were stored.
"""

from collections.abc import Sequence
from uuid import UUID

from regulars.storage.array_literals import array_literal
from regulars.storage.database import Scope

CAUSES = (
    "transaction.created",
    "transaction.updated",
    "transaction.claimed",
    "profile.created",
)
"""Causes of changes by a load job, encoded by index. Append new ones, because markers outlive a release."""

_MAX_CAUSES = 16

MIN_MARKER = -(2**63)
"""Lower bound of all markers."""


def cause(values_version: int) -> str | None:
    """Cause of the change of a dirty row; None if the row is not dirty."""
    return None if values_version >= 0 else CAUSES[-values_version % _MAX_CAUSES]


def cause_sql(column: str) -> str:
    """SQL expression of the cause of a dirty row."""
    listed = ", ".join(f"'{each}'" for each in CAUSES)
    return f"(ARRAY[{listed}])[1 + (-{column}) % {_MAX_CAUSES}]"


def is_marked_by(load: str, column: str) -> str:
    """SQL condition for rows that a load job has marked dirty; an index on the column supports it."""
    return f"{column} BETWEEN -({load} * {_MAX_CAUSES} + {_MAX_CAUSES - 1}) AND -({load} * {_MAX_CAUSES})"


# The caller holds the locks of the profiles, so no other writer changes these rows. The marker of another load job is
# replaced, because that job may have read the facts already and must notice that they have changed.
_MARK_DIRTY = f"""
INSERT INTO profile_aggregations (community_id, profile_id, calculated_at, values_version)
SELECT $1, input.profile_id, $5, -($4::bigint * {_MAX_CAUSES} + input.cause)
FROM unnest($2::text::uuid[], $3::text::int[]) AS input (profile_id, cause)
WHERE NOT EXISTS (
    SELECT
    FROM profile_aggregations AS stored
    WHERE stored.community_id = $1 AND stored.profile_id = input.profile_id
      AND {is_marked_by("$4::bigint", "stored.values_version")}
)
ORDER BY input.profile_id
ON CONFLICT (community_id, profile_id) DO UPDATE
SET values_version = CASE
    WHEN profile_aggregations.values_version >= 0 THEN excluded.values_version
    ELSE -($4::bigint * {_MAX_CAUSES} + (-profile_aggregations.values_version) % {_MAX_CAUSES})
END
"""


async def mark_dirty(scope: Scope, load: int, profile_ids: Sequence[UUID], causes: Sequence[str]) -> None:
    """Marks profiles as changed by a load job, each with its cause.

    The caller must have locked the profiles in an earlier statement of this transaction.
    """
    numbers = [CAUSES.index(each) for each in causes]
    await scope.execute(
        _MARK_DIRTY, scope.community_id, array_literal(profile_ids), array_literal(numbers), load, scope.now
    )


# A transaction that does nothing else holds this lock for the duration of a load job. It has no snapshot, so it does
# not hold back vacuum, and the lock is released when its connection ends for any reason.
SHARED_LOAD_LOCK = "SELECT pg_advisory_xact_lock_shared(hashtext('regulars.load_job'), {})"
"""Takes the lock which shows that a running load job will compute the dirty profiles of a community."""

TRY_LOAD_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('regulars.load_job'), $1)"
"""Returns whether no load job is running; if so, none can start until the transaction ends."""

HAS_DIRTY = "SELECT EXISTS (SELECT FROM profile_aggregations WHERE community_id = $1 AND values_version < 0)"
"""Returns whether any profile is dirty."""

_ADOPT = f"""
UPDATE profile_aggregations
SET values_version = -($2::bigint * {_MAX_CAUSES} + (-values_version) % {_MAX_CAUSES})
WHERE community_id = $1 AND values_version < 0
"""


async def adopt_abandoned(scope: Scope) -> int:
    """Returns the number of a new load job, which adopts the dirty profiles of aborted ones."""
    load = int(await scope.fetchval("SELECT pg_current_xact_id()::text"))
    if await scope.fetchval(TRY_LOAD_LOCK, scope.community_id):
        await scope.execute(_ADOPT, scope.community_id, load)
    return load
