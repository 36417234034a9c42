"""The explorer with scripts: charts are drawn, filters are built without reloading, exports show their progress."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from charts.samples import TIMESERIES, draw
from dashboard.browsers import open_tab
from dashboard.conftest import DemoSite
from regulars.charts.figure import render_page

pytestmark = pytest.mark.xdist_group("documentation")


def test_a_report_is_filtered_drawn_and_exported(chromium: Browser, demo_site: DemoSite) -> None:
    with open_tab(chromium, demo_site.address) as tab:
        tab.sign_in("ada@demo.example", demo_site.passwords["ada"])
        page = tab.page
        tab.open("/reports/members_count?club=lyngtorget&group=by_age")
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
        assert tab.problems == []


def test_a_chart_of_a_file_is_drawn_without_a_server(chromium: Browser, tmp_path: Path) -> None:
    (tmp_path / "chart.html").write_text(render_page(draw(TIMESERIES)))
    context = chromium.new_context(color_scheme="dark")
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("request", lambda request: problems.append(request.url) if not request.url.startswith("file:") else None)
    page.goto((tmp_path / "chart.html").as_uri())
    expect(page.locator(".chart-plot svg")).to_be_visible()
    assert problems == []
    context.close()
