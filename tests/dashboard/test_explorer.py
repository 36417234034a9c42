"""The report explorer: every report by its metadata, views by link and form, saved, exported, for programs."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from api.profile_calls import create_profile
from api.test_store_limits import client_of, create_location
from api.transaction_client import create_transaction, sale
from clubs import Club
from dashboard.visitors import browse, submit
from regulars.charts.answer_chart import Subject
from regulars.charts.language import ChartLanguage
from regulars.dashboard.answer_table import answer_table
from regulars.dashboard.translations import locales
from regulars.reports.registry import REPORTS, REPORTS_BY_NAME
from regulars.reports.report import ReportFormat

FEMALE = {"type": "equal", "field": "gender", "value": "female"}


async def page_of(browser: httpx.AsyncClient, path: str, **params: object) -> str:
    """The text of a page that is there."""
    answer = await browser.get(path, params={key: str(value) for key, value in params.items()} or None)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def chart_specs(page: str) -> list[dict[str, object]]:
    """The specifications of the charts of a page."""
    return [json.loads(each) for each in re.findall(r'<script type="application/json">(.*?)</script>', page)]


@pytest.mark.slow
async def test_every_report_has_a_page_by_each_of_its_groupings(club: Club) -> None:
    await create_profile(club, gender="female", birthdate="1990-01-01")
    await create_transaction(club, sale("100.00"))
    async with browse(club) as browser:
        listed = await page_of(browser, "/reports")
        for report in REPORTS:
            assert f'href="/reports/{report.name}"' in listed
            groupings = [None, *report.groupings_by_name][:: 4 if len(report.groupings_by_name) > 8 else 1]
            for grouping in groupings:
                page = await page_of(browser, f"/reports/{report.name}", **({"group": grouping} if grouping else {}))
                assert "This view can't be shown" not in page, (report.name, grouping)
                assert ("chart" in page) or report.format is ReportFormat.RECORDS
        assert (await browser.get("/reports/nothing")).status_code == 404


async def test_a_report_is_shown_as_chart_table_and_commands(club: Club) -> None:
    for gender in ("female", "female", "male"):
        await create_profile(club, gender=gender)
    async with browse(club) as browser:
        page = await page_of(browser, "/reports/members_count", group="by_gender", filter=json.dumps(FEMALE))
    assert "<td>women</td>" in page
    assert '<td class="n">2</td>' in page
    assert len(chart_specs(page)) == 1
    command = re.search(r"-d '(\{.*?\})'", page)
    assert command is not None
    body = {"report": "members_count", "aggregate_by": "by_gender", "filter": FEMALE}
    assert json.loads(command[1]) == body
    assert f"--customer {club.community.slug}" in page
    assert "'value': 'female'" in page
    answer = await (await client_of(club)).query(body)
    assert answer["records"] == [{"gender": "female", "members_count": 2}]


async def test_the_commands_of_a_page_are_what_it_shows(club: Club) -> None:
    await create_transaction(club, sale("100.00"))
    async with browse(club) as browser:
        page = await page_of(browser, "/reports/transactions_stats", period="90d")
        assert "Times are local times of UTC." in page
        dates = await page_of(browser, "/reports/transactions_stats", **{"from": "2026-11-01", "to": "2026-11-30"})
    assert '<td class="n">100.00</td>' in page
    assert '"from": "2026-11-01", "to": "2026-12-01"' in dates


async def test_what_a_link_says_wrongly_is_said_and_ignored(club: Club) -> None:
    async with browse(club) as browser:
        wrong = await page_of(
            browser, "/reports/transactions_history", group="x", interval="x", period="soon", filter="{", page_info="x"
        )
        assert "These dates are not a period." in wrong
        assert "The filter of this link can't be read." in wrong
        refused = await page_of(
            browser, "/reports/members_count", filter='{"type": "equal", "field": "<b>", "value": 1}'
        )
        assert "This view can't be shown." in refused
        assert "Unknown field '<b>'" in refused
        assert (
            "<b>'"
            not in (
                await browser.get("/reports/members_count", params={"filter": '{"type": "equal", "field": "<b>"}'})
            ).text
        )
        page = await page_of(browser, "/reports/members", page_info="forged")
        assert "This view can't be shown." in page


async def test_rows_come_in_pages(club: Club) -> None:
    for number in range(101):
        await create_profile(club, external_id=f"m{number}")
    async with browse(club) as browser:
        first = await page_of(browser, "/reports/members")
        link = re.search(r'href="([^"]*page_info=[^"]*)">Next page', first)
        assert link is not None
        second = await page_of(browser, link[1])
    assert first.count("<tr>") == 1 + 100
    assert second.count("<tr>") == 1 + 1
    assert "First page" in second


async def test_a_filter_is_built_without_scripts(club: Club) -> None:
    await create_profile(club, gender="female")
    async with browse(club) as browser:
        added = await browser.get(
            "/reports/members_count", params={"f.type": "any", "do": "add:", "group": "by_gender"}
        )
        assert added.status_code == 303
        page = await page_of(browser, added.headers["location"])
        assert 'name="f.0.field"' in page
        assert '<option value="any" selected>' in page
        fields = {
            "f.type": "all",
            "f.0.field": "gender",
            "f.0.op": "equal",
            "f.0.value": "female",
            "group": "by_gender",
        }
        applied = await browser.get("/reports/members_count", params=fields)
        query = parse_qs(urlsplit(applied.headers["location"]).query)
        assert json.loads(query["filter"][0]) == FEMALE
        assert query["group"] == ["by_gender"]
        assert 'value="female"' in await page_of(browser, applied.headers["location"])


async def test_the_builder_is_a_part_of_its_own(club: Club) -> None:
    await create_profile(club, gender="female")
    store = await create_location(club, "North")
    await create_transaction(club, sale("100.00", location_id=store))
    async with browse(club) as browser:
        part = await page_of(browser, "/filters/members", **{"f.type": "all", "do": "group:", "with": "in_segment"})
        assert "<html" not in part
        assert 'name="f.0.0.field"' in part
        values = (await browser.get("/filters/members/values.json", params={"field": "gender"})).json()
        assert values == {"values": [{"value": "female", "name": None, "count": 1}]}
        dates = {"from": "2026-01-01", "to": "2027-01-01"}
        stores = (
            await browser.get("/filters/transactions_stats/values.json", params={"field": "location", **dates})
        ).json()
        assert stores["values"][0] | {"count": 0} == {"value": store, "name": "North", "count": 0}
        assert (await browser.get("/filters/nothing/values.json")).status_code == 422
    for described in (FEMALE, {"type": "between", "field": "birth_year_group", "value": [1, 2]}):
        async with browse(club) as browser:
            assert "f.0.value" in await page_of(browser, "/reports/members_count", filter=json.dumps(described))


async def test_each_kind_of_value_has_its_input(club: Club) -> None:
    conditions = [
        {"type": "in", "field": "age", "value": ["15-19"]},
        {"type": "equal", "field": "age", "value": "15-19"},
        {"type": "equal", "field": "marketing_via_sms", "value": True},
        {"type": "equal", "field": "consents.sms_marketing", "value": False},
        {"type": "in", "field": "gender", "value": ["a", "b"]},
        {"type": "equal", "field": "gender", "value": None},
        {"type": "greater_than", "field": "aggregations.spend_12m", "value": 5},
    ]
    async with browse(club) as browser:
        text = json.dumps({"type": "and", "operations": conditions})
        page = await page_of(browser, "/reports/members_count", filter=text)
    assert 'type="checkbox" name="f.0.value" value="15-19" checked' in page
    assert '<select name="f.1.value"' in page
    assert '<option value="true" selected>' in page
    assert 'name="f.3.key" value="sms_marketing"' in page
    assert re.search(r'<textarea name="f.4.value"[^>]*>a\nb</textarea>', page)
    assert 'name="f.5.value"' not in page
    assert 'name="f.6.value" value="5"' in page


async def test_a_view_is_saved_opened_and_deleted(club: Club) -> None:
    async with browse(club) as browser:
        path = "/reports/transactions_stats?group=channel&period=7d"
        saved = await submit(browser, path, action="save", name="Weekly <b>", is_shared="1")
        assert saved.headers["location"].startswith("/reports/transactions_stats?group=channel&period=7d")
        ranged = "/reports/transactions_stats?from=2026-11-01&to=2026-11-30"
        await submit(browser, ranged, action="save", name="November")
        listed = (await browser.get("/reports")).text
        assert 'href="/reports/transactions_stats?group=channel&amp;period=7d">Weekly &lt;b&gt;</a>' in listed
        assert "from=2026-11-01&amp;to=2026-11-30" in listed
        number = re.search(r'name="view" value="(\d+)"', await page_of(browser, "/reports/transactions_stats"))
        assert number is not None
        await submit(browser, path, action="delete", view=number[1])
        assert (await submit(browser, path, action="unknown")).status_code == 303
        assert "November" not in (await browser.get("/reports")).text
    async with browse(club, ("Reporting:Api:Query",)) as other:
        assert "Your role may query no report" in await page_of(other, "/reports")


async def test_a_view_is_exported_with_progress(club: Club) -> None:
    await create_profile(club, gender="female")
    async with browse(club) as browser:
        started = await submit(browser, "/reports/members_count?group=by_gender", action="export", format="ndjson")
        path = started.headers["location"]
        page = await page_of(browser, path)
        assert "The file is being written." in page
        progress = re.search(r'data-progress="([^"]*)"', page)
        assert progress is not None
        assert (await browser.get(progress[1])).json() == {"status": "queued", "progress": 0.0, "rows": 0}
        # Without a file yet, the download is what the API says.
        assert (await browser.get(f"{path}/file")).status_code in (404, 409, 410, 425)
        deleted = await submit(browser, path)
        assert deleted.headers["location"].startswith("/reports")


async def test_a_person_sees_only_what_the_role_permits(club: Club) -> None:
    async with browse(club, ("Reporting:Api:Query", "Reporting:Api:Report:MembersCount")) as browser:
        page = await page_of(browser, "/reports/members_count")
        assert ">Export<" not in page
        assert (await browser.get("/reports/members")).status_code == 403
        assert "in the segment" not in page


@pytest.mark.parametrize("language", ["nb", "en"])
async def test_a_report_is_in_the_language_of_the_person(club: Club, language: str) -> None:
    await create_profile(club, gender="female")
    async with browse(club, headers={"accept-language": language}) as browser:
        page = await page_of(browser, "/reports/members_count", group="by_gender")
    assert ("Antall medlemmer" in page) == (language == "nb")
    assert ("kvinner" in page) == (language == "nb")


def test_cells_are_written_by_the_type_of_their_field() -> None:
    report = REPORTS_BY_NAME["sendings_stats"]
    rate = next(each for each in report.measures if each.quotient is not None)
    visit: Any = SimpleNamespace(locale=locales()["nb"], clubs=[SimpleNamespace(timezone="Europe/Oslo")])
    subject = Subject(report, report.groupings_by_name["channel"], "NOK", language=ChartLanguage("nb"))
    answer = {"result_type": "statistics", "statistics": [{"label": {"channel": "sms"}, "values": {rate.name: 0.5}}]}
    table = answer_table(visit, subject, {"fields": []}, answer)
    assert [each.replace("\u00a0", " ") for each in table.rows[0]] == ["SMS", "50,0 %"]
    fields = {"discount": "percentage", "at": "time", "tags": "array of strings", "more": "object", "spent": "money"}
    metadata = {"fields": [{"name": name, "type": kind} for name, kind in fields.items()]}
    record = {
        "discount": 12.5,
        "at": "2026-11-01T00:00:00Z",
        "tags": ["a", "b"],
        "more": {"x": 1},
        "spent": 1.5,
        "no": None,
    }
    rows = answer_table(
        visit, replace(subject, grouping=None), metadata, {"result_type": "records", "records": [record]}
    )
    assert [each.replace("\u00a0", " ") for each in rows.rows[0]] == [
        "12,5 %",
        "1. nov. 2026 01:00",
        "a, b",
        '{"x":1}',
        "1,50",
        "–",
    ]
