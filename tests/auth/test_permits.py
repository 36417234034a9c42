"""Permits: what a token may do, and what it is told that it lacks."""

from pathlib import Path

import pytest

from regulars.auth import permits
from regulars.auth.errors import AccessDenied

REPORT = "Reporting:Api:Report:MembersGroupedCount"


@pytest.mark.parametrize(
    ("granted", "permit", "held"),
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
def test_a_permit_is_held_by_its_name_or_by_a_beginning_of_it(
    granted: tuple[str, ...], permit: str, held: bool
) -> None:
    assert permits.has_permit(granted, permit) is held


def test_a_denial_names_the_permit_that_is_missing() -> None:
    permits.require_permit(("Reporting:*",), REPORT)
    with pytest.raises(AccessDenied, match=f"lacks the permit {REPORT}:") as denied:
        permits.require_permit((permits.QUERY,), REPORT)
    assert denied.value.status == 403


def test_every_permit_of_the_profile_api_is_explained_in_the_documents() -> None:
    page = (Path(__file__).parents[2] / "docs" / "access.md").read_text()
    for permit, meaning in permits.PROFILE_API.items():
        assert f"| `{permit}` | {meaning} |" in page
    assert f"`{' '.join(permits.FULL_PROFILE_API)}`" in page


def test_all_of_the_profile_api_is_no_part_of_the_reporting_api() -> None:
    assert all(permits.has_permit(permits.FULL_PROFILE_API, permit) for permit in permits.PROFILE_API)
    assert not any(permits.has_permit(permits.FULL_PROFILE_API, permit) for permit in permits.REPORTING_API)
    assert not any(permits.has_permit((permits.REPORTING,), permit) for permit in permits.PROFILE_API)
