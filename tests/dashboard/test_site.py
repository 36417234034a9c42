"""What all pages have in common: who may see them, forms, errors, headers, files and the selected clubs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from clubs import Club
from dashboard.visitors import browse, open_session
from regulars.api.app import create_app
from regulars.auth import permits, roles
from regulars.dashboard import api_client
from regulars.dashboard.page import Answer, Download, Json, Page, Redirect, View
from regulars.dashboard.registry import PAGES
from regulars.dashboard.site import CONTENT_SECURITY_POLICY, Site
from regulars.dashboard.static_files import static_url
from regulars.dashboard.visit import Visit
from regulars.model import community as communities
from regulars.model.community import NewCommunity
from regulars.settings import Settings
from regulars.web.public_address import PublicAddress


@asynccontextmanager
async def browse_page(club: Club, handler: Any, path: str = "/toy", **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A browser of an administrator, with one more page."""
    pages = (*PAGES, Page(path, "Toy", handler, **options))
    app = create_app(club.server, run_jobs=False, site=lambda context, api: Site(context, api, pages))
    secret = await open_session(club, roles.ADMINISTRATOR)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", cookies={"regulars_session": secret}
    ) as browser:
        yield browser


async def failing(club: Club, status: int, headers: dict[str, str] | None = None) -> httpx.Response:
    """A page whose call of the API gets this status."""

    async def handler(visit: Visit) -> Answer:
        raise api_client.ApiCallError(status, {"error": "It is <b>late</b>.", "details": {"from": ["x"]}}, 7)

    async with browse_page(club, handler) as browser:
        return await browser.get("/toy", headers=headers or {})


# Access ----------------------------------------------------------------------------------------------------------


async def test_every_page_but_the_public_ones_needs_a_session(club: Club) -> None:
    async with browse(club, None) as browser:
        for page in [each for each in PAGES if not each.is_public]:
            answer = await browser.get(page.path.replace("{", "").replace("}", ""))
            is_denied = answer.headers.get("location", "").startswith("/sign-in")
            assert is_denied or answer.status_code == 401, page.path


async def test_a_page_that_needs_a_permit_names_it(club: Club) -> None:
    async def handler(visit: Visit) -> Answer:
        return View("account.html", {"errors": {}, "min_length": 12})

    async with browse_page(club, handler, permit="Toy:Read") as browser:
        assert (await browser.get("/toy")).status_code == 200
    pages = (*PAGES, Page("/toy", "Toy", handler, permit="Toy:Read"))
    app = create_app(club.server, run_jobs=False, site=lambda context, api: Site(context, api, pages))
    secret = await open_session(club, roles.ANALYST)
    transport = httpx.ASGITransport(app=app)
    cookies = {"regulars_session": secret}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", cookies=cookies) as browser:
        answer = await browser.get("/toy")
    assert answer.status_code == 403
    assert "Your role lacks the permit Toy:Read." in answer.text


async def test_a_person_without_clubs_sees_why_there_is_nothing(club: Club) -> None:
    async def handler(visit: Visit) -> Answer:
        raise AssertionError("the handler needs a club")

    pages = (*PAGES, Page("/toy", "Toy", handler))
    app = create_app(club.server, run_jobs=False, site=lambda context, api: Site(context, api, pages))
    secret = await open_session(club, roles.NewRole("None", ["*"], []))
    transport = httpx.ASGITransport(app=app)
    cookies = {"regulars_session": secret}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", cookies=cookies) as browser:
        answer = await browser.get("/toy")
    assert (answer.status_code, "You have access to no club" in answer.text) == (403, True)


# Headers and files -----------------------------------------------------------------------------------------------


async def test_pages_forbid_scripts_and_styles_from_elsewhere_and_caches(club: Club) -> None:
    async with browse(club) as browser:
        for path in ("/account", "/nothing/here", "/account/nothing"):
            headers = (await browser.get(path)).headers
            if path == "/nothing/here":
                continue
            assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
            assert headers["cache-control"] == "no-store"
            assert headers["x-frame-options"] == "DENY"
    assert "unsafe" not in CONTENT_SECURITY_POLICY


