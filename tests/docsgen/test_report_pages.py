"""The manual's pages of reports are those that the declarations make."""

import re
from pathlib import Path

import pytest

from query.sample_reports import REGISTRY
from regulars.api.registry import ENDPOINTS
from regulars.docsgen import report_pages
from regulars.reports.report import Report
from regulars.web.openapi import openapi_document

FOLDER = Path(__file__).parent.parent.parent / "docs" / "reports"


def test_the_pages_are_up_to_date() -> None:
    kept = {file.name: file.read_text() for file in FOLDER.iterdir()}
    assert kept == report_pages.render_pages(), "run `make docs`"


def test_the_manual_tells_of_every_status_that_is_answered() -> None:
    told = re.findall(r"^\| ([\d, ]+) \|", (FOLDER.parent / "reporting.md").read_text(), re.MULTILINE)
    operation = openapi_document(ENDPOINTS)["paths"]["/v1/reporting/query"]["post"]
    assert {status for each in told for status in each.split(", ")} == set(operation["responses"]) - {"200"} | {
        "404",
        "405",
    }


def test_pages_of_reports_that_are_gone_are_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    report_pages.write_pages(folder)
    (folder / "gone.md").write_text("")
    report_pages.write_pages(folder)
    assert {file.name for file in folder.iterdir()} == set(report_pages.render_pages())


@pytest.mark.parametrize("report", REGISTRY.values(), ids=lambda report: report.name)
def test_a_page_tells_all_that_is_declared(report: Report) -> None:
    page = report_pages.render_pages([report])[f"{report.name}.md"]
    assert f"| `{report.permit}` | {report.cost} |" in page
    for field in report.fields:
        assert f"| `{field.name}` |" in page
        for value in field.values:
            assert f"- `{value.name}`" in page
    for name in (*report.groupings_by_name, *(each.name for each in report.measures)):
        assert f"| `{name}` |" in page
    for interval in report.intervals:
        assert f"`{interval.code}`" in page
    assert page.count("```json") == (2 if report.groupings_by_name else 1)
