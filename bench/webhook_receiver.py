"""A receiver of webhooks in a process of its own, which does as little as possible for a request."""

import asyncio
import contextlib
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import cast

import msgspec
import uvloop

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class _Connection(asyncio.Protocol):
    def __init__(self, latencies: list[float]) -> None:
        self._latencies = latencies
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        received = self._received + data
        while (end := received.find(b"\r\n\r\n")) > 0:
            if received.startswith(b"GET"):
                content = msgspec.json.encode(self._latencies)
                self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
                received = received[end + 4 :]
                continue
            at = received.lower().find(b"content-length: ", 0, end)
            length = int(received[at + 16 : received.find(b"\r", at)])
            if len(received) < end + 4 + length:
                break
            body = received[end + 4 : end + 4 + length]
            received = received[end + 4 + length :]
            stamp = body.find(b'"timestamp":"') + 13
            sent = datetime.fromisoformat(body[stamp : body.find(b'"', stamp)].decode()).timestamp()
            self._latencies.append(time.time() - sent)
            self._transport.write(_OK)
        self._received = received


async def main(port_file: Path) -> None:
    """Receives until it is stopped. GET returns the seconds from each event to its arrival."""
    latencies: list[float] = []
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(latencies), "127.0.0.1", 0)
    port_file.write_text(str(server.sockets[0].getsockname()[1]))  # noqa: ASYNC240 - before anything waits
    with contextlib.suppress(asyncio.CancelledError):
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
