"""Endpoints are declarations: routes, authorization, OpenAPI and the documentation are derived from them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.requests import Request

from regulars.auth.audit_rules import NOTHING, AuditRule
from regulars.auth.authorization import Access, Caller
from regulars.ingest.providers.provider import Provider
from regulars.model.resource import Resource
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.context import ReportRequest, RequestContext

JsonSchema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PricedQuery:
    """A validated request of the Reporting API: its cost in rate limit tokens, and the function that executes it.

    `is_large` says that encoding the response may take long.
    """

    cost: int
    execute: Callable[[], Awaitable[Any]]
    is_large: bool = False


ReadHandler = Callable[[RequestContext], Awaitable[Any]]
WriteHandler = Callable[[RequestContext, UnitOfWork], Awaitable[Any]]
StreamHandler = Callable[[RequestContext, Request], Awaitable[Any]]
OrganizationHandler = Callable[[RequestContext, Any], Awaitable[Any]]
ReportQueryHandler = Callable[[ReportRequest], PricedQuery]


@dataclass(frozen=True, slots=True)
class EndpointSchema:
    """JSON Schemas of the request body, if there is one, and of the response, with pairs of examples by name.

    `media_types` are the types of the request body.
    """

    request: Mapping[str, Any] | None
    response: Mapping[str, Any]
    examples: Mapping[str, tuple[object, object]]
    media_types: tuple[str, ...] = ("application/json",)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path.

    Exactly one of these handles it:

    - `read_handler` returns the response body;
    - `write_handler` does the same within one database transaction, which is rolled back if it raises;
    - `stream_handler` reads the request body itself, in chunks;
    - `report_handler` validates and prices a request of the Reporting API;
    - `organization_handler` does it within a transaction of the caller's organization, with its connection;
    - `provider` verifies and parses a webhook.

    `request_model` is the struct that the request body must fit, `request_example` an example of it. `resource` is the
    resource in the response: a page of a list if `is_list`, the first of one if `is_search`, and both take filters, those
    of `listed_resource` or else of `resource`. `schema` describes the bodies if they are neither, pages of something else
    if `is_paged`; every endpoint that responds with a body has one of them. `is_group_commit` says that
    `read_handler` writes, in one commit with concurrent requests. `may_return_404` says that the body refers to
    something that must exist, `may_return_201` that the status is 201 if a row is created.

    `needs_customer` says that a request of the Reporting API must name its customers; without them it is about all that
    the token has access to. `media_types` are those of a response that is a file.

    `caller`, `permit` and `subject` declare the access: who may call the endpoint, which permit a token needs, and
    which path parameter is the profile that the request is about. A token with `alternative_permit` may call it, too.
    `is_limited_to_stores` says that the handler limits the answer to the stores of a person who is limited to some.
    `audit` is what the audit log records of a request; only endpoints of members and providers have none.
    """

    method: str
    path: str
    summary: str
    read_handler: ReadHandler | None = None
    write_handler: WriteHandler | None = None
    stream_handler: StreamHandler | None = None
    report_handler: ReportQueryHandler | None = None
    organization_handler: OrganizationHandler | None = None
    provider: Provider | None = None
    schema: EndpointSchema | None = None
    request_model: Any = None
    request_example: object = None
    resource: Resource | None = None
    listed_resource: Resource | None = None
    is_list: bool = False
    is_search: bool = False
    is_paged: bool = False
    may_return_404: bool = False
    status: int = 200
    may_return_201: bool = False
    needs_customer: bool = True
    media_types: tuple[str, ...] = ()
    caller: Caller = Caller.COMMUNITY
    permit: str = ""
    subject: str = ""
    alternative_permit: str = ""
    is_limited_to_stores: bool = False
    access: Access = field(init=False)
    tag: str = ""
    query_params: Mapping[str, str] = field(default_factory=dict)
    is_group_commit: bool = False
    audit: AuditRule | None = None

    def __post_init__(self) -> None:
        object.__setattr__(
            self,
            "access",
            Access(self.caller, self.permit, self.subject, self.alternative_permit, self.is_limited_to_stores),
        )

    @property
    def audit_rule(self) -> AuditRule:
        """What the audit log records of a request."""
        return self.audit or NOTHING

    @property
    def has_body(self) -> bool:
        """Whether a request may have a body."""
        return self.method in ("POST", "PUT", "PATCH")

    @property
    def accepts_idempotency_key(self) -> bool:
        """Whether a repeated request with the same Idempotency-Key gets the stored response."""
        is_write = (
            self.write_handler is not None
            or self.stream_handler is not None
            or self.is_group_commit
            or (self.report_handler is not None and self.status == HTTPStatus.ACCEPTED)
        )
        return self.method == "POST" and is_write

    @property
    def rejects_repeated_key(self) -> bool:
        """Whether a repeated request with the same Idempotency-Key is rejected."""
        return self.method == "POST" and self.organization_handler is not None and self.audit_rule is not NOTHING

    @property
    def records_events(self) -> bool:
        """Whether a request may change what webhooks listen to."""
        return self.write_handler is not None or self.is_group_commit
