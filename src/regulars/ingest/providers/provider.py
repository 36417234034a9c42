"""What a provider is to us: how it signs, what its events are called, and how it tells of one."""

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
"""So old a signature may be: providers try again for up to a day. What comes again within it changes nothing."""

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""So far a provider's clock may be ahead of ours."""


class UntrustedRequestError(Exception):
    """A request that is not known to come from the provider; the message says why and what to do."""


class MalformedBodyError(Exception):
    """A body that is truncated or malformed; the message says where."""


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One request as it came: the addresses that it may have been sent to, its query, its headers by names in small
    letters, its body, and when it came.
    """

    urls: tuple[str, ...]
    query: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """One event as its provider tells it.

    `id` is the event's own, `kind` the provider's word for it, `message` the id of the message that it happened to.
    `named` is what the sender gave along with that message. `by_machine` says that no member opened or clicked.
    """

    id: str | None
    kind: str
    at: datetime | None
    message_id: str | None
    custom_fields: Mapping[str, Any]
    is_automated: bool = False


@dataclass(frozen=True, slots=True)
class ReplayToken:
    """A token that was signed instead of the content that came with it, and the keys that signed it."""

    value: str
    content: bytes
    signing_keys: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ParsedWebhook:
    """What a request tells: events, or why one can't be read, in their order; or something that is `said` in words."""

    events: Sequence[ProviderEvent | ValidationError] = ()
    token: ReplayToken | None = None
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider.

    `events` gives our event for each of its kinds; those that are not in it are none of ours. `paths` names its fields
    where ours are refused. `read` gives what a request tells, once it is known to be the provider's own: it raises
    Distrusted where it is not, MalformedBodyError where the body is malformed, Refused where it has another shape, and
    UpstreamUnavailableError where that can't be found out now.
    `refused_by` is the status of a refusal.
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


# What several of them need -----------------------------------------------------------------------------------


def decode(content: bytes | msgspec.Raw | str, shape: type[T]) -> T:
    """JSON that must fit a shape. Raises Refused by path."""
    try:
        return decode_body(content, shape)
    except MalformedBodyError as error:
        raise field_error("", str(error).removesuffix(".")) from None


def decode_body(content: bytes | msgspec.Raw | str, shape: type[T]) -> T:
    """A whole body of JSON that must fit a shape. Raises MalformedBodyError, and Refused by path."""
    try:
        return msgspec.json.decode(content, type=shape, strict=False)
    except msgspec.ValidationError as error:
        raise from_msgspec(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBodyError(f"The body is not JSON: {error}.") from None


def from_epoch(seconds: float | None, path: str) -> datetime | None:
    """The instant of a Unix time. Raises Refused."""
    if seconds is None:
        return None
    if not MIN_TIMESTAMP.timestamp() <= seconds < MAX_TIMESTAMP.timestamp():
        raise field_error(path, "must be a Unix time in seconds")
    return datetime.fromtimestamp(seconds, UTC)


def parse_signature_time(text: str) -> datetime:
    """The instant of a Unix time that was signed. Raises Distrusted."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise UntrustedRequestError("The timestamp of the signature is no Unix time in seconds.")
    return datetime.fromtimestamp(int(text), UTC)


def check_age(at: datetime, now: datetime) -> None:
    """Raises Distrusted for what was signed too long ago, or is yet to be."""
    if now - at > MAX_SIGNATURE_AGE:
        raise UntrustedRequestError("This was signed more than 25 hours ago: it is a replay, or a clock is wrong.")
    if at - now > MAX_CLOCK_SKEW:
        raise UntrustedRequestError("This is signed more than 5 minutes ahead: set the clock of this server.")
