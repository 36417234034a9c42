"""What a marketer does with members and segments in Chromium, on the demo."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from dashboard.in_chromium.tabs import Tab

pytestmark = pytest.mark.xdist_group("documentation")


def test_a_member_is_found_explained_and_seen_as_of_a_day(marketer: Tab) -> None:
    page = marketer.page
    marketer.open("/members?club=lyngtorget")
    page.get_by_role("searchbox").fill("an")
    page.keyboard.press("Enter")
    page.locator(".result-name").first.click()
    page.wait_for_url(re.compile("/members/[0-9a-f-]{36}"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.locator("#value-spend_all summary").click()
    page.locator("#value-spend_all").get_by_role("link").click()
    expect(page.locator("#value-spend_all")).to_have_attribute("open", "")
    expect(page.locator("#value-spend_all .chart svg, #value-spend_all .chart canvas").first).to_be_visible()
    assert marketer.accessibility_findings() == []
    marketer.look_at("member")
    page.get_by_label("Slide through the membership").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(re.compile(r"on=\d{4}-\d\d-\d\d"))
    expect(page.get_by_text("Values and timeline are as of the end of")).to_be_visible()


def test_a_segment_is_built_with_its_number_of_members(marketer: Tab) -> None:
    page = marketer.page
    marketer.open("/segments/new?club=lyngtorget")
    everyone = page.locator(".live-count-number").inner_text()
    page.get_by_role("button", name="Add condition").click()
    page.get_by_label("Field").select_option("gender")
    page.get_by_label("Value of gender").fill("female")
    expect(page.locator(".live-count-number")).not_to_have_text(everyone)
    assert int(page.locator(".live-count-number").inner_text().replace(",", "")) > 0
    assert marketer.accessibility_findings() == []
    page.get_by_label("Name", exact=True).fill("flow-women")
    page.get_by_role("button", name="Save the segment").click()
    page.wait_for_url(re.compile("/segments/flow-women"))
    assert marketer.accessibility_findings() == []
    marketer.look_at("segment")
    page.get_by_text("Delete the segment …").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_url(re.compile(r"/segments(\?|$)"))
    expect(page.get_by_text("The segment is deleted.")).to_be_visible()
