"""The connection limiter closes idle, stalled and excess connections; sockets of the test replace the HTTP server's."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from regulars.web.connections import ConnectionLimiter

LIMIT = 10
RESET = 7
"""The state of a connection in Linux's tcp_info."""

WAIT = 10.0


class Listener:
    """A listening socket that accepts connections and keeps them open."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """A client socket, and the server's socket of the connection."""
        client = self._stack.enter_context(socket.create_connection(("127.0.0.1", self.port), WAIT))
        accepted = self._stack.enter_context(self.socket.accept()[0])
        return client, accepted


@pytest.fixture
def listener() -> Iterator[Listener]:
    with ExitStack() as stack:
        found = Listener(stack)
        yield found
        found.socket.close()


@contextmanager
def watched(listener: Listener, *, send_seconds: float = 60) -> Iterator[tuple[ConnectionLimiter, threading.Event]]:
    """Runs a connection limiter for a listener; the event is set when the listener is closed."""
    connections = ConnectionLimiter(listener.port, LIMIT, send_seconds=send_seconds, min_bytes_per_second=1_000)
    stopping = threading.Event()
    connections.start(stopping.set)
    try:
        yield connections, stopping
    finally:
        connections.stop()


def test_the_longest_idle_connections_are_closed_but_none_with_an_active_request(listener: Listener) -> None:
    opened = [listener.connect() for _ in range(LIMIT)]
    answered, oldest = opened[0], opened[1]
    with watched(listener) as (connections, _):
        connections.active_clients.add(answered[0].getsockname())
        opened += [listener.connect() for _ in range(2)]
        assert oldest[0].recv(1) == b""
        connections.active_clients.clear()
        opened += [listener.connect() for _ in range(5)]
        # Now it is the longest idle connection.
        assert answered[0].recv(1) == b""
        opened[-1][1].sendall(b"answer")
        assert opened[-1][0].recv(6) == b"answer"


def test_only_a_client_that_reads_its_response_too_slowly_is_reset(listener: Listener) -> None:
    (stalled, to_stalled), (slow, to_slow) = listener.connect(), listener.connect()
    for each in (to_stalled, to_slow):
        each.setblocking(False)
        assert each.send(b"x" * 20_000_000) < 20_000_000
    with watched(listener, send_seconds=1.5):
        with pytest.raises(BrokenPipeError):  # noqa: PT012
            while True:
                slow.recv(2_000)
                with suppress(BlockingIOError):
                    to_stalled.send(b"x")
                time.sleep(0.02)
        to_stalled.close()
        # Unread data of the client is discarded.
        assert stalled.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == RESET
        assert slow.recv(2_000)


def test_a_stop_closes_idle_connections_and_lets_active_requests_finish(listener: Listener) -> None:
    (idle, _), (answered, to_answered) = listener.connect(), listener.connect()
    with watched(listener) as (connections, stopping):
        connections.active_clients.add(answered.getsockname())
        # The limiter must find the listener before it is closed.
        while not connections.is_watching:
            stopping.wait(0.01)
        listener.socket.close()
        assert stopping.wait(WAIT)
        assert idle.recv(1) == b""
        to_answered.sendall(b"answer")
        connections.active_clients.clear()
        assert answered.recv(6) == b"answer"
        assert answered.recv(1) == b""
