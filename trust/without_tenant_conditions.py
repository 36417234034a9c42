"""The product's application with the condition on the community removed from every statement, for granian.

Only row-level security then keeps one community's rows from another's requests.
"""

import re
from typing import Any

from asyncpg.connection import Connection
from starlette.types import ASGIApp, Receive, Scope, Send

from regulars import asgi
from regulars.web.bodies import encode

COUNTS = "/trust/conditions"
"""The path at which the application says how many conditions it removed."""

_CONDITION = re.compile(r"(?<![\w.])(?:\w+\.)?community_id = (\$\d+)((?:::\w+)*)")
_removed: dict[str, tuple[str, int]] = {}


def remove_conditions(statement: str) -> tuple[str, int]:
    """A statement without its conditions on one community, and how many there were; its parameters stay used."""
    return _CONDITION.subn(lambda found: f"({found[1]}{found[2] or '::int'} IS NOT NULL)", statement)


def app() -> ASGIApp:
    """The application of one process."""
    prepare = Connection._get_statement

    async def prepare_without(self: Any, query: str, *values: Any, **named: Any) -> Any:
        if query not in _removed:
            _removed[query] = remove_conditions(query)
        return await prepare(self, _removed[query][0], *values, **named)

    Connection._get_statement = prepare_without
    made = asgi.app()

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != COUNTS:
            return await made(scope, receive, send)
        counts = [count for _, count in _removed.values() if count]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = encode({"statements": len(counts), "conditions": sum(counts)})
        return await send({"type": "http.response.body", "body": body})

    return either
