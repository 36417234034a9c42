"""Permits of the Profile API, the Reporting API and the Administration API."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from regulars.auth.errors import AccessDenied

# The Profile API -------------------------------------------------------------------------------------------

PROFILE_READ = "Profile:Read"
PROFILE_AGGREGATIONS = "Profile:Aggregations"
PROFILE_WRITE = "Profile:Write"
PROFILE_ERASE = "Profile:Erase"
TRANSACTION_READ = "Transaction:Read"
TRANSACTION_WRITE = "Transaction:Write"
LOCATION_READ = "Location:Read"
LOCATION_WRITE = "Location:Write"
SEGMENT_OF_PROFILE_READ = "Segment:Read"
PRODUCT_READ = "Product:Read"
PRODUCT_WRITE = "Product:Write"
WEBHOOK_READ = "Webhook:Read"
WEBHOOK_WRITE = "Webhook:Write"
IMPORT_WRITE = "Import:Write"
MEMBER_TOKEN = "Member:Token"  # noqa: S105 - the name of a permit

PROFILE_API: Mapping[str, str] = {
    PROFILE_READ: "Read profiles with their addresses, identities, consents and aggregations; search and list them.",
    PROFILE_AGGREGATIONS: "Read the aggregations of profiles with their explanation, history and timeline, and find profiles by "
    "id; without names, addresses and other ways to reach a member.",
    PROFILE_WRITE: "Create, change and merge profiles with their addresses, identities and consents.",
    PROFILE_ERASE: "Delete, purge and depersonalise profiles.",
    TRANSACTION_READ: "Read transactions with their items, claims, and the products that a profile bought.",
    TRANSACTION_WRITE: "Create, change and delete transactions and their items; claim and unattach them. "
    "New transactions may create the locations and products that they refer to.",
    LOCATION_READ: "Read locations.",
    LOCATION_WRITE: "Create, change and delete locations.",
    PRODUCT_READ: "Read products, their variants and brands.",
    PRODUCT_WRITE: "Create, change and delete products, their variants and brands.",
    SEGMENT_OF_PROFILE_READ: "Read the segments that a profile is in.",
    WEBHOOK_READ: "Read webhooks.",
    WEBHOOK_WRITE: "Create, change and delete webhooks. Webhooks send profiles and transactions.",
    IMPORT_WRITE: "Import rows of every entity in bulk, including profiles with the type `deleted`.",
    MEMBER_TOKEN: "Create members' own tokens, each of which can read and change the profile of its member.",
}
"""The permits of the Profile API, each with what it allows."""

FULL_PROFILE_API = tuple(dict.fromkeys(f"{each.partition(':')[0]}:*" for each in PROFILE_API))
"""All permits of the Profile API: the default of a community's token."""

MEMBER_PERMITS = (PROFILE_READ, PROFILE_WRITE, TRANSACTION_READ, LOCATION_READ)
"""The permits of a member's own token, limited to the member's profile and to locations."""

# The Reporting API -----------------------------------------------------------------------------------------

REPORTING = "Reporting:*"
"""All permits of the Reporting API."""

QUERY = "Reporting:Api:Query"
"""Query reports and their metadata. Each report requires a permit of its own as well."""

EXPORT = "Reporting:Api:Export"
"""Export the result of a query to a file, at set times too. Each report requires a permit of its own as well."""

TENANTS_EXPORT = "Reporting:Api:TenantsExport"
"""Export the result of a query over all customers that the token gives access to."""

GEO = "Reporting:Api:Geo"
"""Find towns and the customers' stores. Gives no access to data of members."""

SEGMENT_READ = "Reporting:Api:Segment:Read"
"""Read segments, with their counts; their members as well with the permit of the report `members`."""

SEGMENT_WRITE = "Reporting:Api:Segment:Write"
"""Create, change and delete segments."""

REPORTING_API = (QUERY, EXPORT, TENANTS_EXPORT, GEO, SEGMENT_READ, SEGMENT_WRITE)
"""The permits of the Reporting API that do not belong to a single report."""


