"""The lines of a transaction over HTTP. Changing them never changes the total."""

from typing import Any

from regulars.api.profile import examples
from regulars.auth import audit_rules, permits
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

_PATH = "/api/v3/transactions/{id}/items"
_TAG = "transactions"


async def _list(context: RequestContext) -> dict[str, object]:
    query, transaction_id = parse_list_query(ITEMS, context.query_params), context.path_integer("id")
    async with context.app.database.read_transaction(context.community_id) as scope:
        await TRANSACTIONS.fetch_one(scope, transaction_id)
        rows, total = await fetch_page(ITEMS, scope, query, "r.transaction_id = {0}", transaction_id)
    return page_envelope(context, rows, total, query.page.number, query.page.size)


async def _item_envelope(scope: Scope, transaction_id: int, item_id: int) -> dict[str, object]:
    statement = ITEMS.select("r.transaction_id = $2 AND r.id = $3")
    row = await scope.fetchrow(statement, scope.community_id, transaction_id, item_id)
    if row is None:
        raise NotFoundError(f"There is no item {item_id} in transaction {transaction_id}.")
    return data_envelope(serialize(row))


async def _read(context: RequestContext) -> dict[str, object]:
    async with context.app.database.read_transaction(context.community_id) as scope:
        return await _item_envelope(scope, context.path_integer("id"), context.path_integer("item_id"))


async def _create(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    transaction_id = context.path_integer("id")
    item_id = await transaction_updates.add_item(uow, transaction_id, context.body)
    return await _item_envelope(uow, transaction_id, item_id)


async def _update(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    transaction_id, item_id = context.path_integer("id"), context.path_integer("item_id")
    await transaction_updates.update_item(uow, transaction_id, item_id, context.body)
    return await _item_envelope(uow, transaction_id, item_id)


async def _delete(context: RequestContext, uow: UnitOfWork) -> None:
    await transaction_updates.delete_item(uow, context.path_integer("id"), context.path_integer("item_id"))


def _endpoint(method: str, path: str, summary: str, **more: Any) -> Endpoint:
    permit = permits.TRANSACTION_READ if method == "GET" else permits.TRANSACTION_WRITE
    audit = audit_rules.READ_TRANSACTION if method == "GET" else audit_rules.CHANGE_TRANSACTION
    return Endpoint(method, f"{_PATH}{path}", summary, permit=permit, audit=audit, tag=_TAG, **more)


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint("GET", "", "List the items of a transaction", read_handler=_list, resource=ITEMS, is_list=True),
    _endpoint(
        "POST",
        "",
        "Add an item to a transaction",
        write_handler=_create,
        request_model=ItemIn,
        request_example=examples.TRANSACTION_ITEM,
        resource=ITEMS,
        status=201,
    ),
    _endpoint("GET", "/{item_id}", "Get an item", read_handler=_read, resource=ITEMS),
    _endpoint(
        "PUT",
        "/{item_id}",
        "Update an item",
        write_handler=_update,
        request_model=ItemIn,
        request_example=examples.TRANSACTION_ITEM,
        resource=ITEMS,
    ),
    _endpoint("DELETE", "/{item_id}", "Delete an item of a transaction", write_handler=_delete, status=204),
)
