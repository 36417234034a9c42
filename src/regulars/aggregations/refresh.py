"""Refreshes the values of profiles in the transaction that changes their facts."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from regulars.aggregations.table import refresh_statement
from regulars.storage.database import Scope

MAX_PROFILES_PER_STATEMENT = 5_000
"""With more profiles, the sorts and joins of a statement no longer fit into its memory."""


async def refresh(scope: Scope, profile_ids: Sequence[UUID], causes: Sequence[str], as_of: datetime) -> list[UUID]:
    """Recomputes profiles at `as_of`, stores changed values, and writes the changes to the outbox.

    Returns profiles with so many sales that their refresh is slow. The caller must have locked the profiles in an
    earlier statement of this transaction.
    """
    slow: list[UUID] = []
    for start in range(0, len(profile_ids), MAX_PROFILES_PER_STATEMENT):
        batch, batch_causes = (
            list(profile_ids[start : start + MAX_PROFILES_PER_STATEMENT]),
            list(causes[start : start + MAX_PROFILES_PER_STATEMENT]),
        )
        rows = await scope.fetch(refresh_statement(), scope.community_id, batch, [as_of] * len(batch), batch_causes)
        slow += [row["profile_id"] for row in rows]
    return slow


async def remove(scope: Scope, profile_ids: Sequence[UUID]) -> None:
    """Deletes the values of profiles that no longer exist: merged, purged or deleted."""
    await scope.execute(
        "DELETE FROM profile_aggregations WHERE community_id = $1 AND profile_id = ANY ($2)",
        scope.community_id,
        list(profile_ids),
    )
