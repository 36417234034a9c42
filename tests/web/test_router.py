"""The router finds the same endpoint as trying all routes in their order."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from clubs import Club
from regulars.api.registry import ENDPOINTS
from regulars.web.endpoint import Endpoint
from regulars.web.router import Router, RouteTree


def paths(endpoint: Endpoint) -> Iterator[str]:
    """Paths of an endpoint: each parameter is a number, or a literal segment of another endpoint."""
    parts = endpoint.path.split("/")
    beside = [other.path.split("/") for other in ENDPOINTS if other.path.count("/") == endpoint.path.count("/")]
    choices = [
        sorted({"17"} | {other[place] for other in beside if "{" not in other[place]}) if "{" in part else [part]
        for place, part in enumerate(parts)
    ]
    return map("/".join, product(*choices))


async def describe_endpoint(endpoint: Endpoint, request: Request) -> Response:
    """Returns an endpoint and its parameters."""
    return Response(f"{endpoint.method} {endpoint.path} {sorted(request.path_params.items())}")


async def dispatch(routes: Router, method: str, path: str) -> str:
    """The endpoint and the parameters that handle a request."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", "root_path": ""}
    await routes(scope, receive, send)
    content: bytes = sent[1]["body"]
    return content.decode()


async def test_a_path_leads_to_the_first_matching_endpoint() -> None:
    routes = Router(Starlette(), RouteTree(ENDPOINTS), describe_endpoint)
    in_order = [(each, Route(each.path, lambda request: Response(), methods=[each.method])) for each in ENDPOINTS]
    tried = 0
    for endpoint in ENDPOINTS:
        for path in paths(endpoint):
            scope = {"type": "http", "method": endpoint.method, "path": path, "root_path": ""}
            first, found = next(
                (each, child["path_params"])
                for each, route in in_order
                for match, child in [route.matches(scope)]
                if match is Match.FULL
            )
            expected = f"{first.method} {first.path} {sorted(found.items())}"
            assert await dispatch(routes, endpoint.method, path) == expected
            tried += 1
    assert tried > len(ENDPOINTS)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v3/transactions/", 307),
        ("GET", "/api/v3/nothing", 404),
        ("PATCH", "/api/v3/transactions", 405),
        ("GET", "/api//v3///transactions", 200),
        ("HEAD", "/api/v3/transactions", 200),
    ],
)
async def test_a_path_without_an_endpoint_gets_the_response_of_starlette_s_routes(
    club: Club, method: str, path: str, status: int
) -> None:
    assert (await club.http.request(method, path)).status_code == status
