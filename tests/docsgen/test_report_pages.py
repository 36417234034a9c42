"""The pages of reports have everything that their declarations have."""

import re
from pathlib import Path

import pytest

from query.sample_reports import REGISTRY
from regulars.api.registry import ENDPOINTS
from regulars.docsgen import report_pages
from regulars.reports.report import Report
from regulars.web.openapi import openapi_document

PAGE = Path(__file__).parent.parent.parent / "docs" / "reporting.md"


def test_the_reporting_page_lists_every_status_of_a_query() -> None:
    listed = re.findall(r"^\| ([\d, ]+) \|", PAGE.read_text(), re.MULTILINE)
    operation = openapi_document(ENDPOINTS)["paths"]["/v1/reporting/query"]["post"]
    assert {status for each in listed for status in each.split(", ")} == set(operation["responses"]) - {"200"} | {
        "404",
        "405",
    }


@pytest.mark.parametrize("report", REGISTRY.values(), ids=lambda report: report.name)
def test_a_page_has_everything_that_is_declared(report: Report) -> None:
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
