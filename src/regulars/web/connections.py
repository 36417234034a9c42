"""Limits the client connections of one process: closes the longest idle for new ones, and resets stalled ones.

The HTTP server only limits the time for headers, so this reads the state of the sockets from Linux.
"""

import os
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

ClientAddress = tuple[str, int]
"""A client's address and port."""

COUNT_INTERVAL_SECONDS = 0.2
"""How often the open connections are counted."""

CLOSING_INTERVAL_SECONDS = 0.05
"""How often they are counted while some have to be closed."""

STATE_INTERVAL_SECONDS = 1.0
"""How often the state of every connection is read."""

DRAIN_SECONDS = 4.0
"""How long accepted requests may take after a stop before their connections are closed."""

DRAIN_IDLE_SECONDS = 1.0
"""After a stop, connections that have been idle for this long are closed."""

STATES_PER_PAUSE = 50
PAUSE_SECONDS = 0.001
"""The thread pauses for this long after reading STATES_PER_PAUSE states."""

REMAINING_SHARE = 0.8
"""Share of the limit that stays open when idle connections are closed."""

UPLOAD_BYTES = 16_384
"""A connection that has sent more is idle since its last byte, other connections since they were opened."""

_RESET = struct.pack("ii", 1, 0)
_OPEN_FILES_FOLDER = "/proc/self/fd"

# struct tcp_info of Linux: state; unacked; last_data_sent and last_data_recv in milliseconds; bytes_acked,
# bytes_received; notsent_bytes.
_INFO = struct.Struct("=B23xI16xI4xI64xQQ8xI")
_INFO_BYTES = 160

_log = structlog.get_logger("regulars.connections")


@dataclass(slots=True)
class _Client:
    """One connection, with the number of response bytes that the client had acknowledged at `acked_at`."""

    address: ClientAddress
    opened: float
    file: int
    acked: int = 0
    acked_at: float = 0.0
    idle_since: float = 0.0
    idle: bool = True


