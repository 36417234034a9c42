"""Access to the operations pages."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from clubs import Club
from regulars.api.app import create_app
from regulars.cli.operations_listener import run_listener as listening
from regulars.settings import Settings
from regulars.web.pages import OPERATIONS_LISTENER_HEADER

TOKEN = "a-token-of-32-random-characters!"
SECRET = "of-this-run"
PATHS = ("/metrics", "/api/docs", "/api/openapi.json", "/api/docs/swagger-ui.css")


async def status(club: Club, path: str, method: str = "GET", **headers: str) -> int:
    transport = httpx.ASGITransport(app=create_app(club.server, run_jobs=False, operations_secret=SECRET))
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        return (await client.request(method, path)).status_code


def basic(password: str) -> str:
    return f"Basic {base64.b64encode(f'operations:{password}'.encode()).decode()}"


@pytest.mark.parametrize("path", PATHS)
async def test_operations_pages_require_the_operations_token_if_it_is_set(club: Club, path: str) -> None:
    club.server.settings = Settings(operations_token=TOKEN)
    for shown in (f"Bearer {TOKEN}", f"bearer  {TOKEN}", basic(TOKEN)):
        assert await status(club, path, Authorization=shown) == 200
    for shown in ("", f"Bearer {TOKEN}x", f"Token {TOKEN}", basic("x"), "Basic a", "Basic =", f"Bearer {club.token}"):
        assert await status(club, path, Authorization=shown) == 401
    assert await status(club, "/api/health") == 200


@pytest.mark.parametrize("path", PATHS)
async def test_operations_pages_are_only_available_at_the_address_of_their_listener(club: Club, path: str) -> None:
    club.server.settings = Settings(operations_listen="127.0.0.1:9090")
    assert await status(club, path, **{OPERATIONS_LISTENER_HEADER: SECRET}) == 200
    for headers in (
        {},
        {OPERATIONS_LISTENER_HEADER: ""},
        {OPERATIONS_LISTENER_HEADER: "of-another-run"},
        {"Authorization": f"Bearer {TOKEN}"},
    ):
        assert await status(club, path, **headers) == 404
        assert await status(club, path, "POST", **headers) == 404
    assert await status(club, "/api/health") == 200


async def test_without_a_secret_no_header_identifies_the_listener(club: Club) -> None:
    club.server.settings = Settings(operations_listen="127.0.0.1:9090")
    app = create_app(club.server, run_jobs=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        assert (await client.get("/metrics", headers={OPERATIONS_LISTENER_HEADER: ""})).status_code == 404


class _Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = (
            f"{self.path} {self.headers.get(OPERATIONS_LISTENER_HEADER)} {self.headers.get('Authorization')}".encode()
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[str]:
    """The address of an operations listener in front of a server that returns the requested path."""
    with HTTPServer(("127.0.0.1", 0), _Server) as server, HTTPServer(("127.0.0.1", 0), _Server) as free:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        at = f"127.0.0.1:{free.server_port}"
        free.server_close()
        with listening(at, ("127.0.0.1", server.server_port), SECRET):
            yield f"http://{at}"
        server.shutdown()
        thread.join()


def test_the_listener_forwards_operations_pages_only(listener: str) -> None:
    headers = {OPERATIONS_LISTENER_HEADER: "forged", "Authorization": "Bearer t"}
    assert httpx.get(f"{listener}/metrics?a=1", headers=headers).text == f"/metrics {SECRET} Bearer t"
    assert httpx.get(f"{listener}/api/docs").text == f"/api/docs {SECRET} None"
    assert httpx.get(f"{listener}/api/v3/profiles", headers=headers).status_code == 404
    assert httpx.post(f"{listener}/metrics").status_code == 501


def test_a_listener_without_its_server_returns_503() -> None:
    with HTTPServer(("127.0.0.1", 0), _Server) as one, HTTPServer(("127.0.0.1", 0), _Server) as other:
        at, gone = f"127.0.0.1:{one.server_port}", ("127.0.0.1", other.server_port)
    with listening(at, gone, SECRET):
        assert httpx.get(f"http://{at}/metrics").status_code == 503
