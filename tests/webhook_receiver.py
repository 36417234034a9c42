"""A receiver of webhooks on the local machine: a real server whose answers a test chooses."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def http_response(status: int, content: bytes = b"", **headers: str) -> bytes:
    """An HTTP response."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


Writer = asyncio.StreamWriter
Respond = Callable[[Received, Writer], Awaitable[bytes | None] | bytes | None]
"""Returns the response; None closes the connection."""


@dataclass
class Receiver:
    """What has arrived, and how it is answered."""

    port: int = 0
    respond: Respond = lambda request, writer: OK
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def types(self) -> list[str]:
        return [each.json["type"] for each in self.received]

    async def wait_for(self, count: int, seconds: float = 20) -> list[Received]:
        """Waits until this many requests have arrived."""
        async with asyncio.timeout(seconds):
            while len(self.received) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                headers = {key.lower(): value for key, value in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                request = Received(first.split(" ")[1], headers, body)
                self.received.append(request)
                self.arrived.set()
                found = self.respond(request, writer)
                content = found if found is None or isinstance(found, bytes) else await found
                if content is None:
                    break
                writer.write(content)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(respond: Respond | None = None, context: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Runs a receiver, with TLS if there is a context."""
    receiver = Receiver()
    if respond is not None:
        receiver.respond = respond
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
