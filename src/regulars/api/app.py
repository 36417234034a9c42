"""The ASGI application: every endpoint of the registry, errors in their shape, health and metrics."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from regulars.access.authorization import authorize
from regulars.access.denied import Denied
from regulars.api import docs, errors, provider_calls, report_calls
from regulars.api.body_deadlines import BodyDeadlines
from regulars.api.connections import Address, Connections
from regulars.api.edge import Edge
from regulars.api.endpoint import Access, Caller, Endpoint
from regulars.api.pages import Pages
from regulars.api.quick_reads import QuickReads
from regulars.api.registry import ENDPOINTS, PAGES
from regulars.api.routing import Handler, Routes
from regulars.api.server import CHARGE, Server, encoded
from regulars.api.telemetry import Telemetry
from regulars.facts.refusals import NotFound, Refused
from regulars.jobs.runner import Jobs

_log = structlog.get_logger("regulars.api")

DATABASE_WAIT_SECONDS = 60.0
"""How long a process that starts waits for a database that is not available."""


_ANSWERS = {Caller.REPORTING: report_calls.answer, Caller.PROVIDER: provider_calls.answer}
"""What answers some callers in another way than the Profile API."""


def _handler(server: Server, telemetry: Telemetry, endpoint: Endpoint) -> Handler:
    answer = _ANSWERS.get(endpoint.caller, _answer)

    async def handle(request: Request) -> Response:
        began = time.perf_counter()
        response = await answer(server, endpoint, request)
        telemetry.answered(endpoint, response.status_code, time.perf_counter() - began)
        return response

    return handle


async def _answer(server: Server, endpoint: Endpoint, request: Request) -> Response:
    """The answer of an endpoint of the Profile API, whatever happens."""
    try:
        response = await server.answer(endpoint, request)
    except (Denied, Refused, NotFound, errors.ApiError) as error:
        response = errors.response(error)
    except Exception as error:
        errors.log_failure(endpoint.method, endpoint.path, error)
        response = errors.response(error)
    if (charge := request.scope.get(CHARGE)) is not None:
        response.raw_headers += charge.raw_headers
    return response


def _page(server: Server, access: Access, handler: Handler) -> Handler:
    async def handle(request: Request) -> Response:
        try:
            authorize(access, await server.authenticator.principal(access, request.headers), request.path_params)
        except Denied as denied:
            return errors.response(denied)
        except Exception as error:
            errors.log_failure(request.method, request.url.path, error)
            return errors.response(error)
        return await handler(request)

    return handle


def _health(server: Server) -> Handler:
    async def health(request: Request) -> Response:
        try:
            async with server.database.unscoped() as connection:
                await connection.fetchval("SELECT 1")
        except Exception as error:
            _log.exception("health.failed")
            down = {"status": "down", "why": type(error).__name__}
            return Response(encoded(down), 503, media_type="application/json")
        return Response(encoded({"status": "ok"}), media_type="application/json")

    return health


def _metrics(telemetry: Telemetry) -> Handler:
    async def metrics(request: Request) -> Response:
        content, kind = await telemetry.exposition()
        return Response(content, media_type=kind)

    return metrics


def _lifespan(
    server: Server, telemetry: Telemetry, connections: Connections | None, *, jobs: bool
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """Opens the database and starts jobs and metrics, and ends them once the HTTP server accepts no more of them."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        # A worker that starts while the database is being restarted must not count as a crash of the worker.
        await server.database.open(DATABASE_WAIT_SECONDS)
        work = Jobs(server.database, server.settings, telemetry.swept)
        if jobs:
            work.start()
        telemetry.start()
        if connections is not None:
            loop = asyncio.get_running_loop()

            def stop() -> None:
                server.stopping.set()
                work.begin_stop()

            connections.watch(lambda: loop.call_soon_threadsafe(stop))
        _log.info("server.ready", workers=server.settings.workers)
        try:
            yield
        finally:
            # Granian stops taking requests first; what was accepted is finished here.
            server.stopping.set()
            await work.stop()
            telemetry.stop()
            if connections is not None:
                await asyncio.to_thread(connections.end)
            await server.finish()
            await server.database.close()
            _log.info("server.stopped")

    return lifespan


def application(
    server: Server,
    *,
    jobs: bool = True,
    shared: Path | None = None,
    secret: str = "",
    connections: Connections | None = None,
) -> ASGIApp:
    """The application of one process. `jobs` False leaves the sweep and retention to others.

    Processes with the same folder `shared` share their metrics by it. `secret` marks requests of the operations
    listener. `connections` are watched while the application runs.
    """
    telemetry = Telemetry(server, shared)
    server.committers.observe = telemetry.committed

    by_path: dict[str, list[tuple[Endpoint, Handler]]] = {}
    for endpoint in ENDPOINTS:
        by_path.setdefault(endpoint.path, []).append((endpoint, _handler(server, telemetry, endpoint)))
    handlers = [each for group in by_path.values() for each in group]
    operations = {
        path: _page(server, PAGES[path], handler)
        for path, handler in {"/metrics": _metrics(telemetry), **docs.pages(ENDPOINTS)}.items()
    }
    public = {"/api/health": _page(server, PAGES["/api/health"], _health(server))}
    pages = Pages(public, operations, server.settings, secret)
    app = Starlette(lifespan=_lifespan(server, telemetry, connections, jobs=jobs))
    app.state.telemetry = telemetry
    routes = Routes(app, handlers, pages.find, server.public_address)
    is_behind_tls = server.public_address.configured.startswith("https:")
    edge = Edge(QuickReads(routes, server, telemetry), is_behind_tls=is_behind_tls)
    answering = set[Address]() if connections is None else connections.answering
    return BodyDeadlines(edge, server, answering)
