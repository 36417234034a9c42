"""The organization: its communities with their settings, its limits, and the permits that can be granted."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from regulars.api.admin import authority
from regulars.api.admin.declarations import (
    FLAG,
    INTEGER,
    INTEGER_OR_NULL,
    TEXT,
    TEXTS,
    endpoint,
    many,
    one,
    organization_id,
)
from regulars.auth import audit_rules, organizations, permits
from regulars.auth.organizations import MAX_VALUES, Organization
from regulars.auth.principals import Principal
from regulars.auth.tenants import Tenant, TenantScope, list_tenants
from regulars.core.errors import NotFoundError, ValidationError
from regulars.reports import report_permits
from regulars.settings import Settings
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope


async def accessible_tenants(connection: Any, principal: Principal, slug: str | None = None) -> tuple[Tenant, ...]:
    """The communities that a caller has access to, or the one with a slug. Raises NotFoundError."""
    tenants = await list_tenants(connection, TenantScope(organization_id(principal), None, principal.customers))
    if slug is None:
        return tenants
    chosen = tuple(each for each in tenants if each.slug == slug)
    if not chosen:
        raise NotFoundError(f"There is no customer {slug[:100]!r} that you have access to.")
    return chosen


async def _list_communities(context: RequestContext, connection: Any) -> dict[str, object]:
    rows = await connection.fetch(
        """
        SELECT id, customer_id, loyalty_club_id, slug, name, country, timezone, currency, attributes, void_statuses,
               updates_channel_statuses, segments_version IS NOT NULL AS has_segments, created_at
        FROM communities
        WHERE organization_id = $1 AND ($2::text[] IS NULL OR slug = ANY ($2))
        ORDER BY name, id
        """,
        organization_id(context.principal),
        context.principal.customers,
    )
    return data_envelope([{**row, "attributes": msgspec.json.decode(row["attributes"])} for row in rows])


# Limits -----------------------------------------------------------------------------------------------------------


class LimitsIn(msgspec.Struct, frozen=True):
    """Limits of the organization; null restores the server's default, and absent ones are unchanged."""

    min_cell_size: int | UnsetType | None = UNSET
    general_burst: int | UnsetType | None = UNSET
    general_rate_per_second: int | UnsetType | None = UNSET
    reporting_burst: int | UnsetType | None = UNSET
    reporting_rate_per_second: int | UnsetType | None = UNSET

    @property
    def values(self) -> Mapping[str, int | None]:
        """The limits to set. Raises ValidationError for values out of range."""
        chosen = {name: getattr(self, name) for name in MAX_VALUES if getattr(self, name) is not UNSET}
        errors = {
            name: f"is {value}. Allowed: 1 to {MAX_VALUES[name]}, or null for the default"
            for name, value in chosen.items()
            if value is not None and not 1 <= value <= MAX_VALUES[name]
        }
        if errors or not chosen:
            raise ValidationError(errors or {"": f"has no limit. Allowed: {', '.join(MAX_VALUES)}"})
        return chosen


def _describe(organization: Organization, settings: Settings) -> dict[str, object]:
    values = asdict(organization)
    limits = {
        name: {"value": values[name], "default": getattr(settings, name, None), "maximum": MAX_VALUES[name]}
        for name in MAX_VALUES
    }
    return {"id": organization.id, "name": organization.name, "limits": limits}


async def _read_organization(context: RequestContext, connection: Any) -> dict[str, object]:
    found = await organizations.get(connection, organization_id(context.principal))
    return data_envelope(_describe(found, context.app.settings))


async def _set_limits(context: RequestContext, connection: Any) -> dict[str, object]:
    authority.require_whole_organization(context.principal)
    values = context.body.values
    before = await organizations.get(connection, organization_id(context.principal))
    changed = await organizations.update(connection, before.name, values)
    assert changed is not None  # noqa: S101 - it was read in the same transaction
    context.audit.details |= {
        name: {"from": getattr(before, name), "to": value}
        for name, value in values.items()
        if getattr(before, name) != value
    }
    return data_envelope(_describe(changed, context.app.settings))


# Permits ----------------------------------------------------------------------------------------------------------


async def _list_permits(context: RequestContext, connection: Any) -> dict[str, object]:
    granted = context.principal.permits
    return data_envelope(
        [
            {"name": name, "description": text, "is_grantable": permits.covers(granted, name)}
            for name, text in report_permits.ALL_PERMITS.items()
        ]
    )


_LIMIT = {"value": INTEGER_OR_NULL, "default": INTEGER_OR_NULL, "maximum": INTEGER}
_ORGANIZATION = one(
    "Organization",
    {
        "id": INTEGER,
        "name": TEXT,
        "limits": {
            "type": "object",
            "description": "Each limit with its value, null if it is the server's default, the default, and the maximum.",
            "properties": {
                name: {"type": "object", "properties": _LIMIT, "required": list(_LIMIT)} for name in MAX_VALUES
            },
            "required": list(MAX_VALUES),
        },
    },
)

ENDPOINTS: tuple[Endpoint, ...] = (
    endpoint(
        "GET",
        "/communities",
        "List the communities of the organization with their settings",
        _list_communities,
        permit=permits.ADMIN_COMMUNITY_READ,
        schema=many(
            "AdminCommunity",
            {
                "id": INTEGER,
                "customer_id": INTEGER,
                "loyalty_club_id": INTEGER,
                "slug": TEXT,
                "name": TEXT,
                "country": TEXT,
                "timezone": TEXT,
                "currency": TEXT,
                "attributes": {"type": "object"},
                "void_statuses": TEXTS,
                "updates_channel_statuses": FLAG,
                "has_segments": FLAG,
                "created_at": {"type": "string", "format": "date-time"},
            },
        ),
    ),
    endpoint(
        "GET",
        "/organization",
        "Get the organization with its limits",
        _read_organization,
        permit=permits.ADMIN_ORGANIZATION_READ,
        schema=_ORGANIZATION,
    ),
    endpoint(
        "PUT",
        "/organization/limits",
        "Set limits of the organization",
        _set_limits,
        permit=permits.ADMIN_ORGANIZATION_WRITE,
        audit=audit_rules.CHANGE_LIMITS,
        request_model=LimitsIn,
        request_example={"min_cell_size": 5, "reporting_burst": 2000},
        schema=_ORGANIZATION,
    ),
    endpoint(
        "GET",
        "/permits",
        "List all permits, and whether the caller may grant each",
        _list_permits,
        permit=permits.ADMIN_TOKEN_READ,
        alternative_permit=permits.ADMIN_USER_READ,
        schema=many("Permit", {"name": TEXT, "description": TEXT, "is_grantable": FLAG}),
    ),
)
