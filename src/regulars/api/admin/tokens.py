"""Tokens over HTTP: list, create, rotate and revoke. A secret is in the response that creates it, and nowhere else."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import msgspec

from regulars.api.admin import authority
from regulars.api.admin.customers import accessible_tenants
from regulars.api.admin.declarations import (
    INSTANT,
    INSTANT_OR_NULL,
    INTEGER,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    TEXTS_OR_NULL,
    endpoint,
    many,
    not_found,
    one,
    organization_id,
)
from regulars.auth import audit_rules, permits, tokens
from regulars.auth.tokens import NewToken, Token
from regulars.core.errors import field_error
from regulars.reports import report_permits
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope

MAX_DAYS = 3_650
"""Maximum lifetime of a token that expires."""

MAX_OVERLAP_HOURS = 24 * 30

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Slug = Annotated[str, msgspec.Meta(max_length=200)]


class TokenIn(msgspec.Struct, frozen=True):
    """A token to create. `community` binds it to a community; `customers` limits it to some, null is all of them."""

    name: Name
    permits: list[str]
    customers: list[Slug] | None = None
    community: Slug | None = None
    expires_in_days: float | None = None


class TokenRotationIn(msgspec.Struct, frozen=True):
    """How long the old token stays valid."""

    overlap_hours: float = 24.0


async def slugs_by_id(context: RequestContext, connection: Any) -> dict[int, str]:
    """The slugs of the organization's communities that the caller has access to, by id."""
    return {each.community_id: each.slug for each in await accessible_tenants(connection, context.principal)}


def _describe(token: Token, slugs: Mapping[int, str], context: RequestContext) -> dict[str, object]:
    now = context.now
    state = "revoked" if token.revoked_at else "valid" if token.is_valid_at(now) else "expired"
    return {
        "id": token.id,
        "name": token.name,
        "hint": token.hint,
        "state": state,
        "community": None if token.community_id is None else slugs.get(token.community_id),
        "profile_id": None if token.profile_id is None else str(token.profile_id),
        "permits": token.permits,
        "customers": token.customers,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "used_at": token.used_at,
    }


def is_visible(context: RequestContext, token: Token, slugs: Mapping[int, str]) -> bool:
    """Whether the caller may see a token: not if it is about customers beyond the caller's own."""
    if token.community_id is not None:
        return token.community_id in slugs
    return authority.includes_customers(context.principal, token.customers)


async def _list(context: RequestContext, connection: Any) -> dict[str, object]:
    slugs = await slugs_by_id(context, connection)
    found = [each for each in await tokens.list_all(connection) if is_visible(context, each, slugs)]
    return data_envelope([_describe(each, slugs, context) for each in found])


async def _find(context: RequestContext, connection: Any) -> tuple[Token, dict[int, str]]:
    """The token in the path, which the caller may manage. Raises NotFoundError and AccessDenied, 403."""
    token_id, slugs = context.path_integer("id"), await slugs_by_id(context, connection)
    token = None if token_id >= 2**31 else await tokens.find(connection, token_id)
    if token is None or not is_visible(context, token, slugs):
        raise not_found("token", token_id)
    slug = None if token.community_id is None else slugs[token.community_id]
    authority.require_authority_over_token(context.principal, token, slug)
    return token, slugs


