"""`regulars serve`: what it prints when it is ready."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from regulars.cli.serve import _wait_until_ready
from regulars.settings import Settings


class Healthy(BaseHTTPRequestHandler):
    """Answers every request."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Prints nothing."""


def test_an_address_is_printed_once_when_its_reader_has_left() -> None:
    stopped = threading.Event()
    printed: list[str] = []

    def print_to_a_closed_pipe(address: str) -> None:
        printed.append(address)
        if len(printed) == 3:
            stopped.set()
        raise BrokenPipeError

    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        port = server.server_address[1]
        _wait_until_ready(Settings(port=port), stopped, print_to_a_closed_pipe)
        server.shutdown()
    assert printed == [f"http://127.0.0.1:{port}"]
