"""What every resource answers in the same way: its list, and one of it."""

from typing import Any

from regulars.api.endpoint import Call, Reads, data, page
from regulars.facts.resource import Resource, listed, listing
from regulars.facts.writing import Writing


def the_list(resource: Resource) -> Reads:
    """Answers with the list of a resource, filtered, sorted and paged as the query asks."""

    async def reads(call: Call) -> dict[str, object]:
        asked = listing(resource, call.query)
        async with call.server.database.reading(call.community_id) as scope:
            things, total = await listed(resource, scope, asked)
        return page(call, things, total, asked.page.number, asked.page.size)

    return reads


def the_one(resource: Resource, name: str = "id") -> Reads:
    """Answers with the thing whose id is in the path."""

    async def reads(call: Call) -> dict[str, object]:
        async with call.server.database.reading(call.community_id) as scope:
            return data(await resource.one(scope, call.integer(name)))

    return reads


async def as_it_is(resource: Resource, writing: Writing, thing_id: int) -> dict[str, Any]:
    """One thing in its envelope, as this write leaves it."""
    return data(await resource.one(writing, thing_id))
