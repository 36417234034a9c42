"""What is fetched over HTTPS, from a server of the test's own."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib import request
from urllib.error import URLError

import pytest
from cryptography.hazmat.primitives import serialization

from ingest.provider_client import CERTIFICATE_URL, Internet, certificate, rsa_key
from regulars.core.public_addresses import parse_networks
from regulars.ingest.providers import http_client
from regulars.ingest.providers.http_client import HttpsClient, UpstreamUnavailableError, fetch_https

LOCAL = parse_networks("127.0.0.0/8, ::1/128")

_PAGES: dict[str, tuple[int, bytes]] = {
    "/found": (200, b"content"),
    "/page?a=1": (200, b"with a query"),
    "/large": (200, b"x" * (http_client.MAX_RESPONSE_BYTES + 1)),
    "/moved": (302, b""),
    "/broken": (500, b""),
}


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, content = _PAGES.get(self.path, (404, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if status == 302:
            self.send_header("Location", "/found")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


class _Server(HTTPServer):
    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("localhost", 0), _Pages)
        self._context = context

    def get_request(self) -> tuple[ssl.SSLSocket, Any]:
        accepted, address = self.socket.accept()
        # Who does not trust it breaks off: that is the request's end then, and not the server's.
        return self._context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, *arguments: object) -> None:
        pass


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[str, ssl.SSLContext]]:
    """The address of a server over HTTPS, and whom to trust to reach it."""
    pem = certificate(name="localhost")
    key = rsa_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "server.pem").write_bytes(pem + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    server = _Server(context)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"https://localhost:{server.server_port}", ssl.create_default_context(cadata=pem.decode())
    server.shutdown()
    thread.join()
    server.server_close()


async def test_the_content_of_an_address_is_returned(own: tuple[str, ssl.SSLContext]) -> None:
    address, trusting = own
    assert await fetch_https(f"{address}/found", trusting, LOCAL) == b"content"
    assert await fetch_https(f"{address}/page?a=1", trusting, LOCAL) == b"with a query"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("large", "responds with more than"),
        ("moved", "responds with status 302"),
        ("broken", "responds with status 500"),
        ("nowhere", "responds with status 404"),
    ],
)
async def test_a_large_redirected_or_failed_response_is_unavailable(
    own: tuple[str, ssl.SSLContext], path: str, message: str
) -> None:
    address, trusting = own
    with pytest.raises(UpstreamUnavailableError, match=f"{path} {message}"):
        await fetch_https(f"{address}/{path}", trusting, LOCAL)


async def test_error_messages_do_not_contain_the_query(own: tuple[str, ssl.SSLContext]) -> None:
    address, trusting = own
    with pytest.raises(UpstreamUnavailableError) as raised:
        await fetch_https(f"{address}/nowhere?Token=2336412f37", trusting, LOCAL)
    assert "2336412f37" not in str(raised.value)


async def test_a_server_with_an_untrusted_certificate_gets_no_request(own: tuple[str, ssl.SSLContext]) -> None:
    with pytest.raises(UpstreamUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        await fetch_https(f"{own[0]}/found", None, LOCAL)


async def test_an_address_that_is_not_public_gets_no_request(own: tuple[str, ssl.SSLContext]) -> None:
    address, trusting = own
    with pytest.raises(UpstreamUnavailableError, match="localhost has no public address"):
        await fetch_https(f"{address}/found", trusting)


async def test_the_next_address_is_tried_if_one_does_not_respond(own: tuple[str, ssl.SSLContext]) -> None:
    # Nothing listens on this port at any of the addresses of this machine.
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UpstreamUnavailableError, match="refused"):
        await fetch_https(f"https://localhost:{port}/", own[1], LOCAL)


async def test_concurrent_requests_fetch_a_certificate_once_and_the_cache_is_bounded() -> None:
    addresses = [
        CERTIFICATE_URL.replace("0123", f"{number:04}") for number in range(http_client.MAX_CACHED_CERTIFICATES + 1)
    ]
    internet = Internet(dict.fromkeys(addresses, certificate()))
    client = HttpsClient(internet.fetch)
    await asyncio.gather(*(client.certificate(addresses[0]) for _ in range(5)))
    assert internet.requested == addresses[:1]
    for address in addresses:
        await client.certificate(address)
    assert internet.requested == addresses
    await client.certificate(addresses[0])
    assert internet.requested == [*addresses, addresses[0]]


async def test_a_failed_fetch_is_retried_after_a_delay_and_failures_are_bounded() -> None:
    internet, at = Internet(), [1000.0]
    client = HttpsClient(internet.fetch, lambda: at[0])

    async def error_of(address: str) -> str:
        with pytest.raises(UpstreamUnavailableError) as raised:
            await client.certificate(address)
        return str(raised.value)

    for message in ("does not respond.", "It is not fetched again for 10 seconds."):
        assert [message in each for each in await asyncio.gather(*(error_of(CERTIFICATE_URL) for _ in range(5)))] == [
            True
        ] * 5
    assert internet.requested == [CERTIFICATE_URL]
    others = [CERTIFICATE_URL.replace("0123", f"{number:04}") for number in range(100)]
    messages = await asyncio.gather(*map(error_of, others))
    assert sum("too many certificates" in each for each in messages) == 100 - (http_client.MAX_FAILURES - 1)
    assert len(internet.requested) == http_client.MAX_FAILURES
    at[0] += http_client.FAILURE_TTL_SECONDS
    internet.pages[CERTIFICATE_URL] = certificate()
    await client.certificate(CERTIFICATE_URL)
    assert len(internet.requested) == http_client.MAX_FAILURES + 1


async def test_a_cancelled_request_does_not_cancel_the_fetch_of_others() -> None:
    answer = asyncio.Event()

    async def fetch(url: str) -> bytes:
        await answer.wait()
        return certificate()

    client = HttpsClient(fetch)
    cancelled, other = (asyncio.create_task(client.certificate(CERTIFICATE_URL)) for _ in range(2))
    await asyncio.sleep(0)
    cancelled.cancel()
    answer.set()
    assert await other is await client.certificate(CERTIFICATE_URL)


def test_a_request_through_a_proxy_is_connected_by_the_proxy() -> None:
    through_proxy = request.Request("https://example.com/")
    through_proxy.set_proxy("127.0.0.1:1", "https")
    through_proxy.timeout = 5
    handler = http_client._PublicHandler(ssl.create_default_context(), ())
    # Nothing listens at the proxy's port. Without the proxy, the name would be resolved.
    with pytest.raises(URLError, match="Connection refused"):
        handler.https_open(through_proxy)
