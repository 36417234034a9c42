"""The pages of segments: build, count, save, change, compare, export, listen, delete."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import escape, unescape
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from api.profile_calls import create_profile
from clubs import Club
from dashboard.visitors import browse, submit
from regulars.auth import permits
from segments.segment_client import MEN, WOMEN, SegmentClient, all_of, in_segment, negated, segment_client
from segments.test_membership import maintain

FORM = {"f.type": "all", "f.0.field": "gender", "f.0.op": "equal", "f.0.value": "female"}
"""The fields of the filter WOMEN."""


async def create_members(club: Club) -> SegmentClient:
    """Two women and a man, and a client of the API."""
    for gender in ("female", "female", "male"):
        await create_profile(club, gender=gender)
    return await segment_client(club)


async def html_of(browser: httpx.AsyncClient, path: str, status: int = 200) -> str:
    """The HTML of a page."""
    answer = await browser.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


def counted(html: str) -> str:
    """The number of members of the filter that is being built."""
    found = re.search(r'class="live-count-number">([^<]*)<', html)
    return found[1] if found else ""


# Building --------------------------------------------------------------------------------------------------------


async def test_a_segment_is_built_counted_and_saved_without_scripts(club: Club) -> None:
    client = await create_members(club)
    async with browse(club) as browser:
        assert "No segments yet" in await html_of(browser, "/segments")
        html = await html_of(browser, "/segments/new")
        assert counted(html) == "3"
        added = await submit(browser, "/segments/new", do="add:", **{"f.type": "all"})
        assert 'name="f.0.field"' in added.text
        preview = await submit(browser, "/segments/new", action="preview", name="women", **FORM)
        assert (preview.status_code, counted(preview.text)) == (200, "2")
        assert 'value="women"' in preview.text
        saved = await submit(browser, "/segments/new", action="save", name="women", description="All <b>", **FORM)
        assert (saved.status_code, saved.headers["location"]) == (303, "/segments/women")
        html = await html_of(browser, "/segments/women")
        assert "The segment is saved." in html
        assert escape("All <b>") in html
        assert "2 members" in html
    assert (await client.get("/women"))["segment"]["filter"] == WOMEN


async def test_a_link_may_have_the_filter(club: Club) -> None:
    await create_members(club)
    tree = all_of(negated(MEN), {"type": "or", "operations": [WOMEN, MEN]})
    async with browse(club) as browser:
        html = await html_of(browser, f"/segments/new?filter={quote(json.dumps(tree))}")
        assert counted(html) == "2"
        link = re.search(r'href="([^"]+)">Link to this filter', html)
        assert link is not None
        assert counted(await html_of(browser, unescape(link[1]))) == "2"
        for text in ("{", "[1]", '{"type": "and"}', "x" * 5_000, '{"type":' * 500):
            html = await html_of(browser, f"/segments/new?filter={quote(text)}")
            assert "The filter of this link can't be read" in html or escape("can't be read") in html
        wrong = {"type": "equal", "field": "aggregations.shop_count", "value": "many"}
        html = await html_of(browser, f"/segments/new?filter={quote(json.dumps(wrong))}")
        assert "integer" in html


async def test_the_number_of_members_is_data_for_the_script(club: Club) -> None:
    await create_members(club)
    async with browse(club) as browser:
        found = (await browser.get("/segments/count.json", params=FORM)).json()
        assert found == {"members_count": 2, "problem": "", "text": "2"}
        everyone = (await browser.get("/segments/count.json", params={"f.type": "all"})).json()
        assert everyone["members_count"] == 3
        wrong = {"f.type": "all", "f.0.field": "aggregations.shop_count", "f.0.op": "equal", "f.0.value": "many"}
        problem = (await browser.get("/segments/count.json", params=wrong)).json()
        assert problem["members_count"] is None
        assert "integer" in problem["problem"]
    async with browse(club, (permits.SEGMENT_READ,)) as browser:
        answer = await browser.get("/segments/count.json", params=FORM)
        assert (answer.status_code, list(answer.json())) == (403, ["error"])


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"name": "Not a name", **FORM}, "Must be lower-case letters"),
        ({"name": "", **FORM}, "Must be lower-case letters"),
        ({"name": "taken", **FORM}, "exists"),
        ({"name": "empty", "f.type": "all"}, "A segment needs a condition."),
        ({"name": "odd", **FORM, "f.0.field": "aggregations.shop_count", "f.0.value": "many"}, "integer"),
    ],
)
async def test_what_is_wrong_is_said_beside_the_field_and_nothing_is_lost(
    club: Club, fields: dict[str, str], text: str
) -> None:
    client = await create_members(club)
    await client.create("taken", MEN)
    async with browse(club) as browser:
        answer = await submit(browser, "/segments/new", action="save", description="A text that stays", **fields)
    assert answer.status_code == 422
    assert re.search(rf'class="field-error" id="\w+-error">[^<]*{text}', answer.text), answer.text
    assert "A text that stays" in answer.text


# One segment -----------------------------------------------------------------------------------------------------


async def test_a_segment_is_shown_in_words_with_its_segments(club: Club) -> None:
    client = await create_members(club)
    await client.create("women", WOMEN)
    await client.create("others", all_of(in_segment("women"), negated(MEN)))
    async with browse(club) as browser:
        html = await html_of(browser, "/segments/others")
        words = re.sub(r"<[^>]+>|\s+", " ", html[html.index('class="words"') : html.index("Change the conditions")])
        for text in ("all of these hold", "in the segment women", "none of these holds", "gender is male"):
            assert text in re.sub(" +", " ", words), words
        listed = await html_of(browser, "/segments")
        for name in ("women", "others"):
            assert re.search(rf'href="/segments/{name}">{name}</a>.*?<td class="n">2</td>', listed, re.S)
        assert "This segment is unknown" in await html_of(browser, "/segments/nothing", 404)


async def test_conditions_name_and_description_are_changed(club: Club) -> None:
    client = await create_members(club)
    await client.create("women", WOMEN)
    await client.create("men", MEN)
    men = {**FORM, "f.0.value": "male"}
    async with browse(club) as browser:
        path = "/segments/women"
        edited = await submit(browser, path, do="group:", **men)
        assert 'name="f.1.type"' in edited.text
        preview = await submit(browser, path, action="preview", **men)
        assert counted(preview.text) == "1"
        assert (await client.get("/women"))["segment"]["filter"] == WOMEN
        empty = await submit(browser, path, action="save", **{"f.type": "all"})
        assert (empty.status_code, "A segment needs a condition." in empty.text) == (422, True)
        wrong = await submit(
            browser, path, action="save", **{**FORM, "f.0.field": "aggregations.shop_count", "f.0.value": "many"}
        )
        assert (wrong.status_code, "integer" in wrong.text) == (422, True)
        assert (await submit(browser, path, action="save", **men)).status_code == 303
        assert (await client.get("/women"))["segment"]["filter"] == MEN
        taken = await submit(browser, path, action="rename", name="men", description="New")
        assert taken.status_code == 422
        assert re.search(r'id="rename-error">[^<]*exists', taken.text)
        renamed = await submit(browser, path, action="rename", name="gentlemen", description="New")
        assert renamed.headers["location"] == "/segments/gentlemen"
        assert (await client.get("/gentlemen"))["segment"]["description"] == "New"
        assert (await submit(browser, "/segments/gentlemen", action="unknown")).status_code == 303


async def test_a_segment_that_others_use_is_not_deleted(club: Club) -> None:
    client = await create_members(club)
    await client.create("women", WOMEN)
    await client.create("same", in_segment("women"))
    async with browse(club) as browser:
        refused = await submit(browser, "/segments/women", action="delete")
        assert refused.status_code == 422
        assert re.search(r'id="delete-error">[^<]*is used by the segments same', refused.text)
        deleted = await submit(browser, "/segments/same", action="delete")
        assert (deleted.status_code, deleted.headers["location"]) == (303, "/segments")
        assert (await submit(browser, "/segments/women", action="delete")).status_code == 303
        assert "No segments yet" in await html_of(browser, "/segments")


async def test_segments_are_compared_by_twos_and_threes(club: Club) -> None:
    client = await create_members(club)
    for name, tree in (("women", WOMEN), ("men", MEN), ("all", negated({**MEN, "value": "other"}))):
        await client.create(name, tree)
    async with browse(club) as browser:

        async def overlap(query: str) -> dict[str, str]:
            html = await html_of(browser, f"/segments/women?{query}")
            table = html[html.index('id="overlap-title"') : html.index('id="export-title"')]
            return dict(re.findall(r'<th scope="row">([^<]+)</th><td class="n">([^<]+)</td>', table))

        assert await overlap("with=men") == {"women + men": "0", "only women": "2", "only men": "1"}
        assert await overlap("with=all&with=men") == {
            "women + all + men": "0",
            "only women + all": "2",
            "only women + men": "0",
            "only all + men": "1",
            "only women": "0",
            "only all": "0",
            "only men": "0",
        }
        assert await overlap("with=nothing&with=") == {}


async def test_the_number_of_members_over_time_is_drawn(club: Club) -> None:
    client = await create_members(club)
    await client.create("women", WOMEN)
    await maintain(club)
    async with browse(club) as browser:
        assert "Known from the first hours" in await html_of(browser, "/segments/women")
        club.clock.at += timedelta(minutes=90)
        html = await html_of(browser, "/segments/women")
        assert '<figure class="chart' in html


async def test_members_are_exported_and_other_systems_listen(club: Club) -> None:
    client = await create_members(club)
    await client.create("women", WOMEN)
    async with browse(club) as browser:
        started = await submit(browser, "/segments/women", action="export", format="xlsx")
        assert started.status_code == 303
        assert re.fullmatch(r"/reports/exports/[\w-]+", started.headers["location"])
        insecure = await submit(browser, "/segments/women", action="webhook", url="ftp://example.com", trigger="x")
        assert insecure.status_code == 422
        assert 'id="webhook-error"' in insecure.text
        body = {"url": "https://example.com/hook", "trigger": "segment.entered"}
        created = await submit(browser, "/segments/women", action="webhook", **body)
        assert "whsec_" in created.text
    (webhook,) = (await club.http.get("/api/v3/webhooks")).json()["data"]
    assert (webhook["trigger"], webhook["url"]) == ("segment.entered", "https://example.com/hook")
    assert webhook["condition"] == {"==": [{"var": "segment.segment"}, "women"]}


async def test_a_reader_sees_what_the_permits_allow(club: Club) -> None:
    client = await create_members(club)
    await client.create("women", WOMEN)
    async with browse(club, (permits.SEGMENT_READ, permits.QUERY, "Reporting:Api:Report:Members")) as browser:
        html = await html_of(browser, "/segments/women")
        for text in ("Change the conditions", "Export its members", "Create the webhook", "2 members", "Delete"):
            assert text not in html, text
        assert (await submit(browser, "/segments/new", action="save", name="x", **FORM)).status_code == 403
    async with browse(club, (permits.PROFILE_READ,)) as browser:
        for path in ("/segments", "/segments/new", "/segments/women"):
            assert "Reporting:Api:Segment:Read" in await html_of(browser, path, 403)


async def test_lists_of_many_segments_have_pages(club: Club) -> None:
    client = await create_members(club)
    for n in range(26):
        await client.create(f"s{n:02}", WOMEN)
    async with browse(club) as browser:
        html = await html_of(browser, "/segments")
        assert ("Page 1 of 2" in html, ">s24<" in html, ">s25<" in html) == (True, True, False)
        for page in ("2", "99"):
            html = await html_of(browser, f"/segments?page={page}")
            assert ("Page 2 of 2" in html, ">s25<" in html) == (True, True)
        assert "Page 1 of 2" in await html_of(browser, "/segments?page=x")


async def test_pages_take_at_most_ten_calls(club: Club, monkeypatch: Any) -> None:
    from regulars.dashboard.api_client import ApiClient

    client = await create_members(club)
    for name, tree in (("women", WOMEN), ("men", MEN), ("others", negated(MEN))):
        await client.create(name, tree)
    await maintain(club)
    club.clock.at += timedelta(days=1)
    calls: list[Any] = []
    request = ApiClient.request

    async def recorded(self: ApiClient, *arguments: Any, **more: Any) -> Any:
        calls.append(arguments)
        return await request(self, *arguments, **more)

    monkeypatch.setattr(ApiClient, "request", recorded)
    async with browse(club) as browser:
        for path in ("/segments", "/segments/new", "/segments/women?with=men&with=others", "/segments/count.json"):
            calls.clear()
            await html_of(browser, path)
            assert len(calls) <= 10, path
