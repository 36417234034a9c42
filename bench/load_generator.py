"""A small load generator: closed loop for throughput, open loop at a fixed rate for latency.

It shares the cores with the server, so it does as little as possible for a request: the bytes are prepared in
advance, one thread waits for all connections, and only status and length of a response are parsed.
"""

import gc
import select
import socket
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.latency import percentile

Request = tuple[str, bytes]
"""Kind and bytes of a request."""

_TIMEOUT_SECONDS = 60.0


class LoadError(RuntimeError):
    """An unexpected response or a timeout of the server."""


@dataclass
class Load:
    """Result of a load: latencies in seconds by kind, statuses, and the total duration.

    In an open loop, the latency starts at the instant at which a request was due, whether or not the generator or
    the server was ready for it.
    """

    seconds: float = 0.0
    latencies: dict[str, "array[float]"] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def responses(self) -> int:
        """Number of responses."""
        return sum(self.statuses.values())

    @property
    def per_second(self) -> float:
        """Responses a second."""
        return self.responses / self.seconds

    def percentile(self, percent: float, kind: str | None = None) -> float:
        """A percentile of the latency in milliseconds."""
        latencies = [each for name, values in self.latencies.items() if kind in (None, name) for each in values]
        if not latencies:
            raise LoadError(f"there were no requests of kind {kind}")
        return 1000 * percentile(latencies, percent)

    def require(self, *statuses: int) -> "Load":
        """Raises LoadError if a response has another status than these."""
        if set(self.statuses) - set(statuses):
            raise LoadError(f"the server responded with {dict(self.statuses)}")
        return self


class _Connection:
    __slots__ = ("due_at", "kind", "received", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.kind = ""
        self.due_at = 0.0

    def send(self, request: Request, at: float) -> None:
        self.kind, content = request
        self.due_at = at
        self.socket.sendall(content)

    def status(self) -> int:
        """Reads available bytes; returns the status of a complete response, else 0."""
        piece = self.socket.recv(262_144)
        if not piece:
            raise LoadError("the server closed a connection")
        received = self.received + piece if self.received else piece
        end = received.find(b"\r\n\r\n")
        if end > 0:
            position = received.find(b"content-length: ", 0, end)
            length = int(received[position + 16 : received.find(b"\r", position)]) if position > 0 else 0
            if len(received) >= end + 4 + length:
                self.received = b""
                return int(received[9:12])
        self.received = received
        return 0


@contextmanager
def _connections(port: int, number: int) -> Iterator[tuple[list[_Connection], select.epoll]]:
    opened = [_Connection(port) for _ in range(number)]
    poll = select.epoll()
    for each in opened:
        poll.register(each.socket.fileno(), select.EPOLLIN)
    gc.collect()
    gc.disable()
    try:
        yield opened, poll
    finally:
        gc.enable()
        poll.close()
        for each in opened:
            each.socket.close()


def _record(load: Load, connection: _Connection, status: int, now: float) -> None:
    load.statuses[status] += 1
    values = load.latencies.get(connection.kind)
    if values is None:
        values = load.latencies[connection.kind] = array("d")
    values.append(now - connection.due_at)


def closed_loop(port: int, requests: Iterator[Request], connections: int, seconds: float) -> Load:
    """Each connection sends the next request after a response, for some seconds or until there are no more requests."""
    load = Load()
    clock = time.perf_counter
    with _connections(port, connections) as (opened, poll):
        by_number = {each.socket.fileno(): each for each in opened}
        began = clock()
        until = began + seconds
        busy = 0
        for connection in opened:
            if (request := next(requests, None)) is not None:
                connection.send(request, clock())
                busy += 1
        while busy:
            ready = poll.poll(_TIMEOUT_SECONDS)
            if not ready:
                raise LoadError(f"the server did not respond for {_TIMEOUT_SECONDS:.0f} seconds")
            for number, _ in ready:
                connection = by_number[number]
                status = connection.status()
                if not status:
                    continue
                now = clock()
                _record(load, connection, status, now)
                following = next(requests, None) if now < until else None
                if following is None:
                    busy -= 1
                else:
                    connection.send(following, now)
        load.seconds = clock() - began
    return load


def open_loop(port: int, requests: Iterator[Request], connections: int, seconds: float, rate: float) -> Load:
    """Requests are due at a fixed rate; the time that one waits for a free connection counts."""
    load = Load()
    clock = time.perf_counter
    with _connections(port, connections) as (free, poll):
        by_number = {each.socket.fileno(): each for each in free}
        free = list(free)
        due: deque[float] = deque()
        began = clock()
        sent, planned = 0, int(seconds * rate)
        while sent < planned or len(free) < connections or due:
            now = clock()
            while sent < planned and began + sent / rate <= now:
                due.append(began + sent / rate)
                sent += 1
            while due and free:
                request = next(requests, None)
                if request is None:
                    raise LoadError("the requests ran out")
                free.pop().send(request, due.popleft())
            wait = began + sent / rate - clock() if sent < planned else _TIMEOUT_SECONDS
            if wait > 0:
                # Waiting on epoll alone is to the millisecond only.
                readable, _, _ = select.select([poll], [], [], wait)
                if not readable and wait == _TIMEOUT_SECONDS:
                    raise LoadError(f"the server did not respond for {_TIMEOUT_SECONDS:.0f} seconds")
            for number, _ in poll.poll(0):
                connection = by_number[number]
                if status := connection.status():
                    _record(load, connection, status, clock())
                    free.append(connection)
        load.seconds = clock() - began
    return load
