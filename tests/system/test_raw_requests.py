"""Malformed requests, sent over a socket to a running server."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from system.server_process import ServerProcess, run_server

TOKEN = "a-token-of-32-random-characters!"
HOST = b"Host: club.example\r\n"
HIDDEN = b"GET /api/health HTTP/1.1\r\nHost: club.example\r\n\r\n"
PUBLIC = "https://club.example"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="regulars-test-") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def operations() -> str:
    """A free address for the operations listener."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(scope="module")
def server(folder: Path, operations: str) -> Iterator[ServerProcess]:
    settings = {
        "REGULARS_PUBLIC_URL": PUBLIC,
        "REGULARS_OPERATIONS_LISTEN": operations,
        "REGULARS_OPERATIONS_TOKEN": TOKEN,
    }
    with run_server(folder, workers=1, settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """A client for all requests: each new one reads the certificates of the system."""
    with httpx.Client() as client:
        yield client


def answers(server: ServerProcess, sent: bytes, *, half_closed: bool = False) -> bytes:
    """Returns everything that the server sends until it closes the connection."""
    at = urlsplit(server.url)
    with socket.create_connection((at.hostname, at.port or 0), timeout=30) as connection:
        connection.sendall(sent)
        if half_closed:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def statuses(received: bytes) -> list[int]:
    """Returns the status of each response."""
    return [int(part.split(b" ", 1)[0]) for part in received.split(b"HTTP/1.1 ")[1:]]


def post(headers: bytes, body: bytes, path: bytes = b"/api/v3/profiles") -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + headers + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        post(b"Content-Length: -1\r\n", HIDDEN),
        post(b"Content-Length: +3\r\n", b"abc" + HIDDEN),
        post(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abc" + HIDDEN),
        post(b"Content-Length: 3, 3\r\n", b"abc" + HIDDEN),
        post(b"Content-Length: 99999999999999999999\r\n", HIDDEN),
        post(b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n", b"abc" + HIDDEN),
        post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + HIDDEN),
        post(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n" + HIDDEN),
        post(CHUNKED + b"Transfer-Encoding: identity\r\n", b"0\r\n\r\n" + HIDDEN),
        post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n" + HIDDEN),
        post(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n" + HIDDEN),
        post(CHUNKED, b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0") + HIDDEN,
    ],
    ids=lambda request_: request_.split(b"\r\n")[2].decode(),
)
def test_a_body_with_an_ambiguous_length_closes_the_connection(server: ServerProcess, request_: bytes) -> None:
    received = answers(server, request_)
    assert received.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert b'"ok"' not in received


@pytest.mark.parametrize("order", [1, -1])
def test_chunked_encoding_overrides_the_length_without_request_smuggling(server: ServerProcess, order: int) -> None:
    headers = b"".join([b"Content-Length: 5\r\n", CHUNKED][::order])
    assert statuses(answers(server, post(headers, b"0\r\n\r\n" + HIDDEN))) == [401]


@pytest.mark.parametrize("chunks", [b"-3\r\nabc\r\n0\r\n\r\n", b"3;a=b\nx\r\nabc\r\n0\r\n\r\n", b"f" * 17 + b"\r\nabc"])
def test_malformed_chunks_close_the_connection(server: ServerProcess, chunks: bytes) -> None:
    path = b"/id/api/v1/auth/token"
    assert statuses(answers(server, post(CHUNKED, chunks + HIDDEN, path))) == [401]


@pytest.mark.parametrize(
    "hosts", [b"", b"Host:\r\n", HOST + HOST, HOST + b"Host: other.example\r\n", b"Host: a/metrics?\r\n"]
)
def test_a_request_without_exactly_one_host_is_rejected(server: ServerProcess, hosts: bytes) -> None:
    received = answers(server, b"GET /api/health HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n")
    assert statuses(received) == [400]
    assert b"exactly one Host" in received


@pytest.mark.parametrize(
    "target", [b"/metrics", b"http://club.example/metrics", b"//metrics", b"/%2fmetrics", b"/docs"]
)
def test_operations_pages_are_served_by_the_operations_listener_only(
    server: ServerProcess, http: httpx.Client, operations: str, target: bytes
) -> None:
    received = answers(server, b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert statuses(received) == [404]
    assert b"strict-transport-security: max-age=31536000" in received
    for path in ("/metrics", "/api/docs"):
        assert http.get(f"http://{operations}{path}").status_code == 401
        page = http.get(f"http://{operations}{path}", auth=("operations", TOKEN))
        assert (page.status_code, page.headers["x-content-type-options"]) == (200, "nosniff")
    assert (
        "regulars_http_requests_total"
        in http.get(f"http://{operations}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    )


def test_links_use_the_public_url(server: ServerProcess, http: httpx.Client) -> None:
    moved = http.get(f"{server.url}/api/v3/profiles/?sort=id", headers={"X-Forwarded-Host": "evil.example"})
    assert moved.headers["location"] == f"{PUBLIC}/api/v3/profiles?sort=id"


def test_none_of_these_requests_is_logged_as_an_error(server: ServerProcess, folder: Path) -> None:
    answers(
        server, post(b"Content-Length: 100\r\nConnection: close\r\n", b"{", b"/v1/reporting/query"), half_closed=True
    )
    log = (folder / "log").read_text()
    assert "Traceback" not in log
    assert "request.failed" not in log
