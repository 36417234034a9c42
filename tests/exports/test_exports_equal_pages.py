"""On data that does not change, an export is what all pages of its query are together, for every report and grouping."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from exports.conftest import ExportClubs
from exports.export_reader import Rows, exported_rows, queried_rows
from regulars.query.formats import timeseries
from regulars.reports.registry import REPORTS
from regulars.reports.report import Report, ReportFormat

pytestmark = pytest.mark.xdist_group("exports")

RANGE = {"from": "2026-10-20T00:00:00", "to": "2026-11-01T00:00:00"}


@pytest.fixture(autouse=True)
def _answers_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of timeseries are not truncated, so that they can be compared."""
    monkeypatch.setattr(timeseries, "MAX_POINTS", 1_000_000)
    monkeypatch.setattr(timeseries, "_MAX_ROWS", 2_000_000)


def bodies(report: Report) -> list[dict[str, Any]]:
    """Queries of a report: without grouping, by each grouping, and of a timeseries by each interval."""
    base: dict[str, Any] = {"report": report.name} | ({} if report.format is ReportFormat.RECORDS else RANGE)
    found = [base, *({**base, "aggregate_by": name} for name in report.groupings_by_name)]
    if report.format is not ReportFormat.TIMESERIES:
        return found
    recent = {**base, "from": "2026-10-31T20:00:00"}
    # The hour that is repeated in Oslo, at the start of the range and of windows of it.
    repeated = {
        **base,
        "from": "2026-10-25T02:30:00",
        "to": "2026-10-25T04:00:00",
        "interval": report.intervals[0].code,
    }
    return [repeated, *({**recent, "interval": each.code} for each in report.intervals), *found]


def in_any_order(rows: Rows) -> list[Any]:
    """Rows of a timeseries: an export has them by bucket, an answer by series."""
    return sorted(rows, key=lambda row: [str(value) for value in row.values()])


def without_marks(rows: Rows) -> Rows:
    """Rows without `masked` where it is not set, as the API has them."""
    return [{key: value for key, value in row.items() if key != "masked" or value} for row in rows]


@pytest.mark.parametrize("count", [1, 2], ids=["one customer", "two customers in two zones"])
@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
async def test_an_export_is_the_sum_of_its_pages(clubs: ExportClubs, report: Report, count: int) -> None:
    exported = 0
    tenants = clubs.tenants(count)
    # How tenants are merged does not depend on the grouping.
    for body in bodies(report)[:: 1 if count == 1 else 3]:
        rows = await exported_rows(clubs, tenants, body)
        pages = await queried_rows(clubs, tenants, body)
        if report.format is ReportFormat.TIMESERIES:
            buckets = [row["bucket"] for row in rows]
            assert buckets == sorted(buckets, key=datetime.fromisoformat), body
            rows, pages = in_any_order(rows), in_any_order(pages)
        assert rows == pages, body
        exported += len(rows)
    assert exported, "the facts should fill every report"


@pytest.mark.parametrize("report", [each for each in REPORTS if each.count_measure], ids=lambda report: report.name)
async def test_small_groups_are_suppressed_as_in_answers(clubs: ExportClubs, report: Report) -> None:
    tenants = clubs.tenants(1, min_cell_size=5)
    for body in bodies(report):
        rows = without_marks(await exported_rows(clubs, tenants, body))
        pages = without_marks(await queried_rows(clubs, tenants, body))
        if report.format is ReportFormat.TIMESERIES:
            rows, pages = in_any_order(rows), in_any_order(pages)
        assert rows == pages, body
