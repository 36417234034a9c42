"""Claims: a member says which unowned transaction is theirs; it is attached at once, or when it arrives."""

from collections.abc import Sequence
from uuid import UUID

from regulars.core.errors import NotFoundError
from regulars.model.claims import ClaimRow
from regulars.model.profiles import lookup
from regulars.model.transactions import updates
from regulars.model.unit_of_work import UnitOfWork

# A claim and a transaction that come in at the same time would not see each other. So claims are made one
# by one, and not while transactions without an owner arrive; those don't wait for each other.
_CLAIMING = "SELECT pg_advisory_xact_lock(hashtextextended('regulars.claims:' || $1::text, 0))"
_ARRIVING = "SELECT pg_advisory_xact_lock_shared(hashtextextended('regulars.claims:' || $1::text, 0))"

# Claims that two batches may both answer.
_LOCK_WAITING = """
SELECT claim.id
FROM transaction_claims AS claim
WHERE claim.community_id = $1
  AND claim.transaction_id IS NULL
  AND claim.receipt_ref IN (SELECT receipt_ref FROM transactions WHERE community_id = $1 AND id = ANY ($2))
ORDER BY claim.id
FOR NO KEY UPDATE
"""

# Times are compared by the second, as they are read. The first claim gets the first transaction.
_ATTACH = """
WITH unowned AS (
    SELECT arrived.id, arrived.receipt_ref, date_trunc('second', arrived.transacted_at) AS at,
           arrived.timezone, arrived.total, place.external_code,
           row_number() OVER (
               PARTITION BY arrived.receipt_ref, date_trunc('second', arrived.transacted_at),
                            arrived.timezone, arrived.total, place.external_code
               ORDER BY arrived.id
           ) AS n
    FROM transactions AS arrived
    JOIN locations AS place ON place.community_id = $1 AND place.id = arrived.location_id
    WHERE arrived.community_id = $1 AND arrived.id = ANY ($2) AND arrived.profile_id IS NULL
),
waiting AS (
    SELECT claim.id, claim.profile_id, claim.receipt_ref, date_trunc('second', claim.transacted_at) AS at,
           claim.timezone, claim.total, claim.location_external_code AS external_code,
           row_number() OVER (
               PARTITION BY claim.receipt_ref, date_trunc('second', claim.transacted_at),
                            claim.timezone, claim.total, claim.location_external_code
               ORDER BY claim.id
           ) AS n
    FROM transaction_claims AS claim
    JOIN profiles
      ON profiles.community_id = $1
     AND profiles.profile_id = claim.profile_id
     AND profiles.deleted_at IS NULL
    WHERE claim.community_id = $1 AND claim.id = ANY ($3) AND claim.transaction_id IS NULL
),
matched AS (
    SELECT unowned.id AS transaction_id, waiting.id AS claim_id, waiting.profile_id
    FROM unowned
    JOIN waiting USING (receipt_ref, at, timezone, total, external_code, n)
),
answered AS (
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
    """Gives transactions that arrived without an owner to whoever has claimed them.

    They were made or locked by this write.
    """
    await uow.execute(_ARRIVING, str(uow.community_id))
    waiting = await uow.fetch(_LOCK_WAITING, uow.community_id, list(transaction_ids))
    if waiting:
        await _attach(uow, transaction_ids, [row["id"] for row in waiting])


async def _attach(uow: UnitOfWork, transaction_ids: Sequence[int], claim_ids: Sequence[int]) -> None:
    rows = await uow.fetch(_ATTACH, uow.community_id, list(transaction_ids), list(claim_ids), uow.now)
    uow.changed_transactions.update(row["id"] for row in rows)
    uow.mark_all_dirty((row["profile_id"] for row in rows), "transaction.claimed")


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
JOIN locations AS place ON place.community_id = $1 AND place.id = unowned.location_id
WHERE unowned.community_id = $1
  AND unowned.profile_id IS NULL
  AND unowned.receipt_ref = $2
  AND date_trunc('second', unowned.transacted_at) = date_trunc('second', $3::timestamptz)
  AND unowned.timezone = $4
  AND unowned.total = $5
  AND place.external_code = $6
ORDER BY unowned.id
LIMIT 1
FOR NO KEY UPDATE OF unowned
"""


async def create(uow: UnitOfWork, profile_id: UUID, row: ClaimRow) -> int:
    """Makes a claim, and attaches the first unowned transaction that it names; gives its id.

    Raises NotFoundError where there is no such profile.
    """
    await uow.execute(_CLAIMING, str(uow.community_id))
    # Locked, or a purge that runs at the same time would leave the claim behind.
    await lookup.fetch_one_for_update(uow, profile_id)
    named = (row.receipt_ref, row.transacted_at, row.timezone, row.total, row.location_external_code)
    claim_id: int = await uow.fetchval(_INSERT, uow.community_id, profile_id, *named, uow.now)
    unowned = await uow.fetchval(_LOCK_UNOWNED, uow.community_id, *named)
    if unowned is not None:
        await _attach(uow, [unowned], [claim_id])
    return claim_id


async def withdraw(uow: UnitOfWork, profile_id: UUID, claim_id: int) -> None:
    """Takes away a claim; a transaction that it got stays with the profile. Raises NotFoundError."""
    status = await uow.execute(
        "DELETE FROM transaction_claims WHERE community_id = $1 AND profile_id = $2 AND id = $3",
        uow.community_id,
        profile_id,
        claim_id,
    )
    if status == "DELETE 0":
        raise NotFoundError(f"There is no claim {claim_id}.")


async def reopen(uow: UnitOfWork, transaction_id: int) -> None:
    """Has the claim that a transaction answered wait again, for the transaction goes."""
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
    """Makes a profile's transaction nobody's again; the claim that attached it is gone. Raises NotFoundError."""
    standing = await updates.fetch_for_update(uow, transaction_id)
    if standing.profile_id != profile_id:
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
