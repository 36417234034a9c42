"""The product's application with three routes more, for granian: an empty answer, a bare read, a naive write."""

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from regulars.access.authorization import Access, Caller, authorize
from regulars.access.permits import TRANSACTION_WRITE
from regulars.api.app import application
from regulars.api.asgi import spare_what_stays
from regulars.api.endpoint import decoded
from regulars.api.server import Server, encoded
from regulars.facts import community as communities
from regulars.facts import transactions
from regulars.facts.community import Community
from regulars.facts.transactions import TRANSACTIONS, TransactionIn
from regulars.facts.writing import Writing
from regulars.ingest.transactions import Kept, Mode, Put, put
from regulars.settings import load
from regulars.storage.database import Database

EMPTY = "/bench/empty"
BARE = "/bench/bare"
NAIVE = "/bench/naive/transactions"

CREATE = Access(Caller.COMMUNITY, TRANSACTION_WRITE)

_known: dict[int, Community] = {}


async def _empty(request: Request) -> Response:
    return JSONResponse({})


async def _community(server: Server, community_id: int) -> Community:
    if community_id not in _known:
        async with server.database.unscoped() as connection:
            _known[community_id] = await communities.by_id(connection, community_id)
    return _known[community_id]


def _bare(server: Server) -> Route:
    """One row by its key, as asyncpg gives it, as JSON: neither tokens nor communities, nor whether it is true now."""

    async def read(request: Request) -> Response:
        async with server.database.unscoped() as connection:
            row = await connection.fetchrow(
                "SELECT * FROM bench_values WHERE profile_id = $1", request.path_params["profile_id"]
            )
        return Response(encoded(dict(row)), media_type="application/json")

    return Route(f"{BARE}/{{profile_id}}", read)


def _naive(server: Server) -> Route:
    """One transaction of the database for each request; a row trigger recomputes the profile (naive.sql)."""

    async def create(request: Request) -> Response:
        principal = await server.authenticator.principal(CREATE, request.headers)
        authorize(CREATE, principal, {})
        assert principal.community_id is not None
        community_id = principal.community_id
        given = decoded(await request.body(), TransactionIn)
        transactions.require(given)
        community = await _community(server, community_id)
        row = transactions.checked(given, community)
        async with server.database.writing(community_id) as scope:
            writing = Writing(scope.connection, community_id, scope.now, community)
            (kept,) = await put(writing, [Put(row, Mode.CREATE)])
            if not isinstance(kept, Kept):
                raise kept
            shown = await TRANSACTIONS.many(writing, [kept.id])
        return Response(encoded({"data": shown[kept.id]}), 201, media_type="application/json")

    return Route(NAIVE, create, methods=["POST"])


def app() -> ASGIApp:
    """The application of one worker, its settings in REGULARS_* variables."""
    settings = load()
    server = Server(settings, Database(settings.database_url, settings.connections))
    made = application(server, jobs=os.environ.get("REGULARS_BENCH_JOBS", "1") == "1")
    spare_what_stays()
    ours = Starlette(routes=[Route(EMPTY, _empty), _bare(server), _naive(server)])

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        chosen = ours if scope["type"] == "http" and scope["path"].startswith("/bench/") else made
        await chosen(scope, receive, send)

    return either
