"""Finds what answers a request by the words of its path, without trying one route after another."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from regulars.api.endpoint import Endpoint

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class _End:
    """What answers where a path ends: its place in the order of all, and the names of the texts on the way to it."""

    place: int
    names: list[str]
    handler: Handler


@dataclass(slots=True)
class _Words:
    """What may come next in a path, a word or any text, and what answers by method where it ends here."""

    known: dict[str, "_Words"] = field(default_factory=dict)
    any: "_Words | None" = None
    ends: dict[str, _End] = field(default_factory=dict)

    def add(self, place: int, endpoint: Endpoint, handler: Handler) -> None:
        """Has a handler answer an endpoint."""
        names, here = [], self
        for word in endpoint.path.split("/"):
            if word.startswith("{"):
                names.append(word[1:-1])
                here.any = here.any or _Words()
                here = here.any
            else:
                here = here.known.setdefault(word, _Words())
        here.ends[endpoint.method] = _End(place, names, handler)

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


class Routes:
    """Answers what endpoints are for; everything else, and what is no more than nearly right, goes on to `app`."""

    def __init__(self, app: Starlette, handlers: Sequence[tuple[Endpoint, Handler]]) -> None:
        self._app = app
        self._words = _Words()
        for place, (endpoint, handler) in enumerate(handlers):
            self._words.add(place, endpoint, handler)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = None
        if scope["type"] == "http" and not scope.get("root_path"):
            found = self._words.find(scope["method"], scope["path"].split("/"))
        if found is None:
            await self._app(scope, receive, send)
            return
        end, texts = found
        scope = {**scope, "app": self._app, "path_params": dict(zip(end.names, texts, strict=True))}
        response = await end.handler(Request(scope, receive, send))
        await response(scope, receive, send)
