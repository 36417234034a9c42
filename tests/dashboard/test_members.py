"""The pages of members: who is found, what a member's page shows, and to whom."""

from __future__ import annotations

import re
from html import escape
from typing import Any

import pytest

from api.profile_calls import create_profile
from api.test_profile_timeline import member_with_events
from api.transaction_client import create_transaction, sale
from clubs import Club
from dashboard.visitors import browse
from regulars.aggregations.definitions import REGISTRY
from regulars.auth import permits
from regulars.dashboard import translations
from regulars.dashboard.pages.member_values import GROUPS, LABELS

RIGHT_TO_LEFT = "محمد"
SCRIPT = "<script>alert(1)</script>"


async def page(club: Club, path: str, *granted: str, status: int = 200, headers: dict[str, str] | None = None) -> str:
    """The HTML of a page, as a person with these permits, by default all, sees it."""
    async with browse(club, granted or ("*",), headers=headers) as browser:
        answer = await browser.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


def figures(html: str) -> dict[str, str]:
    """The values of a member's page by name."""
    return {
        name: re.sub(r"<[^>]+>|\s+", " ", text).strip()
        for name, text in re.findall(r'id="value-(\w+)".*?<span class="value-text"[^>]*>(.*?)</summary>', html, re.S)
    }


# Finding ---------------------------------------------------------------------------------------------------------


async def test_members_are_found_by_name_and_names_are_escaped(club: Club) -> None:
    for first, last in (
        ("Ola", "Nordmann"),
        (SCRIPT, "Nordmann"),
        (RIGHT_TO_LEFT, "Nordmann"),
        ("x" * 200, "Nordmann"),
    ):
        await create_profile(club, first_name=first, last_name=last)
    html = await page(club, "/members?q=nordmann")
    assert "4 members" in html
    assert escape(SCRIPT) in html
    assert SCRIPT not in html
    assert re.search(rf'dir="auto">{RIGHT_TO_LEFT} Nordmann</a>', html)


async def test_what_leads_to_one_member_opens_it(club: Club) -> None:
    mine = await create_profile(club, mobile_phone="912 34 567", identities=[{"handle": "card", "identifier": "7000"}])
    await create_profile(club, first_name="Per")
    async with browse(club) as browser:
        for text in (mine["id"], str(mine["member_id"]), "+47 91 23 45 67", "7000"):
            answer = await browser.get("/members", params={"q": text})
            assert (answer.status_code, answer.headers["location"]) == (303, f"/members/{mine['id']}")
        assert (await browser.get("/members", params={"q": "per"})).status_code == 200


async def test_nothing_found_and_too_many_found_are_said(club: Club) -> None:
    assert "No member was found" in await page(club, "/members?q=zebra")
    assert 'role="search"' in await page(club, "/members")
    for n in range(51):
        await create_profile(club, first_name="Anne", last_name=f"No {n}")
    html = await page(club, "/members?q=anne")
    assert "The first 50 members" in html
    assert "There are more." in html


async def test_a_text_that_cannot_be_searched_for_is_explained(club: Club) -> None:
    html = await page(club, f"/members?q={'x' * 256}", status=422)
    assert "can't be searched for" in html


async def test_without_the_permit_members_are_found_by_id_and_shown_without_names(club: Club) -> None:
    mine = await create_profile(
        club, first_name="Kari", last_name="Nordmann", email="kari@example.com", mobile_phone="91234567"
    )
    assert "Your role sees no names and addresses." in await page(
        club, "/members?q=kari", permits.PROFILE_AGGREGATIONS, status=403
    )
    html = await page(club, f"/members/{mine['id']}", permits.PROFILE_AGGREGATIONS)
    assert f"Member {mine['member_id']}" in html
    assert "Your role sees no names and addresses." in html
    for text in ("Kari", "Nordmann", "kari@example.com", "91234567", "Segments"):
        assert text not in re.sub(r"<nav.*?</nav>", "", html, flags=re.S), text
    assert "Kari Nordmann" in await page(club, f"/members/{mine['id']}")


async def test_without_any_permit_for_profiles_the_page_names_one(club: Club) -> None:
    for path in ("/members", "/members/00000000-0000-0000-0000-000000000000"):
        assert "Your role lacks the permit Profile:Read." in await page(club, path, permits.QUERY, status=403)
    assert 'href="/members"' not in await page(club, "/", permits.REPORTING)


# One member ------------------------------------------------------------------------------------------------------


async def test_a_members_page_has_its_values_timeline_and_contact(club: Club) -> None:
    mine = await member_with_events(club)
    html = await page(club, f"/members/{mine}")
    shown = figures(html)
    assert shown["shop_count"] == "1"
    assert shown["spend_all"].strip("NOK\xa0 ") == "60.00"
    assert shown["dimension_recency"].endswith("RA")
    assert shown["store_join"] == "Oslo City"
    assert html.count('<li class="event ') == 16
    for text in ("Purchase", "Oslo City", "receipt R-1", "Socks, Boots, Hat", "Offer was used", "shop.example/boots"):
        assert text in html, text


async def test_every_value_has_a_name_and_a_place_on_the_page(club: Club) -> None:
    mine = (await create_profile(club))["id"]
    shown = figures(await page(club, f"/members/{mine}"))
    assert shown.keys() == LABELS.keys()
    assert LABELS.keys() == set(REGISTRY.by_name) - {
        *("profile_id", "total_referred", "top_historic_status", "calculated_at")
    }
    assert set(GROUPS) == {"spend", "purchases", "dimensions", "stores", "brands", "country"}


