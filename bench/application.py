"""The product's application with three more routes, for granian: an empty response, a bare read, a naive write."""

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from regulars.api.app import create_app
from regulars.auth.authorization import Access, Caller, authorize
from regulars.auth.permits import TRANSACTION_WRITE
from regulars.core.garbage_collection import freeze_startup_objects
from regulars.dashboard.registry import create_site
from regulars.ingest.transactions import StoredTransaction, TransactionWrite, WriteMode, write
from regulars.model import community as communities
from regulars.model.community import Community
from regulars.model.transactions import schema
from regulars.model.transactions.schema import TRANSACTIONS, TransactionIn
from regulars.model.unit_of_work import UnitOfWork
from regulars.settings import load
from regulars.storage.database import Database
from regulars.web.bodies import decode_body, encode
from regulars.web.context import AppContext

EMPTY = "/bench/empty"
BARE = "/bench/bare"
NAIVE = "/bench/naive/transactions"

CREATE = Access(Caller.COMMUNITY, TRANSACTION_WRITE)

_communities: dict[int, Community] = {}


async def _empty(request: Request) -> Response:
    return JSONResponse({})


async def _community(context: AppContext, community_id: int) -> Community:
    if community_id not in _communities:
        async with context.database.unscoped_connection() as connection:
            _communities[community_id] = await communities.get_by_id(connection, community_id)
    return _communities[community_id]


def _bare_read_route(context: AppContext) -> Route:
    """One row by its key as JSON, without tokens, communities, or a check that the row is still true."""

    async def read(request: Request) -> Response:
        async with context.database.unscoped_connection() as connection:
            row = await connection.fetchrow(
                "SELECT * FROM bench_values WHERE profile_id = $1", request.path_params["profile_id"]
            )
        return Response(encode(dict(row)), media_type="application/json")

    return Route(f"{BARE}/{{profile_id}}", read)


def _naive_write_route(context: AppContext) -> Route:
    """One transaction of the database for each request; a row trigger recomputes the profile (naive.sql)."""

    async def create(request: Request) -> Response:
        principal = await context.authenticator.authenticate(CREATE, request.headers)
        authorize(CREATE, principal, {})
        assert principal.community_id is not None
        community_id = principal.community_id
        payload = decode_body(await request.body(), TransactionIn)
        schema.require_fields(payload)
        community = await _community(context, community_id)
        row = schema.validate(payload, community)
        async with context.database.write_transaction(community_id) as scope:
            uow = UnitOfWork(scope.connection, community_id, scope.now, community)
            (stored,) = await write(uow, [TransactionWrite(row, WriteMode.CREATE)])
            if not isinstance(stored, StoredTransaction):
                raise stored
            representations = await TRANSACTIONS.fetch_many(uow, [stored.id])
        return Response(encode({"data": representations[stored.id]}), 201, media_type="application/json")

    return Route(NAIVE, create, methods=["POST"])


def create() -> ASGIApp:
    """The application of one worker, its settings in REGULARS_* variables."""
    settings = load()
    context = AppContext(settings, Database(settings.database_url, settings.pool_max_size))
    run_jobs = os.environ.get("REGULARS_BENCH_JOBS", "1") == "1"
    product_app = create_app(context, run_jobs=run_jobs, site=create_site)
    freeze_startup_objects()
    bench_app = Starlette(routes=[Route(EMPTY, _empty), _bare_read_route(context), _naive_write_route(context)])

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        target = bench_app if scope["type"] == "http" and scope["path"].startswith("/bench/") else product_app
        await target(scope, receive, send)

    return dispatch
