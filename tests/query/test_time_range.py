"""How from and to are read, by tenants in one zone and in several."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from query.event_reports import HISTORY, build_query
from regulars.auth.tenants import Tenant
from regulars.query.errors import InvalidParametersError
from regulars.query.parser import time_range
from regulars.query.query import ReportQuery


def tenants(*zones: str) -> list[Tenant]:
    """Customers in zones."""
    return [Tenant(number, number, 1, 1, "", "", zone, "NOK", 2, {}) for number, zone in enumerate(zones, 1)]


def test_with_one_zone_naive_times_are_local_and_aware_times_are_converted() -> None:
    query = build_query(HISTORY, "2026-07-01T10:00", "2026-12-01T10:00-05:00")
    found = time_range.resolve_range(query, tenants("Europe/Oslo", "Europe/Oslo"))
    assert found.timezone_name == "Europe/Oslo"
    assert found.start == datetime(2026, 7, 1, 8, tzinfo=UTC)
    assert found.end == datetime(2026, 12, 1, 15, tzinfo=UTC)
    assert found.instants_in(ZoneInfo("Europe/Oslo")) == (found.start, found.end)
    assert found.format(found.end) == "2026-12-01T16:00:00.000+01:00"


def test_with_several_zones_times_are_converted_to_utc_and_taken_as_local_time() -> None:
    query = build_query(HISTORY, "2026-07-01T10:00", "2026-12-01T10:00-05:00")
    found = time_range.resolve_range(query, tenants("Europe/Oslo", "Asia/Kolkata"))
    assert found.timezone_name == "local"
    assert [each.isoformat() for each in (found.start, found.end)] == ["2026-07-01T10:00:00", "2026-12-01T15:00:00"]
    assert found.instants_in(ZoneInfo("Asia/Kolkata")) == (
        datetime(2026, 7, 1, 4, 30, tzinfo=UTC),
        datetime(2026, 12, 1, 9, 30, tzinfo=UTC),
    )
    assert found.format(found.end) == "2026-12-01T15:00:00.000"


def test_a_skipped_time_is_moved_forward_and_a_repeated_time_is_its_first_occurrence() -> None:
    oslo = tenants("Europe/Oslo")
    found = time_range.resolve_range(build_query(HISTORY, "2026-03-29T02:30", "2026-10-25T02:30"), oslo)
    assert (found.start, found.end) == (
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    )


@pytest.mark.parametrize("zones", [("Europe/Oslo",), ("Europe/Oslo", "Asia/Kolkata")])
def test_a_range_must_not_end_before_it_starts(zones: tuple[str, ...]) -> None:
    time_range.resolve_range(build_query(HISTORY, "2026-07-01T10:00", "2026-07-01T10:00"), tenants(*zones))
    with pytest.raises(InvalidParametersError) as refused:
        time_range.resolve_range(
            build_query(HISTORY, "2026-07-01T10:00", "2026-07-01T07:59:59Z"), tenants(*zones[::-1])
        )
    (leaf,) = refused.value.details["to"]
    assert (leaf["error"], leaf["options"]) == ("greater_than_or_equal_to", {"than": "from"})


def test_a_range_has_two_ends() -> None:
    with pytest.raises(ValueError, match="needs a start and an end"):
        time_range.resolve_range(ReportQuery(HISTORY), tenants("UTC"))
