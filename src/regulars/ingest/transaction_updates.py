"""Updates and deletes one stored transaction and its items."""

import asyncpg

from regulars.core.errors import NotFoundError, ValidationError, field_error
from regulars.ingest import claims, references
from regulars.ingest.transactions import replace
from regulars.model.products import products
from regulars.model.transactions import updates
from regulars.model.transactions.line_items import ItemIn, read_code, value_or_none
from regulars.model.transactions.schema import TransactionIn
from regulars.model.transactions.updates import ItemUpdate, LockedTransaction, TransactionUpdate
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Scope

_NO_CHANGES = TransactionIn()


async def update(uow: UnitOfWork, transaction_id: int, changes: TransactionIn) -> None:
    """Updates the given fields of a transaction. Raises ValidationError by path, NotFoundError."""
    stored = await updates.fetch_for_update(uow, transaction_id)
    items = updates.match_items(stored, changes, await _variants_by_sku(uow, changes))
    await _replace(uow, stored, updates.apply(stored, changes, items, uow.community))


async def _variants_by_sku(uow: UnitOfWork, changes: TransactionIn) -> dict[str, int]:
    """The variants that inline variants of items name by their SKU."""
    skus = {sku for item in value_or_none(changes.items) or () if (sku := updates.inline_sku(item)) is not None}
    if not skus:
        return {}
    _, found = await products.resolve_variants(uow, (), skus)
    return {sku: variant_id for sku, (_, variant_id) in found.items()}


async def _replace(uow: UnitOfWork, stored: LockedTransaction, change: TransactionUpdate) -> None:
    for error in (await references.resolve(uow, [change.row])).values():
        raise change.restore_paths(error)
    try:
        await replace(uow, [(stored.id, change.row)])
    except asyncpg.UniqueViolationError:
        raise field_error("external_id", "is taken by another transaction: choose one that is free") from None
    uow.record_event("transaction.updated", change.row.profile_id, stored.id)
    for profile_id in (stored.profile_id, change.row.profile_id):
        if profile_id is not None:
            uow.mark_dirty(profile_id, "transaction.updated")
    if stored.profile_id is None and change.row.profile_id is None and change.row.receipt_ref is not None:
        await claims.attach_claimed(uow, [stored.id])


async def delete(uow: UnitOfWork, transaction_id: int) -> None:
    """Deletes a transaction with its items; a claim that it had answered is open again. Raises NotFoundError."""
    stored = await updates.fetch_for_update(uow, transaction_id, to_delete=True)
    await claims.reopen(uow, transaction_id)
    for table, key in (("transaction_items", "transaction_id"), ("transactions", "id")):
        await uow.execute(
            f"DELETE FROM {table} WHERE community_id = $1 AND {key} = $2",
            uow.community_id,
            transaction_id,
        )
    uow.changed_transactions.add(transaction_id)
    uow.record_event(
        "transaction.deleted",
        stored.profile_id,
        transaction_id,
        {
            "id": transaction_id,
            "external_id": value_or_none(stored.current.external_id),
            "profile_id": stored.profile_id,
        },
    )
    if stored.profile_id is not None:
        uow.mark_dirty(stored.profile_id, "transaction.deleted")


# Items -----------------------------------------------------------------------------------------------


async def add_item(uow: UnitOfWork, transaction_id: int, item: ItemIn) -> int:
    """Appends an item and returns its id. Raises ValidationError by path, NotFoundError."""
    stored = await updates.fetch_for_update(uow, transaction_id)
    items = [*updates.unchanged_items(stored), ItemUpdate(updates.new_item(item), None, "")]
    await _replace_items(uow, stored, items)
    item_id: int = await uow.fetchval(
        """
        SELECT id FROM transaction_items
        WHERE community_id = $1 AND transaction_id = $2 AND NOT id = ANY ($3)
        """,
        uow.community_id,
        transaction_id,
        [each.id for each in stored.items],
    )
    return item_id


async def update_item(uow: UnitOfWork, transaction_id: int, item_id: int, changes: ItemIn) -> None:
    """Updates the given fields of an item. Raises ValidationError by path, NotFoundError."""
    stored = await updates.fetch_for_update(uow, transaction_id)
    _require(stored, item_id)
    items = [
        ItemUpdate(updates.merge_item(each.item, changes), each.before, "") if each.item.id == item_id else each
        for each in updates.unchanged_items(stored)
    ]
    await _replace_items(uow, stored, items)


async def delete_item(uow: UnitOfWork, transaction_id: int, item_id: int) -> None:
    """Deletes an item; the total is unchanged. Raises NotFoundError."""
    stored = await updates.fetch_for_update(uow, transaction_id)
    _require(stored, item_id)
    items = [each for each in updates.unchanged_items(stored) if each.item.id != item_id]
    await _replace_items(uow, stored, items)


def _require(stored: LockedTransaction, item_id: int) -> None:
    if all(each.id != item_id for each in stored.items):
        raise NotFoundError(f"There is no item {item_id} in transaction {stored.id}.")


async def _replace_items(uow: UnitOfWork, stored: LockedTransaction, items: list[ItemUpdate]) -> None:
    await _replace(uow, stored, updates.apply(stored, _NO_CHANGES, items, uow.community))


# Lookup ----------------------------------------------------------------------------------------------

_FIND = """
SELECT id
FROM transactions
WHERE community_id = $1 AND (external_id = $2 OR id = $3)
ORDER BY external_id = $2 DESC NULLS LAST
LIMIT 1
"""


async def find_existing(scope: Scope, transaction: TransactionIn) -> int | None:
    """The id of the stored transaction with the same external id, else with the same id; None if there is none.

    Raises ValidationError.
    """
    errors: dict[str, str] = {}
    external_id = read_code(transaction.external_id, "external_id", errors)
    if errors:
        raise ValidationError(errors)
    found: int | None = await scope.fetchval(_FIND, scope.community_id, external_id, value_or_none(transaction.id))
    return found
