"""What a report may declare, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from query.declared import KINDS, KINDS_HISTORY
from regulars.reports.interval import EVERY, FROM_AN_HOUR, Interval
from regulars.reports.report import Aggregation


def test_a_field_is_declared_once() -> None:
    with pytest.raises(ValueError, match=r"kinds: declared more than once: \['name'\]"):
        replace(KINDS, fields=(*KINDS.fields, KINDS.by_field["name"]))


def test_a_report_is_ordered_and_grouped_by_fields_that_it_has() -> None:
    with pytest.raises(ValueError, match=r"no field is called \['nothing'\]"):
        replace(KINDS, key=("nothing",))
    with pytest.raises(ValueError, match=r"no field is called \['nothing'\]"):
        replace(KINDS, aggregations=(Aggregation("by_nothing", ("nothing",), "By nothing."),))


def test_a_report_is_the_same_as_itself_alone() -> None:
    assert replace(KINDS) != KINDS
    assert len({KINDS, replace(KINDS), KINDS}) == 2


def test_every_field_that_groups_is_a_way_to_group() -> None:
    assert "by_name" in KINDS.by_aggregation
    assert "total" not in KINDS.by_aggregation
    assert {"name", "total"} <= set(KINDS_HISTORY.by_aggregation)
    assert "total" not in replace(KINDS_HISTORY, adds=False).by_aggregation


def test_coarse_intervals_are_kept_for_ever_and_fine_ones_for_a_time() -> None:
    assert [each.written for each in EVERY] == ["5m", "1h", "1d", "1w", "1mo"]
    assert Interval.MINUTES_5.kept == timedelta(days=14)
    assert [each for each in FROM_AN_HOUR if each.kept is None] == [Interval.WEEK, Interval.MONTH]
