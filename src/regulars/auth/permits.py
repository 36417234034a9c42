"""Permits of the Profile API and the Reporting API."""

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


@lru_cache(maxsize=4096)
def _has_permit(granted: tuple[str, ...], permit: str) -> bool:
    return any(permit.startswith(each[:-1]) if each.endswith("*") else permit == each for each in granted)


def has_permit(granted: Iterable[str], permit: str) -> bool:
    """Whether a permit is granted. Granted permits may end in `*`."""
    return _has_permit(tuple(granted), permit)


def require_permit(granted: Iterable[str], permit: str) -> None:
    """Raises AccessDenied, 403, with the name of the permit if it is not granted."""
    require_any_permit(granted, (permit,))


def require_any_permit(granted: Iterable[str], allowed: Sequence[str]) -> None:
    """Raises AccessDenied, 403, with the names of the permits if none is granted."""
    granted = tuple(granted)
    if not any(has_permit(granted, each) for each in allowed):
        raise AccessDenied(
            403,
            f"The token lacks the permit {' or '.join(allowed)}. "
            f"`regulars token create --permit {allowed[0]}` creates a token with it.",
        )
