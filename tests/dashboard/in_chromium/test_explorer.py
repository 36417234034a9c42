"""The explorer with scripts: charts are drawn, filters are built without reloading, exports show their progress."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from charts.samples import TIMESERIES, draw
from dashboard.in_chromium.tabs import Tab, open_tab
from regulars.charts.figure import render_page

pytestmark = pytest.mark.xdist_group("documentation")


def test_a_report_is_filtered_drawn_and_exported(administrator: Tab) -> None:
    page = administrator.page
    administrator.open("/reports/members_count?club=lyngtorget&group=by_age")
    page.get_by_text("Filter", exact=False).first.click()
    page.get_by_role("button", name="Add condition").click()
    page.get_by_label("Field").select_option("gender")
    page.get_by_label("Value of gender").focus()
    expect(page.locator("datalist option").first).to_be_attached()
    page.get_by_label("Value of gender").fill("female")
    page.get_by_role("button", name="Add group").first.click()
    page.get_by_label("Field").nth(1).select_option("age")
    page.get_by_label("Comparison").nth(1).select_option("in")
    page.get_by_label("25-29").check()
    page.get_by_label("30-34").check()
    page.get_by_role("button", name="Apply the filter").click()
    page.wait_for_url("**filter=*")

    plot = page.locator(".chart-plot svg").first
    expect(plot).to_be_visible()
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(".chart-tooltip")).to_contain_text("members count")
    page.emulate_media(color_scheme="dark")
    expect(page.locator(".chart-plot svg").first).to_be_visible()

    page.get_by_role("button", name="Export").click()
    page.get_by_role("link", name="Download").wait_for(timeout=30_000)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_text().startswith("age,members_count\n")


def test_a_chart_of_a_file_is_drawn_without_a_server(window: Page, tmp_path: Path) -> None:
    file = tmp_path / "chart.html"
    file.write_text(render_page(draw(TIMESERIES)))
    with open_tab(window, "file://") as tab:
        window.emulate_media(color_scheme="dark")
        tab.page.goto(file.as_uri())
        expect(window.locator(".chart-plot svg")).to_be_visible()
