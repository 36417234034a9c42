"""The ASGI application: every endpoint of the registry, errors in their shape, health and metrics."""

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from regulars.api import docs, errors
from regulars.api.endpoint import Endpoint
from regulars.api.quick_reads import QuickReads
from regulars.api.registry import ENDPOINTS
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


def _handler(server: Server, telemetry: Telemetry, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        began = time.perf_counter()
        try:
            response = await server.answer(endpoint, request)
        except (Refused, NotFound, errors.ApiError) as error:
            response = errors.response(error)
        except Exception as error:
            _log.exception("request.failed", method=endpoint.method, path=endpoint.path)
            response = errors.response(error)
        telemetry.answered(endpoint, response.status_code, time.perf_counter() - began)
        return response

    return handle


def application(server: Server, *, jobs: bool = True) -> ASGIApp:
    """The application of one process. `jobs` False leaves the sweep and retention to others."""
    telemetry = Telemetry(server)

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
        content, kind = telemetry.exposition()
        return Response(content, media_type=kind)

    async def not_found(request: Request, error: Exception) -> Response:
        return Response(errors.body(f"There is nothing at {request.url.path}."), 404, media_type="application/json")

    async def not_allowed(request: Request, error: Exception) -> Response:
        headers = getattr(error, "headers", None) or {}
        message = f"{request.method} is not allowed at {request.url.path}; allowed: {headers.get('Allow', 'none')}."
        return Response(errors.body(message), 405, headers, media_type="application/json")

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await server.database.open()
        work = Jobs(server.database, server.settings)
        if jobs:
            work.start()
        _log.info("server.ready", workers=server.settings.workers)
        try:
            yield
        finally:
            # Granian stops taking requests first; what was accepted is finished here.
            await work.stop()
            await server.finish()
            await server.database.close()
            _log.info("server.stopped")

    by_path: dict[str, list[Route]] = {}
    for endpoint in ENDPOINTS:
        route = Route(endpoint.path, _handler(server, telemetry, endpoint), methods=[endpoint.method])
        by_path.setdefault(endpoint.path, []).append(route)
    routes = [route for group in by_path.values() for route in group]
    routes += [Route("/api/health", health), Route("/metrics", metrics), *docs.routes(ENDPOINTS)]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={404: not_found, 405: not_allowed},
    )
    return OneSlash(QuickReads(app, server, telemetry))
