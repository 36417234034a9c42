"""The overview: every figure equals the response of the API, and what a person may not see is left out."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest

from api.profile_calls import create_profile
from api.test_store_limits import client_of, create_location
from api.transaction_client import create_transaction, sale
from clubs import Club
from dashboard.visitors import browse
from regulars.auth import organizations
from regulars.dashboard.api_client import ApiCallError, ApiClient
from regulars.dashboard.pages import overview
from regulars.dashboard.periods import Period
from regulars.dashboard.registry import PAGES
from regulars.model import community as communities
from regulars.model.community import NewCommunity

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def figures(page: str) -> dict[str, tuple[str, list[str]]]:
    """The figures of a page with their changes, by label."""
    found = re.findall(r'<div class="figure">(.*?)</div>', page, re.DOTALL)
    return {
        _text(re.search(r'figure-label">(.*?)</p>', each, re.DOTALL)): (
            _text(re.search(r'figure-value">(.*?)</p>', each, re.DOTALL)),
            [_text(re.match(r"(.*?)</p>", part, re.DOTALL)) for part in each.split('figure-change">')[1:]],
        )
        for each in found
    }


def _text(match: re.Match[str] | None) -> str:
    assert match is not None
    return " ".join(re.sub(r"<[^>]*>", " ", html.unescape(match[1])).split())


async def fill(club: Club) -> None:
    """Members and sales of this period, of the one before and of a year ago."""
    for at, count in (("2025-11-10", 1), ("2026-10-10", 2), ("2026-11-10", 4)):
        club.clock.at = datetime.fromisoformat(f"{at}T10:00:00+00:00")
        for number in range(count):
            member = await create_profile(club, external_id=f"{at}-{number}")
            await create_transaction(club, sale(f"{100 + number}.00", f"{at} 10:00:00", profile_id=member["id"]))
    club.clock.at = NOW


async def test_every_figure_is_that_of_the_api(club: Club) -> None:
    await fill(club)
    async with browse(club) as browser:
        shown = figures((await browser.get("/")).text)
    client = await client_of(club)
    sales = await stats(client, "2026-10-22", "2026-11-21")
    assert (sales["transactions"], sales["members"]) == (4, 4)
    count = await client.query({"report": "members_count"})
    assert shown["Members"][0] == str(count["records"][0]["members_count"]) == "7"
    assert shown["Joined"][0] == "4"
    assert shown["Left"][0] == "0"
    assert shown["Active buyers"][0] == str(sales["members"])
    assert shown["Sales"] == ("4", ["▲ up 100.0 % previous period", "▲ up 300.0 % a year ago"])
    assert shown["Net amount, NOK"][0] == str(round(sales["net_amount"]))
    assert shown["Average value, NOK"][0] in ("101", "102")


async def stats(client: ApiClient, start: str, end: str) -> dict[str, Any]:
    """The sales of a range."""
    answer = await client.query({"report": "transactions_stats", "from": start, "to": end})
    found: dict[str, Any] = answer["statistics"][0]["values"]
    return found


async def test_the_page_makes_ten_calls_and_leads_to_segments_and_reports(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(club)
    calls: list[str] = []
    request = ApiClient.request

    async def count(client: ApiClient, method: str, path: str, *rest: Any, **more: Any) -> Any:
        calls.append(path)
        return await request(client, method, path, *rest, **more)

    monkeypatch.setattr(ApiClient, "request", count)
    async with browse(club) as browser:
        page = html.unescape((await browser.get("/?period=7d")).text)
    assert len(calls) == 10
    assert "/segments/new?filter=%7B%22type%22%3A%22and%22" in page
    assert 'href="/reports/member_balance"' in page
    assert page.count('<figure class="chart">') == 2


async def test_what_the_role_may_not_query_is_left_out(club: Club) -> None:
    async with browse(club, ("Reporting:Api:Query", "Reporting:Api:Report:MembersCountHistory")) as browser:
        page = (await browser.get("/")).text
    assert set(figures(page)) <= {"Members"}
    assert "Reach by channel" not in page


async def test_an_empty_club_has_no_misleading_changes(club: Club) -> None:
    async with browse(club) as browser:
        page = await browser.get("/?period=forever")
    assert page.status_code == 200
    assert "▲" not in page.text
    assert "There is no data for" in page.text


async def test_clubs_of_several_currencies_have_members_and_no_amounts(club: Club) -> None:
    await fill(club)
    slug = club.community.slug
    new = NewCommunity(f"{slug}-se", "Sverige", "SE", "Europe/Stockholm", "SEK", organization=slug)
    async with club.database.unscoped_connection() as connection:
        await communities.create(connection, new, club.clock())
    async with browse(club) as browser:
        page = (await browser.get("/?club=all")).text
        assert "These clubs have different currencies" in html.unescape(page)
        assert figures(page)["Members"][0] == "7"
        assert "Net amount, " not in page
        report = html.unescape((await browser.get("/reports/members_count?club=all&group=by_community_id")).text)
        assert '"X-Customer": "id=' in report


async def test_an_api_that_fails_is_an_error_of_the_page(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(client: ApiClient, body: object, **more: object) -> object:
        raise ApiCallError(503, {})

    monkeypatch.setattr(ApiClient, "query", fail)
    async with browse(club) as browser:
        for path in ("/", "/sales", "/reports/members_count"):
            assert (await browser.get(path)).status_code == 503


async def test_the_page_does_not_wait_for_members_that_are_copied_into_memory(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(club)
    async with browse(club) as browser:
        with monkeypatch.context() as patched:
            patched.setattr(overview, "GRID_WAIT_SECONDS", 0.0)
            pending = (await browser.get("/?period=7d")).text
        complete = (await browser.get("/?period=7d")).text
    notice = "The members are being copied into memory"
    assert notice in pending
    assert 'href="/?period=7d"' in pending[pending.index(notice) :]
    assert 'class="heat"' not in pending
    assert figures(pending) == figures(complete)
    assert 'class="heat"' in complete
    assert notice not in complete


@pytest.mark.parametrize(("status", "page_status"), [(503, 200), (500, 500)])
async def test_only_a_grid_that_is_not_there_yet_is_left_out(
    club: Club, monkeypatch: pytest.MonkeyPatch, status: int, page_status: int
) -> None:
    query = ApiClient.query

    async def fail(client: ApiClient, body: dict[str, object], **more: Any) -> Any:
        if body["report"] == "member_aggregations":
            raise ApiCallError(status, {})
        return await query(client, body, **more)

    monkeypatch.setattr(ApiClient, "query", fail)
    async with browse(club) as browser:
        assert (await browser.get("/")).status_code == page_status


async def test_members_that_a_channel_reaches_are_counted(club: Club) -> None:
    consents = {"email_marketing": True}
    await create_profile(club, email="a@b.example", email_status="verified", consents=consents)
    async with browse(club) as browser:
        page = (await browser.get("/")).text
    assert re.search(r"E-mail</th><td class=.n.>[01]</td>", page)


async def test_suppressed_counts_are_not_shown_as_zero(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "GRID_WAIT_SECONDS", 60.0)
    await fill(club)
    await create_profile(club, email="a@b.example", email_status="verified", consents={"email_marketing": True})
    async with club.database.unscoped_connection() as connection:
        await organizations.update(connection, club.community.slug, {"min_cell_size": 5})
    hidden = '<span class="muted" title="too few members to be shown">–</span>'
    async with browse(club) as browser:
        page = (await browser.get("/")).text
        assert f'E-mail</th><td class="n">{hidden}</td><td class="n">–</td>' in page
        assert 'Push messages</th><td class="n">0</td>' in page
        grid = page[page.index('class="heat"') :]
        assert f'<td class="level-0">{hidden}</td>' in grid
        assert figures(page)["Members"][0] == "8"
        assert figures(page)["Joined"] == ("–", [])
        week = re.search(r"Joined</th><td class=.n.>(.*?)</td>", page)
        assert week is not None
        assert week[1] == "–"
        async with club.database.unscoped_connection() as connection:
            await organizations.update(connection, club.community.slug, {"min_cell_size": 100})
        assert figures((await browser.get("/")).text)["Members"] == ("–", [])


async def test_the_manager_of_a_store_is_led_to_it(club: Club) -> None:
    first, second = await create_location(club, "North"), await create_location(club, "South")
    for ids, path in (([first], f"/sales/stores/{first}"), ([first, second], "/sales")):
        async with browse(club, customers=[club.community.slug], location_ids=ids) as browser:
            assert (await browser.get("/")).headers["location"] == path


ANSWER: dict[str, Any] = {
    "time_buckets": ["2026-11-18T00:00:00.000", "2026-11-20T00:00:00.000"],
    "series": [
        {"label": {"type": "in"}, "timezone": "UTC", "values": [1, 2]},
        {"label": {"type": "in"}, "timezone": "Europe/Oslo", "values": [None, 4]},
        {"label": {"type": "out"}, "values": [8, None]},
    ],
}


def test_values_of_series_are_added_up_within_a_period() -> None:
    def period(start: str, end: str) -> Period:
        return Period(datetime.fromisoformat(start).date(), datetime.fromisoformat(end).date())

    assert overview.sum_between(ANSWER, period("2026-11-18", "2026-11-20"), type="in") == 1
    assert overview.sum_between(ANSWER, period("2026-11-18", "2026-11-21"), type="in") == 7
    assert overview.sum_between(None, period("2026-11-18", "2026-11-21")) is None
    days: Sequence[tuple[str, int | None]] = (("2026-11-17", None), ("2026-11-19", 9), ("2026-11-25", 14))
    for day, value in days:
        assert overview.value_at(ANSWER, datetime.fromisoformat(day).date()) == value
    assert overview.value_at(None, datetime.fromisoformat("2026-11-17").date()) is None
    assert [each.path for each in PAGES if each.is_entry][:1] == ["/"]


def test_days_without_a_value_may_be_suppressed_in_a_series_that_has_such() -> None:
    masked = {**ANSWER, "series": [{**ANSWER["series"][0], "masked": True}]}
    day, end = date(2026, 11, 20), date(2026, 11, 21)
    assert overview.sum_between(masked, Period(day, end), type="in") == 2
    assert overview.sum_between(masked, Period(date(2026, 11, 18), end), type="in") is None
    assert overview.value_at(masked, day) == 2
    assert overview.value_at(masked, date(2026, 11, 19)) is None
