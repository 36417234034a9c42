"""A receiver of webhooks within a proof: it fails at random, and records what it has accepted."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
from standardwebhooks import Webhook

_ANSWER = "HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Receiver:
    """What has arrived: the accepted events in the order of their first acceptance, and violations."""

    draw: random.Random
    failure_rate: float
    url: str = ""
    secrets: tuple[str, ...] = ()
    requests: int = 0
    failures: int = 0
    repeated: int = 0
    accepted: dict[str, bytes] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers the requests of one connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = (line.partition(": ") for line in head.strip().split("\r\n")[1:])
                headers = {name.lower(): value for name, _, value in lines}
                body = await reader.readexactly(int(headers["content-length"]))
                writer.write(_ANSWER.format(self.answer(headers, body)).encode())
                await writer.drain()
        writer.close()

    def answer(self, headers: dict[str, str], body: bytes) -> int:
        """Records a request and returns the status of its response."""
        self.requests += 1
        try:
            Webhook(self.secrets[0]).verify(body, headers)
        except Exception as error:
            self.violations.append(f"a signature is not valid: {type(error).__name__}")
        event_id = headers["webhook-id"]
        if event_id in self.accepted:
            self.repeated += 1
            if self.accepted[event_id] != body:
                self.violations.append(f"{event_id} has two payloads")
            return 200
        if self.draw.random() < self.failure_rate:
            self.failures += 1
            return 500
        self.accepted[event_id] = body
        return 200

    def events(self) -> list[dict[str, Any]]:
        """The accepted events in the order of their first acceptance."""
        return [msgspec.json.decode(body) for body in self.accepted.values()]


@asynccontextmanager
async def receiving(draw: random.Random, failure_rate: float) -> AsyncIterator[Receiver]:
    """Runs a receiver on this machine."""
    receiver = Receiver(draw, failure_rate)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    try:
        yield receiver
    finally:
        server.close()
