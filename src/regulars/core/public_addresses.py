"""Which IP addresses requests to addresses that others name may be sent to: public ones, and networks that a setting allows."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

# Public by their number, but cloud providers answer them within a machine: Azure's host.
_METADATA = frozenset({IPv4Address("168.63.129.16")})

# IPv6 addresses that lead to an IPv4 address.
_TRANSLATED = (
    IPv6Network("64:ff9b::/96"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("2001::/32"),
    IPv6Network("2002::/16"),
    IPv6Network("::/96"),
    IPv6Network("::ffff:0:0:0/96"),
)


class AddressNotAllowedError(OSError):
    """An address that requests must not be sent to. The message names it."""


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks in CIDR notation, separated by commas. Raises ValueError."""
    return tuple(ip_network(each.strip()) for each in text.split(",") if each.strip())


def is_public(text: str) -> bool:
    """Whether an IP address is public: no private, shared, loopback, link-local, multicast or reserved one, nor one of
    the addresses by which clouds serve metadata. IPv6 addresses that lead to an IPv4 address are not public.
    """
    address = ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        address = mapped
    if isinstance(address, IPv6Address) and any(address in network for network in _TRANSLATED):
        return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_unspecified
        and address not in _METADATA
    )


@lru_cache(maxsize=4_096)
def is_allowed(text: str, networks: Sequence[Network] = ()) -> bool:
    """Whether requests may be sent to an IP address: it is public, or in one of the networks."""
    address = ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return is_public(text) or any((mapped or address) in network for network in networks)


def require_allowed(text: str, networks: Sequence[Network] = ()) -> None:
    """Raises AddressNotAllowedError for an IP address that requests must not be sent to."""
    if not is_allowed(text, tuple(networks)):
        raise AddressNotAllowedError(f"{text} is not a public address.")
