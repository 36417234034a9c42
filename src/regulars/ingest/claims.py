"""Claims of members for transactions without owner: attached immediately, or when the transaction is written."""

from collections.abc import Sequence
from uuid import UUID

from regulars.core.errors import NotFoundError
from regulars.model.claims import ClaimRow
from regulars.model.profiles import lookup
from regulars.model.transactions import updates
from regulars.model.unit_of_work import UnitOfWork

# Concurrent writers of a claim and of its transaction would not see each other. Therefore a claim takes the lock
# exclusively, and writers of transactions without owner share it.
_LOCK_EXCLUSIVE = "SELECT pg_advisory_xact_lock(hashtextextended('regulars.claims:' || $1::text, 0))"
_LOCK_SHARED = "SELECT pg_advisory_xact_lock_shared(hashtextextended('regulars.claims:' || $1::text, 0))"

# Locked in order, because two batches may match the same claims.
_LOCK_OPEN = """
SELECT claim.id
FROM transaction_claims AS claim
WHERE claim.community_id = $1
  AND claim.transaction_id IS NULL
  AND claim.receipt_ref IN (SELECT receipt_ref FROM transactions WHERE community_id = $1 AND id = ANY ($2))
ORDER BY claim.id
FOR NO KEY UPDATE
"""

# Times are compared by the second, as clients see them. The first claim gets the first transaction.
_ATTACH = """
WITH unowned AS (
    SELECT candidate.id, candidate.receipt_ref, date_trunc('second', candidate.transacted_at) AS at,
           candidate.timezone, candidate.total, location.external_code,
           row_number() OVER (
               PARTITION BY candidate.receipt_ref, date_trunc('second', candidate.transacted_at),
                            candidate.timezone, candidate.total, location.external_code
               ORDER BY candidate.id
           ) AS rank
    FROM transactions AS candidate
    JOIN locations AS location ON location.community_id = $1 AND location.id = candidate.location_id
    WHERE candidate.community_id = $1 AND candidate.id = ANY ($2) AND candidate.profile_id IS NULL
),
open_claims AS (
    SELECT claim.id, claim.profile_id, claim.receipt_ref, date_trunc('second', claim.transacted_at) AS at,
           claim.timezone, claim.total, claim.location_external_code AS external_code,
           row_number() OVER (
               PARTITION BY claim.receipt_ref, date_trunc('second', claim.transacted_at),
                            claim.timezone, claim.total, claim.location_external_code
               ORDER BY claim.id
           ) AS rank
    FROM transaction_claims AS claim
    JOIN profiles
      ON profiles.community_id = $1
     AND profiles.profile_id = claim.profile_id
     AND profiles.deleted_at IS NULL
    WHERE claim.community_id = $1 AND claim.id = ANY ($3) AND claim.transaction_id IS NULL
),
matched AS (
    SELECT unowned.id AS transaction_id, open_claims.id AS claim_id, open_claims.profile_id
    FROM unowned
    JOIN open_claims USING (receipt_ref, at, timezone, total, external_code, rank)
),
updated_claims AS (
    UPDATE transaction_claims AS claim
    SET transaction_id = matched.transaction_id, updated_at = $4
    FROM matched
    WHERE claim.community_id = $1 AND claim.id = matched.claim_id
)
UPDATE transactions AS unowned
SET profile_id = matched.profile_id, updated_at = $4
FROM matched
WHERE unowned.community_id = $1 AND unowned.id = matched.transaction_id
RETURNING unowned.id, unowned.profile_id
"""


async def attach_claimed(uow: UnitOfWork, transaction_ids: Sequence[int]) -> None:
    """Attaches transactions without owner to the profiles that have claimed them.

    This unit of work has inserted or locked the transactions.
    """
    await uow.execute(_LOCK_SHARED, str(uow.community_id))
    open_claims = await uow.fetch(_LOCK_OPEN, uow.community_id, list(transaction_ids))
    if open_claims:
        await _attach(uow, transaction_ids, [row["id"] for row in open_claims])


