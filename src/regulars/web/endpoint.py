"""An endpoint is data: its method, its path, what comes in and goes out. Routes and OpenAPI follow."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from starlette.requests import Request

from regulars.auth import permits
from regulars.auth.authorization import Access as Access
from regulars.auth.authorization import Caller as Caller
from regulars.auth.principals import Principal
from regulars.auth.tenants import Tenant
from regulars.core.errors import NotFoundError
from regulars.ingest.idempotency import IdempotencyKey
from regulars.ingest.providers.provider import Provider
from regulars.model.resource import Resource
from regulars.model.unit_of_work import UnitOfWork
from regulars.web import bodies
from regulars.web.context import AppContext
from regulars.web.errors import ApiError, refused
from regulars.web.lone_surrogates import replace_lone_surrogates


@dataclass(slots=True)
class RequestContext:
    """One request, checked: who asks, the parts of its path, its query, its body decoded, its key."""

    app: AppContext
    principal: Principal
    community_id: int
    path_params: Mapping[str, str]
    query_params: Mapping[str, str]
    body: Any
    now: datetime
    request: Request
    idempotency_key: IdempotencyKey | None = None

    def require_permit(self, permit: str) -> None:
        """Raises Denied, 403, where the caller lacks a permit that only this request needs, by what it asks for."""
        permits.require_permit(self.principal.permits, permit)

    @property
    def url(self) -> str:
        """The address that was called, without its query."""
        return self.app.public_address.url(self.request.scope)

    def path_integer(self, name: str) -> int:
        """A part of the path that is an id. Raises NotFoundError for anything that is none."""
        text = self.path_params[name]
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise NotFoundError(f"There is nothing with the id {text}.")
        return int(text)

    def path_uuid(self, name: str = "id") -> UUID:
        """A part of the path that is a UUID; `id` is the caller's own profile where the caller is bound to one."""
        if name == "id" and self.principal.profile_id is not None:
            return self.principal.profile_id
        try:
            return UUID(self.path_params[name])
        except ValueError:
            raise NotFoundError(f"There is no profile {self.path_params[name]}.") from None


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """One request of the Reporting API, let in: who asks, about whom, the parts of its path, the body as it came."""

    app: AppContext
    principal: Principal
    tenants: tuple[Tenant, ...]
    path_params: Mapping[str, str]
    body: bytes
    now: datetime

    def require_permit(self, permit: str) -> None:
        """Raises Denied, 403, where the caller lacks a permit that only this request needs, by what it asks for."""
        permits.require_permit(self.principal.permits, permit)


@dataclass(frozen=True, slots=True)
class PricedQuery:
    """What a request of the Reporting API costs, known before it runs, and what answers it.

    `is_large` says that encoding the answer may take long.
    """

    cost: int
    execute: Callable[[], Awaitable[Any]]
    is_large: bool = False


ReadHandler = Callable[[RequestContext], Awaitable[Any]]
WriteHandler = Callable[[RequestContext, UnitOfWork], Awaitable[Any]]
StreamHandler = Callable[[RequestContext, Request], Awaitable[Any]]
ReportQueryHandler = Callable[[ReportRequest], PricedQuery]


@dataclass(frozen=True, slots=True)
class EndpointSchema:
    """What goes in, if anything, and out, as JSON Schema, with examples by name: a request and its answer each.

    `media` is the type of what goes in.
    """

    request: Mapping[str, Any] | None
    response: Mapping[str, Any]
    examples: Mapping[str, tuple[object, object]]
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path.

    `reads` answers from the call; `writes` runs inside one commit: what it returns is the answer, and nothing
    of it stays if it raises; `streams` reads the body itself, piece by piece; `asks` checks and prices a request
    of the Reporting API; `provider` reads what it has signed. `takes` is the struct that the body must fit; `shows`
    the resource that the answer's data is made of, of which it `lists` many or shows one, for OpenAPI; `described` says
    both where they are no struct and no resource. `groups` says that `reads` writes, in one commit with the requests
    that arrive at the same time. `finds` says that the body refers to something that must exist, so that 404 is
    possible. `creates` says that the status is 201 where a row is created.

    `caller`, `permit` and `subject` are its access: who may call it, what a token needs, and the part of the path that
    names the one profile that it is about.
    """

    method: str
    path: str
    summary: str
    reads: ReadHandler | None = None
    writes: WriteHandler | None = None
    streams: StreamHandler | None = None
    asks: ReportQueryHandler | None = None
    provider: Provider | None = None
    described: EndpointSchema | None = None
    takes: Any = None
    shows: Resource | None = None
    lists: bool = False
    finds: bool = False
    status: int = 200
    creates: bool = False
    caller: Caller = Caller.COMMUNITY
    permit: str = ""
    subject: str = ""
    access: Access = field(init=False)
    tag: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    groups: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "access", Access(self.caller, self.permit, self.subject))

    @property
    def has_body(self) -> bool:
        """Whether a request may have a body."""
        return self.method in ("POST", "PUT", "PATCH")

    @property
    def takes_idempotency_key(self) -> bool:
        """Whether a repeated request with the same Idempotency-Key gets the first response."""
        return self.method == "POST" and (self.writes is not None or self.streams is not None or self.groups)


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decode_body(body: bytes, shape: Any) -> Any:
    """A JSON body as the struct it must fit; unknown keys are ignored and ids may be strings.

    Raises ApiError 413 for too many values, 400 for what is no JSON, Refused by path for what does not fit.
    """
    if not body:
        raise ApiError(400, "The body is empty: send JSON, `{}` where there is nothing to say.")
    bodies.require_value_limit(body, bodies.value_limit(shape))
    decoder = _decoders.get(shape)
    if decoder is None:
        decoder = _decoders.setdefault(shape, msgspec.json.Decoder(shape, strict=False))
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise refused(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # A lone surrogate is an error of its field alone, which refuses it like NUL.
        without = replace_lone_surrogates(body)
        if without != body:
            return decode_body(without, shape)
        raise ApiError(400, f"The body is no JSON: {error}.") from None
    except RecursionError:
        raise ApiError(400, "The body is nested too deeply.") from None


def data_envelope(value: object) -> dict[str, object]:
    """The envelope of one thing."""
    return {"data": value}


def page_envelope(
    call: RequestContext, things: list[dict[str, Any]], total: int, number: int, size: int
) -> dict[str, object]:
    """The envelope of a list: its data, links and meta."""
    last = max(1, -(-total // size))
    at = call.url

    def url(to: int | None) -> str | None:
        if to is None or not 1 <= to <= last:
            return None
        kept = {key: value for key, value in call.query_params.items() if not key.startswith("page[")}
        return f"{at}?{urlencode({**kept, 'page[size]': size, 'page[number]': to}, safe='[]')}"

    first = (number - 1) * size + 1 if things else None
    numbers = [(str(each), each) for each in range(max(1, number - 3), min(last, number + 3) + 1)]
    labels = [("&laquo; Previous", number - 1), *numbers, ("Next &raquo;", number + 1)]
    return {
        "data": things,
        "links": {"first": url(1), "last": url(last), "prev": url(number - 1), "next": url(number + 1)},
        "meta": {
            "current_page": number,
            "from": first,
            "last_page": last,
            "links": [{"url": url(to), "label": label, "active": label == str(number)} for label, to in labels],
            "path": at,
            "per_page": size,
            "to": first + len(things) - 1 if first is not None else None,
            "total": total,
        },
    }
