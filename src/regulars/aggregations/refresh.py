"""Keeps the values of profiles true in the transaction of the facts that move them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from regulars.aggregations.table import refresh_statement
from regulars.storage.database import Scope

MAX_PROFILES_PER_STATEMENT = 5_000
"""Of more profiles than these what a statement sorts and joins no longer fits its memory."""


async def refresh(scope: Scope, profile_ids: Sequence[UUID], causes: Sequence[str], as_of: datetime) -> list[UUID]:
    """Recomputes profiles at `as_of` by a statement, stores what moved, and tells the outbox why.

    Gives the profiles of so many sales that this takes long. The caller holds the profiles' locks since an
    earlier statement of this transaction.
    """
    slow: list[UUID] = []
    for start in range(0, len(profile_ids), MAX_PROFILES_PER_STATEMENT):
        some, why = (
            list(profile_ids[start : start + MAX_PROFILES_PER_STATEMENT]),
            list(causes[start : start + MAX_PROFILES_PER_STATEMENT]),
        )
        found = await scope.fetch(refresh_statement(), scope.community_id, some, [as_of] * len(some), why)
        slow += [row["profile_id"] for row in found]
    return slow


async def remove(scope: Scope, profile_ids: Sequence[UUID]) -> None:
    """Removes the values of profiles that are no longer there: merged away, purged, deleted."""
    await scope.execute(
        "DELETE FROM profile_aggregations WHERE community_id = $1 AND profile_id = ANY ($2)",
        scope.community_id,
        list(profile_ids),
    )
