"""All endpoints. Routes, OpenAPI, documentation and tests of authorization are derived from this list."""

from collections.abc import Mapping

from regulars.api import imports, providers
from regulars.api.admin import audit_entries, customers, deliveries, explain_access, health, jobs, roles, tokens, users
from regulars.api.profile import (
    aggregations,
    brands,
    claims,
    erasure,
    locations,
    members,
    products,
    profile_batches,
    profile_search,
    profile_segments,
    profile_subresources,
    profile_timeline,
    profile_transactions,
    profiles,
    reference_lists,
    transaction_items,
    transactions,
    webhooks,
)
from regulars.api.reporting import export_schedules, exports, geo, reports, segments, views
from regulars.auth.authorization import Access, Caller
from regulars.web import swagger
from regulars.web.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *aggregations.ENDPOINTS,
    *locations.ENDPOINTS,
    *products.ENDPOINTS,
    *brands.ENDPOINTS,
    *webhooks.ENDPOINTS,
    # Before the profiles by their ids, because the first of two matching paths counts.
    *profile_search.ENDPOINTS,
    *profiles.ENDPOINTS,
    *profile_batches.ENDPOINTS,
    *profile_subresources.ENDPOINTS,
    *erasure.ENDPOINTS,
    *profile_timeline.ENDPOINTS,
    *profile_segments.ENDPOINTS,
    *members.ENDPOINTS,
    *imports.ENDPOINTS,
    *transactions.ENDPOINTS,
    *transaction_items.ENDPOINTS,
    # Before the transactions of a profile by their ids, because the first of two matching paths counts.
    *claims.ENDPOINTS,
    *profile_transactions.ENDPOINTS,
    *reference_lists.ENDPOINTS,
    *providers.ENDPOINTS,
    *reports.ENDPOINTS,
    *views.ENDPOINTS,
    *segments.ENDPOINTS,
    *exports.ENDPOINTS,
    *export_schedules.ENDPOINTS,
    *geo.ENDPOINTS,
    *customers.ENDPOINTS,
    *tokens.ENDPOINTS,
    *users.ENDPOINTS,
    *roles.ENDPOINTS,
    *jobs.ENDPOINTS,
    *deliveries.ENDPOINTS,
    *audit_entries.ENDPOINTS,
    *explain_access.ENDPOINTS,
    *health.ENDPOINTS,
)

PAGES: Mapping[str, Access] = dict.fromkeys(("/api/health", "/metrics", *swagger.PATHS), Access(Caller.ANYONE))
"""Pages that are not API endpoints, and the access that they require, by path."""
