"""Fetches certificates and confirmation links of providers over HTTPS."""

import asyncio
import http.client
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any
from urllib import error, request

from cryptography import x509

from regulars.core.public_addresses import AddressNotAllowedError, Network, is_allowed

TIMEOUT_SECONDS = 5.0
"""Timeout of a request."""

MAX_RESPONSE_BYTES = 64 * 1024
"""Longest accepted response."""

MAX_CACHED_CERTIFICATES = 16
"""Most cached certificates; the oldest is evicted first."""

FAILURE_TTL_SECONDS = 10.0
"""How long an address that failed is not fetched again."""

MAX_FAILURES = 10
"""Most addresses that are being fetched or that failed within FAILURE_SECONDS."""

Fetch = Callable[[str], Awaitable[bytes]]
"""Returns the content at an address. Raises UpstreamUnavailableError."""


class UpstreamUnavailableError(Exception):
    """An address of a provider can't be fetched now."""


class _NoRedirects(request.HTTPRedirectHandler):
    """Rejects redirects, because only the original address was validated."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


class _PublicConnection(http.client.HTTPSConnection):
    """Connects to allowed addresses only: the one that is checked is the one that it connects to."""

    def __init__(self, host: str, *, networks: Sequence[Network], **more: Any) -> None:
        super().__init__(host, **more)
        self._networks = tuple(networks)

    def connect(self) -> None:
        """Connects to the first allowed address of the host. Raises OSError."""
        self._create_connection = self._connect_allowed
        super().connect()

    def _connect_allowed(self, address: tuple[str, int], timeout: float, *more: object) -> socket.socket:
        failure: OSError = AddressNotAllowedError(f"{address[0]} has no public address.")
        for *_, found in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            if is_allowed(str(found[0]), self._networks):
                try:
                    return socket.create_connection((str(found[0]), address[1]), timeout)
                except OSError as error:
                    failure = error
        raise failure


class _PublicHandler(request.HTTPSHandler):
    """Opens such connections, except to the proxy of the environment, which connects itself."""

    def __init__(self, context: ssl.SSLContext, networks: Sequence[Network]) -> None:
        super().__init__(context=context)
        self._own_context = context
        self._open_connection = partial(_PublicConnection, networks=networks)

    def https_open(self, req: request.Request) -> Any:
        """Sends a request and returns the response."""
        if getattr(req, "_tunnel_host", None):
            return super().https_open(req)
        return self.do_open(self._open_connection, req, context=self._own_context)


def _fetch(url: str, context: ssl.SSLContext, networks: Sequence[Network]) -> bytes:
    # Error messages are logged, and a query may hold a token.
    address = url.partition("?")[0]
    opener = request.build_opener(_NoRedirects, _PublicHandler(context, networks))
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS) as response:
            content: bytes = response.read(MAX_RESPONSE_BYTES + 1)
    except error.HTTPError as http_error:
        http_error.close()
        raise UpstreamUnavailableError(f"{address} responds with status {http_error.code}.") from None
    except (OSError, ValueError) as failure:
        raise UpstreamUnavailableError(f"{address} does not respond: {failure}.") from None
    if len(content) > MAX_RESPONSE_BYTES:
        raise UpstreamUnavailableError(f"{address} responds with more than {MAX_RESPONSE_BYTES} bytes.")
    return content


async def fetch_https(url: str, context: ssl.SSLContext | None = None, networks: Sequence[Network] = ()) -> bytes:
    """Fetches a public address over HTTPS, through the proxy of the environment if there is one, without redirects.

    `context` holds the trusted authorities, by default those of the system; `networks` are allowed although they are
    not public. Raises UpstreamUnavailableError.
    """
    return await asyncio.to_thread(partial(_fetch, url, context or ssl.create_default_context(), networks))


class HttpsClient:
    """Fetches and caches certificates for one process.

    Anyone may send a message that names a certificate, so failures are limited: an address that failed is not fetched
    again for FAILURE_TTL_SECONDS, and after MAX_FAILURES within that time no new address is fetched.
    """

    def __init__(self, fetch: Fetch = fetch_https, clock: Callable[[], float] = time.monotonic) -> None:
        self.fetch = fetch
        self._clock = clock
        self._certificates: dict[str, x509.Certificate] = {}
        self._failures: dict[str, tuple[float, UpstreamUnavailableError]] = {}
        self._fetching: dict[str, asyncio.Task[x509.Certificate | UpstreamUnavailableError]] = {}

    async def certificate(self, url: str) -> x509.Certificate:
        """The certificate at an address that the caller trusts. Raises UpstreamUnavailableError."""
        if url in self._certificates:
            return self._certificates[url]
        if url not in self._fetching:
            self._require_no_recent_failure(url)
            self._fetching[url] = asyncio.create_task(self._fetch_certificate(url))
        # A cancelled request does not cancel a fetch that other requests wait for.
        result = await asyncio.shield(self._fetching[url])
        if isinstance(result, UpstreamUnavailableError):
            raise UpstreamUnavailableError(str(result))
        return result

    def _require_no_recent_failure(self, url: str) -> None:
        now = self._clock()
        self._failures = {each: failure for each, failure in self._failures.items() if now < failure[0]}
        if url in self._failures:
            raise UpstreamUnavailableError(
                f"{self._failures[url][1]} It is not fetched again for {FAILURE_TTL_SECONDS:.0f} seconds."
            )
        if len(self._failures) + len(self._fetching) >= MAX_FAILURES:
            raise UpstreamUnavailableError(
                f"{url} is not fetched now: too many certificates could not be fetched recently."
            )

    async def _fetch_certificate(self, url: str) -> x509.Certificate | UpstreamUnavailableError:
        try:
            certificate = _parse_certificate(url, await self.fetch(url))
        except UpstreamUnavailableError as error:
            self._failures[url] = self._clock() + FAILURE_TTL_SECONDS, error
            return error
        else:
            while len(self._certificates) >= MAX_CACHED_CERTIFICATES:
                del self._certificates[next(iter(self._certificates))]
            self._certificates[url] = certificate
            return certificate
        finally:
            del self._fetching[url]


def _parse_certificate(url: str, content: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(content)
    except ValueError:
        raise UpstreamUnavailableError(f"{url} is not a certificate.") from None
