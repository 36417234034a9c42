"""The lines of a transaction over HTTP. Changing them never changes the total."""

from typing import Any

from regulars.access import permits
from regulars.api.endpoint import Call, Endpoint, data, page
from regulars.facts.refusals import NotFound
from regulars.facts.resource import listed, listing, wire
from regulars.facts.transaction_items import ITEMS, ItemIn
from regulars.facts.transactions import TRANSACTIONS
from regulars.facts.writing import Writing
from regulars.ingest import changes
from regulars.storage.database import Scope

_AT = "/api/v3/transactions/{id}/items"
_TAG = "transactions"


async def _list(call: Call) -> dict[str, object]:
    asked, transaction_id = listing(ITEMS, call.query), call.integer("id")
    async with call.server.database.reading(call.community_id) as scope:
        await TRANSACTIONS.one(scope, transaction_id)
        things, total = await listed(ITEMS, scope, asked, "r.transaction_id = {0}", transaction_id)
    return page(call, things, total, asked.page.number, asked.page.size)


async def _shown(scope: Scope, transaction_id: int, item_id: int) -> dict[str, object]:
    statement = ITEMS.statement("r.transaction_id = $2 AND r.id = $3")
    found = await scope.fetchrow(statement, scope.community_id, transaction_id, item_id)
    if found is None:
        raise NotFound(f"There is no item {item_id} in transaction {transaction_id}.")
    return data(wire(found))


async def _read(call: Call) -> dict[str, object]:
    async with call.server.database.reading(call.community_id) as scope:
        return await _shown(scope, call.integer("id"), call.integer("item_id"))


async def _create(call: Call, writing: Writing) -> dict[str, object]:
    transaction_id = call.integer("id")
    item_id = await changes.add_item(writing, transaction_id, call.body)
    return await _shown(writing, transaction_id, item_id)


async def _change(call: Call, writing: Writing) -> dict[str, object]:
    transaction_id, item_id = call.integer("id"), call.integer("item_id")
    await changes.change_item(writing, transaction_id, item_id, call.body)
    return await _shown(writing, transaction_id, item_id)


async def _delete(call: Call, writing: Writing) -> None:
    await changes.delete_item(writing, call.integer("id"), call.integer("item_id"))


def _endpoint(method: str, path: str, summary: str, **more: Any) -> Endpoint:
    permit = permits.TRANSACTION_READ if method == "GET" else permits.TRANSACTION_WRITE
    return Endpoint(method, f"{_AT}{path}", summary, permit=permit, tag=_TAG, **more)


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint("GET", "", "List a transaction's items", reads=_list, shows=ITEMS, lists=True),
    _endpoint("POST", "", "Append an item", writes=_create, takes=ItemIn, shows=ITEMS, status=201),
    _endpoint("GET", "/{item_id}", "Read an item", reads=_read, shows=ITEMS),
    _endpoint("PUT", "/{item_id}", "Change what is given of an item", writes=_change, takes=ItemIn, shows=ITEMS),
    _endpoint("DELETE", "/{item_id}", "Delete an item", writes=_delete, status=204),
)