async def test_files_are_compressed_and_stored_by_browsers_for_ever(club: Club) -> None:
    url = static_url("dashboard.css")
    async with browse(club, None) as browser:
        answer = await browser.get(url)
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["content-type"] == "text/css; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        plain = await browser.get(url, headers={"Accept-Encoding": "identity"})
        assert plain.content == answer.content
        unchanged = await browser.get(url, headers={"If-None-Match": answer.headers["etag"]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert (await browser.get("/static/older/dashboard.css")).headers["cache-control"] == "no-cache"
        for path in ("/static/x/..%2Fsite.py", "/static/x/site.py", "/static/", "/static"):
            assert (await browser.get(path)).status_code == 404


def test_our_scripts_and_styles_are_small() -> None:
    from regulars.dashboard.static_files import _files

    own = [
        each for each in _files().values() if each.name.endswith((".js", ".css")) and not each.name.startswith("vega")
    ]
    assert sum(len(each.compressed or b"") for each in own) < 100_000


async def test_pages_work_below_the_path_of_a_proxy(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(club.server, "public_address", PublicAddress(Settings(public_url="http://test/shop")))

    async def handler(visit: Visit) -> Answer:
        return View(
            "error.html",
            {
                "status": 422,
                "message": ' href="/x" ',
                "details": {},
                "permit": "",
                "has_no_club": False,
                "is_cross_site": False,
            },
        )

    async with browse_page(club, handler) as browser:
        html = (await browser.get("/toy")).text
        assert 'href="/shop/static/' in html
        assert 'action="/shop/sign-out"' in html
        assert 'href="/shop/toy"' in html
        assert "href=&#34;/x&#34;" in html
        assert html.count('="/') == html.count('="/shop/')
        assert (await browser.get("/sign-in")).headers["location"] == "/shop/"
        browser.cookies.clear()
        assert (await browser.get("/account")).headers["location"] == "/shop/sign-in?next=%2Faccount"


# Forms ------------------------------------------------------------------------------------------------------------


async def test_a_form_without_the_token_of_the_session_changes_nothing(club: Club) -> None:
    async with browse(club) as browser:
        for fields in ({}, {"form_token": ""}, {"form_token": "0" * 64}):
            answer = await browser.post("/sign-out", data=fields)
            assert (answer.status_code, "no longer valid" in answer.text) == (403, True)
        assert (await browser.get("/account")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "https://test"},
        {"Origin": "null"},
    ],
)
async def test_a_form_of_another_site_changes_nothing(club: Club, headers: dict[str, str]) -> None:
    async with browse(club, None) as browser:
        answer = await browser.post("/sign-in", data={"email": "a@b"}, headers=headers)
        assert answer.status_code == 403
        same = await browser.post("/sign-in", data={"email": "a@b"}, headers={"Origin": "http://test"})
        assert same.status_code == 401


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"a=b" * 400_000, "application/x-www-form-urlencoded", 413),
        (b"%ff=1", "application/x-www-form-urlencoded", 400),
        (b"\xff=1", "application/x-www-form-urlencoded", 400),
        (b"&".join([b"a=1"] * 2_001), "application/x-www-form-urlencoded", 400),
        (b"email=%00", "application/x-www-form-urlencoded", 422),
        (b"{}", "application/json", 415),
        (b"--x--", "multipart/form-data; boundary=x", 415),
    ],
)
async def test_a_body_that_is_no_form_is_refused_with_a_page(
    club: Club, content: bytes, media_type: str, status: int
) -> None:
    async with browse(club, None) as browser:
        answer = await browser.post("/sign-in", content=content, headers={"Content-Type": media_type})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_form_sent_twice_repeats_its_calls_with_the_same_key(club: Club) -> None:
    body = {"total": 10, "transacted_at": "2026-10-01", "timezone": "UTC", "items": []}

    async def handler(visit: Visit) -> Answer:
        if visit.is_post:
            await visit.api.post("/api/v3/profiles", {"first_name": "Twice"})
            return Redirect("/toy", "Saved ✓")
        listed = await visit.api.get("/api/v3/profiles")
        return View("account.html", {"errors": {}, "min_length": listed["meta"]["total"], "body": body})

    async with browse_page(club, handler, handles_forms=True) as browser:
        html = (await browser.get("/toy")).text
        form = {name: html.partition(f'name="{name}" value="')[2].partition('"')[0] for name in ("form_token", "once")}
        for _ in range(2):
            assert (await browser.post("/toy", data=form)).status_code == 303
        page = await browser.get("/toy")
        assert "Saved ✓" in page.text
        assert "At least 1 characters." in page.text


async def test_a_page_without_forms_takes_none(club: Club) -> None:
    async with browse(club) as browser:
        assert (await browser.post("/")).status_code == 405
        assert (await browser.put("/account")).status_code == 405


# Answers ----------------------------------------------------------------------------------------------------------


async def test_a_handler_answers_with_data_and_with_files_of_the_api(club: Club) -> None:
    async def handler(visit: Visit) -> Answer:
        if visit.path["kind"] == "file":
            return Download("/api/v3/profiles", {"page[size]": "1"})
        return Json({"club": visit.one_club.slug}, 201)

    async with browse_page(club, handler, path="/toy/{kind}") as browser:
        data = await browser.get("/toy/data")
        assert (data.status_code, data.json()) == (201, {"club": club.community.slug})
        assert (await browser.get("/toy/file")).json()["data"] == []


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (403, "You may not see this"),
        (404, "There is nothing here"),
        (422, "That did not work"),
        (429, "Too many requests at the moment"),
        (500, "Something went wrong"),
        (503, "The server is not available at the moment"),
        (0, "There was no answer in time"),
    ],
)
async def test_an_error_of_the_api_is_a_page_that_explains_it(club: Club, status: int, text: str) -> None:
    answer = await failing(club, status)
    assert (answer.status_code, text in answer.text) == (status or 504, True)
    assert answer.headers["retry-after"] == "7"
    assert "<b>late" not in answer.text
    assert ("It is &lt;b&gt;late&lt;/b&gt;." in answer.text) == (status in (403, 422))


