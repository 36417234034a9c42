"""The operations listener: /metrics and the API's page for operators, at an address that is not public."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from regulars.settings import SettingError
from regulars.web import swagger
from regulars.web.pages import OPERATIONS_LISTENER_HEADER

TIMEOUT_SECONDS = 10.0
"""How long a client or the server may take for one request."""

MAX_REQUESTS = 16
"""Most concurrent requests; further connections are closed."""

PATHS = {"/api/health", "/metrics", *swagger.PATHS}

_FORWARDED = ("Authorization", "Accept", "Accept-Encoding")
_NOT_RETURNED = {"connection", "date", "server", "transfer-encoding", "content-length"}


def parse_address(text: str) -> tuple[str, int]:
    """The host and port of the setting operations_listen. Raises SettingError."""
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise SettingError(
            f"operations_listen is {text!r}, which is not a host and a port: set it to one such as 127.0.0.1:9090."
        )
    return host, int(port)


def format_address(host: str, port: int) -> str:
    """A host and a port as one text."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def run_listener(at: str, upstream: tuple[str, int], secret: str) -> Iterator[None]:
    """Serves the pages of operations of the server at `upstream` at another address during the block.

    Raises SettingError for an invalid address, OSError where it can't be listened on.
    """
    with _Listener(parse_address(at), upstream, secret) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.1,), name="operations", daemon=True)
        thread.start()
        try:
            yield
        finally:
            running.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    timeout = TIMEOUT_SECONDS
    server: "_Listener"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path not in PATHS:
            self.send_error(404, "Only pages of operations are here.")
            return
        try:
            status, headers, content = self.server.forward(self.command, path, dict(self.headers.items()))
        except (OSError, http.client.HTTPException):
            self.send_error(503, "The server does not answer.")
            return
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_HEAD = do_GET  # noqa: N815 - the name that the standard library calls

    def version_string(self) -> str:
        return "regulars"

    def log_message(self, *arguments: object) -> None:
        """Requests are logged by the server."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], upstream: tuple[str, int], secret: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._upstream = upstream
        self._secret = secret
        self._slots = threading.BoundedSemaphore(MAX_REQUESTS)
        super().__init__(address, _Handler)

    def forward(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, list[tuple[str, str]], bytes]:
        """Sends a request to the server, marked as one of this listener; returns status, headers and body."""
        forwarded = {name: headers[name] for name in _FORWARDED if name in headers}
        connection = http.client.HTTPConnection(*self._upstream, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, headers={**forwarded, OPERATIONS_LISTENER_HEADER: self._secret})
            answer = connection.getresponse()
            returned = [(name, value) for name, value in answer.getheaders() if name.lower() not in _NOT_RETURNED]
            return answer.status, returned, answer.read()
        finally:
            connection.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that disconnects is not an error."""
