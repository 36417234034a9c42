"""Sends one payload over HTTP: to public addresses only, without redirects, within limits of time and size.

aiohttp is imported with the first payload: it takes a tenth of the start of a server, of which most send nothing.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from regulars.core.public_addresses import AddressNotAllowedError, Network, require_allowed
from regulars.webhooks.resolver import Lookup, PublicResolver, SystemLookup

if TYPE_CHECKING:
    from aiohttp import ClientSession

TIMEOUT_SECONDS = 10.0
"""Time limit of an attempt, from the lookup of the name to the end of the response."""

MAX_RESPONSE_BYTES = 64 * 1024
"""Bytes of a response that are read; a longer one is cut off."""

EXCERPT_LENGTH = 1_024
"""Characters of a response that the log contains."""

_MARGIN_SECONDS = 0.1
"""How much earlier than the attempt the reading of the response ends."""

USER_AGENT = "Regulars-Webhooks/1"


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of an attempt: the status of the response, or the error that prevented one."""

    status: int | None
    seconds: float
    excerpt: str = ""
    error: str = ""
    retry_after: str | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has accepted the payload."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants no more deliveries."""
        return self.status == 410


class WebhookClient:
    """The HTTP client of the deliveries of one process. Close it after use."""

    def __init__(
        self, networks: Sequence[Network] = (), lookup: Lookup | None = None, ttl_seconds: float | None = None
    ) -> None:
        self._networks = tuple(networks)
        self._system_lookup = SystemLookup() if lookup is None else None
        more = {} if ttl_seconds is None else {"ttl_seconds": ttl_seconds}
        self._resolver = PublicResolver(lookup or self._system_lookup, self._networks, **more)  # type: ignore[arg-type]

    @cached_property
    def _session(self) -> ClientSession:
        import aiohttp

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=self._resolver,  # type: ignore[arg-type]
                use_dns_cache=False,
                # Deliveries are limited by their workers.
                limit=0,
                ssl=ssl.create_default_context(),
                socket_factory=self._create_socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Content-Type": "application/json"},
        )

    def _create_socket(self, info: Any) -> socket.socket:
        """Creates the socket of a connection. The address is the one that it will connect to, so it is checked here."""
        family, kind, protocol, _, address = info
        require_allowed(address[0], self._networks)
        return socket.socket(family, kind, protocol)

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        """Posts a payload and returns the outcome. Every error is an outcome, too."""
        if "_session" not in self.__dict__:
            # In a thread: requests of this process would wait for the import.
            await asyncio.to_thread(import_module, "aiohttp")
        from yarl import URL

        started = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                # An open connection is used again only while the name still leads to allowed addresses.
                await self._resolver.addresses(URL(url).host or "")
                return await self._send(url, headers, body, started)
        except TimeoutError:
            error = f"No response within {TIMEOUT_SECONDS:.0f} seconds."
        except AddressNotAllowedError as failure:
            error = str(failure)
        except Exception as failure:
            error = describe_failure(failure)
        return Attempt(None, time.monotonic() - started, error=error)

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes, started: float) -> Attempt:
        from aiohttp import ClientError

        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            content = bytearray()
            # The status says whether the payload was accepted, even if the rest of the response does not come.
            with suppress(TimeoutError, ClientError):
                async with asyncio.timeout(TIMEOUT_SECONDS - (time.monotonic() - started) - _MARGIN_SECONDS):
                    while len(content) < MAX_RESPONSE_BYTES and (chunk := await response.content.readany()):
                        content += chunk
            if not response.content.at_eof():
                # The rest is not read, so the connection can't be used again.
                response.close()
            excerpt = content[: 4 * EXCERPT_LENGTH].decode(errors="replace")[:EXCERPT_LENGTH].replace("\0", "")
            retry_after = response.headers.get("Retry-After")
            return Attempt(response.status, time.monotonic() - started, excerpt, _reason(response.status), retry_after)

    async def close(self) -> None:
        """Closes the connections."""
        if "_session" in self.__dict__:
            await self._session.close()
        await self._resolver.close()
        if self._system_lookup is not None:
            self._system_lookup.close()


def _reason(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"The receiver responds with a redirect ({status}), which is not followed."
    return f"The receiver responds with status {status}."


def describe_failure(failure: Exception) -> str:
    """The reason of a failure: the innermost one, such as the address that was rejected."""
    cause: BaseException = failure
    while (inner := cause.__cause__ or cause.__context__) is not None and not isinstance(cause, AddressNotAllowedError):
        cause = inner
    if isinstance(cause, AddressNotAllowedError):
        return str(cause)
    # The database stores no NUL, and no surrogates, which stand for bytes of the receiver that are not UTF-8.
    text = f"{type(failure).__name__}: {failure}".replace("\0", "")
    return text.encode(errors="backslashreplace").decode()[:EXCERPT_LENGTH]
