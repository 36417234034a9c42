"""Finds the endpoint of a request in a tree of path segments, without trying one route after another."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from regulars.settings import Settings
from regulars.web import errors
from regulars.web.api_request import ApiRequest
from regulars.web.endpoint import Endpoint
from regulars.web.public_address import PublicAddress

RequestHandler = Callable[[Request], Awaitable[Response]]
EndpointHandler = Callable[[Endpoint, Request], Awaitable[Response]]


class PageSite(Protocol):
    """Pages for people, beside the endpoints."""

    def handles(self, segments: Sequence[str]) -> bool:
        """Whether a path is one of its pages, or below one."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


@dataclass(frozen=True, slots=True)
class _Route:
    """An endpoint with the names of its path parameters; `rank` is its index in the list of endpoints."""

    rank: int
    endpoint: Endpoint
    names: list[str]


@dataclass(slots=True)
class _Node:
    """A node of the tree: child nodes by literal segment or for a parameter, and the routes that
    end here, by method.
    """

    literals: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    routes: dict[str, _Route] = field(default_factory=dict)

    def add(self, rank: int, endpoint: Endpoint) -> None:
        """Adds the route of an endpoint."""
        names, node = [], self
        for segment in endpoint.path.split("/"):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        node.routes[endpoint.method] = _Route(rank, endpoint, names)

    def find(
        self, method: str, segments: Sequence[str], values: tuple[str, ...] = ()
    ) -> tuple[_Route, tuple[str, ...]] | None:
        """The matching route with the lowest rank, and the values of its parameters; None if no route matches."""
        if not segments:
            return (self.routes[method], values) if method in self.routes else None
        segment, *rest = segments
        literal_match = self.literals[segment].find(method, rest, values) if segment in self.literals else None
        parameter_match = (
            self.parameter.find(method, rest, (*values, segment)) if self.parameter is not None and segment else None
        )
        if literal_match is None or parameter_match is None:
            return literal_match or parameter_match
        return min(literal_match, parameter_match, key=lambda match: match[0].rank)


class RouteTree:
    """The routes of endpoints, of which the first one that matches a path counts."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._root = _Node()
        for rank, endpoint in enumerate(endpoints):
            self._root.add(rank, endpoint)
        self.paths = frozenset(endpoint.path for endpoint in endpoints)
        self._methods = sorted({endpoint.method for endpoint in endpoints} | {"GET"})

    def find(self, method: str, segments: Sequence[str]) -> tuple[Endpoint, dict[str, str]] | None:
        """The endpoint of a path and its path parameters; None if there is none."""
        match = self._root.find(method, segments)
        if match is None:
            return None
        route, values = match
        return route.endpoint, dict(zip(route.names, values, strict=True))

    def allowed_methods(self, segments: Sequence[str]) -> list[str]:
        """The methods that are allowed at a path."""
        matches = [(each, match[0]) for each in self._methods if (match := self._root.find(each, segments))]
        # Some endpoints only explain why a method is not allowed.
        return [method for method, route in matches if route.endpoint.status != 405]


class Router:
    """Dispatches requests to endpoints and pages; other paths get 404, 405 or a redirect.

    `site` has the pages for people, if there are any.
    """

    site: PageSite | None = None

    def __init__(
        self,
        app: Starlette,
        routes: RouteTree,
        respond: EndpointHandler,
        page: Callable[[Scope], RequestHandler | None] = lambda scope: None,
        public_address: PublicAddress | None = None,
    ) -> None:
        self._app = app
        self.routes = routes
        self._respond = respond
        self._page = page
        self._public_address = public_address or PublicAddress(Settings())

    def find_endpoint(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]] | None:
        """The endpoint of a decoded path and its path parameters; None if there is none."""
        return self.routes.find(method, path.split("/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app
        segments = scope.get("path_segments") or scope["path"].split("/")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        match = self.routes.find(method, segments)
        if match is not None:
            endpoint, scope["path_params"] = match
            scope["endpoint_path"] = endpoint.path
            response = await self._respond(endpoint, ApiRequest(scope, receive, send))
        elif self.site is not None and self.site.handles(segments):
            await self.site(scope, receive, send)
            return
        elif method == "GET" and (page := self._page(scope)) is not None:
            response = await page(Request(scope, receive, send))
        else:
            response = self._no_route(scope, segments)
        await response(scope, receive, send)

    def _no_route(self, scope: Scope, segments: Sequence[str]) -> Response:
        path = scope["path"]
        allowed = self._allowed_methods(scope, segments)
        if allowed:
            message = f"{scope['method']} is not allowed at {path}. Allowed: {', '.join(allowed)}."
            return errors.path_error_response(path, message, 405, {"Allow": ", ".join(allowed)})
        if len(segments) > 2 and not segments[-1] and self._allowed_methods(scope, segments[:-1]):
            query = scope["query_string"].decode("latin-1")
            url = self._public_address.url({**scope, "path_segments": segments[:-1]})
            return RedirectResponse(f"{url}?{query}" if query else url)
        return errors.path_error_response(path, f"There is nothing at {path}.", 404)

    def _allowed_methods(self, scope: Scope, segments: Sequence[str]) -> list[str]:
        """The methods that are allowed at a path, of endpoints and pages."""
        methods = self.routes.allowed_methods(segments)
        methods += ["GET"] if self._page(scope) is not None else []
        return sorted([*methods, "HEAD"]) if "GET" in methods else methods