async def _attach(uow: UnitOfWork, transaction_ids: Sequence[int], claim_ids: Sequence[int]) -> None:
    rows = await uow.fetch(_ATTACH, uow.community_id, list(transaction_ids), list(claim_ids), uow.now)
    uow.changed_transactions.update(row["id"] for row in rows)
    uow.mark_all_dirty((row["profile_id"] for row in rows), "transaction.claimed")
    for row in rows:
        uow.record_event("transaction.updated", row["profile_id"], row["id"])


_INSERT = """
INSERT INTO transaction_claims (
    community_id, profile_id, receipt_ref, transacted_at, timezone, total, location_external_code,
    created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
RETURNING id
"""

_LOCK_UNOWNED = """
SELECT unowned.id
FROM transactions AS unowned
JOIN locations AS location ON location.community_id = $1 AND location.id = unowned.location_id
WHERE unowned.community_id = $1
  AND unowned.profile_id IS NULL
  AND unowned.receipt_ref = $2
  AND date_trunc('second', unowned.transacted_at) = date_trunc('second', $3::timestamptz)
  AND unowned.timezone = $4
  AND unowned.total = $5
  AND location.external_code = $6
ORDER BY unowned.id
LIMIT 1
FOR NO KEY UPDATE OF unowned
"""


async def create(uow: UnitOfWork, profile_id: UUID, row: ClaimRow) -> int:
    """Creates a claim, attaches the first matching transaction without owner, and returns the id of the claim.

    Raises NotFoundError for an unknown profile.
    """
    await uow.execute(_LOCK_EXCLUSIVE, str(uow.community_id))
    # Locked, so that a concurrent erasure does not miss the claim.
    await lookup.fetch_one_for_update(uow, profile_id)
    key = (row.receipt_ref, row.transacted_at, row.timezone, row.total, row.location_external_code)
    claim_id: int = await uow.fetchval(_INSERT, uow.community_id, profile_id, *key, uow.now)
    unowned = await uow.fetchval(_LOCK_UNOWNED, uow.community_id, *key)
    if unowned is not None:
        await _attach(uow, [unowned], [claim_id])
    return claim_id


async def withdraw(uow: UnitOfWork, profile_id: UUID, claim_id: int) -> None:
    """Deletes a claim; an attached transaction stays with the profile. Raises NotFoundError."""
    status = await uow.execute(
        "DELETE FROM transaction_claims WHERE community_id = $1 AND profile_id = $2 AND id = $3",
        uow.community_id,
        profile_id,
        claim_id,
    )
    if status == "DELETE 0":
        raise NotFoundError(f"There is no claim {claim_id}.")


async def reopen(uow: UnitOfWork, transaction_id: int) -> None:
    """Opens the claim of a transaction again, because the transaction is deleted."""
    await uow.execute(
        """
        UPDATE transaction_claims
        SET transaction_id = NULL, updated_at = $3
        WHERE community_id = $1 AND transaction_id = $2
        """,
        uow.community_id,
        transaction_id,
        uow.now,
    )


async def detach(uow: UnitOfWork, profile_id: UUID, transaction_id: int) -> None:
    """Removes the owner of a transaction and deletes the claim that attached it. Raises NotFoundError."""
    stored = await updates.fetch_for_update(uow, transaction_id)
    if stored.profile_id != profile_id:
        raise NotFoundError(f"There is no transaction {transaction_id} of this profile.")
    await uow.execute(
        "DELETE FROM transaction_claims WHERE community_id = $1 AND transaction_id = $2",
        uow.community_id,
        transaction_id,
    )
    await uow.execute(
        "UPDATE transactions SET profile_id = NULL, updated_at = $3 WHERE community_id = $1 AND id = $2",
        uow.community_id,
        transaction_id,
        uow.now,
    )
    uow.changed_transactions.add(transaction_id)
    uow.mark_dirty(profile_id, "transaction.unattached")
    uow.record_event("transaction.updated", profile_id, transaction_id)
