"""The lines of a transaction over HTTP. Changing them never changes the total."""

from typing import Any

from regulars.auth import permits
from regulars.core.errors import NotFoundError
from regulars.ingest import transaction_updates
from regulars.model.resource import fetch_page, parse_list_query, serialize
from regulars.model.transactions.line_items import ITEMS, ItemIn
from regulars.model.transactions.schema import TRANSACTIONS
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Scope
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope, page_envelope

_AT = "/api/v3/transactions/{id}/items"
_TAG = "transactions"


async def _list(call: RequestContext) -> dict[str, object]:
    asked, transaction_id = parse_list_query(ITEMS, call.query_params), call.path_integer("id")
    async with call.app.database.read_transaction(call.community_id) as scope:
        await TRANSACTIONS.fetch_one(scope, transaction_id)
        things, total = await fetch_page(ITEMS, scope, asked, "r.transaction_id = {0}", transaction_id)
    return page_envelope(call, things, total, asked.page.number, asked.page.size)


async def _shown(scope: Scope, transaction_id: int, item_id: int) -> dict[str, object]:
    statement = ITEMS.select("r.transaction_id = $2 AND r.id = $3")
    found = await scope.fetchrow(statement, scope.community_id, transaction_id, item_id)
    if found is None:
        raise NotFoundError(f"There is no item {item_id} in transaction {transaction_id}.")
    return data_envelope(serialize(found))


async def _read(call: RequestContext) -> dict[str, object]:
    async with call.app.database.read_transaction(call.community_id) as scope:
        return await _shown(scope, call.path_integer("id"), call.path_integer("item_id"))


async def _create(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    transaction_id = call.path_integer("id")
    item_id = await transaction_updates.add_item(uow, transaction_id, call.body)
    return await _shown(uow, transaction_id, item_id)


async def _change(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    transaction_id, item_id = call.path_integer("id"), call.path_integer("item_id")
    await transaction_updates.update_item(uow, transaction_id, item_id, call.body)
    return await _shown(uow, transaction_id, item_id)


async def _delete(call: RequestContext, uow: UnitOfWork) -> None:
    await transaction_updates.delete_item(uow, call.path_integer("id"), call.path_integer("item_id"))


def _endpoint(method: str, path: str, summary: str, **more: Any) -> Endpoint:
    permit = permits.TRANSACTION_READ if method == "GET" else permits.TRANSACTION_WRITE
    return Endpoint(method, f"{_AT}{path}", summary, permit=permit, tag=_TAG, **more)


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint("GET", "", "List a transaction's items", read_handler=_list, resource=ITEMS, is_list=True),
    _endpoint("POST", "", "Append an item", write_handler=_create, request_model=ItemIn, resource=ITEMS, status=201),
    _endpoint("GET", "/{item_id}", "Read an item", read_handler=_read, resource=ITEMS),
    _endpoint(
        "PUT",
        "/{item_id}",
        "Change what is given of an item",
        write_handler=_change,
        request_model=ItemIn,
        resource=ITEMS,
    ),
    _endpoint("DELETE", "/{item_id}", "Delete an item", write_handler=_delete, status=204),
)
