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

from regulars.api import provider_webhooks
from regulars.api.profile.fast_path import AggregationsFastPath
from regulars.api.registry import ENDPOINTS, PAGES
from regulars.api.reporting import report_handler
from regulars.auth.authorization import authorize
from regulars.auth.errors import AccessDenied
from regulars.core.errors import NotFoundError, ValidationError
from regulars.jobs.scheduler import Scheduler
from regulars.observability.exporter import MetricsExporter
from regulars.web import errors, request_handling, swagger
from regulars.web.bodies import encode
from regulars.web.body_deadlines import BodyDeadlineMiddleware
from regulars.web.connections import ClientAddress, ConnectionLimiter
from regulars.web.context import AppContext
from regulars.web.edge import EdgeMiddleware
from regulars.web.endpoint import Access, Caller, Endpoint
from regulars.web.pages import PageRouter
from regulars.web.router import RequestHandler, Router

_log = structlog.get_logger("regulars.api")

DATABASE_WAIT_SECONDS = 60.0
"""How long a process that starts waits for a database that is not available."""


_ANSWERS = {Caller.REPORTING: report_handler.respond, Caller.PROVIDER: provider_webhooks.respond}
"""What answers some callers in another way than the Profile API."""


def _handler(server: AppContext, telemetry: MetricsExporter, endpoint: Endpoint) -> RequestHandler:
    answer = _ANSWERS.get(endpoint.caller, _answer)

    async def handle(request: Request) -> Response:
        began = time.perf_counter()
        response = await answer(server, endpoint, request)
        telemetry.answered(endpoint, response.status_code, time.perf_counter() - began)
        return response

    return handle


async def _answer(server: AppContext, endpoint: Endpoint, request: Request) -> Response:
    """The answer of an endpoint of the Profile API, whatever happens."""
    try:
        response = await request_handling.handle_request(server, endpoint, request)
    except (AccessDenied, ValidationError, NotFoundError, errors.ApiError) as error:
        response = errors.error_response(error)
    except Exception as error:
        errors.log_failure(endpoint.method, endpoint.path, error)
        response = errors.error_response(error)
    if (charge := request.scope.get(request_handling.CHARGE_SCOPE_KEY)) is not None:
        response.raw_headers += charge.raw_headers
    return response


def _page(server: AppContext, access: Access, handler: RequestHandler) -> RequestHandler:
    async def handle(request: Request) -> Response:
        try:
            authorize(access, await server.authenticator.authenticate(access, request.headers), request.path_params)
        except AccessDenied as denied:
            return errors.error_response(denied)
        except Exception as error:
            errors.log_failure(request.method, request.url.path, error)
            return errors.error_response(error)
        return await handler(request)

    return handle


def _health(server: AppContext) -> RequestHandler:
    async def health(request: Request) -> Response:
        try:
            async with server.database.unscoped_connection() as connection:
                await connection.fetchval("SELECT 1")
        except Exception as error:
            _log.exception("health.failed")
            down = {"status": "down", "why": type(error).__name__}
            return Response(encode(down), 503, media_type="application/json")
        return Response(encode({"status": "ok"}), media_type="application/json")

    return health


def _metrics(telemetry: MetricsExporter) -> RequestHandler:
    async def metrics(request: Request) -> Response:
        content, kind = await telemetry.exposition()
        return Response(content, media_type=kind)

    return metrics


def _lifespan(
    server: AppContext, telemetry: MetricsExporter, connections: ConnectionLimiter | None, *, jobs: bool
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """Opens the database and starts jobs and metrics, and ends them once the HTTP server accepts no more of them."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        # A worker that starts while the database is being restarted must not count as a crash of the worker.
        await server.database.open(DATABASE_WAIT_SECONDS)
        work = Scheduler(server.database, server.settings, telemetry.swept)
        if jobs:
            work.start()
        telemetry.start()
        if connections is not None:
            loop = asyncio.get_running_loop()

            def stop() -> None:
                server.stop_event.set()
                work.request_stop()

            connections.start(lambda: loop.call_soon_threadsafe(stop))
        _log.info("server.ready", workers=server.settings.workers)
        try:
            yield
        finally:
            # Granian stops taking requests first; what was accepted is finished here.
            server.stop_event.set()
            await work.stop()
            telemetry.stop()
            if connections is not None:
                await asyncio.to_thread(connections.stop)
            await server.close()
            await server.database.close()
            _log.info("server.stopped")

    return lifespan


def create_app(
    server: AppContext,
    *,
    run_jobs: bool = True,
    metrics_folder: Path | None = None,
    operations_secret: str = "",
    connection_limiter: ConnectionLimiter | None = None,
) -> ASGIApp:
    """The application of one process. `jobs` False leaves the sweep and retention to others.

    Processes with the same folder `shared` share their metrics by it. `secret` marks requests of the operations
    listener. `connections` are watched while the application runs.
    """
    telemetry = MetricsExporter(server, metrics_folder)
    server.group_committer.on_commit = telemetry.committed

    by_path: dict[str, list[tuple[Endpoint, RequestHandler]]] = {}
    for endpoint in ENDPOINTS:
        by_path.setdefault(endpoint.path, []).append((endpoint, _handler(server, telemetry, endpoint)))
    handlers = [each for group in by_path.values() for each in group]
    operations = {
        path: _page(server, PAGES[path], handler)
        for path, handler in {"/metrics": _metrics(telemetry), **swagger.page_handlers(ENDPOINTS)}.items()
    }
    public = {"/api/health": _page(server, PAGES["/api/health"], _health(server))}
    pages = PageRouter(public, operations, server.settings, operations_secret)
    app = Starlette(lifespan=_lifespan(server, telemetry, connection_limiter, jobs=run_jobs))
    app.state.telemetry = telemetry
    routes = Router(app, handlers, pages.find, server.public_address)
    is_behind_tls = server.public_address.configured_url.startswith("https:")
    edge = EdgeMiddleware(AggregationsFastPath(routes, server, telemetry), is_behind_tls=is_behind_tls)
    answering = set[ClientAddress]() if connection_limiter is None else connection_limiter.active_clients
    return BodyDeadlineMiddleware(edge, server, answering)
