"""What a token may do in the Reporting API."""

from collections.abc import Iterable

from regulars.access.denied import Denied

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

EVERY = (QUERY, EXPORT, TENANTS_EXPORT, GEO)


def holds(granted: Iterable[str], permit: str) -> bool:
    """Whether a permit is among those granted; one that was granted may end in `*`."""
    return any(permit.startswith(each[:-1]) if each.endswith("*") else permit == each for each in granted)


def require(granted: Iterable[str], permit: str) -> None:
    """Raises Denied, 403, naming the permit where it is not granted."""
    if not holds(granted, permit):
        raise Denied(
            403,
            f"The token lacks the permit {permit}: make one that has it with "
            f"`regulars token create --permit {permit}`.",
        )