async def _create(context: RequestContext, connection: Any) -> dict[str, object]:
    body: TokenIn = context.body
    authority.require_known(body.permits)
    if body.community is None and not report_permits.has_use_in_organization(body.permits):
        raise field_error("community", "is required for permits of the Profile API, and these are no others")
    if body.expires_in_days is not None and not 0 < body.expires_in_days <= MAX_DAYS:
        raise field_error("expires_in_days", f"is {body.expires_in_days}. Allowed: more than 0, at most {MAX_DAYS}")
    slugs = await slugs_by_id(context, connection)
    for slug in body.customers or ():
        if slug not in slugs.values():
            raise field_error("customers", f"has {slug!r}, which is no customer that you have access to")
    community_ids = [key for key, slug in slugs.items() if slug == body.community]
    if body.community is not None and not community_ids:
        raise field_error("community", f"is {body.community!r}, which is no customer that you have access to")
    new = NewToken(
        organization_id=organization_id(context.principal),
        name=body.name.strip(),
        permits=body.permits,
        customers=body.customers,
        community_id=community_ids[0] if community_ids else None,
        expires_at=None if body.expires_in_days is None else context.now + timedelta(days=body.expires_in_days),
    )
    authority.require_authority_over_token(context.principal, new, body.community)
    created = await tokens.add(connection, new, context.now)
    context.audit.details |= {"permits": list(body.permits), "customers": body.customers, "community": body.community}
    stored = await tokens.find(connection, created.id)
    assert stored is not None  # noqa: S101 - it was created in the same transaction
    return data_envelope({**_describe(stored, slugs, context), "secret": created.secret})


async def _rotate(context: RequestContext, connection: Any) -> dict[str, object]:
    hours = context.body.overlap_hours
    if not 0 <= hours <= MAX_OVERLAP_HOURS:
        raise field_error("overlap_hours", f"is {hours}. Allowed: 0 to {MAX_OVERLAP_HOURS}")
    token, slugs = await _find(context, connection)
    created = await tokens.renew(connection, token, context.now, timedelta(hours=hours))
    if created is None:
        raise field_error("id", "is that of a token that was revoked or has expired. Create a new one")
    context.audit.details |= {"new_token": created.id}
    stored = await tokens.find(connection, created.id)
    assert stored is not None  # noqa: S101 - it was created in the same transaction
    return data_envelope({**_describe(stored, slugs, context), "secret": created.secret})


async def _revoke(context: RequestContext, connection: Any) -> None:
    token, _ = await _find(context, connection)
    await tokens.revoke(connection, token.organization_id, token.id, context.now)


_TOKEN = {
    "id": INTEGER,
    "name": TEXT,
    "hint": {**TEXT, "description": "The first characters of the secret."},
    "state": {**TEXT, "enum": ["valid", "expired", "revoked"]},
    "community": TEXT_OR_NULL,
    "profile_id": TEXT_OR_NULL,
    "permits": TEXTS,
    "customers": TEXTS_OR_NULL,
    "created_at": INSTANT,
    "expires_at": INSTANT_OR_NULL,
    "revoked_at": INSTANT_OR_NULL,
    "used_at": INSTANT_OR_NULL,
}
_WITH_SECRET = one("CreatedToken", {**_TOKEN, "secret": {**TEXT, "description": "Can't be shown again."}})

ENDPOINTS: tuple[Endpoint, ...] = (
    endpoint(
        "GET",
        "/tokens",
        "List the tokens of the organization, newest first",
        _list,
        permit=permits.ADMIN_TOKEN_READ,
        schema=many("Token", _TOKEN),
    ),
    endpoint(
        "POST",
        "/tokens",
        "Create a token; only this response contains its secret",
        _create,
        permit=permits.ADMIN_TOKEN_WRITE,
        audit=audit_rules.CREATE_TOKEN,
        request_model=TokenIn,
        request_example={"name": "till 7", "permits": ["Profile:Read", "Transaction:Write"], "community": "cdnow"},
        status=201,
        schema=_WITH_SECRET,
    ),
    endpoint(
        "POST",
        "/tokens/{id}/rotate",
        "Create a token with the same permits, and let the old one expire",
        _rotate,
        permit=permits.ADMIN_TOKEN_WRITE,
        audit=audit_rules.CHANGE_TOKEN,
        request_model=TokenRotationIn,
        request_example={"overlap_hours": 24},
        status=201,
        schema=_WITH_SECRET,
    ),
    endpoint(
        "DELETE",
        "/tokens/{id}",
        "Revoke a token; within seconds no process accepts it",
        _revoke,
        permit=permits.ADMIN_TOKEN_WRITE,
        audit=audit_rules.CHANGE_TOKEN,
        status=204,
    ),
)
