"""The declaration of a provider, and what the implementations of providers share."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from regulars.core.errors import ValidationError, field_error, from_msgspec
from regulars.core.timestamps import MAX_TIMESTAMP, MIN_TIMESTAMP
from regulars.ingest.providers.http_client import HttpsClient
from regulars.model.providers import ProviderConfig

T = TypeVar("T")

MAX_SIGNATURE_AGE = timedelta(hours=25)
"""Oldest accepted signature: providers retry for up to a day, and a repeated event changes nothing."""

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""How far a provider's clock may be ahead of this server's."""


class UntrustedRequestError(Exception):
    """A request is not proven to come from the provider; the message says why and what to do."""


class MalformedBodyError(Exception):
    """A body is truncated or malformed; the message says where."""


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One request: the addresses that it may have been sent to, its query, its headers by lower-case name, its body,
    and when it was received.
    """

    urls: tuple[str, ...]
    query: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """One event of a provider.

    `id` is the id of the event, `kind` its type by the provider, `message_id` the message that it happened to,
    `custom_fields` what the sender attached to the message. `is_automated` says that a machine opened or clicked,
    `is_hard_bounce` that the address can't be reached at all. `recipient` is the address that the message was sent to,
    if the provider reports it.
    """

    id: str | None
    kind: str
    at: datetime | None
    message_id: str | None
    custom_fields: Mapping[str, Any]
    is_automated: bool = False
    is_hard_bounce: bool = False
    recipient: str | None = None


@dataclass(frozen=True, slots=True)
class ReplayToken:
    """A token that was signed instead of the content it came with, and the keys that signed it."""

    value: str
    content: bytes
    signing_keys: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ParsedWebhook:
    """The content of a request: events in order, or why one is invalid; or a notice for the response."""

    events: Sequence[ProviderEvent | ValidationError] = ()
    token: ReplayToken | None = None
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider.

    `event_types` maps the provider's event types to ours; others are ignored. `field_paths` maps our fields to the
    provider's for error messages. `parse` verifies and parses a request: it raises UntrustedRequestError if it is not
    the provider's, MalformedBodyError for a malformed body, ValidationError for an unexpected shape, and
    UpstreamUnavailableError if a certificate can't be fetched now. `channel` is that of sendings that name none.
    `rejection_status` is the status of the response to
    a request without valid events.
    """

    name: str
    title: str
    key_description: str
    event_types: Mapping[str, str]
    field_paths: Mapping[str, str]
    validate_key: Callable[[str], str]
    parse: Callable[[WebhookRequest, ProviderConfig, HttpsClient], Awaitable[ParsedWebhook]]
    media_type: str = "application/json"
    rejection_status: int = 422
    example: Mapping[str, Any] | Sequence[Mapping[str, Any]] = field(default_factory=dict)
    channel: str = "email"


# Shared by the implementations --------------------------------------------------------------------------------


def decode(content: bytes | msgspec.Raw | str, model: type[T]) -> T:
    """Decodes a part of a body as JSON. Raises ValidationError by path."""
    try:
        return decode_body(content, model)
    except MalformedBodyError as error:
        raise field_error("", str(error).removesuffix(".")) from None


def decode_body(content: bytes | msgspec.Raw | str, model: type[T]) -> T:
    """Decodes a whole body as JSON. Raises MalformedBodyError, and ValidationError by path."""
    try:
        return msgspec.json.decode(content, type=model, strict=False)
    except msgspec.ValidationError as error:
        raise from_msgspec(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBodyError(f"The body is not JSON: {error}.") from None


def from_unix_time(seconds: float | None, path: str) -> datetime | None:
    """The timestamp of a Unix time. Raises ValidationError."""
    if seconds is None:
        return None
    if not MIN_TIMESTAMP.timestamp() <= seconds < MAX_TIMESTAMP.timestamp():
        raise field_error(path, "must be a Unix time in seconds")
    return datetime.fromtimestamp(seconds, UTC)


def parse_signature_time(text: str) -> datetime:
    """The timestamp of a signed Unix time. Raises UntrustedRequestError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise UntrustedRequestError("The timestamp of the signature is not a Unix time in seconds.")
    return datetime.fromtimestamp(int(text), UTC)


def check_age(signed_at: datetime, now: datetime) -> None:
    """Raises UntrustedRequestError for a signature that is too old, or from the future."""
    if now - signed_at > MAX_SIGNATURE_AGE:
        raise UntrustedRequestError(
            "The signature is more than 25 hours old: the request is a replay, or a clock is wrong."
        )
    if signed_at - now > MAX_CLOCK_SKEW:
        raise UntrustedRequestError("The signature is more than 5 minutes in the future: set the clock of this server.")
