"""Voids and restores stored transactions after the void statuses of their community have changed."""

from functools import partial

from regulars.ingest.commit import commit
from regulars.model.transactions.void_statuses import is_void_status
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Database

TRANSACTIONS_PER_COMMIT = 1_000
"""Transactions that one commit changes, so that no other writer waits long."""

_STATUSES = """
SELECT DISTINCT details ->> 'status' AS status
FROM transactions
WHERE community_id = $1 AND details ->> 'status' IS NOT NULL
"""

# The lock also orders concurrent runs; a transaction that another one has changed since no longer qualifies. Only
# statuses $2 have been compared with those that void, $3.
_APPLY = """
WITH changed AS (
    SELECT id, NOT coalesce((details ->> 'is_voided_by_status')::boolean, false) AS is_voided_by_status
    FROM transactions
    WHERE community_id = $1
      AND details ->> 'status' = ANY ($2)
      AND CASE
              WHEN (details ->> 'is_voided_by_status')::boolean THEN NOT details ->> 'status' = ANY ($3)
              ELSE NOT is_void AND details ->> 'status' = ANY ($3)
          END
    ORDER BY id
    LIMIT $4
    FOR NO KEY UPDATE
)
UPDATE transactions AS stored
SET is_void = changed.is_voided_by_status,
    details = CASE
        WHEN changed.is_voided_by_status THEN details || '{"is_voided_by_status": true}'
        ELSE details - 'is_voided_by_status'
    END,
    updated_at = $5
FROM changed
WHERE stored.community_id = $1 AND stored.id = changed.id
RETURNING stored.id, stored.profile_id
"""


async def list_pending(database: Database) -> list[int]:
    """The ids of the communities with new void statuses."""
    async with database.unscoped_connection() as connection:
        rows = await connection.fetch("SELECT id FROM communities WHERE has_new_void_statuses ORDER BY id")
    return [row["id"] for row in rows]


async def apply(database: Database, community_id: int) -> int:
    """Voids and restores stored transactions by the community's current void statuses; returns how many.

    Commits part by part, and can be repeated after an interruption.
    """
    async with database.read_transaction(community_id) as scope:
        is_pending = await scope.fetchval("SELECT has_new_void_statuses FROM communities WHERE id = $1", community_id)
    statuses: set[str] = set()
    total = 0
    while is_pending:
        changed, stored_statuses = await commit(database, community_id, partial(_apply_part, statuses=statuses))
        total += changed
        # A status may have been stored for the first time meanwhile.
        is_pending = changed == TRANSACTIONS_PER_COMMIT or not stored_statuses <= statuses
        statuses |= stored_statuses
    return total


async def _apply_part(uow: UnitOfWork, statuses: set[str]) -> tuple[int, set[str]]:
    """Changes a part of the transactions with these statuses; returns how many, and after the last part all statuses."""
    void = [each for each in statuses if is_void_status(each, uow.community.void_statuses)]
    rows = await uow.fetch(_APPLY, uow.community_id, list(statuses), void, TRANSACTIONS_PER_COMMIT, uow.now)
    uow.changed_transactions.update(row["id"] for row in rows)
    for row in rows:
        uow.record_event("transaction.updated", row["profile_id"], row["id"])
    uow.mark_all_dirty({row["profile_id"] for row in rows if row["profile_id"] is not None}, "transaction.updated")
    if len(rows) == TRANSACTIONS_PER_COMMIT:
        return len(rows), set()
    stored_statuses = {row["status"] for row in await uow.fetch(_STATUSES, uow.community_id)}
    if stored_statuses <= statuses:
        await uow.execute("UPDATE communities SET has_new_void_statuses = false WHERE id = $1", uow.community_id)
    return len(rows), stored_statuses
