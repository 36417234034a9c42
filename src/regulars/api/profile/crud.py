"""What every resource answers in the same way: its list, and one of it."""

from typing import Any

from regulars.model.resource import Resource, fetch_page, parse_list_query
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.context import RequestContext
from regulars.web.endpoint import ReadHandler
from regulars.web.envelopes import data_envelope, page_envelope


def list_handler(resource: Resource) -> ReadHandler:
    """Answers with the list of a resource, filtered, sorted and paged as the query asks."""

    async def reads(call: RequestContext) -> dict[str, object]:
        asked = parse_list_query(resource, call.query_params)
        async with call.app.database.read_transaction(call.community_id) as scope:
            things, total = await fetch_page(resource, scope, asked)
        return page_envelope(call, things, total, asked.page.number, asked.page.size)

    return reads


def get_handler(resource: Resource, name: str = "id") -> ReadHandler:
    """Answers with the thing whose id is in the path."""

    async def reads(call: RequestContext) -> dict[str, object]:
        async with call.app.database.read_transaction(call.community_id) as scope:
            return data_envelope(await resource.fetch_one(scope, call.path_integer(name)))

    return reads


async def get_representation(resource: Resource, uow: UnitOfWork, thing_id: int) -> dict[str, Any]:
    """One thing in its envelope, as this write leaves it."""
    return data_envelope(await resource.fetch_one(uow, thing_id))
