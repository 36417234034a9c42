"""Changes of one transaction that stands: its fields, its lines, its end."""

import asyncpg

from regulars.core.errors import NotFoundError, ValidationError, field_error
from regulars.ingest import claims, references
from regulars.ingest.transactions import replace
from regulars.model.transactions import updates
from regulars.model.transactions.line_items import ItemIn, read_text, value_or_none
from regulars.model.transactions.schema import TransactionIn
from regulars.model.transactions.updates import ItemUpdate, LockedTransaction, TransactionUpdate
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Scope

_NOTHING = TransactionIn()


async def update(uow: UnitOfWork, transaction_id: int, given: TransactionIn) -> None:
    """Changes what is given of a transaction. Raises Refused by path, NotFoundError."""
    standing = await updates.fetch_for_update(uow, transaction_id)
    lines = updates.match_items(standing, given)
    await _keep(uow, standing, updates.apply(standing, given, lines, uow.community))


async def _keep(uow: UnitOfWork, standing: LockedTransaction, change: TransactionUpdate) -> None:
    for refused in (await references.resolve(uow, [change.row])).values():
        raise change.restore_paths(refused)
    try:
        await replace(uow, [(standing.id, change.row)])
    except asyncpg.UniqueViolationError:
        raise field_error("external_id", "is taken by another transaction: choose one that is free") from None
    if standing.profile_id is not None:
        uow.mark_dirty(standing.profile_id, "transaction.updated")
    elif change.row.profile_id is None and change.row.receipt_ref is not None:
        await claims.attach_claimed(uow, [standing.id])


async def delete(uow: UnitOfWork, transaction_id: int) -> None:
    """Takes away a transaction with its lines; a claim that it answered waits again. Raises NotFoundError."""
    standing = await updates.fetch_for_update(uow, transaction_id, to_delete=True)
    await claims.reopen(uow, transaction_id)
    for table, key in (("transaction_items", "transaction_id"), ("transactions", "id")):
        await uow.execute(
            f"DELETE FROM {table} WHERE community_id = $1 AND {key} = $2",
            uow.community_id,
            transaction_id,
        )
    uow.changed_transactions.add(transaction_id)
    if standing.profile_id is not None:
        uow.mark_dirty(standing.profile_id, "transaction.deleted")


# Lines -----------------------------------------------------------------------------------------------


async def add_item(uow: UnitOfWork, transaction_id: int, item: ItemIn) -> int:
    """Appends a line; gives its id. Raises Refused by path, NotFoundError."""
    standing = await updates.fetch_for_update(uow, transaction_id)
    lines = [*updates.unchanged_items(standing), ItemUpdate(updates.new_item(item), None, "")]
    await _keep_lines(uow, standing, lines)
    added: int = await uow.fetchval(
        """
        SELECT id FROM transaction_items
        WHERE community_id = $1 AND transaction_id = $2 AND NOT id = ANY ($3)
        """,
        uow.community_id,
        transaction_id,
        [each.id for each in standing.items],
    )
    return added


async def update_item(uow: UnitOfWork, transaction_id: int, item_id: int, item: ItemIn) -> None:
    """Changes what is given of a line. Raises Refused by path, NotFoundError."""
    standing = await updates.fetch_for_update(uow, transaction_id)
    _require(standing, item_id)
    lines = [
        ItemUpdate(updates.merge_item(line.item, item), line.before, "") if line.item.id == item_id else line
        for line in updates.unchanged_items(standing)
    ]
    await _keep_lines(uow, standing, lines)


async def delete_item(uow: UnitOfWork, transaction_id: int, item_id: int) -> None:
    """Takes away a line; the total stays as it is. Raises NotFoundError."""
    standing = await updates.fetch_for_update(uow, transaction_id)
    _require(standing, item_id)
    lines = [line for line in updates.unchanged_items(standing) if line.item.id != item_id]
    await _keep_lines(uow, standing, lines)


def _require(standing: LockedTransaction, item_id: int) -> None:
    if all(each.id != item_id for each in standing.items):
        raise NotFoundError(f"There is no item {item_id} in transaction {standing.id}.")


async def _keep_lines(uow: UnitOfWork, standing: LockedTransaction, lines: list[ItemUpdate]) -> None:
    await _keep(uow, standing, updates.apply(standing, _NOTHING, lines, uow.community))


# One or another --------------------------------------------------------------------------------------

_MATCHING = """
SELECT id
FROM transactions
WHERE community_id = $1 AND (external_id = $2 OR id = $3)
ORDER BY external_id = $2 DESC NULLS LAST
LIMIT 1
"""


async def find_existing(scope: Scope, given: TransactionIn) -> int | None:
    """The id of the transaction with the external id that came in, else with its id; None where there is
    neither. Raises Refused.
    """
    errors: dict[str, str] = {}
    external_id = read_text(given.external_id, "external_id", errors)
    if errors:
        raise ValidationError(errors)
    found: int | None = await scope.fetchval(_MATCHING, scope.community_id, external_id, value_or_none(given.id))
    return found
