"""Marks of a load: profiles whose facts have moved and whose values are computed later, all at once.

A mark stands where the epoch of a row of values stands, and is older than any epoch: whoever reads the row computes it
from the facts, and the sweep would store that. It names the load that has set it and the first cause that moved the
profile since its values were true.
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
"""What a load moves profiles by, each by its number in a mark: a new one comes last, for marks outlive a release."""

_ROOM = 16

MIN_MARKER = -(2**63)
"""No mark is below it."""


def cause(values_version: int) -> str | None:
    """Why a marked row is to be computed; None for one without a mark."""
    return None if values_version >= 0 else CAUSES[-values_version % _ROOM]


def cause_sql(column: str) -> str:
    """The cause of a marked row, in SQL."""
    listed = ", ".join(f"'{each}'" for each in CAUSES)
    return f"(ARRAY[{listed}])[1 + (-{column}) % {_ROOM}]"


def is_marked_by(load: str, column: str) -> str:
    """Whether a row bears a mark of this load, in SQL; an index on the column finds those that do."""
    return f"{column} BETWEEN -({load} * {_ROOM} + {_ROOM - 1}) AND -({load} * {_ROOM})"


# The caller holds the profiles' locks, so nobody else changes these rows. A mark of another load is replaced, for
# that load may have read the facts already, and then has to see that they moved.
_MARK = f"""
INSERT INTO profile_aggregations (community_id, profile_id, calculated_at, values_version)
SELECT $1, given.profile_id, $5, -($4::bigint * {_ROOM} + given.cause)
FROM unnest($2::text::uuid[], $3::text::int[]) AS given (profile_id, cause)
WHERE NOT EXISTS (
    SELECT
    FROM profile_aggregations AS kept
    WHERE kept.community_id = $1 AND kept.profile_id = given.profile_id AND {is_marked_by("$4::bigint", "kept.values_version")}
)
ORDER BY given.profile_id
ON CONFLICT (community_id, profile_id) DO UPDATE
SET values_version = CASE
    WHEN profile_aggregations.values_version >= 0 THEN excluded.values_version
    ELSE -($4::bigint * {_ROOM} + (-profile_aggregations.values_version) % {_ROOM})
END
"""


async def mark_dirty(scope: Scope, load: int, profile_ids: Sequence[UUID], causes: Sequence[str]) -> None:
    """Marks profiles as moved by a load, each with its cause.

    The caller holds the profiles' locks since an earlier statement of this transaction.
    """
    numbers = [CAUSES.index(each) for each in causes]
    await scope.execute(_MARK, scope.community_id, array_literal(profile_ids), array_literal(numbers), load, scope.now)


# Held for as long as a load lasts by a transaction that does nothing else, and so holds back nothing: it has no
# snapshot. It ends with its connection, however that ends.
SHARED_LOAD_LOCK = "SELECT pg_advisory_xact_lock_shared(hashtext('regulars.load'), {})"
"""Takes the lock by which others see that a community's marks will be computed by whoever has set them."""

TRY_LOAD_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('regulars.load'), $1)"
"""Whether no load is under way, so that its marks are anybody's; none begins until the transaction ends."""

HAS_DIRTY = "SELECT EXISTS (SELECT FROM profile_aggregations WHERE community_id = $1 AND values_version < 0)"
"""Whether anything is marked."""

_ADOPT = f"""
UPDATE profile_aggregations
SET values_version = -($2::bigint * {_ROOM} + (-values_version) % {_ROOM})
WHERE community_id = $1 AND values_version < 0
"""


async def adopt_abandoned(scope: Scope) -> int:
    """A number for a new load, which takes over the marks of those that have died."""
    load = int(await scope.fetchval("SELECT pg_current_xact_id()::text"))
    if await scope.fetchval(TRY_LOAD_LOCK, scope.community_id):
        await scope.execute(_ADOPT, scope.community_id, load)
    return load
