"""Operations listener: serves /metrics and the API documentation at a separate, private address."""

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
"""Time that a client or the server may take for a request."""

MAX_REQUESTS = 16
"""Maximum number of concurrent requests. Further connections are closed."""

PATHS = {"/api/health", "/metrics", *swagger.PATHS}

_FORWARDED_HEADERS = ("Authorization", "Accept", "Accept-Encoding")
_DROPPED_HEADERS = {"connection", "date", "server", "transfer-encoding", "content-length"}


def parse_address(text: str) -> tuple[str, int]:
    """Parses the setting operations_listen into host and port. Raises SettingError."""
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise SettingError(f"operations_listen is {text!r}. It must be a host and a port, such as 127.0.0.1:9090.")
    return host, int(port)


def format_address(host: str, port: int) -> str:
    """Formats a host and a port as an address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def run_listener(address: str, upstream: tuple[str, int], secret: str) -> Iterator[None]:
    """Serves the operations pages of the server at `upstream` at another address during the block.

    Raises SettingError for an invalid address, OSError if it is not available.
    """
    with _Listener(parse_address(address), upstream, secret) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.1,), name="operations", daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    timeout = TIMEOUT_SECONDS
    server: "_Listener"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path not in PATHS:
            self.send_error(404, "Not found. Only operations pages are served here.")
            return
        try:
            status, headers, content = self.server.forward(self.command, path, dict(self.headers.items()))
        except (OSError, http.client.HTTPException):
            self.send_error(503, "The server is not responding.")
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
        """Logs nothing, because the server logs the request."""


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
        """Forwards a request to the server, marked as one of this listener; returns status, headers and body."""
        forwarded = {name: headers[name] for name in _FORWARDED_HEADERS if name in headers}
        connection = http.client.HTTPConnection(*self._upstream, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, headers={**forwarded, OPERATIONS_LISTENER_HEADER: self._secret})
            response = connection.getresponse()
            returned = [(name, value) for name, value in response.getheaders() if name.lower() not in _DROPPED_HEADERS]
            return response.status, returned, response.read()
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
        """Ignores errors, such as a client that disconnects."""
