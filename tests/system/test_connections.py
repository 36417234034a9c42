"""Silent and slow clients do not delay other clients."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import resource
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clubs import START
from postgres_servers import Servers
from regulars.auth import tokens
from regulars.model import community as communities
from regulars.model.community import NewCommunity
from regulars.storage.database import Database
from system.test_serve import RunningServer, run_server

ESTABLISHED, RESET = 1, 7
"""States of a connection in Linux's tcp_info."""

SILENT = b""
ONE_BYTE = b"G"
HALF_HEADERS = b"GET /api/health HTTP/1.1\r\nHost: te"
IDLE = b"GET /api/health HTTP/1.1\r\nHost: test\r\n\r\n"
UNREAD = b"GET /api/openapi.json HTTP/1.1\r\nHost: test\r\n\r\n" * 50
SLOW_BODY = "POST /api/v3/profiles HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\nContent-Length: 9\r\n\r\n{{"
IMPORT = (
    "POST /v1/import/transactions HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\nContent-Type: text/csv\r\n"
    "Content-Length: {}\r\n\r\n{}"
)
TIMEOUT = 60

ROWS = "external_id,profile,transacted_at,total\n" + "".join(f"C{n},,2026-10-01,1\n" for n in range(200_000))


@pytest.fixture(scope="module", autouse=True)
def many_files() -> Iterator[None]:
    """Raises the limit of open files, so that this process can hold more connections than the server."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8_000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def served(servers: Servers) -> Iterator[RunningServer]:
    """A server with short timeouts and few connections."""
    owner, app = servers.urls("embedded")
    with tempfile.TemporaryDirectory(prefix="regulars-test-") as folder:
        settings = {
            "DATABASE_URL": app,
            "OWNER_URL": owner,
            "MAX_CONNECTIONS": "1000",
            "HEADER_TIMEOUT_SECONDS": "3",
            "BODY_TIMEOUT_SECONDS": "1",
            "SEND_TIMEOUT_SECONDS": "1",
        }
        with run_server(Path(folder), **{f"REGULARS_{name}": value for name, value in settings.items()}) as running:
            yield running


@pytest.fixture(scope="module")
def token(servers: Servers) -> str:
    """A token of a community."""

    async def made() -> str:
        async with Database(servers.urls("embedded")[1], 1) as database, database.unscoped_connection() as connection:
            new = NewCommunity(slug="connections", name="Club", country="NO", timezone="UTC", currency="NOK")
            community = await communities.create(connection, new, START)
            new_token = tokens.NewToken(community.organization_id, "test", community_id=community.id)
            return await tokens.create(connection, new_token, START)

    return asyncio.run(made())


@pytest.fixture
def slow_body(token: str) -> bytes:
    """The start of an authorized request."""
    return SLOW_BODY.format(token).encode()


@contextlib.contextmanager
def held(served: RunningServer, number: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """Opens connections that send some bytes and then neither send nor read."""
    host, _, port = served.address.removeprefix("http://").partition(":")
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(number):
            opened.append(stack.enter_context(socket.create_connection((host, int(port)), 10)))
            opened[-1].sendall(sent)
        yield opened


def check_health(served: RunningServer) -> None:
    """Requests /api/health over a new connection."""
    connection = http.client.HTTPConnection(served.address.removeprefix("http://"), timeout=TIMEOUT)
    try:
        connection.request("GET", "/api/health")
        assert connection.getresponse().status == 200
    finally:
        connection.close()


def is_healthy_at_once(served: RunningServer) -> bool:
    """Whether /api/health responds before a silent client that came earlier is disconnected by the timeout.

    Then it did not wait for other clients, however slow the machine is. One of a few attempts must be in time.
    """
    for _ in range(5):
        with held(served, 1, SILENT) as [earlier]:
            check_health(served)
            earlier.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                earlier.recv(1)
                continue
            if earlier.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED:
                return True
    return False


def is_closed(connection: socket.socket) -> bool:
    """Reads everything from a connection, and returns whether the server closed it."""
    try:
        while connection.recv(1_000_000):
            continue
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def test_health_responds_while_silent_and_slow_clients_hold_all_connections(
    served: RunningServer, slow_body: bytes
) -> None:
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(held(served, 1_800, SILENT))
        for number, sent in ((50, ONE_BYTE), (50, HALF_HEADERS), (50, slow_body), (50, IDLE), (10, UNREAD)):
            stack.enter_context(held(served, number, sent))
        assert is_healthy_at_once(served)
        # The longest idle were closed for newer ones.
        assert is_closed(silent[0])


def test_connections_without_a_complete_request_are_closed_after_the_timeout(served: RunningServer) -> None:
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(held(served, 1, sent))[0] for sent in (SILENT, ONE_BYTE, HALF_HEADERS, IDLE)]
        assert all(is_closed(each) for each in opened)


def test_a_body_that_pauses_is_rejected(served: RunningServer, slow_body: bytes) -> None:
    with held(served, 1, slow_body) as [client]:
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert (answer.status, answer.getheader("Connection")) == (408, "close")
        assert b"1 bytes in 1 s" in answer.read()
        assert client.recv(1) == b""


def test_a_client_that_does_not_read_responses_is_disconnected(served: RunningServer) -> None:
    with held(served, 1, UNREAD) as [client]:
        deadline = time.monotonic() + TIMEOUT
        while (state := client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]) == ESTABLISHED:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # The kernel discards what the client has not taken.
        assert state == RESET
    assert is_healthy_at_once(served)


def test_a_stop_does_not_wait_for_slow_clients_and_ends_an_import(
    served: RunningServer, slow_body: bytes, token: str
) -> None:
    with contextlib.ExitStack() as stack:
        for sent in (SILENT, HALF_HEADERS, slow_body, IDLE, UNREAD):
            stack.enter_context(held(served, 20, sent))
        [client] = stack.enter_context(held(served, 1, IMPORT.format(token, len(ROWS), ROWS).encode()))
        check_health(served)
        assert served.stop(signal.SIGTERM) == 0
        assert client.recv(12) == b"HTTP/1.1 503"
