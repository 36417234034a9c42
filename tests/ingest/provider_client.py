"""A client that sends webhooks as the providers do, signed by keys of the tests."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from clubs import Club
from regulars.ingest.providers.http_client import HttpsClient, UpstreamUnavailableError
from regulars.model import providers
from regulars.model.providers import ProviderConfig

REGION = "eu-north-1"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:mail"
SNS = f"https://sns.{REGION}.amazonaws.com"
CERTIFICATE_URL = f"{SNS}/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
CONFIRMATION_URL = f"{SNS}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"

SIGNING_KEY = "key-0123456789abcdef0123456789ab"
"""Mailgun's HTTP webhook signing key."""

AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
"""Twilio's auth token."""

_numbers = itertools.count(1)


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    """The key of SNS, generated once per run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    """The key of SendGrid."""
    return ec.generate_private_key(ec.SECP256R1())


def verification_key(key: Any = None) -> str:
    """A public key as SendGrid shows it."""
    public = (key or ec_key()).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def certificate(
    key: Any = None,
    name: str = "sns.amazonaws.com",
    since: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    until: datetime = datetime(2027, 1, 1, tzinfo=UTC),
) -> bytes:
    """A self-signed certificate."""
    key = key or rsa_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(next(_numbers))
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return signed.public_bytes(serialization.Encoding.PEM)


@dataclass
class Internet:
    """Certificates by address, the addresses that were fetched, and a clock in seconds."""

    pages: dict[str, bytes] = field(default_factory=dict)
    requested: list[str] = field(default_factory=list)
    now: float = 0.0

    async def fetch(self, url: str) -> bytes:
        """The content at an address, after other tasks have run. Raises UpstreamUnavailableError."""
        self.requested.append(url)
        await asyncio.sleep(0)
        if url not in self.pages:
            raise UpstreamUnavailableError(f"{url} does not respond.")
        return self.pages[url]


class ProviderClient:
    """Sends signed webhooks to a club, and queries what it stored."""

    def __init__(self, club: Club) -> None:
        self.club = club
        self.tokens = club.community.slug
        self.internet = Internet({CERTIFICATE_URL: certificate(), CONFIRMATION_URL: b"<ConfirmSubscriptionResponse/>"})
        club.server.https_client = HttpsClient(self.internet.fetch, lambda: self.internet.now)

    async def set_up(self, name: str, *keys: str, **names: Any) -> None:
        """Sets a provider up."""
        async with self.club.database.write_transaction(self.club.community.id) as scope:
            await providers.upsert(scope, ProviderConfig(name, keys, **names))

    def path(self, name: str) -> str:
        """The path of a provider's webhook."""
        return f"/v1/communities/{self.club.community.slug}/providers/{name}"

    async def post(self, name: str, body: bytes, headers: Mapping[str, str], query: str = "") -> httpx.Response:
        """Sends a request without token."""
        path = f"{self.path(name)}?{query}" if query else self.path(name)
        return await self.club.http.post(path, content=body, headers={"Authorization": "", **headers})

    @property
    def now(self) -> int:
        """The current Unix time."""
        return int(self.club.clock().timestamp())

    async def rows(self, statement: str) -> list[dict[str, Any]]:
        """Rows of the club."""
        async with self.club.database.read_transaction(self.club.community.id) as scope:
            return [dict(row) for row in await scope.fetch(statement, scope.community_id)]

    async def stored_events(self) -> list[tuple[str, str, str | None]]:
        """The sending, type and profile of each stored event."""
        rows = await self.rows(
            """
            SELECT s.external_id AS sending, sending_event_name(e.event_type) AS event, p.external_id AS profile
            FROM sending_events AS e
            JOIN sendings AS s ON s.community_id = $1 AND s.id = e.sending_id
            JOIN sending_dispatches AS d ON d.community_id = $1 AND d.id = e.dispatch_id
            LEFT JOIN profiles AS p ON p.community_id = $1 AND p.profile_id = d.profile_id
            WHERE e.community_id = $1
            ORDER BY sending, e.event_type, profile
            """
        )
        return [(row["sending"], row["event"], row["profile"]) for row in rows]

    async def event_times(self) -> list[datetime]:
        """The times of the stored events."""
        rows = await self.rows("SELECT occurred_at FROM sending_events WHERE community_id = $1 ORDER BY occurred_at")
        return [row["occurred_at"] for row in rows]

    async def count_dispatches(self) -> int:
        """The number of dispatches."""
        return len(await self.rows("SELECT id FROM sending_dispatches WHERE community_id = $1"))

    # SendGrid ------------------------------------------------------------------------------------------------

    async def sendgrid(
        self, events: Any, signed_at: int | str | None = None, key: Any = None, **headers: str
    ) -> httpx.Response:
        """Sends a batch of events, or raw bytes."""
        body = events if isinstance(events, bytes) else json.dumps(events).encode()
        timestamp = str(self.now if signed_at is None else signed_at)
        signature = (key or ec_key()).sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        all_headers = {
            "Content-Type": "application/json;charset=utf-8",
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
            **headers,
        }
        return await self.post("sendgrid", body, all_headers)

    def sendgrid_event(self, event: str, **fields: Any) -> dict[str, Any]:
        """An event as SendGrid writes it."""
        number = next(_numbers)
        return {
            "event": event,
            "email": "kari@example.com",
            "timestamp": self.now - 60,
            "sg_event_id": f"event-{number}",
            "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
            "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
            "category": ["autumn", "no"],
            "regulars_sending": "autumn",
            **fields,
        }

    # Mailgun -------------------------------------------------------------------------------------------------

    def mailgun_signature(
        self, token: str | None = None, signed_at: int | str | None = None, key: str = SIGNING_KEY
    ) -> dict[str, Any]:
        """Mailgun's signature of a time and a token. Tokens contain the community, unless `tokens` is changed."""
        token = f"{self.tokens}-{next(_numbers) if token is None else token}"
        timestamp = str(self.now if signed_at is None else signed_at)
        signature = hmac.new(key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
        return {"timestamp": timestamp, "token": token, "signature": signature}

    def mailgun_event(self, event: str, **fields: Any) -> dict[str, Any]:
        """An event as Mailgun writes it."""
        return {
            "event": event,
            "id": f"id-{next(_numbers)}",
            "timestamp": self.now - 60.25,
            "recipient": "kari@example.com",
            "message": {"headers": {"message-id": "20261030090000.1.42@club.example"}},
            "user-variables": {"regulars_sending": "autumn"},
            **fields,
        }

    async def mailgun(self, event: Any, **signed: Any) -> httpx.Response:
        """Sends an event."""
        body = json.dumps({"signature": self.mailgun_signature(**signed), "event-data": event}).encode()
        return await self.post("mailgun", body, {"Content-Type": "application/json"})

    # Twilio --------------------------------------------------------------------------------------------------

    async def twilio(
        self,
        parameters: Mapping[str, str] | Sequence[tuple[str, str]],
        query: str = "regulars_sending=autumn",
        token: str = AUTH_TOKEN,
        address: str = "http://test",
        **headers: str,
    ) -> httpx.Response:
        """Sends a status."""
        body = urlencode(parameters).encode()
        url = f"{address}{self.path('twilio')}{'?' if query else ''}{query}"
        pairs = sorted(set(parse_qsl(body.decode(), keep_blank_values=True)))
        all_headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "X-Twilio-Signature": twilio_signature(url, "".join(f"{name}{value}" for name, value in pairs), token),
            **headers,
        }
        return await self.post("twilio", body, all_headers, query)

    # Amazon SES ----------------------------------------------------------------------------------------------

    def envelope(self, message: str, **fields: Any) -> dict[str, Any]:
        """An unsigned message of the topic."""
        return {
            "Type": "Notification",
            "MessageId": f"22b80b92-{next(_numbers)}",
            "TopicArn": TOPIC,
            "Subject": "Amazon SES Email Event Notification",
            "Message": message,
            "Timestamp": (self.club.clock() - timedelta(seconds=5)).isoformat(timespec="milliseconds"),
            "SignatureVersion": "2",
            "SigningCertURL": CERTIFICATE_URL,
            "UnsubscribeURL": f"{SNS}/?Action=Unsubscribe",
            **fields,
        }

    async def sns(self, envelope: Mapping[str, Any], **more: Any) -> httpx.Response:
        """Signs and sends a message of the topic."""
        signature = sns_signature(envelope)
        body = json.dumps({**envelope, "Signature": signature, **more}).encode()
        return await self.post("ses", body, {"Content-Type": "text/plain; charset=UTF-8"})

    async def ses(self, kind: str, mail: Mapping[str, Any] | None = None, **detail: Any) -> httpx.Response:
        """Sends an event of a mail."""
        return await self.sns(self.envelope(json.dumps(self.ses_event(kind, mail, **detail))))

    def ses_event(self, kind: str, mail: Mapping[str, Any] | None = None, **detail: Any) -> dict[str, Any]:
        """An event as SES writes it."""
        written = {
            "timestamp": (self.club.clock() - timedelta(minutes=2)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "messageId": "EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000",
            "destination": ["kari@example.com"],
            "tags": {"ses:configuration-set": ["main"], "regulars_sending": ["autumn"]},
            **(mail or {}),
        }
        name = "failure" if kind == "Rendering Failure" else kind[0].lower() + kind[1:]
        return {"eventType": kind, "mail": written, name: detail}


def twilio_signature(url: str, text: str, token: str = AUTH_TOKEN) -> str:
    """A signature of Twilio."""
    return base64.b64encode(hmac.new(token.encode(), (url + text).encode(), hashlib.sha1).digest()).decode()


_OF_NOTIFICATIONS = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_OF_OTHERS = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


def sns_signature(envelope: Mapping[str, Any], key: rsa.RSAPrivateKey | None = None) -> str:
    """A signature of SNS, by the version that the message names."""
    names = _OF_NOTIFICATIONS if envelope["Type"] == "Notification" else _OF_OTHERS
    text = "".join(f"{name}\n{envelope[name]}\n" for name in names if envelope.get(name) is not None)
    chosen = hashes.SHA1() if envelope["SignatureVersion"] == "1" else hashes.SHA256()  # noqa: S303
    return base64.b64encode((key or rsa_key()).sign(text.encode(), padding.PKCS1v15(), chosen)).decode()


def outcome_counts(answer: httpx.Response) -> dict[str, int]:
    """The number of events by outcome, without zeros."""
    return {name: number for name, number in answer.json().items() if isinstance(number, int) and number}


def error_paths(answer: httpx.Response) -> list[str]:
    """The paths of the errors of a single event."""
    found = answer.json()
    return list((found["rejections"][0] if "rejections" in found else found).get("errors", {}))


def status_and_message(answer: httpx.Response) -> tuple[int, str]:
    """The status and the message of a response."""
    return answer.status_code, answer.json()["message"]
