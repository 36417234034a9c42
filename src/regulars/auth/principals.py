"""Principals: the authenticated callers of requests."""

from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from regulars.auth import permits
from regulars.auth.member_tokens import MemberIdentity
from regulars.auth.tokens import Token


class PrincipalKind(Enum):
    """The kind of credential of a request."""

    ANONYMOUS = "no credential"
    COMMUNITY = "an API token of a community"
    PROFILE = "an API token bound to one profile"
    ORGANIZATION = "an API token of an organization"
    MEMBER = "a member's own token"
    PROVIDER = "a provider's signature"
    SIGNED_LINK = "a signed link to one file"


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller of a request. Ids are None if the credential is not bound to such an object.

    `user_id` and `user_name` are those of the person who is signed in. `location_ids` are the stores to which a person is
    limited; None is no limit.
    """

    kind: PrincipalKind
    organization_id: int | None = None
    community_id: int | None = None
    profile_id: UUID | None = None
    permits: tuple[str, ...] = ()
    customers: tuple[str, ...] | None = None
    token_id: int | None = None
    user_id: int | None = None
    user_name: str = ""
    location_ids: tuple[int, ...] | None = None

    @property
    def is_profile_bound(self) -> bool:
        """Whether the credential is bound to one profile."""
        return self.profile_id is not None


ANONYMOUS = Principal(PrincipalKind.ANONYMOUS)
"""The principal of a request without a credential."""


def principal_from_token(token: Token) -> Principal:
    """Returns the principal of an API token."""
    if token.profile_id is not None:
        kind = PrincipalKind.PROFILE
    else:
        kind = PrincipalKind.ORGANIZATION if token.community_id is None else PrincipalKind.COMMUNITY
    return Principal(
        kind, token.organization_id, token.community_id, token.profile_id, token.permits, token.customers, token.id
    )


def principal_from_member(member: MemberIdentity) -> Principal:
    """Returns the principal of a member's own token."""
    return Principal(
        PrincipalKind.MEMBER,
        community_id=member.community_id,
        profile_id=member.profile_id,
        permits=permits.MEMBER_PERMITS,
    )
