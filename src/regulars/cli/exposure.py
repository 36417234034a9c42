"""Finds settings that expose the server to others."""

from collections.abc import Iterator
from ipaddress import ip_address

from regulars.cli.operations_listener import parse_address
from regulars.settings import Settings, variable_name
from regulars.web.public_address import PublicAddress, parse_networks

MIN_TOKEN_LENGTH = 16

_MAX_TRUSTED = {4: 2**24, 6: 2**96}
"""Most addresses of a network of trusted proxies; a larger one is probably a mistake."""


def is_loopback(host: str) -> bool:
    """Whether a host can be reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def findings(settings: Settings) -> Iterator[str]:
    """Descriptions of unsafe addresses of a server. Raises SettingError for invalid settings."""
    public_url = PublicAddress(settings).configured_url
    is_public = not is_loopback(settings.host)
    if is_public and not public_url:
        yield (
            f"{variable_name('host')} is {settings.host} and {variable_name('public_url')} is not set: links, and the address "
            "that Twilio signs, are taken from requests."
        )
    if public_url.startswith("http:") and is_public:
        yield f"{variable_name('public_url')} is not https: tokens and members' data are sent without encryption."
    if is_public and not settings.operations_listen and not settings.operations_token:
        yield (
            f"/metrics and /api/docs are open to anyone who can reach {settings.host}:{settings.port}: set "
            f"{variable_name('operations_listen')} or {variable_name('operations_token')}."
        )
    if settings.operations_listen:
        host, _ = parse_address(settings.operations_listen)
        if not is_loopback(host) and not settings.operations_token:
            yield (
                f"/metrics and /api/docs are open to anyone who can reach {settings.operations_listen}: set "
                f"{variable_name('operations_token')}, or listen on 127.0.0.1."
            )
    if 0 < len(settings.operations_token) < MIN_TOKEN_LENGTH:
        yield f"{variable_name('operations_token')} is too short: use at least {MIN_TOKEN_LENGTH} random characters."
    for network in parse_networks(settings.trusted_proxies):
        if network.num_addresses > _MAX_TRUSTED[network.version]:
            yield f"{variable_name('trusted_proxies')} has {network}: any machine in it can forge the links in answers."
