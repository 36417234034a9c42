"""Authorization: decides from the declaration of an endpoint and the caller, in this one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from regulars.auth import permits
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import Principal, PrincipalKind


class Caller(Enum):
    """The kind of callers that an endpoint accepts."""

    ANYONE = "anyone"
    COMMUNITY = "an API token of a community"
    MEMBER = "a member's own token"
    PROVIDER = "a provider of e-mail or SMS, by its signature"
    REPORTING = "an API token with permits of the Reporting API"
    ADMINISTRATION = "an API token of an organization, with permits of the Administration API"
    DOWNLOAD = "an API token with permits of the Reporting API, or a signed link"


@dataclass(frozen=True, slots=True)
class Access:
    """The access rule of an endpoint.

    `permit` is the permit that a token needs, or `alternative_permit` if there is one. `subject` is the path parameter
    with the only profile that the endpoint reads or changes. Without a subject, tokens that are bound to a profile are
    denied. `is_limited_to_stores` says that the endpoint limits its answer to the stores of the caller; others deny
    people who are limited to stores.
    """

    caller: Caller
    permit: str = ""
    subject: str = ""
    alternative_permit: str = ""
    is_limited_to_stores: bool = False

    @property
    def permits(self) -> tuple[str, ...]:
        """The permits of which a token needs one."""
        return (self.permit, self.alternative_permit) if self.alternative_permit else (self.permit,)

    @property
    def accepted_kinds(self) -> frozenset[PrincipalKind]:
        """The kinds of principals that may have access."""
        return _ACCEPTED_WITH_SUBJECT if self.subject else _ACCEPTED[self.caller]


_ACCEPTED = {
    Caller.ANYONE: frozenset(PrincipalKind),
    Caller.COMMUNITY: frozenset({PrincipalKind.COMMUNITY}),
    Caller.MEMBER: frozenset({PrincipalKind.MEMBER}),
    Caller.PROVIDER: frozenset({PrincipalKind.PROVIDER}),
    Caller.REPORTING: frozenset({PrincipalKind.COMMUNITY, PrincipalKind.ORGANIZATION}),
    Caller.ADMINISTRATION: frozenset({PrincipalKind.ORGANIZATION}),
    Caller.DOWNLOAD: frozenset({PrincipalKind.COMMUNITY, PrincipalKind.ORGANIZATION, PrincipalKind.SIGNED_LINK}),
}
_ACCEPTED_WITH_SUBJECT = frozenset({PrincipalKind.COMMUNITY, PrincipalKind.PROFILE})

_UNAUTHENTICATED = {
    Caller.COMMUNITY: "Send `Authorization: Bearer <token>`.",
    Caller.MEMBER: "Send `Authorization: Bearer <token>` with a member's own token, created by POST /id/api/v1/auth/token.",
    Caller.REPORTING: "Send `X-Client-Authorization: <token>` or `Authorization: Bearer <token>`.",
    Caller.ADMINISTRATION: "Send `Authorization: Bearer <token>` with a token of an organization.",
    Caller.DOWNLOAD: "Send `Authorization: Bearer <token>`, or use the signed `url` of the export.",
}

_OTHER_PROFILE = "This token is bound to one profile and gives access to that profile only."
_LIMITED_TO_STORES = "Your role is limited to stores, and this is about all stores of the club."
_NO_COMMUNITY = "This token is not bound to a community. `regulars token create --community SLUG` creates one that is."


def missing_credential(access: Access) -> AccessDenied:
    """Returns the error, 401, of a request without a credential."""
    message = _UNAUTHENTICATED.get(access.caller, "Send a credential.")
    return AccessDenied(401, message, {"WWW-Authenticate": "Bearer"})


def authorize(access: Access, principal: Principal, path: Mapping[str, str]) -> None:
    """Checks whether a caller may call an endpoint with these path parameters.

    Raises AccessDenied: 401 for a caller without a credential; 403 for a credential of another kind, without the
    permit, or bound to a profile other than that of the path.
    """
    if access.caller is Caller.ANYONE:
        return
    if principal.kind not in access.accepted_kinds:
        if principal.kind is PrincipalKind.ANONYMOUS:
            raise missing_credential(access)
        raise AccessDenied(403, _wrong_kind(access, principal.kind))
    if access.caller is not Caller.PROVIDER:
        permits.require_any_permit(principal.permits, access.permits)
    if principal.location_ids is not None and not access.is_limited_to_stores:
        raise AccessDenied(403, _LIMITED_TO_STORES)
    if principal.kind is PrincipalKind.PROFILE and not _is_profile(path[access.subject], principal.profile_id):
        raise AccessDenied(403, _OTHER_PROFILE)


def _wrong_kind(access: Access, kind: PrincipalKind) -> str:
    if kind is PrincipalKind.PROFILE:
        return _OTHER_PROFILE
    if kind is PrincipalKind.ORGANIZATION and access.caller is Caller.COMMUNITY:
        return _NO_COMMUNITY
    return f"This endpoint requires {access.caller.value}. Found: {kind.value}."


def _is_profile(text: str, profile_id: UUID | None) -> bool:
    try:
        return UUID(text) == profile_id
    except ValueError:
        return False
