"""What of the settings lets others reach what they should not."""

from collections.abc import Iterator
from ipaddress import ip_address

from regulars.api.public_address import PublicAddress, checked_networks
from regulars.cli.operations_listener import address_of
from regulars.settings import Settings, variable

MIN_TOKEN_LENGTH = 16

_MAX_TRUSTED = {4: 2**24, 6: 2**96}
"""Most addresses of one network of trusted proxies that is no mistake."""


def is_of_this_machine(host: str) -> bool:
    """Whether only this machine reaches a host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def findings(settings: Settings) -> Iterator[str]:
    """What is unsafe about the addresses of a server. Raises SettingError for settings that can't be used."""
    public_url = PublicAddress(settings).configured
    is_public = not is_of_this_machine(settings.host)
    if is_public and not public_url:
        yield (
            f"{variable('host')} is {settings.host} and {variable('public_url')} is not set: links, and the address "
            "that Twilio signs, come from what requests say."
        )
    if public_url.startswith("http:") and is_public:
        yield f"{variable('public_url')} is not https: tokens and members' data can be read on the way."
    if is_public and not settings.operations_listen and not settings.operations_token:
        yield (
            f"/metrics and /api/docs are open to whoever reaches {settings.host}:{settings.port}: set "
            f"{variable('operations_listen')} or {variable('operations_token')}."
        )
    if settings.operations_listen:
        host, _ = address_of(settings.operations_listen)
        if not is_of_this_machine(host) and not settings.operations_token:
            yield (
                f"/metrics and /api/docs are open to whoever reaches {settings.operations_listen}: set "
                f"{variable('operations_token')}, or listen on 127.0.0.1."
            )
    if 0 < len(settings.operations_token) < MIN_TOKEN_LENGTH:
        yield f"{variable('operations_token')} is short: use {MIN_TOKEN_LENGTH} random characters or more."
    for network in checked_networks(settings.trusted_proxies):
        if network.num_addresses > _MAX_TRUSTED[network.version]:
            yield f"{variable('trusted_proxies')} has {network}: whoever is in it decides what links lead to."
