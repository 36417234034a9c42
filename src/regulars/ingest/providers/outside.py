"""What providers keep at addresses of their own, asked for over HTTPS: certificates, and links that confirm."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib import error, request

from cryptography import x509

SECONDS = 5.0
"""How long an answer may take."""

LARGEST = 64 * 1024
"""Most bytes of an answer."""

MOST_KEPT = 16

Fetch = Callable[[str], Awaitable[bytes]]
"""Gives what is at an address. Raises OutOfReachError."""


class OutOfReachError(Exception):
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
        with opener.open(url, timeout=SECONDS) as answer:
            content: bytes = answer.read(LARGEST + 1)
    except error.HTTPError as answered:
        answered.close()
        raise OutOfReachError(f"{told} answers {answered.code}.") from None
    except (OSError, ValueError) as failed:
        raise OutOfReachError(f"{told} does not answer: {failed}.") from None
    if len(content) > LARGEST:
        raise OutOfReachError(f"{told} answers with more than {LARGEST} bytes.")
    return content


async def https(url: str, context: ssl.SSLContext | None = None) -> bytes:
    """What is at an address over HTTPS, by way of the environment's proxy if it names one; redirects are not followed.

    `context` says whom to trust, by default whom the system trusts. Raises OutOfReachError.
    """
    return await asyncio.to_thread(partial(_got, url, context or ssl.create_default_context()))


class Outside:
    """What is outside, as one process knows it: a certificate is fetched once."""

    def __init__(self, fetch: Fetch = https) -> None:
        self.fetch = fetch
        self._certificates: dict[str, x509.Certificate] = {}
        self._fetching = asyncio.Lock()

    async def certificate(self, url: str) -> x509.Certificate:
        """The certificate at an address that the caller trusts. Raises OutOfReachError."""
        if url not in self._certificates:
            async with self._fetching:
                if url not in self._certificates:
                    self._keep(url, await self.fetch(url))
        return self._certificates[url]

    def _keep(self, url: str, content: bytes) -> None:
        try:
            found = x509.load_pem_x509_certificate(content)
        except ValueError:
            raise OutOfReachError(f"{url} is no certificate.") from None
        if len(self._certificates) >= MOST_KEPT:
            self._certificates.clear()
        self._certificates[url] = found
