"""The ASGI application of one process: endpoints, pages, middleware, and what runs beside the requests."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import cache
from pathlib import Path

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from regulars.api import provider_webhooks
from regulars.api.profile.fast_path import AggregationsFastPath
from regulars.api.registry import ENDPOINTS, PAGES
from regulars.api.reporting import export_files, report_handler
from regulars.auth.authorization import Access, Caller, authorize
from regulars.auth.errors import AccessDenied
from regulars.jobs.scheduler import Scheduler
from regulars.observability.exporter import MetricsExporter
from regulars.observability.shared_read import SharedRead
from regulars.web import errors, request_handler, swagger
from regulars.web.bodies import encode
from regulars.web.body_deadlines import BodyDeadlineMiddleware
from regulars.web.connections import ClientAddress, ConnectionLimiter
from regulars.web.context import AppContext
from regulars.web.edge import EdgeMiddleware, security_headers
from regulars.web.endpoint import Endpoint
from regulars.web.openapi import openapi_document
from regulars.web.pages import PageRouter
from regulars.web.router import EndpointHandler, PageSite, RequestHandler, Router, RouteTree

_log = structlog.get_logger("regulars.api")

DATABASE_WAIT_SECONDS = 60.0
"""How long a starting process waits for an unavailable database."""

HEALTH_TIMEOUT_SECONDS = 3.0
"""How long the health page waits for the database."""

_RESPONDERS = {
    Caller.REPORTING: report_handler.respond,
    Caller.DOWNLOAD: export_files.respond,
    Caller.PROVIDER: provider_webhooks.respond,
}
"""How requests of these callers are handled; all others are requests of the Profile API."""

_ROUTES = RouteTree(ENDPOINTS)


def create_app(
    context: AppContext,
    *,
    run_jobs: bool = True,
    metrics_folder: Path | None = None,
    operations_secret: str = "",
    connection_limiter: ConnectionLimiter | None = None,
    site: Callable[[AppContext, ASGIApp], PageSite] | None = None,
) -> ASGIApp:
    """Creates the application of one process.

    Without `run_jobs`, another process runs the jobs. Processes with the same `metrics_folder` share their metrics.
    `operations_secret` identifies requests of the operations listener. `connection_limiter` runs with the application.
    `site` creates the pages for people from the router of the APIs.
    """
    routes = [(endpoint.method, endpoint.path) for endpoint in ENDPOINTS]
    exporter = MetricsExporter(context.database, routes, metrics_folder)
    context.group_committer.on_commit = exporter.observe_commit

    operations = {
        path: _page_handler(context, PAGES[path], handler)
        for path, handler in {"/metrics": _metrics(exporter), **swagger.page_handlers(_openapi_json())}.items()
    }
    public = {"/api/health": _page_handler(context, PAGES["/api/health"], _health(context))}
    pages = PageRouter(public, operations, context.settings, operations_secret)
    lifespan_app = Starlette(lifespan=_lifespan(context, exporter, connection_limiter, run_jobs=run_jobs))
    lifespan_app.state.metrics_exporter = exporter
    respond = _endpoint_handler(context, exporter)
    router = Router(lifespan_app, _ROUTES, respond, pages.find, context.public_address)
    lifespan_app.state.find_endpoint = router.find_endpoint
    if site is not None:
        router.site = site(context, router)
    is_behind_tls = context.public_address.configured_url.startswith("https:")
    headers = security_headers(is_behind_tls=is_behind_tls)
    active_clients = set[ClientAddress]() if connection_limiter is None else connection_limiter.active_clients
    checked = BodyDeadlineMiddleware(EdgeMiddleware(router, headers), context.settings, active_clients)
    return AggregationsFastPath(checked, context, exporter, headers, active_clients)


@cache
def _openapi_json() -> bytes:
    """The OpenAPI document, which is the same for all applications of a process."""
    return msgspec.json.encode(openapi_document(ENDPOINTS))


def _endpoint_handler(context: AppContext, exporter: MetricsExporter) -> EndpointHandler:
    async def handle(endpoint: Endpoint, request: Request) -> Response:
        start = time.perf_counter()
        response = await _RESPONDERS.get(endpoint.caller, request_handler.respond)(context, endpoint, request)
        exporter.observe_request(endpoint.method, endpoint.path, response.status_code, time.perf_counter() - start)
        return response

    return handle


def _page_handler(context: AppContext, access: Access, handler: RequestHandler) -> RequestHandler:
    async def handle(request: Request) -> Response:
        try:
            principal = await context.authenticator.authenticate(access, request.headers)
            authorize(access, principal, request.path_params)
        except AccessDenied as denied:
            return errors.error_response(denied)
        except Exception as error:
            errors.log_failure(request.method, request.url.path, error)
            return errors.error_response(error)
        return await handler(request)

    return handle


def _health(context: AppContext) -> RequestHandler:
    async def read() -> None:
        async with context.database.unscoped_connection() as connection:
            await connection.fetchval("SELECT 1")

    shared = SharedRead(read)

    async def health(request: Request) -> Response:
        try:
            await shared.result(HEALTH_TIMEOUT_SECONDS)
        except Exception as error:
            _log.exception("health.failed")
            body = {"status": "down", "reason": type(error).__name__}
            return Response(encode(body), 503, media_type="application/json")
        return Response(encode({"status": "ok"}), media_type="application/json")

    return health


def _metrics(exporter: MetricsExporter) -> RequestHandler:
    async def metrics(request: Request) -> Response:
        content, media_type = await exporter.exposition()
        return Response(content, media_type=media_type)

    return metrics


def _lifespan(
    context: AppContext, exporter: MetricsExporter, connection_limiter: ConnectionLimiter | None, *, run_jobs: bool
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """Opens the database, starts jobs and metrics, and stops them when the HTTP server accepts no more requests."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        # A worker that starts while the database restarts must not count as a crashed worker.
        await context.database.open(DATABASE_WAIT_SECONDS)
        scheduler = Scheduler(
            context.database,
            context.settings,
            exporter.observe_refresh,
            exporter.observe_webhook_attempt,
            context.replicas,
        )
        if run_jobs:
            scheduler.start()
        exporter.start()
        if connection_limiter is not None:
            loop = asyncio.get_running_loop()

            def begin_stop() -> None:
                context.stop_event.set()
                scheduler.request_stop()

            connection_limiter.start(lambda: loop.call_soon_threadsafe(begin_stop))
        _log.info("server.ready", workers=context.settings.workers)
        try:
            yield
        finally:
            # Granian has stopped accepting requests; those it has accepted are finished here.
            context.stop_event.set()
            await scheduler.stop()
            exporter.stop()
            if connection_limiter is not None:
                await asyncio.to_thread(connection_limiter.stop)
            await context.close()
            await context.database.close()
            _log.info("server.stopped")

    return lifespan
