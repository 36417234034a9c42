"""What providers keep at addresses of their own, asked for over HTTPS: certificates, and links that confirm."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib import error, request

from cryptography import x509

TIMEOUT_SECONDS = 5.0
"""How long an answer may take."""

MAX_RESPONSE_BYTES = 64 * 1024
"""Most bytes of an answer."""

MAX_CACHED_CERTIFICATES = 16
"""Most certificates that are kept; the oldest goes first."""

FAILURE_TTL_SECONDS = 10.0
"""How long an address that failed is not fetched again."""

MAX_FAILURES = 10
"""Most addresses that are being fetched or that failed within FAILURE_SECONDS."""

Fetch = Callable[[str], Awaitable[bytes]]
"""Gives what is at an address. Raises UpstreamUnavailableError."""


class UpstreamUnavailableError(Exception):
    """What is needed from elsewhere can't be had now; later it may."""


class _NoRedirects(request.HTTPRedirectHandler):
    """Stays at the address that was checked."""

    def redirect_request(self, *given: Any) -> None:
        return None


def _got(url: str, context: ssl.SSLContext) -> bytes:
    # What is told of it is logged, and a query may hold a token.
    told = url.partition("?")[0]
    opener = request.build_opener(_NoRedirects, request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
            content: bytes = answer.read(MAX_RESPONSE_BYTES + 1)
    except error.HTTPError as answered:
        answered.close()
        raise UpstreamUnavailableError(f"{told} answers {answered.code}.") from None
    except (OSError, ValueError) as failed:
        raise UpstreamUnavailableError(f"{told} does not answer: {failed}.") from None
    if len(content) > MAX_RESPONSE_BYTES:
        raise UpstreamUnavailableError(f"{told} answers with more than {MAX_RESPONSE_BYTES} bytes.")
    return content


async def fetch_https(url: str, context: ssl.SSLContext | None = None) -> bytes:
    """What is at an address over HTTPS, by way of the environment's proxy if it names one; redirects are not followed.

    `context` says whom to trust, by default whom the system trusts. Raises UpstreamUnavailableError.
    """
    return await asyncio.to_thread(partial(_got, url, context or ssl.create_default_context()))


class HttpsClient:
    """Fetches and caches certificates for one process.

    Anyone may send a message that names a certificate, so failed fetches are bounded: a failure is remembered for
    FAILURE_SECONDS, and while MAX_FAILURES are remembered nothing new is fetched.
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
            self._require_untried(url)
            self._fetching[url] = asyncio.create_task(self._fetched(url))
        # A cancelled request does not cancel the fetch that others wait for.
        found = await asyncio.shield(self._fetching[url])
        if isinstance(found, UpstreamUnavailableError):
            raise UpstreamUnavailableError(str(found))
        return found

    def _require_untried(self, url: str) -> None:
        now = self._clock()
        self._failures = {each: failure for each, failure in self._failures.items() if now < failure[0]}
        if url in self._failures:
            raise UpstreamUnavailableError(
                f"{self._failures[url][1]} It is tried again within {FAILURE_TTL_SECONDS:.0f} seconds."
            )
        if len(self._failures) + len(self._fetching) >= MAX_FAILURES:
            raise UpstreamUnavailableError(
                f"{url} is not fetched now: too many certificates could not be fetched recently."
            )

    async def _fetched(self, url: str) -> x509.Certificate | UpstreamUnavailableError:
        try:
            found = _certificate(url, await self.fetch(url))
        except UpstreamUnavailableError as error:
            self._failures[url] = self._clock() + FAILURE_TTL_SECONDS, error
            return error
        else:
            while len(self._certificates) >= MAX_CACHED_CERTIFICATES:
                del self._certificates[next(iter(self._certificates))]
            self._certificates[url] = found
            return found
        finally:
            del self._fetching[url]


def _certificate(url: str, content: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(content)
    except ValueError:
        raise UpstreamUnavailableError(f"{url} is no certificate.") from None
