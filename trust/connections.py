"""Silent and slow clients do not delay other clients."""

import http.client
import json
import resource
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from trust.clubs import create_club
from trust.run import Run
from trust.server import RunningServer, serving, stop

ANSWER_SECONDS = 2.0
"""Time within which a new client must get the response of /api/health."""

STOP_SECONDS = 10.0
SLOW_SECONDS = 10.0
"""Interval at which a slow client sends one byte."""

WORKERS = (1, 2)

_HEALTH = b"GET /api/health HTTP/1.1\r\nHost: test\r\n\r\n"
_ANSWERS = b"GET /api/openapi.json HTTP/1.1\r\nHost: test\r\n\r\n" * 40
_BODY = "POST /api/v3/profiles HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\nContent-Length: 1000\r\n\r\n{{"


def run(run: Run) -> None:
    """Runs the proof with one worker and with several."""
    run.describe(
        "Clients hold connections: silent ones, with half of the headers sent, with one byte of a body every 10 "
        "s, with unread responses, and with finished requests. The server has its default settings. Meanwhile "
        "one client requests /api/health over new connections, and another writes transactions."
    )
    with _many_files():
        for workers in WORKERS:
            _hold(run, workers)


def _hold(run: Run, workers: int) -> None:
    folder = run.folder / f"workers-{workers}"
    with serving(folder, workers=workers) as server, ExitStack() as stack:
        token = create_club(server).token
        slow = _open(stack, server, run.scaled_count(500, 20), _BODY.format(token).encode())
        kinds = {
            "bodies of one byte every 10 s": slow,
            "silent": _open(stack, server, run.scaled_count(5_000, 100), b""),
            "half of the headers": _open(stack, server, run.scaled_count(500, 20), _HEALTH[:30]),
            "finished requests": _open(stack, server, run.scaled_count(500, 20), _HEALTH),
            "unread answers": _open(stack, server, run.scaled_count(100, 5), _ANSWERS),
        }
        if workers == WORKERS[0]:
            for kind, opened in kinds.items():
                run.figure(f"connections: {kind}", len(opened))
        _ask(run, server, token, slow, workers, run.scaled_seconds(25, 3))
        more = _open(stack, server, run.scaled_count(8_000, 200), b"")
        run.figure(f"silent connections added beyond the limit, workers: {workers}", len(more))
        _ask(run, server, token, slow, workers, run.scaled_seconds(5, 1))
        if run.scale >= 1:
            refused = sum(_is_refused(each) for each in slow)
            run.check(
                f"slow bodies are rejected with 408 or disconnected (workers: {workers})",
                f"{refused} of {len(slow)}",
                refused == len(slow),
            )
        began = time.monotonic()
        code = stop(server)
        seconds = time.monotonic() - began
        run.check(
            f"a stop takes less than {STOP_SECONDS:g} s with all these connections open (workers: {workers})",
            f"{seconds:.1f} s, exit code {code}",
            code == 0 and seconds < STOP_SECONDS,
        )


@contextmanager
def _many_files() -> Iterator[None]:
    """Raises the limit of open files of this process, but not of the servers that it starts."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _address(server: RunningServer) -> tuple[str, int]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return host, int(port)


def _open(stack: ExitStack, server: RunningServer, number: int, sent: bytes) -> list[socket.socket]:
    opened = []
    for _ in range(number):
        connection = stack.enter_context(socket.create_connection(_address(server), 30))
        connection.sendall(sent)
        connection.setblocking(False)
        opened.append(connection)
    return opened


def _ask(
    run: Run, server: RunningServer, token: str, slow: Sequence[socket.socket], workers: int, seconds: float
) -> None:
    """Requests /api/health and writes over new connections while slow clients continue."""
    health, writes = [], []
    end, next_byte = time.monotonic() + seconds, 0.0
    while time.monotonic() < end:
        if time.monotonic() > next_byte:
            _send_a_byte(slow)
            next_byte = time.monotonic() + SLOW_SECONDS
        health.append(_request(server, "GET", "/api/health", 200))
        sale = {"external_id": f"{time.monotonic_ns()}", "transacted_at": "2026-10-01T12:00:00Z", "timezone": "UTC"}
        writes.append(
            _request(server, "POST", "/api/v3/transactions", 201, token, json.dumps({**sale, "total": 1, "items": []}))
        )
        time.sleep(0.05)
    run.check(
        f"a new client gets the response of /api/health within {ANSWER_SECONDS:g} s (workers: {workers})",
        f"{len(health)} requests, longest {max(health):.3f} s",
        max(health) < ANSWER_SECONDS,
    )
    run.figure(f"a transaction over a new connection, longest, workers: {workers}", round(max(writes), 3), "s")


def _send_a_byte(connections: Sequence[socket.socket]) -> None:
    for each in connections:
        try:
            each.send(b" ")
        except OSError:
            # It is closed by now.
            continue


def _request(
    server: RunningServer, method: str, path: str, status: int, token: str = "", body: str | None = None
) -> float:
    """Returns the seconds of a request over a new connection. Raises for an unexpected response."""
    began = time.monotonic()
    connection = http.client.HTTPConnection(*_address(server), timeout=30)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == status, content
    finally:
        connection.close()
    return time.monotonic() - began


def _is_refused(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    if not poll.poll(30_000):
        return False
    try:
        answer = connection.recv(1_000)
    except ConnectionError:
        return True
    return not answer or answer.startswith(b"HTTP/1.1 408")
