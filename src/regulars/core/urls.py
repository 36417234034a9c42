"""URLs parsed into host, path and UTM parameters."""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from urllib.parse import parse_qsl, urlsplit

import idna

from regulars.core import validation

MAX_URL_LENGTH = 8_192
MAX_PATH_LENGTH = 2_048
MAX_HOST_LENGTH = 253

UTM_PARAMETERS = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")
"""The query parameters that name the campaign of a link."""

_NO_URL = "must be a URL with a host, such as https://shop.example/autumn?utm_source=mail"
_NO_HOST = "must be the name of a host, such as shop.example"

_ASCII_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")


@dataclass(frozen=True, slots=True)
class ParsedUrl:
    """The stored parts of a URL. `utm` has a value for each of UTM_PARAMETERS, None where the query has none."""

    host: str
    path: str
    utm: tuple[str | None, ...]


@lru_cache(maxsize=1024)
def parse_url(text: str) -> ParsedUrl:
    """Parses a URL. Raises ValueError."""
    try:
        parts = urlsplit(validation.check_text(text))
        hostname = parts.hostname
    except ValueError as error:
        raise ValueError(str(error) if "\0" in text else _NO_URL) from None
    if not hostname:
        raise ValueError(_NO_URL)
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, errors="replace"):
        if name in UTM_PARAMETERS:
            parameters.setdefault(name, value)
    return ParsedUrl(
        normalize_host(hostname),
        normalize_path(parts.path),
        tuple(_utm(name, parameters.get(name)) for name in UTM_PARAMETERS),
    )


def _utm(name: str, value: str | None) -> str | None:
    if value is None:
        return None
    if len(value) > validation.MAX_TEXT_LENGTH:
        raise ValueError(f"has a {name} of more than {validation.MAX_TEXT_LENGTH} characters")
    return validation.check_text(value)


@lru_cache(maxsize=1024)
def normalize_host(text: str) -> str:
    """Normalizes a host name to lower case and ASCII (IDNA). Raises ValueError."""
    name = text.lower().removesuffix(".")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError:
            raise ValueError(_NO_HOST) from None
    if len(name) > MAX_HOST_LENGTH:
        raise ValueError(f"must be at most {MAX_HOST_LENGTH} characters, as the names of hosts are")
    return name if _ASCII_HOST.fullmatch(name) else _ipv6(name)


def _ipv6(name: str) -> str:
    try:
        return str(IPv6Address(name.strip("[]")))
    except ValueError:
        raise ValueError(_NO_HOST) from None


def normalize_path(text: str) -> str:
    """Validates a path and drops query and fragment; an empty one is the root. Raises ValueError."""
    path = validation.check_text(text).partition("?")[0].partition("#")[0]
    if len(path) > MAX_PATH_LENGTH:
        raise ValueError(f"has a path of more than {MAX_PATH_LENGTH} characters")
    return path or "/"
