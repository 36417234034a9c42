"""All permits that can be granted, those of single reports included, each with what it allows."""

from collections.abc import Iterable, Mapping

from regulars.auth import permits
from regulars.reports.registry import REPORTS

_REPORTING: Mapping[str, str] = {
    permits.QUERY: "Query reports and their metadata. Each report needs its own permit as well.",
    permits.EXPORT: "Export results of reports to files, at set times too. Each report needs its own permit as well.",
    permits.TENANTS_EXPORT: "Export results of reports for all customers together.",
    permits.GEO: "Find towns and stores.",
    permits.SEGMENT_READ: "Read segments with their counts; their members as well with the permit of the report `members`.",
    permits.SEGMENT_WRITE: "Create, change and delete segments.",
    **{each.permit: f"The report `{each.name}`. {each.description}" for each in REPORTS},
}

ALL_PERMITS: Mapping[str, str] = {**permits.PROFILE_API, **_REPORTING, **permits.ADMIN_API}
"""All permits by name."""


def is_known(permit: str) -> bool:
    """Whether a permit, which may end in `*`, grants anything."""
    return any(permits.has_permit((permit,), each) for each in ALL_PERMITS)


def has_use_in_organization(granted: Iterable[str]) -> bool:
    """Whether some of these permits are of use to a token that is not bound to a community."""
    granted = tuple(granted)
    return any(permits.has_permit(granted, each) for each in (*_REPORTING, *permits.ADMIN_API))
