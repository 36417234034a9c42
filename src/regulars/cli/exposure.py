"""Checks whether settings expose the server to unauthorized clients."""

from collections.abc import Iterator
from ipaddress import ip_address

from regulars.cli.operations_listener import parse_address
from regulars.settings import Settings, variable_name
from regulars.web.public_address import PublicAddress, parse_networks

MIN_TOKEN_LENGTH = 16

_MAX_NETWORK_ADDRESSES = {4: 2**24, 6: 2**96}
"""Maximum size of a network of trusted proxies, by IP version. A larger one is probably a mistake."""


def is_loopback(host: str) -> bool:
    """Whether a host is reachable from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def findings(settings: Settings) -> Iterator[str]:
    """Yields a message for each unsafe address of the server. Raises SettingError for invalid settings."""
    public_url = PublicAddress(settings).configured_url
    is_public = not is_loopback(settings.host)
    if is_public and not public_url:
        yield (
            f"{variable_name('host')} is {settings.host} and {variable_name('public_url')} is not set: links, and the URL that "
            "Twilio signs, are derived from request headers."
        )
    if public_url.startswith("http:") and is_public:
        yield f"{variable_name('public_url')} is not https: tokens and personal data are sent unencrypted."
    if is_public and not settings.operations_listen and not settings.operations_token:
        yield (
            f"/metrics and /api/docs are accessible to anyone who can reach {settings.host}:{settings.port}. Set "
            f"{variable_name('operations_listen')} or {variable_name('operations_token')}."
        )
    if settings.operations_listen:
        host, _ = parse_address(settings.operations_listen)
        if not is_loopback(host) and not settings.operations_token:
            yield (
                f"/metrics and /api/docs are accessible to anyone who can reach {settings.operations_listen}. Set "
                f"{variable_name('operations_token')}, or listen on 127.0.0.1."
            )
    if 0 < len(settings.operations_token) < MIN_TOKEN_LENGTH:
        yield f"{variable_name('operations_token')} is too short. Use at least {MIN_TOKEN_LENGTH} random characters."
    for network in parse_networks(settings.trusted_proxies):
        if network.num_addresses > _MAX_NETWORK_ADDRESSES[network.version]:
            yield f"{variable_name('trusted_proxies')} has {network}: any machine in it can forge links in responses."
