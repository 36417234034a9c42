"""What an administrator may see and grant: nothing beyond the own permits, customers and stores."""

from collections.abc import Iterable, Sequence

from regulars.auth import permits
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import Principal
from regulars.auth.roles import NewRole, Role
from regulars.auth.tokens import NewToken, Token
from regulars.core.errors import field_error
from regulars.reports import report_permits

MAX_PERMITS = 200
"""Maximum number of permits of a token or a role."""


def includes_customers(principal: Principal, customers: Sequence[str] | None) -> bool:
    """Whether these customers, all of the organization if None, are among those of a principal."""
    if principal.customers is None:
        return True
    return customers is not None and set(customers) <= set(principal.customers)


def _includes_stores(principal: Principal, location_ids: Sequence[int] | None) -> bool:
    if principal.location_ids is None:
        return True
    return location_ids is not None and set(location_ids) <= set(principal.location_ids)


def require_known(granted: Iterable[str]) -> None:
    """Raises ValidationError for a permit that does not exist."""
    granted = tuple(granted)
    if len(granted) > MAX_PERMITS:
        raise field_error("permits", f"are {len(granted)}. Allowed: at most {MAX_PERMITS}")
    for each in granted:
        if not report_permits.is_known(each):
            raise field_error("permits", f"has the unknown permit {each[:100]!r}. GET /v1/admin/permits lists all")


def require_authority(
    principal: Principal,
    granted: Iterable[str],
    customers: Sequence[str] | None,
    location_ids: Sequence[int] | None = None,
) -> None:
    """Raises AccessDenied, 403, unless a principal has all of these permits, customers and stores."""
    if beyond := [each for each in granted if not permits.covers(principal.permits, each)]:
        raise AccessDenied(403, f"You do not have the permit {beyond[0]} yourself, so you can't grant or manage it.")
    if not includes_customers(principal, customers):
        own = ", ".join(principal.customers or ()) or "none"
        found = "all of the organization" if customers is None else ", ".join(customers) or "none"
        raise AccessDenied(403, f"Customers beyond your own can't be granted or managed. Found: {found}. Yours: {own}.")
    if not _includes_stores(principal, location_ids):
        raise AccessDenied(403, "Stores beyond your own can't be granted or managed.")


def require_authority_over_role(principal: Principal, role: Role | NewRole) -> None:
    """Raises AccessDenied, 403, for a role that grants more than a principal has."""
    require_authority(principal, role.permits, role.customers, role.location_ids)


def require_authority_over_token(principal: Principal, token: Token | NewToken, slug: str | None) -> None:
    """Raises AccessDenied, 403, for a token that grants more than a principal has; `slug` is of the token's community."""
    granted = token.permits if isinstance(token, Token) else token.granted_permits
    require_authority(principal, granted, customers_of_token(token, slug))


def customers_of_token(token: Token | NewToken, slug: str | None) -> Sequence[str] | None:
    """The customers that a token gives access to: the community that it is bound to, or those listed."""
    return token.customers if slug is None else [slug]


def require_whole_organization(principal: Principal) -> None:
    """Raises AccessDenied, 403, for a principal who is limited to some customers or stores."""
    if principal.customers is not None or principal.location_ids is not None:
        raise AccessDenied(403, "This concerns the whole organization, and you are limited to some of its customers.")