# The Administration API ------------------------------------------------------------------------------------

ADMIN_COMMUNITY_READ = "Admin:Community:Read"
ADMIN_ORGANIZATION_READ = "Admin:Organization:Read"
ADMIN_ORGANIZATION_WRITE = "Admin:Organization:Write"
ADMIN_TOKEN_READ = "Admin:Token:Read"  # noqa: S105 - the name of a permit
ADMIN_TOKEN_WRITE = "Admin:Token:Write"  # noqa: S105 - the name of a permit
ADMIN_USER_READ = "Admin:User:Read"
ADMIN_USER_WRITE = "Admin:User:Write"
ADMIN_JOB_READ = "Admin:Job:Read"
ADMIN_JOB_WRITE = "Admin:Job:Write"
ADMIN_DELIVERY_READ = "Admin:Delivery:Read"
ADMIN_DELIVERY_WRITE = "Admin:Delivery:Write"
ADMIN_AUDIT_READ = "Admin:Audit:Read"
ADMIN_ACCESS_EXPLAIN = "Admin:Access:Explain"
ADMIN_HEALTH_READ = "Admin:Health:Read"

ADMIN_API: Mapping[str, str] = {
    ADMIN_COMMUNITY_READ: "List the organization's communities with their settings.",
    ADMIN_ORGANIZATION_READ: "Read the organization's limits.",
    ADMIN_ORGANIZATION_WRITE: "Change rate limits, and the smallest number of members that reports show.",
    ADMIN_TOKEN_READ: "List tokens, without their secrets.",
    ADMIN_TOKEN_WRITE: "Create, rotate and revoke tokens that have no more permits and customers than one's own.",
    ADMIN_USER_READ: "List users, roles and sessions.",
    ADMIN_USER_WRITE: "Create and change users and roles within one's own permits and customers; reset passwords; end sessions.",
    ADMIN_JOB_READ: "List jobs and why they failed.",
    ADMIN_JOB_WRITE: "Run failed jobs again, and cancel jobs.",
    ADMIN_DELIVERY_READ: "List undelivered webhooks of all communities, without their payloads.",
    ADMIN_DELIVERY_WRITE: "Send deliveries of webhooks again.",
    ADMIN_AUDIT_READ: "Read and export the audit log.",
    ADMIN_ACCESS_EXPLAIN: "Explain why a user or a token is denied a request.",
    ADMIN_HEALTH_READ: "Read the state of the data: late stores, rejected rows, backlogs, failed work.",
}
"""The permits of the Administration API, each with what it allows."""

# What is granted -------------------------------------------------------------------------------------------


def covers(granted: Iterable[str], wanted: str) -> bool:
    """Whether everything that `wanted` grants is granted: `wanted` may itself end in `*`."""
    return any(wanted.startswith(each[:-1]) if each.endswith("*") else wanted == each for each in granted)


@lru_cache(maxsize=4096)
def _has_permit(granted: tuple[str, ...], permit: str) -> bool:
    return any(permit.startswith(each[:-1]) if each.endswith("*") else permit == each for each in granted)


@lru_cache(maxsize=4096)
def _has_any_permit(granted: tuple[str, ...], allowed: tuple[str, ...]) -> bool:
    return any(_has_permit(granted, each) for each in allowed)


def has_permit(granted: Iterable[str], permit: str) -> bool:
    """Whether a permit is granted. Granted permits may end in `*`."""
    return _has_permit(tuple(granted), permit)


def require_permit(granted: Iterable[str], permit: str) -> None:
    """Raises AccessDenied, 403, with the name of the permit if it is not granted."""
    require_any_permit(granted, (permit,))


def require_any_permit(granted: Iterable[str], allowed: Sequence[str]) -> None:
    """Raises AccessDenied, 403, with the names of the permits if none is granted."""
    if not _has_any_permit(tuple(granted), tuple(allowed)):
        raise AccessDenied(
            403,
            f"The token lacks the permit {' or '.join(allowed)}. "
            f"`regulars token create --permit {allowed[0]}` creates a token with it.",
        )
