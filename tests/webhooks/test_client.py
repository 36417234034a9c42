"""Deliveries are sent to public addresses only: checked at every attempt, and where the connection is made."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from regulars.core.public_addresses import AddressNotAllowedError, is_allowed, is_public, parse_networks
from regulars.webhooks import client as client_module
from regulars.webhooks.client import WebhookClient
from regulars.webhooks.resolver import PublicResolver, SystemLookup
from webhook_receiver import Receiver, receiving

LOCAL = parse_networks("127.0.0.0/8")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",  # noqa: S104
        "169.254.169.254", "168.63.129.16", "100.64.0.1", "100.100.100.200", "192.0.0.1", "192.0.2.1", "198.18.0.1",
        "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001::7f00:1", "fe80::1", "fe80::1%eth0", "fc00::1",
        "fd00:ec2::254", "ff02::1", "2001:db8::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_rejected(address: str) -> None:
    assert not is_public(address)
    assert not is_allowed(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_a_public_address_is_accepted(address: str) -> None:
    assert is_allowed(address)


def test_a_setting_allows_networks() -> None:
    networks = parse_networks("127.0.0.0/8, fd00::/8")
    assert [is_allowed(each, networks) for each in ("127.0.0.1", "::ffff:127.0.0.1", "fd00::1", "10.0.0.1")] == [
        *(True, True, True),
        False,
    ]
    assert parse_networks(" ") == ()
    with pytest.raises(ValueError):
        parse_networks("local")


class Names:
    """A name server whose answers a test changes."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: Sequence[str] = addresses
        self.lookups = 0

    async def __call__(self, host: str) -> Sequence[str]:
        self.lookups += 1
        await asyncio.sleep(0)
        if not self.addresses:
            raise socket.gaierror("unknown name")
        return self.addresses


async def send(client: WebhookClient, url: str) -> str:
    return (await client.send(url, {}, b"{}")).error


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "2130706433", "0x7f.1", "127.1"]
)
async def test_no_spelling_of_this_machine_is_connected_to(receiver: Receiver, host: str) -> None:
    client = WebhookClient()
    error = await send(client, f"http://{host}:{receiver.port}/")
    await client.close()
    assert error
    assert receiver.connections == 0


async def test_a_name_is_looked_up_at_every_attempt(receiver: Receiver) -> None:
    names = Names("127.0.0.1")
    client = WebhookClient(LOCAL, names, ttl_seconds=0)
    url = f"http://crm.example:{receiver.port}/"
    assert await send(client, url) == ""
    # Its owner lets it point to a machine of the network; the open connection is not used again either.
    names.addresses = ("10.0.0.1",)
    assert await send(client, url) == "crm.example has no public address."
    names.addresses = ()
    assert "unknown name" in await send(client, url)
    names.addresses = ("127.0.0.1", "10.0.0.1")
    assert await send(client, url) == ""
    await client.close()
    assert (len(receiver.received), names.lookups >= 4) == (2, True)


async def test_a_name_that_changes_between_check_and_connection_is_rejected(receiver: Receiver) -> None:
    client = WebhookClient()

    class Rebinding(PublicResolver):
        async def addresses(self, host: str) -> list[str]:
            return ["127.0.0.1"]

    client._resolver = Rebinding(Names(), ())
    client._session.connector._resolver = client._resolver  # type: ignore[union-attr]
    assert await send(client, f"http://crm.example:{receiver.port}/") == "127.0.0.1 is not a public address."
    await client.close()
    assert receiver.connections == 0


async def test_concurrent_lookups_of_a_name_are_one() -> None:
    names = Names("8.8.8.8")
    resolver = PublicResolver(names, ())
    assert await asyncio.gather(*(resolver.addresses("a.example") for _ in range(5))) == [["8.8.8.8"]] * 5
    assert await resolver.addresses("a.example") == ["8.8.8.8"]
    assert names.lookups == 1
    await resolver.close()


async def test_the_cache_of_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regulars.webhooks.resolver.MAX_CACHED_HOSTS", 2)
    names = Names("8.8.8.8")
    resolver = PublicResolver(names, ())
    for host in ("a.example", "b.example", "c.example", "a.example"):
        await resolver.addresses(host)
    assert names.lookups == 4
    await resolver.close()


async def test_the_system_looks_names_up() -> None:
    lookup = SystemLookup()
    assert "127.0.0.1" in await lookup("localhost")
    with pytest.raises(OSError):
        await lookup("unknown.invalid")
    lookup.close()
    with pytest.raises(AddressNotAllowedError):
        await PublicResolver(Names("127.0.0.1"), ()).addresses("localhost")


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's context with a certificate that no authority has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def test_the_certificate_is_verified(tmp_path: Path, client: WebhookClient) -> None:
    async with receiving(context=self_signed(tmp_path)) as receiver:
        error = await send(client, f"https://localhost:{receiver.port}/")
    assert "CERTIFICATE_VERIFY_FAILED" in error
    assert receiver.received == []


async def test_an_invalid_url_is_an_outcome(client: WebhookClient) -> None:
    for url in ("http://", "http://a..b/", "http://127.0.0.1:99999/"):
        assert await send(client, url)


async def test_a_lookup_that_hangs_ends_with_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "TIMEOUT_SECONDS", 0.05)

    async def hang(host: str) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    client = WebhookClient((), hang)
    assert (await send(client, "https://crm.example/")).startswith("No response within")
    await client.close()
