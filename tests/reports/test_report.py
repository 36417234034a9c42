"""What a report may declare, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from query.sample_reports import SAMPLES, SAMPLES_HISTORY
from regulars.core.field_type import FieldType
from regulars.query.parser.filter_values import OPERATIONS
from regulars.reports.report import Grouping, ReportField
from regulars.rollups.intervals import ALL_INTERVALS, HOURLY_AND_UP, Interval


def test_a_field_is_declared_once() -> None:
    with pytest.raises(ValueError, match=r"samples: declared more than once: \['name'\]"):
        replace(SAMPLES, fields=(*SAMPLES.fields, SAMPLES.fields_by_name["name"]))


def test_the_measure_that_counts_members_is_declared() -> None:
    with pytest.raises(ValueError, match="samples: unknown measure members"):
        replace(SAMPLES, count_measure="members")


def test_a_report_is_ordered_and_grouped_by_fields_that_it_has() -> None:
    with pytest.raises(ValueError, match=r"unknown fields \['nothing'\]"):
        replace(SAMPLES, key=("nothing",))
    with pytest.raises(ValueError, match=r"unknown fields \['nothing'\]"):
        replace(SAMPLES, groupings=(Grouping("by_nothing", ("nothing",), "By nothing."),))


def test_a_report_has_fields_of_the_types_that_reports_support() -> None:
    with pytest.raises(ValueError, match=r"samples: reports do not support the types of \['where'\]"):
        replace(SAMPLES, fields=(*SAMPLES.fields, ReportField("where", FieldType.LOCATION, "A whole location.")))
    assert set(OPERATIONS) == {each for each in FieldType if each.report_name}


def test_reports_are_compared_by_identity() -> None:
    assert replace(SAMPLES) != SAMPLES
    assert len({SAMPLES, replace(SAMPLES), SAMPLES}) == 2


def test_every_groupable_field_is_a_grouping() -> None:
    assert "by_name" in SAMPLES.groupings_by_name
    assert "total" not in SAMPLES.groupings_by_name
    assert {"name", "total"} <= set(SAMPLES_HISTORY.groupings_by_name)
    assert "total" not in replace(SAMPLES_HISTORY, is_additive=False).groupings_by_name


def test_long_intervals_are_retained_forever_and_short_ones_expire() -> None:
    assert [each.code for each in ALL_INTERVALS] == ["5m", "1h", "1d", "1w", "1mo"]
    assert Interval.MINUTES_5.retention == timedelta(days=14)
    assert [each for each in HOURLY_AND_UP if each.retention is None] == [Interval.WEEK, Interval.MONTH]
