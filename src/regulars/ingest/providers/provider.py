"""What a provider is to us: how it signs, what its events are called, and how it tells of one."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from regulars.facts.instants import EARLIEST, LATEST
from regulars.facts.providers import Setup
from regulars.facts.refusals import Refused, misfit, refuse
from regulars.ingest.providers.outside import Outside

T = TypeVar("T")

OLDEST = timedelta(hours=25)
"""So old a signature may be: providers try again for up to a day. What comes again within it changes nothing."""

AHEAD = timedelta(minutes=5)
"""So far a provider's clock may be ahead of ours."""


class Distrusted(Exception):  # noqa: N818 - it is what becomes of a request, and not always an error
    """A request that is not known to come from the provider; the message says why and what to do."""


class UnreadableError(Exception):
    """A body that is truncated or malformed; the message says where."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request as it came: the addresses that it may have been sent to, its query, its headers by names in small
    letters, its body, and when it came.
    """

    urls: tuple[str, ...]
    query: str
    headers: Mapping[str, str]
    body: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """One event as its provider tells it.

    `id` is the event's own, `kind` the provider's word for it, `message` the id of the message that it happened to.
    `named` is what the sender gave along with that message. `by_machine` says that no member opened or clicked.
    """

    id: str | None
    kind: str
    at: datetime | None
    message: str | None
    named: Mapping[str, Any]
    by_machine: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was signed instead of the content that came with it, and the keys that signed it."""

    text: str
    content: bytes
    keys: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Content:
    """What a request tells: events, or why one can't be read, in their order; or something that is `said` in words."""

    events: Sequence[Told | Refused] = ()
    token: Token | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider.

    `events` gives our event for each of its kinds; those that are not in it are none of ours. `paths` names its fields
    where ours are refused. `read` gives what a request tells, once it is known to be the provider's own: it raises
    Distrusted where it is not, UnreadableError where the body is malformed, Refused where it has another shape, and
    OutOfReachError where that can't be found out now.
    `refused_by` is the status of a refusal.
    """

    name: str
    title: str
    key: str
    events: Mapping[str, str]
    paths: Mapping[str, str]
    checked_key: Callable[[str], str]
    read: Callable[[Delivery, Setup, Outside], Awaitable[Content]]
    media: str = "application/json"
    refused_by: int = 422
    example: Mapping[str, Any] | Sequence[Mapping[str, Any]] = field(default_factory=dict)


# What several of them need -----------------------------------------------------------------------------------


def decoded(content: bytes | msgspec.Raw | str, shape: type[T]) -> T:
    """JSON that must fit a shape. Raises Refused by path."""
    try:
        return decoded_body(content, shape)
    except UnreadableError as error:
        raise refuse("", str(error).removesuffix(".")) from None


def decoded_body(content: bytes | msgspec.Raw | str, shape: type[T]) -> T:
    """A whole body of JSON that must fit a shape. Raises UnreadableError, and Refused by path."""
    try:
        return msgspec.json.decode(content, type=shape, strict=False)
    except msgspec.ValidationError as error:
        raise misfit(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"This is no JSON: {error}.") from None


def of_epoch(seconds: float | None, path: str) -> datetime | None:
    """The instant of a Unix time. Raises Refused."""
    if seconds is None:
        return None
    if not EARLIEST.timestamp() <= seconds < LATEST.timestamp():
        raise refuse(path, "must be a Unix time in seconds")
    return datetime.fromtimestamp(seconds, UTC)


def signed_at(text: str) -> datetime:
    """The instant of a Unix time that was signed. Raises Distrusted."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise Distrusted("The timestamp of the signature is no Unix time in seconds.")
    return datetime.fromtimestamp(int(text), UTC)


def timely(at: datetime, now: datetime) -> None:
    """Raises Distrusted for what was signed too long ago, or is yet to be."""
    if now - at > OLDEST:
        raise Distrusted("This was signed more than 25 hours ago: it is a replay, or a clock is wrong.")
    if at - now > AHEAD:
        raise Distrusted("This is signed more than 5 minutes ahead: set the clock of this server.")
