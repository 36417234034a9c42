"""Resolves host names to addresses that deliveries may be sent to."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

from regulars.core.public_addresses import AddressNotAllowedError, Network, is_allowed

if TYPE_CHECKING:
    from aiohttp.abc import ResolveResult

TTL_SECONDS = 10.0
"""Time for which a result is used, also a failure."""

MAX_CACHED_HOSTS = 10_000
MAX_LOOKUPS = 16
"""Maximum number of concurrent lookups. They run in threads of their own, because a name server may take long."""

Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the IP addresses of a host name. Raises OSError."""


class SystemLookup:
    """Looks names up as the system is configured to."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MAX_LOOKUPS, thread_name_prefix="webhook-dns")

    async def __call__(self, host: str) -> Sequence[str]:
        work = partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def close(self) -> None:
        """Stops the threads; a running lookup is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class PublicResolver:
    """Resolves names as an `aiohttp.abc.AbstractResolver`, and omits addresses that are not allowed.

    Concurrent requests for a name share a lookup.
    """

    def __init__(self, lookup: Lookup, networks: Sequence[Network], ttl_seconds: float = TTL_SECONDS) -> None:
        self._lookup = lookup
        self._networks = tuple(networks)
        self._ttl_seconds = ttl_seconds
        self._lookups: dict[str, tuple[float, asyncio.Task[Sequence[str]]]] = {}

    async def addresses(self, host: str) -> list[str]:
        """The allowed addresses of a host. Raises OSError: AddressNotAllowedError if it has only others."""
        found = [host] if _is_address(host) else await self._looked_up(host)
        allowed = [each for each in found if is_allowed(each, self._networks)]
        if not allowed:
            raise AddressNotAllowedError(f"{host} has no public address.")
        return allowed

    async def _looked_up(self, host: str) -> Sequence[str]:
        now = time.monotonic()
        expires_at, task = self._lookups.get(host, (0.0, None))
        if task is None or (task.done() and now >= expires_at):
            if len(self._lookups) >= MAX_CACHED_HOSTS:
                self._lookups = {name: each for name, each in self._lookups.items() if not each[1].done()}
            task = asyncio.ensure_future(self._lookup(host))
            self._lookups[host] = now + self._ttl_seconds, task
        # The lookup goes on for the others if one of its requests is cancelled.
        return await asyncio.shield(task)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The allowed addresses of a host, as the HTTP client expects them."""
        return [
            {
                "hostname": host,
                "host": each,
                "port": port,
                "family": socket.AF_INET6 if ":" in each else socket.AF_INET,
                "proto": socket.IPPROTO_TCP,
                "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            }
            for each in await self.addresses(host)
        ]

    async def close(self) -> None:
        """Cancels the running lookups."""
        tasks = [task for _, task in self._lookups.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
