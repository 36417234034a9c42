"""Permits: matching, error messages and documentation."""

from pathlib import Path

import pytest

from regulars.auth import permits
from regulars.auth.errors import AccessDenied

REPORT = "Reporting:Api:Report:MembersGroupedCount"


@pytest.mark.parametrize(
    ("granted", "permit", "expected"),
    [
        ((permits.QUERY,), permits.QUERY, True),
        ((), permits.QUERY, False),
        ((permits.QUERY,), REPORT, False),
        ((permits.QUERY, REPORT), REPORT, True),
        ((REPORT,), f"{REPORT}s", False),
        ((f"{REPORT}s",), REPORT, False),
        (("*",), REPORT, True),
        (("Reporting:*",), REPORT, True),
        (("Reporting:Api:Report:*",), REPORT, True),
        (("Reporting:Api:Report:*",), permits.QUERY, False),
        (("Reporting:Api:Report:Members*",), REPORT, True),
        (("Reporting:Api:Report:Member*s",), REPORT, False),
        (("reporting:*",), REPORT, False),
        (("Reporting:Api:Query*",), permits.QUERY, True),
        ((permits.EXPORT,), permits.TENANTS_EXPORT, False),
    ],
)
def test_a_permit_is_granted_by_name_or_by_prefix(granted: tuple[str, ...], permit: str, expected: bool) -> None:
    assert permits.has_permit(granted, permit) is expected


def test_the_error_names_the_missing_permit() -> None:
    permits.require_permit(("Reporting:*",), REPORT)
    with pytest.raises(AccessDenied, match=rf"lacks the permit {REPORT}\.") as error:
        permits.require_permit((permits.QUERY,), REPORT)
    assert error.value.status == 403


def test_every_permit_of_the_profile_api_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "access.md").read_text()
    for permit, description in permits.PROFILE_API.items():
        assert f"| `{permit}` | {description} |" in page
    assert f"`{' '.join(permits.FULL_PROFILE_API)}`" in page


def test_permits_of_one_api_grant_nothing_in_the_other() -> None:
    assert all(permits.has_permit(permits.FULL_PROFILE_API, permit) for permit in permits.PROFILE_API)
    assert not any(permits.has_permit(permits.FULL_PROFILE_API, permit) for permit in permits.REPORTING_API)
    assert not any(permits.has_permit((permits.REPORTING,), permit) for permit in permits.PROFILE_API)