async def test_a_failing_page_is_logged_and_says_so(club: Club) -> None:
    async def handler(visit: Visit) -> Answer:
        raise ConnectionRefusedError if visit.query.get("down") else ZeroDivisionError

    async with browse_page(club, handler) as browser:
        broken, down = await browser.get("/toy"), await browser.get("/toy?down=1")
    assert (broken.status_code, "The error has been logged." in broken.text) == (500, True)
    assert (down.status_code, "Nothing was lost." in down.text) == (503, True)


async def test_data_for_scripts_has_errors_as_data(club: Club) -> None:
    async def handler(visit: Visit) -> Answer:
        raise api_client.ApiCallError(422, {"error": "Invalid parameters"})

    async with browse_page(club, handler, path="/toy.json") as browser:
        answer = await browser.get("/toy.json")
        assert (answer.status_code, answer.json()) == (422, {"error": "Invalid parameters"})
        browser.cookies.clear()
        signed_out = await browser.get("/toy.json")
        assert (signed_out.status_code, signed_out.json()["error"]) == (401, "The session has ended. Sign in again.")


# Clubs ------------------------------------------------------------------------------------------------------------


async def test_the_selected_clubs_are_those_of_the_link_that_the_person_has_access_to(
    club: Club, other_club: Club
) -> None:
    async def handler(visit: Visit) -> Answer:
        return Json(
            {
                "clubs": [each.slug for each in visit.clubs],
                "club": visit.club and visit.club.slug,
                "parameter": visit.club_parameter,
                "url": visit.url("/toy", a="b c", none=None),
                "here": visit.here(page=2, club=None),
            }
        )

    own = club.community.slug
    async with club.database.unscoped_connection() as connection:
        organization = await connection.fetchval(
            "SELECT name FROM organizations WHERE id = $1", club.community.organization_id
        )
        new = NewCommunity(
            slug=f"{own}-b", name="Annex", country="NO", timezone="UTC", currency="NOK", organization=organization
        )
        await communities.create(connection, new, club.clock())
    async with browse_page(club, handler, needs_one_club=False) as browser:
        both = (await browser.get("/toy?page=1&x=%C3%A6")).json()
        assert (both["clubs"], both["club"], both["parameter"]) == ([f"{own}-b", own], None, "all")
        assert (both["url"], both["here"]) == ("/toy?club=all&a=b+c", "/toy?x=%C3%A6&page=2")
        for text in (f"{own},{other_club.community.slug}", own):
            one = (await browser.get(f"/toy?club={quote(text)}")).json()
            assert (one["clubs"], one["club"], one["url"]) == ([own], own, f"/toy?club={own}&a=b+c")
        assert (await browser.get(f"/toy?club={other_club.community.slug}")).json()["clubs"] == [f"{own}-b", own]
    async with browse_page(club, handler) as browser:
        assert (await browser.get("/toy?club=all")).json()["clubs"] == [f"{own}-b"]


# The APIs ---------------------------------------------------------------------------------------------------------


async def test_a_call_is_recorded_as_a_program_would_make_it(club: Club) -> None:
    async def handler(visit: Visit) -> Answer:
        await visit.api.query({"report": "members_count"})
        await visit.api.get("/api/v3/profiles", **{"page[size]": 1, "sort": None})
        return Json([[each.method, each.path, dict(each.headers), each.body, each.status] for each in visit.api.calls])

    async with browse_page(club, handler) as browser:
        assert (await browser.get("/toy")).json() == [
            [
                "POST",
                "/v1/reporting/query",
                {"x-loyalty-club-slug": club.community.slug},
                {"report": "members_count"},
                200,
            ],
            ["GET", "/api/v3/profiles?page%5Bsize%5D=1", {}, None, 200],
        ]


async def test_a_person_has_in_the_apis_the_permits_of_the_role(club: Club) -> None:
    async def handler(visit: Visit) -> Answer:
        statuses = []
        for method, path in (("GET", "/api/v3/profiles"), ("GET", "/api/v3/locations")):
            try:
                await visit.api.request(method, path)
                statuses.append(200)
            except api_client.ApiCallError as error:
                statuses.append(error.status)
        return Json(statuses)

    pages = (*PAGES, Page("/toy.json", "Toy", handler))
    app = create_app(club.server, run_jobs=False, site=lambda context, api: Site(context, api, pages))
    secret = await open_session(club, roles.NewRole("Stores", [permits.LOCATION_READ]))
    cookies = {"regulars_session": secret}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", cookies=cookies) as browser:
        assert (await browser.get("/toy.json")).json() == [403, 200]


async def test_an_api_that_does_not_answer_is_given_up(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(api_client, "TIMEOUT_SECONDS", 0.01)
    with pytest.raises(api_client.ApiCallError) as failed:
        await api_client.ApiClient(silent, None, ()).get("/api/health")
    assert (failed.value.status, failed.value.message) == (0, "")
