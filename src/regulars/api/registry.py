"""Every endpoint there is. Routes, OpenAPI and the tests of access follow from this list."""

from collections.abc import Mapping

from regulars.api import (
    aggregations,
    brands,
    claims,
    docs,
    geo,
    imports,
    locations,
    members,
    products,
    profile_parts,
    profile_transactions,
    profiles,
    providers,
    reporting,
    transaction_items,
    transactions,
    webhooks,
)
from regulars.api.endpoint import Access, Caller, Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *aggregations.ENDPOINTS,
    *locations.ENDPOINTS,
    *products.ENDPOINTS,
    *brands.ENDPOINTS,
    *webhooks.ENDPOINTS,
    *profiles.ENDPOINTS,
    *profile_parts.ENDPOINTS,
    *members.ENDPOINTS,
    *imports.ENDPOINTS,
    *transactions.ENDPOINTS,
    *transaction_items.ENDPOINTS,
    *profile_transactions.ENDPOINTS,
    *claims.ENDPOINTS,
    *providers.ENDPOINTS,
    *reporting.ENDPOINTS,
    *geo.ENDPOINTS,
)

PAGES: Mapping[str, Access] = dict.fromkeys(("/api/health", "/metrics", *docs.PATHS), Access(Caller.ANYONE))
"""The paths of pages that are not API endpoints, and who may read them."""
