"""The ASGI application: every endpoint of the registry, errors in their shape, health and metrics."""

import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from regulars.access.authorization import authorize
from regulars.access.denied import Denied
from regulars.api import docs, errors, provider_calls, report_calls
from regulars.api.endpoint import Access, Caller, Endpoint
from regulars.api.quick_reads import QuickReads
from regulars.api.registry import ENDPOINTS, PAGES
from regulars.api.routing import Handler, Routes
from regulars.api.server import Server, encoded
from regulars.api.telemetry import Telemetry
from regulars.facts.refusals import NotFound, Refused
from regulars.jobs.runner import Jobs

_log = structlog.get_logger("regulars.api")


class OneSlash:
    """Takes a doubled slash in a path as one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "//" in scope["path"]:
            path = scope["path"]
            while "//" in path:
                path = path.replace("//", "/")
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self.app(scope, receive, send)


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
        return await server.answer(endpoint, request)
    except (Denied, Refused, NotFound, errors.ApiError) as error:
        return errors.response(error)
    except Exception as error:
        _log.exception("request.failed", method=endpoint.method, path=endpoint.path)
        return errors.response(error)


def _page(server: Server, access: Access, handler: Handler) -> Handler:
    async def handle(request: Request) -> Response:
        try:
            authorize(access, await server.authenticator.principal(access, request.headers), request.path_params)
        except Denied as denied:
            return errors.response(denied)
        return await handler(request)

    return handle


_REPORTING = "/v1/reporting"


def _error(request: Request, message: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An error of no endpoint, in the shape that those of its API have."""
    of_reports = f"{request.url.path}/".startswith(f"{_REPORTING}/")
    body = errors.report_body(message) if of_reports else errors.body(message)
    return Response(body, status, headers, media_type="application/json")


def application(server: Server, *, jobs: bool = True, shared: Path | None = None) -> ASGIApp:
    """The application of one process. `jobs` False leaves the sweep and retention to others.

    Processes that have one folder `shared` tell each other their metrics by it.
    """
    telemetry = Telemetry(server, shared)
    server.committers.observe = telemetry.committed

    async def health(request: Request) -> Response:
        try:
            async with server.database.unscoped() as connection:
                await connection.fetchval("SELECT 1")
        except Exception as error:
            _log.exception("health.failed")
            down = {"status": "down", "why": type(error).__name__}
            return Response(encoded(down), 503, media_type="application/json")
        return Response(encoded({"status": "ok"}), media_type="application/json")

    async def metrics(request: Request) -> Response:
        content, kind = await telemetry.exposition()
        return Response(content, media_type=kind)

    async def not_found(request: Request, error: Exception) -> Response:
        return _error(request, f"There is nothing at {request.url.path}.", 404)

    async def not_allowed(request: Request, error: Exception) -> Response:
        headers = getattr(error, "headers", None) or {}
        message = f"{request.method} is not allowed at {request.url.path}; allowed: {headers.get('Allow', 'none')}."
        return _error(request, message, 405, headers)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await server.database.open()
        work = Jobs(server.database, server.settings, telemetry.swept)
        if jobs:
            work.start()
        telemetry.start()
        _log.info("server.ready", workers=server.settings.workers)
        try:
            yield
        finally:
            # Granian stops taking requests first; what was accepted is finished here.
            await work.stop()
            telemetry.stop()
            await server.finish()
            await server.database.close()
            _log.info("server.stopped")

    by_path: dict[str, list[tuple[Endpoint, Handler]]] = {}
    for endpoint in ENDPOINTS:
        by_path.setdefault(endpoint.path, []).append((endpoint, _handler(server, telemetry, endpoint)))
    handlers = [each for group in by_path.values() for each in group]
    routes = [Route(endpoint.path, handler, methods=[endpoint.method]) for endpoint, handler in handlers]
    pages = {"/api/health": health, "/metrics": metrics, **docs.pages(ENDPOINTS)}
    routes += [Route(path, _page(server, PAGES[path], handler)) for path, handler in pages.items()]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={404: not_found, 405: not_allowed},
    )
    app.state.telemetry = telemetry
    return OneSlash(QuickReads(Routes(app, handlers), server, telemetry))