class ConnectionLimiter:
    """Watches the client connections of this process in a thread of its own.

    `active_clients` are the clients whose complete request is being handled: these are never idle.
    """

    def __init__(self, port: int, limit: int, *, send_seconds: float, min_bytes_per_second: int) -> None:
        self.active_clients: set[ClientAddress] = set()
        self._port = port
        self._limit = limit
        self._send_seconds = send_seconds
        self._min_bytes_per_second = min_bytes_per_second
        self._files: dict[int, int] = {}
        self._clients: dict[int, _Client] = {}
        self._others: set[int] = set()
        self._listener = (-1, 0)
        self._stopped_at: float | None = None
        self._read_at = 0.0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_watching(self) -> bool:
        """Whether the listening socket was found; from then on, a stop is detected by its end."""
        return self._listener[1] != 0

    def start(self, on_stop: Callable[[], object]) -> None:
        """Starts watching. `stopping` is called from the thread once this process accepts no more connections."""
        if sys.platform == "linux":
            self._thread = threading.Thread(target=self._watch, args=(on_stop,), name="connections", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stops watching."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, stopping: Callable[[], object]) -> None:
        pause = COUNT_INTERVAL_SECONDS
        while not self._ended.wait(pause):
            start = time.monotonic()
            try:
                is_closing = self._check(start, stopping)
            except Exception:
                _log.exception("connections.failed")
                is_closing = False
            # While nothing has to be closed, this thread uses at most a tenth of a processor.
            spent = time.monotonic() - start
            pause = max(spent, CLOSING_INTERVAL_SECONDS) if is_closing else max(COUNT_INTERVAL_SECONDS, 10 * spent)

    def _check(self, now: float, stopping: Callable[[], object]) -> bool:
        """Checks the open connections and closes some if necessary; returns whether to check again soon."""
        if self.is_watching and self._stopped_at is None and not self._is_listening():
            self._stopped_at = now
            stopping()
        # The process has few other open files, such as its database connections.
        is_above_limit = len(os.listdir(_OPEN_FILES_FOLDER)) - len(self._others) > self._limit
        due = now - self._read_at >= STATE_INTERVAL_SECONDS
        is_closing = is_above_limit or self._stopped_at is not None
        if is_closing or due:
            self._update_clients(now, check_reused=due)
            if due:
                self._read_states(self._clients.values(), now)
                self._read_at = now
            self._close_excess(now)
        return is_closing

    def _is_listening(self) -> bool:
        file, inode = self._listener
        try:
            return os.fstat(file).st_ino == inode
        except OSError:
            return False

    # The state of every connection ----------------------------------------------------------------------------

    def _update_clients(self, now: float, *, check_reused: bool) -> None:
        """Finds connections that were opened or closed since the last check.

        A file number that was closed and reused is found with `check_reused` only, which costs a system call per file.
        """
        known = {} if check_reused else self._files
        self._files = {}
        for name in os.listdir(_OPEN_FILES_FOLDER):
            file = int(name)
            inode = known.get(file)
            self._files[file] = _inode(file) if inode is None else inode
        inodes = set(self._files.values())
        self._clients = {inode: client for inode, client in self._clients.items() if inode in inodes}
        self._others &= inodes
        for file, inode in self._files.items():
            if inode in self._clients:
                self._clients[inode].file = file
            elif inode and inode not in self._others and (client := self._add_client(inode, file, now)) is not None:
                self._read_state(client, now)

    def _add_client(self, inode: int, file: int, now: float) -> _Client | None:
        try:
            with socket.socket(fileno=os.dup(file)) as copy:
                if copy.family in (socket.AF_INET, socket.AF_INET6) and copy.getsockname()[1] == self._port:
                    if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        self._listener = (file, inode)
                    else:
                        address = copy.getpeername()
                        client = _Client((address[0], address[1]), now, file, acked_at=now, idle_since=now)
                        self._clients[inode] = client
                        return client
        except OSError:
            # It has been closed.
            return None
        self._others.add(inode)
        return None

    def _read_states(self, clients: Iterable[_Client], now: float) -> None:
        for number, client in enumerate(clients):
            if number % STATES_PER_PAUSE == STATES_PER_PAUSE - 1:
                # Without a pause, the interpreter switches to the event loop only every 5 ms.
                time.sleep(PAUSE_SECONDS)
            self._read_state(client, now)

    def _read_state(self, client: _Client, now: float) -> None:
        # Without duplicating the socket or checking its type, which costs more system calls for thousands of sockets.
        try:
            borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=client.file)
            try:
                raw = borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
            finally:
                borrowed.detach()
        except OSError:
            # It has been closed.
            return
        _, unacked, sent_ms, received_ms, acked, received, unsent = _INFO.unpack_from(raw)
        client.idle = unacked == 0 and unsent == 0
        is_new = acked <= 1 and received < UPLOAD_BYTES
        client.idle_since = client.opened if is_new else now - min(sent_ms, received_ms) / 1000
        if client.idle or acked - client.acked >= self._min_bytes_per_second * self._send_seconds:
            client.acked, client.acked_at = acked, now

    # Closing connections --------------------------------------------------------------------------------------

    def _close_excess(self, now: float) -> None:
        stalled = [
            inode
            for inode, client in self._clients.items()
            if not client.idle and now - client.acked_at > self._send_seconds
        ]
        self._close(stalled, "the client does not read its response")
        if self._stopped_at is None:
            self._close(self._longest_idle(now), "too many connections")
        elif now - self._stopped_at > DRAIN_SECONDS:
            self._close(list(self._clients), "the server is stopping")
        else:
            limit = now - DRAIN_IDLE_SECONDS
            self._close([inode for inode in self._idle() if self._clients[inode].idle_since < limit])

    def _idle(self) -> list[int]:
        return [
            inode
            for inode, client in self._clients.items()
            if client.idle and client.address not in self.active_clients
        ]

    def _longest_idle(self, now: float) -> list[int]:
        if len(self._clients) <= self._limit:
            return []
        longest = sorted(self._idle(), key=lambda inode: self._clients[inode].idle_since)
        candidates = longest[: len(self._clients) - int(self._limit * REMAINING_SHARE)]
        self._read_states((self._clients[inode] for inode in candidates), now)
        # States that were read up to a second ago may have changed.
        newest = max((self._clients[inode].idle_since for inode in longest[len(candidates) :]), default=now)
        return [
            inode for inode in candidates if self._clients[inode].idle and self._clients[inode].idle_since <= newest
        ]

    def _close(self, inodes: list[int], reason: str = "") -> None:
        closed = 0
        for inode in inodes:
            closed += _close_socket(inode, self._clients.pop(inode))
        if closed and reason:
            _log.warning("connections.closed", reason=reason, count=closed, open=len(self._clients))


def _inode(file: int) -> int:
    """The inode of a socket; 0 for other files and for closed ones."""
    try:
        status = os.fstat(file)
    except OSError:
        return 0
    return status.st_ino if stat.S_ISSOCK(status.st_mode) else 0


def _close_socket(inode: int, client: _Client) -> bool:
    """Closes a connection and discards unsent data; returns False if it is closed already."""
    try:
        copy = os.dup(client.file)
    except OSError:
        return False
    # The file number may have been reused.
    if os.fstat(copy).st_ino != inode:
        os.close(copy)
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=copy) as connection:
        try:
            if not client.idle:
                # Unsent data must not keep the socket open after its owner has closed it.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return False
        return True