async def test_a_member_without_purchases_has_no_figures(club: Club) -> None:
    mine = (await create_profile(club, joined_at="2026-01-01"))["id"]
    shown = figures(await page(club, f"/members/{mine}"))
    assert (shown["shop_count"], shown["at_risk_date"], shown["purchased_brands"]) == ("0", "–", "–")
    html = await page(club, f"/members/{mine}?why=spend_12m")
    assert "There is no purchase behind it yet." in html


async def test_a_page_explains_a_value_without_scripts(club: Club) -> None:
    mine = await member_with_events(club)
    html = await page(club, f"/members/{mine}?why=spend_12m_now")
    assert re.search(r'<details class="value" id="value-spend_12m_now" open>', html)
    assert "3 purchases and returns behind it" in html
    assert "How it went in 2 years" in html
    facts = await page(club, f"/members/{mine}?why=dimension_join")
    assert "1 Jan 2026 12:00" in facts
    for name in ("nonsense", "calculated_at", ""):
        assert "How it went in" not in await page(club, f"/members/{mine}?why={name}")


async def test_a_page_is_as_of_the_day_of_the_link(club: Club) -> None:
    mine = await member_with_events(club)
    async with browse(club) as browser:

        async def shown(on: str) -> tuple[str, int]:
            html = (await browser.get(f"/members/{mine}", params={"on": on})).text
            return figures(html)["spend_all"].strip("NOK\xa0 "), html.count('<li class="event ')

        assert await shown("2026-01-02") == ("100.00", 3)
        assert await shown("2026-01-03") == ("60.00", 5)
        for today in ("2026-11-01", "2999-01-01", "nonsense", ""):
            assert await shown(today) == ("60.00", 16)
        html = (await browser.get(f"/members/{mine}", params={"on": "2026-01-02"})).text
        assert "as of the end of 2 January 2026" in html


async def test_a_timeline_is_read_by_kind_and_page_by_page(club: Club) -> None:
    mine = await member_with_events(club)
    for n in range(30):
        await create_transaction(club, sale(1, f"2026-02-{n % 28 + 1:02} 12:00:00", profile_id=mine))
    async with browse(club) as browser:
        html = (await browser.get(f"/members/{mine}?kind=transaction")).text
        assert set(re.findall(r'<li class="event event-(\w+)', html)) == {"transaction"}
        seen, path = 0, f"/members/{mine}"
        while path:
            html = (await browser.get(path)).text
            seen += html.count('<li class="event ')
            following = re.search(r'href="([^"]+)#timeline" rel="next"', html)
            path = following[1].replace("&amp;", "&") if following else ""
        assert seen == 46
        assert (await browser.get(f"/members/{mine}?before=nonsense")).text.count('<li class="event ') == 25
        assert (await browser.get(f"/members/{mine}?kind=nonsense")).text.count('<li class="event ') == 25


async def test_merged_deleted_and_unknown_members_have_their_pages(club: Club) -> None:
    mine, other = (await create_profile(club))["id"], (await create_profile(club))["id"]
    body = {"source_profile_id": mine, "destination_profile_id": other}
    assert (await club.http.post("/api/v3/profiles/merge", json=body)).status_code == 200
    merged = await page(club, f"/members/{mine}", status=410)
    assert "This member was merged" in merged
    assert f'href="/members/{other}"' in merged
    assert (await club.http.delete(f"/api/v3/profiles/{other}")).status_code == 204
    for path in (other, "00000000-0000-0000-0000-000000000000", "17", "x" * 500):
        assert "This member is unknown" in await page(club, f"/members/{path}", status=404)


async def test_a_page_takes_at_most_ten_calls_and_each_view_is_recorded(club: Club, monkeypatch: Any) -> None:
    mine = await member_with_events(club)
    calls: list[Any] = []
    from regulars.dashboard.api_client import ApiClient

    request = ApiClient.request

    async def counted(self: ApiClient, *arguments: Any, **more: Any) -> Any:
        calls.append(arguments)
        return await request(self, *arguments, **more)

    monkeypatch.setattr(ApiClient, "request", counted)
    await page(club, f"/members/{mine}?why=spend_all&on=2026-05-01&kind=offer")
    assert len(calls) <= 10
    async with club.database.organization_transaction(club.community.organization_id) as connection:
        rows = await connection.fetch("SELECT operation, subject_ids FROM audit_log WHERE subject_type = 'profile'")
    recorded = {row["operation"] for row in rows if mine in row["subject_ids"]}
    assert {each.rpartition("/")[2] for each in recorded} >= {"find", "aggregations", "explain", "history", "timeline"}


async def test_pages_are_in_norwegian_too(club: Club) -> None:
    mine = await member_with_events(club)
    html = await page(club, f"/members/{mine}?why=spend_all", headers={"Accept-Language": "nb"})
    for text in ("Tidslinje", "Forbruk gjennom tidene", "Kjøp", "Tilbud ble brukt", "2. jan. 2026"):
        assert text in html, text
    assert translations.choose("", "nb").gettext("Members") in html


@pytest.mark.parametrize("name", ["x" * 200, RIGHT_TO_LEFT * 40, SCRIPT])
async def test_any_name_is_shown_as_it_is(club: Club, name: str) -> None:
    mine = (await create_profile(club, first_name=name))["id"]
    html = await page(club, f"/members/{mine}")
    assert escape(name) in html
    assert SCRIPT not in html
