"""Every endpoint there is. Routes, OpenAPI and the tests of access follow from this list."""

from regulars.api import brands, locations, members, products, profile_parts, profiles, webhooks
from regulars.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *locations.ENDPOINTS,
    *products.ENDPOINTS,
    *brands.ENDPOINTS,
    *webhooks.ENDPOINTS,
    *profiles.ENDPOINTS,
    *profile_parts.ENDPOINTS,
    *members.ENDPOINTS,
)
