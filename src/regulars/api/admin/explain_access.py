"""Why a user or a token is denied a request: each step of access control, by the code that decides about requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import msgspec

from regulars.api.admin.declarations import (
    FLAG,
    TEXT,
    TEXT_OR_NULL,
    endpoint,
    not_found,
    one,
    organization_id,
)
from regulars.api.admin.roles import is_visible as is_role_visible
from regulars.api.admin.tokens import is_visible as is_token_visible
from regulars.api.admin.tokens import slugs_by_id
from regulars.auth import permits, roles, tokens, users
from regulars.auth.authorization import Caller, authorize
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import Principal, PrincipalKind, principal_from_token
from regulars.auth.tenants import resolve_tenants, scope_of
from regulars.core.errors import field_error
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope

Text = Annotated[str, msgspec.Meta(max_length=2_000)]

_BY_CUSTOMER = (Caller.REPORTING, Caller.DOWNLOAD)


class AccessQuestion(msgspec.Struct, frozen=True):
    """A request of a user or a token: its method and path, or a report; and the slug of its customer."""

    user_id: int | None = None
    token_id: int | None = None
    method: Annotated[str, msgspec.Meta(max_length=10)] = "GET"
    path: Text | None = None
    report: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    customer: Annotated[str, msgspec.Meta(max_length=200)] | None = None


@dataclass(slots=True)
class _Explanation:
    """The steps so far. After a denial the others are not reached. `holder` is what has the permits: a token or a role."""

    holder: str = "token"
    steps: list[dict[str, object]] = field(default_factory=list)
    is_allowed: bool = True

    def add(self, name: str, detail: str) -> None:
        """Adds a step that allows the request."""
        self.steps.append({"name": name, "is_allowed": True, "detail": detail, "remedy": None})

    def deny(self, name: str, detail: str, remedy: str) -> None:
        """Adds the step that denies the request."""
        self.steps.append({"name": name, "is_allowed": False, "detail": detail, "remedy": remedy})
        self.is_allowed = False

    def check(self, name: str, work: Callable[[], object], detail: str, remedy: str) -> bool:
        """Adds a step that raises AccessDenied if the request is denied."""
        try:
            work()
        except AccessDenied as denied:
            # Messages to callers of the API name the token, and a command that creates one.
            text = denied.message.partition(" `regulars token create")[0]
            self.deny(name, text.replace("The token", f"The {self.holder}", 1), remedy)
            return False
        self.add(name, detail)
        return True

    def envelope(self, endpoint_: Endpoint | None) -> dict[str, object]:
        """The response."""
        operation = None if endpoint_ is None else f"{endpoint_.method} {endpoint_.path}"
        return data_envelope({"is_allowed": self.is_allowed, "operation": operation, "steps": self.steps})


async def _explain(context: RequestContext, connection: Any) -> dict[str, object]:
    question: AccessQuestion = context.body
    if (question.user_id is None) == (question.token_id is None):
        raise field_error("user_id", "or token_id is required, and only one of them")
    if (question.path is None) == (question.report is None):
        raise field_error("path", "or report is required, and only one of them")
    if question.report is not None and question.report not in context.app.reports:
        raise field_error("report", f"is {question.report!r}. Allowed: {', '.join(sorted(context.app.reports))}")
    explanation = _Explanation("token" if question.user_id is None else "role")
    if question.user_id is not None:
        principal = await _user(context, connection, explanation, question.user_id)
    else:
        principal = await _token(context, connection, explanation, question.token_id or 0)
    if principal is None:
        return explanation.envelope(None)
    method, path = ("POST", "/v1/reporting/query") if question.report is not None else (question.method, question.path)
    match = context.request.app.state.find_endpoint(method.upper(), (path or "").partition("?")[0])
    if match is None:
        explanation.deny(
            "endpoint",
            f"There is no endpoint {method} {path}.",
            "Compare method and path with the API's documentation.",
        )
        return explanation.envelope(None)
    found, parameters = match
    explanation.add("endpoint", f"{found.method} {found.path}: {found.summary}.")
    await _decide(context, connection, explanation, found, parameters, principal, question)
    return explanation.envelope(found)


async def _user(context: RequestContext, connection: Any, explanation: _Explanation, user_id: int) -> Principal | None:
    owner = organization_id(context.principal)
    user = await users.find(connection, owner, user_id) if 0 < user_id < 2**31 else None
    role = None if user is None else await roles.find(connection, owner, user.role_id)
    if user is None or role is None or not is_role_visible(context, role):
        raise not_found("user", user_id)
    if not user.is_active:
        explanation.deny("credential", f"{user.name} is deactivated.", "Activate the user.")
        return None
    explanation.add("credential", f"{user.name} is active and has the role {role.name}.")
    return Principal(
        PrincipalKind.ORGANIZATION,
        owner,
        permits=role.permits,
        customers=role.customers,
        user_id=user.id,
        user_name=user.name,
        location_ids=role.location_ids,
    )


async def _token(
    context: RequestContext, connection: Any, explanation: _Explanation, token_id: int
) -> Principal | None:
    token = await tokens.find(connection, token_id) if 0 < token_id < 2**31 else None
    if token is None or not is_token_visible(context, token, await slugs_by_id(context, connection)):
        raise not_found("token", token_id)
    name = token.name or token.hint
    if token.revoked_at is not None:
        explanation.deny(
            "credential", f"{name} was revoked at {token.revoked_at:%Y-%m-%d %H:%M} UTC.", "Create a token."
        )
        return None
    if not token.is_valid_at(context.now):
        explanation.deny("credential", f"{name} expired at {token.expires_at:%Y-%m-%d %H:%M} UTC.", "Create a token.")
        return None
    explanation.add("credential", f"{name} is valid.")
    return principal_from_token(token)


async def _decide(
    context: RequestContext,
    connection: Any,
    explanation: _Explanation,
    found: Endpoint,
    parameters: dict[str, str],
    principal: Principal,
    question: AccessQuestion,
) -> None:
    is_person = principal.user_id is not None
    if is_person and found.caller is Caller.COMMUNITY:
        # The pages call endpoints of one community with the club that is selected.
        slugs = await slugs_by_id(context, connection)
        ids = [key for key, slug in slugs.items() if question.customer is None or slug == question.customer]
        own = [key for key in ids if principal.customers is None or slugs[key] in principal.customers]
        if not own:
            explanation.deny(
                "customer",
                f"The role gives no access to the customer {question.customer or 'of the request'}.",
                "Add the customer to the role.",
            )
            return
        principal = replace(principal, kind=PrincipalKind.COMMUNITY, community_id=own[0])
    if not explanation.check(
        "permit",
        lambda: authorize(found.access, principal, parameters),
        f"The endpoint requires {_permits(found.access.permits)}, which {'the role' if is_person else 'the token'} has.",
        f"Add the permit {found.access.permits[0]} to the role." if is_person else _token_remedy(found),
    ):
        return
    if question.report is not None:
        report = context.app.reports[question.report]
        if not explanation.check(
            "report",
            lambda: permits.require_permit(principal.permits, report.permit),
            f"The report requires the permit {report.permit}, which is granted.",
            f"Add the permit {report.permit}.",
        ):
            return
    if found.caller in _BY_CUSTOMER and (question.customer is not None or found.needs_customer):
        await _check_customer(connection, explanation, principal, question.customer)
    if explanation.is_allowed and principal.location_ids is not None:
        stores = ", ".join(map(str, principal.location_ids))
        explanation.add("stores", f"Sales of the stores {stores} are shown; reports about members are denied.")


async def _check_customer(
    connection: Any, explanation: _Explanation, principal: Principal, customer: str | None
) -> None:
    try:
        await resolve_tenants(connection, scope_of(principal), [], [] if customer is None else [customer])
    except AccessDenied as denied:
        explanation.deny(
            "customer", denied.message, "Name the customer, or add it to the customers of the role or the token."
        )
        return
    explanation.add("customer", f"{customer} is among the customers of the {_holder(principal)}.")


def _holder(principal: Principal) -> str:
    return "token" if principal.user_id is None else "role"


def _permits(names: Sequence[str]) -> str:
    return f"the permit {' or '.join(names)}"


def _token_remedy(found: Endpoint) -> str:
    kinds = " or ".join(sorted(each.value for each in found.access.accepted_kinds))
    return f"Use {kinds}, with {_permits(found.access.permits)}."


_STEP = {"name": TEXT, "is_allowed": FLAG, "detail": TEXT, "remedy": TEXT_OR_NULL}

ENDPOINTS: tuple[Endpoint, ...] = (
    endpoint(
        "POST",
        "/access/explain",
        "Explain whether a user or a token may send a request, and which step denies it",
        _explain,
        permit=permits.ADMIN_ACCESS_EXPLAIN,
        may_return_404=True,
        request_model=AccessQuestion,
        request_example={"token_id": 3, "report": "members_count", "customer": "cdnow"},
        schema=one(
            "AccessExplanation",
            {
                "is_allowed": FLAG,
                "operation": TEXT_OR_NULL,
                "steps": {
                    "type": "array",
                    "items": {"type": "object", "properties": _STEP, "required": list(_STEP)},
                },
            },
        ),
    ),
)
