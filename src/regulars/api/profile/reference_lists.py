"""Lists that clients choose from, over HTTP."""

from regulars.api.profile.crud import list_handler
from regulars.auth import audit_rules, permits
from regulars.model.reference_lists import COUNTRIES, CURRENCIES, STATUSES, TAGS
from regulars.model.resource import Resource
from regulars.web.endpoint import Endpoint


def _endpoint(path: str, summary: str, resource: Resource) -> Endpoint:
    return Endpoint(
        "GET",
        f"/api/v3/{path}",
        summary,
        read_handler=list_handler(resource),
        resource=resource,
        is_list=True,
        permit=permits.PROFILE_READ,
        audit=audit_rules.NOTHING,
        tag="lists",
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint("tags", "List the tags of profiles", TAGS),
    _endpoint("statuses", "List the statuses of profiles", STATUSES),
    _endpoint("countries", "List countries", COUNTRIES),
    _endpoint("currencies", "List the currency of the community", CURRENCIES),
)
