"""The permits of tokens in the Profile API and the Reporting API."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from regulars.auth.errors import AccessDenied

# The Profile API -------------------------------------------------------------------------------------------

PROFILE_READ = "Profile:Read"
PROFILE_WRITE = "Profile:Write"
PROFILE_ERASE = "Profile:Erase"
TRANSACTION_READ = "Transaction:Read"
TRANSACTION_WRITE = "Transaction:Write"
LOCATION_READ = "Location:Read"
LOCATION_WRITE = "Location:Write"
PRODUCT_READ = "Product:Read"
PRODUCT_WRITE = "Product:Write"
WEBHOOK_READ = "Webhook:Read"
WEBHOOK_WRITE = "Webhook:Write"
IMPORT_WRITE = "Import:Write"
MEMBER_TOKEN = "Member:Token"  # noqa: S105 - the name of a permit

PROFILE_API: Mapping[str, str] = {
    PROFILE_READ: "Read profiles with their addresses, identities, consents and aggregations; search and list them.",
    PROFILE_WRITE: "Create, change and merge profiles with their addresses, identities and consents.",
    PROFILE_ERASE: "Delete, purge and depersonalise profiles.",
    TRANSACTION_READ: "Read transactions and their items, claims, and what a profile has bought.",
    TRANSACTION_WRITE: "Create, change and delete transactions and their items; claim and unattach them. "
    "New transactions may create the locations and products that they name.",
    LOCATION_READ: "Read locations.",
    LOCATION_WRITE: "Create, change and delete locations.",
    PRODUCT_READ: "Read products, their variants and brands.",
    PRODUCT_WRITE: "Create, change and delete products, their variants and brands.",
    WEBHOOK_READ: "Read webhooks.",
    WEBHOOK_WRITE: "Create, change and delete webhooks. What webhooks send includes profiles and transactions.",
    IMPORT_WRITE: "Import rows of every entity in bulk, profiles that are deleted by their type included.",
    MEMBER_TOKEN: "Create members' own tokens, each of which reads and changes the profile of that member.",
}
"""The permits of the Profile API, and what each of them allows."""

FULL_PROFILE_API = tuple(dict.fromkeys(f"{each.partition(':')[0]}:*" for each in PROFILE_API))
"""All permits of the Profile API, which a token of a community gets if it is created without permits."""

MEMBER_PERMITS = (PROFILE_READ, PROFILE_WRITE, TRANSACTION_READ)
"""The permits of a member's own token, for the member's own profile."""

# The Reporting API -----------------------------------------------------------------------------------------

REPORTING = "Reporting:*"
"""All of it, as it is granted."""

QUERY = "Reporting:Api:Query"
"""To ask for reports and their metadata; each report has a permit of its own besides."""

EXPORT = "Reporting:Api:Export"
"""To have the answer of a query written to a file."""

TENANTS_EXPORT = "Reporting:Api:TenantsExport"
"""The same over all customers that the token reaches."""

GEO = "Reporting:Api:Geo"
"""To find towns and the customers' stores: what a map needs, and nothing of members."""

REPORTING_API = (QUERY, EXPORT, TENANTS_EXPORT, GEO)
"""The permits of the Reporting API that belong to no single report."""


@lru_cache(maxsize=4096)
def _holds(granted: tuple[str, ...], permit: str) -> bool:
    return any(permit.startswith(each[:-1]) if each.endswith("*") else permit == each for each in granted)


def has_permit(granted: Iterable[str], permit: str) -> bool:
    """Whether a permit is among those granted; one that was granted may end in `*`."""
    return _holds(tuple(granted), permit)


def require_permit(granted: Iterable[str], permit: str) -> None:
    """Raises Denied, 403, naming the permit where it is not granted."""
    if not has_permit(granted, permit):
        raise AccessDenied(
            403,
            f"The token lacks the permit {permit}: make one that has it with "
            f"`regulars token create --permit {permit}`.",
        )
