"""Finds what answers a request by the words of its path, without trying one route after another."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from regulars.settings import Settings
from regulars.web import errors
from regulars.web.endpoint import Endpoint
from regulars.web.public_address import PublicAddress

RequestHandler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class _End:
    """What answers where a path ends: its place in the order of all, and the names of the texts on the way to it."""

    place: int
    endpoint: Endpoint
    names: list[str]
    handler: RequestHandler


@dataclass(slots=True)
class _Words:
    """What may come next in a path, a word or any text, and what answers by method where it ends here."""

    known: dict[str, "_Words"] = field(default_factory=dict)
    any: "_Words | None" = None
    ends: dict[str, _End] = field(default_factory=dict)

    def add(self, place: int, endpoint: Endpoint, handler: RequestHandler) -> None:
        """Has a handler answer an endpoint."""
        names, here = [], self
        for word in endpoint.path.split("/"):
            if word.startswith("{"):
                names.append(word[1:-1])
                here.any = here.any or _Words()
                here = here.any
            else:
                here = here.known.setdefault(word, _Words())
        here.ends[endpoint.method] = _End(place, endpoint, names, handler)

    def find(
        self, method: str, words: Sequence[str], texts: tuple[str, ...] = ()
    ) -> tuple[_End, tuple[str, ...]] | None:
        """What comes first in the order of all among what fits, and the texts; None where nothing fits."""
        if not words:
            return (self.ends[method], texts) if method in self.ends else None
        word, *rest = words
        known = self.known[word].find(method, rest, texts) if word in self.known else None
        other = self.any.find(method, rest, (*texts, word)) if self.any is not None and word else None
        if known is None or other is None:
            return known or other
        return min(known, other, key=lambda found: found[0].place)


class Router:
    """Dispatches requests to endpoints and pages, and answers 404, 405 or a redirect for other paths."""

    def __init__(
        self,
        app: Starlette,
        handlers: Sequence[tuple[Endpoint, RequestHandler]],
        page: Callable[[Scope], RequestHandler | None] = lambda scope: None,
        public_address: PublicAddress | None = None,
    ) -> None:
        self._app = app
        self._page = page
        self._public_address = public_address or PublicAddress(Settings())
        self._words = _Words()
        for place, (endpoint, handler) in enumerate(handlers):
            self._words.add(place, endpoint, handler)
        self.paths = frozenset(endpoint.path for endpoint, _ in handlers)
        self._methods = sorted({endpoint.method for endpoint, _ in handlers} | {"GET"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app
        segments = scope.get("path_segments") or scope["path"].split("/")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        found = self._words.find(method, segments)
        if found is not None:
            end, texts = found
            scope["path_params"] = dict(zip(end.names, texts, strict=True))
            scope["endpoint_path"] = end.endpoint.path
            response = await end.handler(Request(scope, receive, send))
        elif method == "GET" and (page := self._page(scope)) is not None:
            response = await page(Request(scope, receive, send))
        else:
            response = self._nothing(scope, segments)
        await response(scope, receive, send)

    def _nothing(self, scope: Scope, segments: Sequence[str]) -> Response:
        path = scope["path"]
        allowed = self._allowed(scope, segments)
        if allowed:
            message = f"{scope['method']} is not allowed at {path}; allowed: {', '.join(allowed)}."
            return errors.path_error_response(path, message, 405, {"Allow": ", ".join(allowed)})
        if len(segments) > 2 and not segments[-1] and self._allowed(scope, segments[:-1]):
            query = scope["query_string"].decode("latin-1")
            url = self._public_address.url({**scope, "path_segments": segments[:-1]})
            return RedirectResponse(f"{url}?{query}" if query else url)
        return errors.path_error_response(path, f"There is nothing at {path}.", 404)

    def _allowed(self, scope: Scope, segments: Sequence[str]) -> list[str]:
        """The methods that a path supports."""
        ends = {each: end for each in self._methods if (end := self._words.find(each, segments))}
        # Some endpoints only explain why a method is not allowed.
        found = [each for each, (end, _) in ends.items() if end.endpoint.status != 405]
        found += ["GET"] if self._page(scope) is not None else []
        return sorted([*found, "HEAD"]) if "GET" in found else found
