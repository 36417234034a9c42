"""Handlers that are the same for every resource: list, and get one."""

from typing import Any

from regulars.model.resource import Resource, fetch_page, parse_list_query
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.context import RequestContext
from regulars.web.endpoint import ReadHandler
from regulars.web.envelopes import data_envelope, page_envelope


def list_handler(resource: Resource) -> ReadHandler:
    """Returns a handler for a page of the resource, filtered and sorted by the query parameters."""

    async def handle(context: RequestContext) -> dict[str, object]:
        query = parse_list_query(resource, context.query_params)
        async with context.app.database.read_transaction(context.community_id) as scope:
            rows, total = await fetch_page(resource, scope, query)
        return page_envelope(context, rows, total, query.page.number, query.page.size)

    return handle


def get_handler(resource: Resource, name: str = "id") -> ReadHandler:
    """Returns a handler for the row whose id is in the path."""

    async def handle(context: RequestContext) -> dict[str, object]:
        async with context.app.database.read_transaction(context.community_id) as scope:
            return data_envelope(await resource.fetch_one(scope, context.path_integer(name)))

    return handle


async def get_representation(resource: Resource, uow: UnitOfWork, row_id: int) -> dict[str, Any]:
    """The envelope of a row as this transaction has written it."""
    return data_envelope(await resource.fetch_one(uow, row_id))
