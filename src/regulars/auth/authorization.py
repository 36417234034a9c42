"""Authorizes requests: the only place that decides, from the endpoint's declaration and the caller."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from regulars.auth import permits
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import Principal, PrincipalKind


class Caller(Enum):
    """Who may call an endpoint."""

    ANYONE = "anyone"
    COMMUNITY = "an API token of a community"
    MEMBER = "a member's own token"
    PROVIDER = "a provider of mail or SMS, by its signature"
    REPORTING = "an API token with permits of the Reporting API"


@dataclass(frozen=True, slots=True)
class Access:
    """What an endpoint declares about its callers.

    `permit` is what a token needs. `subject` is the part of the path that names the one profile that the endpoint is
    about: it reads and changes nothing of any other profile. Without a subject, tokens that are bound to one profile
    are denied.
    """

    caller: Caller
    permit: str = ""
    subject: str = ""

    @property
    def accepted_kinds(self) -> frozenset[PrincipalKind]:
        """The kinds of credentials that may be let in."""
        return _ACCEPTED_WITH_SUBJECT if self.subject else _ACCEPTED[self.caller]


_ACCEPTED = {
    Caller.ANYONE: frozenset(PrincipalKind),
    Caller.COMMUNITY: frozenset({PrincipalKind.COMMUNITY}),
    Caller.MEMBER: frozenset({PrincipalKind.MEMBER}),
    Caller.PROVIDER: frozenset({PrincipalKind.PROVIDER}),
    Caller.REPORTING: frozenset({PrincipalKind.COMMUNITY, PrincipalKind.ORGANIZATION}),
}
_ACCEPTED_WITH_SUBJECT = frozenset({PrincipalKind.COMMUNITY, PrincipalKind.PROFILE})

_UNAUTHENTICATED = {
    Caller.COMMUNITY: "Send `Authorization: Bearer <token>`.",
    Caller.MEMBER: "Send `Authorization: Bearer <token>`, a member's own token: POST /id/api/v1/auth/token gives it.",
    Caller.REPORTING: "Send `X-Client-Authorization: <token>` or `Authorization: Bearer <token>`.",
}

_OTHER_PROFILE = "This token is bound to one profile and reaches nothing else."
_NO_COMMUNITY = "This token is bound to no community: make one with `regulars token create --community SLUG`."


def missing_credential(access: Access) -> AccessDenied:
    """The denial, 401, of a request without a credential."""
    message = _UNAUTHENTICATED.get(access.caller, "Send a credential.")
    return AccessDenied(401, message, {"WWW-Authenticate": "Bearer"})


def authorize(access: Access, principal: Principal, path: Mapping[str, str]) -> None:
    """Decides whether a caller may call an endpoint, with the parts of the path that was called.

    Raises Denied: 401 for a caller without a credential, 403 for one whose credential is of another kind, lacks the
    permit, or is bound to another profile than that of the path.
    """
    if access.caller is Caller.ANYONE:
        return
    if principal.kind not in access.accepted_kinds:
        if principal.kind is PrincipalKind.ANONYMOUS:
            raise missing_credential(access)
        raise AccessDenied(403, _wrong_kind(access, principal.kind))
    if access.caller is not Caller.PROVIDER:
        permits.require_permit(principal.permits, access.permit)
    if principal.kind is PrincipalKind.PROFILE and not _names(path[access.subject], principal.profile_id):
        raise AccessDenied(403, _OTHER_PROFILE)


def _wrong_kind(access: Access, kind: PrincipalKind) -> str:
    if kind is PrincipalKind.PROFILE:
        return _OTHER_PROFILE
    if kind is PrincipalKind.ORGANIZATION and access.caller is Caller.COMMUNITY:
        return _NO_COMMUNITY
    return f"This endpoint is for {access.caller.value}; the request carries {kind.value}."


def _names(text: str, profile_id: UUID | None) -> bool:
    try:
        return UUID(text) == profile_id
    except ValueError:
        return False
