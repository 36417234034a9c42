"""Changes of one transaction that stands: its fields, its lines, its end."""

import asyncpg

from regulars.facts import transaction_changes
from regulars.facts.refusals import NotFound, Refused, refuse
from regulars.facts.transaction_changes import Change, Line, Standing
from regulars.facts.transaction_items import ItemIn, present, text
from regulars.facts.transactions import TransactionIn
from regulars.facts.writing import Writing
from regulars.ingest import claims, references
from regulars.ingest.transactions import replace
from regulars.storage.database import Scope

_NOTHING = TransactionIn()


async def change(writing: Writing, transaction_id: int, given: TransactionIn) -> None:
    """Changes what is given of a transaction. Raises Refused by path, NotFound."""
    standing = await transaction_changes.locked(writing, transaction_id)
    lines = transaction_changes.matched_lines(standing, given)
    await _keep(writing, standing, transaction_changes.changed(standing, given, lines, writing.community))


async def _keep(writing: Writing, standing: Standing, change: Change) -> None:
    for refused in (await references.resolve(writing, [change.row])).values():
        raise change.refusal(refused)
    try:
        await replace(writing, [(standing.id, change.row)])
    except asyncpg.UniqueViolationError:
        raise refuse("external_id", "is taken by another transaction: choose one that is free") from None
    if standing.profile_id is not None:
        writing.touch(standing.profile_id, "transaction.updated")
    elif change.row.profile_id is None and change.row.receipt_ref is not None:
        await claims.attach_arrived(writing, [standing.id])


async def delete(writing: Writing, transaction_id: int) -> None:
    """Takes away a transaction with its lines; a claim that it answered waits again. Raises NotFound."""
    standing = await transaction_changes.locked(writing, transaction_id, to_delete=True)
    await claims.release(writing, transaction_id)
    for table, key in (("transaction_items", "transaction_id"), ("transactions", "id")):
        await writing.execute(
            f"DELETE FROM {table} WHERE community_id = $1 AND {key} = $2",
            writing.community_id,
            transaction_id,
        )
    writing.transactions.add(transaction_id)
    if standing.profile_id is not None:
        writing.touch(standing.profile_id, "transaction.deleted")


# Lines -----------------------------------------------------------------------------------------------


async def add_item(writing: Writing, transaction_id: int, item: ItemIn) -> int:
    """Appends a line; gives its id. Raises Refused by path, NotFound."""
    standing = await transaction_changes.locked(writing, transaction_id)
    lines = [*transaction_changes.kept_lines(standing), Line(transaction_changes.new_item(item), None, "")]
    await _keep_lines(writing, standing, lines)
    added: int = await writing.fetchval(
        """
        SELECT id FROM transaction_items
        WHERE community_id = $1 AND transaction_id = $2 AND NOT id = ANY ($3)
        """,
        writing.community_id,
        transaction_id,
        [each.id for each in standing.items],
    )
    return added


async def change_item(writing: Writing, transaction_id: int, item_id: int, item: ItemIn) -> None:
    """Changes what is given of a line. Raises Refused by path, NotFound."""
    standing = await transaction_changes.locked(writing, transaction_id)
    _require(standing, item_id)
    lines = [
        Line(transaction_changes.merged_item(line.item, item), line.before, "") if line.item.id == item_id else line
        for line in transaction_changes.kept_lines(standing)
    ]
    await _keep_lines(writing, standing, lines)


async def delete_item(writing: Writing, transaction_id: int, item_id: int) -> None:
    """Takes away a line; the total stays as it is. Raises NotFound."""
    standing = await transaction_changes.locked(writing, transaction_id)
    _require(standing, item_id)
    lines = [line for line in transaction_changes.kept_lines(standing) if line.item.id != item_id]
    await _keep_lines(writing, standing, lines)


def _require(standing: Standing, item_id: int) -> None:
    if all(each.id != item_id for each in standing.items):
        raise NotFound(f"There is no item {item_id} in transaction {standing.id}.")


async def _keep_lines(writing: Writing, standing: Standing, lines: list[Line]) -> None:
    await _keep(writing, standing, transaction_changes.changed(standing, _NOTHING, lines, writing.community))


# One or another --------------------------------------------------------------------------------------

_MATCHING = """
SELECT id
FROM transactions
WHERE community_id = $1 AND (external_id = $2 OR id = $3)
ORDER BY external_id = $2 DESC NULLS LAST
LIMIT 1
"""


async def matching(scope: Scope, given: TransactionIn) -> int | None:
    """The id of the transaction with the external id that came in, else with its id; None where there is
    neither. Raises Refused.
    """
    errors: dict[str, str] = {}
    external_id = text(given.external_id, "external_id", errors)
    if errors:
        raise Refused(errors)
    found: int | None = await scope.fetchval(_MATCHING, scope.community_id, external_id, present(given.id))
    return found
