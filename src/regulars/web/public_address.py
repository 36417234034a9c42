"""The public URL of requests: from settings, from the headers of a trusted proxy, or from the request."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from starlette.types import Scope

from regulars.settings import SettingError, Settings
from regulars.web import request_path

Network = IPv4Network | IPv6Network

MAX_HOST_LENGTH = 255

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,253})(?::[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def is_valid_host(text: str) -> bool:
    """Whether a text is a valid Host header: a host with or without a port."""
    return len(text) <= MAX_HOST_LENGTH and _HOST.fullmatch(text) is not None


def parse_public_url(text: str) -> str:
    """The setting public_url without a trailing slash; empty if it is not set. Raises SettingError."""
    if not text:
        return ""
    parts = urlsplit(text)
    is_plain = parts.scheme in _DEFAULT_PORTS and is_valid_host(parts.netloc) and not parts.query and not parts.fragment
    if not is_plain or not text.isascii() or not text.isprintable() or " " in text:
        raise SettingError(
            f"public_url is {text!r}, which is not a valid server URL. Example: https://regulars.example."
        )
    return text.rstrip("/")


def parse_networks(text: str) -> tuple[Network, ...]:
    """The setting trusted_proxies, networks in CIDR notation separated by commas. Raises SettingError."""
    try:
        return tuple(ip_network(each.strip()) for each in text.split(",") if each.strip())
    except ValueError as error:
        raise SettingError(
            f"trusted_proxies is {text!r}, which is invalid: {error}. Example: 10.0.0.0/8, 127.0.0.1/32."
        ) from None


class PublicAddress:
    """Derives the public URL of a request.

    X-Forwarded-Proto and X-Forwarded-Host are read only if a trusted proxy sent the request.
    Raises SettingError for invalid settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.configured_url = parse_public_url(settings.public_url)
        self._proxies = parse_networks(settings.trusted_proxies)

    def origin(self, scope: Scope) -> str:
        """The public scheme and host, and the path prefix if there is one: https://regulars.example."""
        if self.configured_url:
            return self.configured_url
        scheme, host = scope["scheme"], _last(scope, b"host")
        if self._is_trusted(_peer(scope)):
            forwarded = _last(scope, b"x-forwarded-proto").lower()
            scheme = forwarded if forwarded in _DEFAULT_PORTS else scheme
            forwarded = _last(scope, b"x-forwarded-host")
            host = forwarded if is_valid_host(forwarded) else host
        return f"{scheme}://{host}"

    def url(self, scope: Scope) -> str:
        """The public URL of a request, without its query."""
        return f"{self.origin(scope)}{_path(scope)}"

    def signable_urls(self, scope: Scope) -> tuple[str, ...]:
        """The spellings of the URL, without its query, that a caller may have signed.

        The port may be explicit or not. Unless public_url or a trusted proxy determines the scheme, a proxy may have
        terminated TLS, so both schemes are possible.
        """
        origin, path = self.origin(scope), _path(scope)
        is_certain = bool(self.configured_url) or self._is_trusted(_peer(scope))
        scheme, _, rest = origin.partition("://")
        schemes = (scheme,) if is_certain else tuple(_DEFAULT_PORTS)
        return tuple(dict.fromkeys(f"{each}{path}" for name in schemes for each in _spellings(name, rest)))

    def client_address(self, scope: Scope) -> str:
        """The address of the client: of the peer, or what a trusted proxy states in X-Forwarded-For."""
        address = _peer(scope)
        if not self._proxies:
            return address[:MAX_HOST_LENGTH]
        forwarded = [part.strip() for value in _values(scope, b"x-forwarded-for") for part in value.split(",")]
        # The last one was added by the nearest proxy; earlier ones may be made up by the client.
        while self._is_trusted(address) and forwarded and _is_address(forwarded[-1]):
            address = forwarded.pop()
        return address[:MAX_HOST_LENGTH]

    def _is_trusted(self, address: str) -> bool:
        return bool(self._proxies) and _is_within(address, self._proxies)


@lru_cache(maxsize=1024)
def _is_within(address: str, networks: Sequence[Network]) -> bool:
    if not _is_address(address):
        return False
    ip = ip_address(address)
    mapped = getattr(ip, "ipv4_mapped", None)
    return any((mapped or ip) in each for each in networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _values(scope: Scope, name: bytes) -> Iterable[str]:
    return (value.decode("latin-1") for each, value in scope["headers"] if each == name)


def _last(scope: Scope, name: bytes) -> str:
    """The last value of a header, which the nearest proxy has written; empty if there is none."""
    *_, last = ("", *_values(scope, name))
    return last.rpartition(",")[2].strip()


def _path(scope: Scope) -> str:
    return request_path.encode_segments(scope.get("path_segments") or scope["path"].split("/"))


def _spellings(scheme: str, rest: str) -> tuple[str, ...]:
    """An origin with and without its port, which Twilio omits from some URLs."""
    host, slash, prefix = rest.partition("/")
    name, _, port = host.rpartition(":")
    if not port.isdigit():
        name, port = host, _DEFAULT_PORTS[scheme]
    return tuple(f"{scheme}://{each}{slash}{prefix}" for each in (f"{name}:{port}", name))
