"""The nginx configuration of docs/deployment.md in front of a server that returns what it received."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from deployment.documented_commands import block, commands, require_program, run_successfully
from ingest.provider_client import certificate, rsa_key

NAME = "regulars.example"


class _Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        said = {
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": len(self.rfile.read(length)),
        }
        content = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - the name that the standard library calls

    def log_message(self, *given: object) -> None:
        pass


@dataclass(frozen=True)
class Proxy:
    """The addresses of nginx."""

    plain: int
    tls: int

    def ask(self, request: bytes, name: str | None = NAME) -> tuple[int, bytes]:
        """Sends a request, over TLS for a name, without TLS for None; returns status and body."""
        port = self.plain if name is None else self.tls
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            connection = raw if name is None else _trusting().wrap_socket(raw, server_hostname=name)
            connection.sendall(request)
            received = b"".join(iter(lambda: connection.recv(65_536), b""))
            connection.close()
        head, _, body = received.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), body

    def get(self, target: str, *headers: str) -> tuple[int, Any]:
        """Sends a GET request and returns the status and what the server received."""
        lines = (f"GET {target} HTTP/1.1", f"Host: {NAME}", "Connection: close", *headers, "", "")
        status, body = self.ask("\r\n".join(lines).encode())
        return status, json.loads(body) if status == 200 else None


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="regulars-test-") as made:
        yield Path(made)


def free_ports(number: int) -> list[int]:
    """Returns free ports."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def written(folder: Path, upstream: int, plain: int, tls: int) -> str:
    """Returns the configuration of the page with the ports, files and users of the test."""
    key = rsa_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "privkey.pem").write_bytes(key)
    (folder / "fullchain.pem").write_bytes(certificate(name=NAME))
    text = block("nginx.conf").replace("127.0.0.1:8080", f"127.0.0.1:{upstream}")
    text = re.sub(r"listen 80\b", f"listen 127.0.0.1:{plain}", text)
    text = re.sub(r"listen 443\b", f"listen 127.0.0.1:{tls}", text)
    text = text.replace("/etc/regulars/tls", str(folder)).replace("/var/log/nginx", str(folder))
    text = text.replace("/run/nginx.pid", f"{folder}/pid")
    text = text.replace("user www-data;", "user root;" if os.geteuid() == 0 else "")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "\n".join(f"    {each}_temp_path {folder}/{each};" for each in kinds)
    return text.replace("http {\n", f"http {{\n{places}\n", 1)


@pytest.fixture(scope="module")
def proxy(folder: Path) -> Iterator[Proxy]:
    nginx = require_program("nginx", "nginx-light")
    plain, tls = free_ports(2)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Upstream) as upstream:
        upstream.daemon_threads = True
        upstream.block_on_close = False
        thread = threading.Thread(target=upstream.serve_forever, args=(0.01,))
        thread.start()
        (folder / "nginx.conf").write_text(written(folder, upstream.server_port, plain, tls))
        (command,) = (each for each in commands("check") if each.startswith("nginx "))
        _, *arguments = command.replace("/etc/nginx", str(folder)).split()
        run_successfully(nginx, *arguments, "-e", f"{folder}/error.log")
        process = subprocess.Popen(
            [nginx, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log", "-g", "daemon off;"]
        )
        try:
            # nginx makes its listening sockets before it works: one that connects is answered.
            while process.poll() is None:
                with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", tls), timeout=10):
                    break
            yield Proxy(plain, tls)
        finally:
            process.terminate()
            process.wait(30)
            upstream.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "target",
    [
        *("/metrics", "/%6detrics", "//metrics", "/%2fmetrics", "/api/../metrics", "/x/%2e%2e/metrics", "/metrics?a=1"),
        *("/api/docs", "/api/%64ocs", "/api//docs", "/api/docs/start.js", "/api/openapi.json", "/api/v3/../docs"),
    ],
)
def test_operations_pages_are_not_forwarded(proxy: Proxy, target: str) -> None:
    assert proxy.get(target) == (404, None)


def test_a_path_is_forwarded_unchanged(proxy: Proxy) -> None:
    for target in ("/api/v3/transactions/external/a%2Fb%2541%20c", "/api//v3/profiles?filter[x]=%2541", "/v1/import/x"):
        status, reached = proxy.get(target)
        assert (status, reached["path"]) == (200, target)


def test_trusted_headers_are_set_by_the_proxy_only(proxy: Proxy) -> None:
    forged = ("X-Forwarded-Host: evil.example", "X-Forwarded-For: 203.0.113.1", "X-Forwarded-Proto: http")
    _, reached = proxy.get("/api/v3/profiles", *forged, "X-Regulars-Operations: secret")
    found = reached["headers"]
    assert [found[f"x-forwarded-{each}"] for each in ("host", "for", "proto")] == [NAME, "127.0.0.1", "https"]
    assert (found["host"], "x-regulars-operations" in found) == (NAME, False)


def test_only_the_configured_host_is_served_over_tls(proxy: Proxy) -> None:
    status, body = proxy.ask(f"GET /a?b=1 HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode(), None)
    assert (status, b"308" in body) == (308, True)
    status, _ = proxy.ask(b"GET / HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n", None)
    assert status == 421
    with pytest.raises(ssl.SSLError):
        proxy.ask(b"", "other.example")


def test_bodies_are_limited(proxy: Proxy) -> None:
    def post(path: str, length: int) -> int:
        head = f"POST {path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        return proxy.ask(head.encode() + b"x" * length)[0] if length < 1_000_000 else proxy.ask(head.encode())[0]

    assert post("/api/v3/profiles", 100_000) == 200
    assert post("/api/v3/profiles", 12_000_000) == 413
    assert post("/v1/import/transactions", 2_200_000_000) == 413
