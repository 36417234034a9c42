"""Pages of administration: tokens, users, roles, limits, access, jobs, webhooks, privacy and the audit log."""

from __future__ import annotations

import re
from collections.abc import Sequence

import httpx
import pytest

from api.profile_calls import PROFILES_URL, create_profile
from clubs import Club
from dashboard.visitors import browse, open_session, submit
from regulars.auth.roles import NewRole
from regulars.dashboard.pages.administration.tabs import PATH, TABS
from regulars.dashboard.registry import PAGES
from regulars.jobs.defer import defer

MARKUP = "<script>alert(1)</script>"


def shows(response: httpx.Response, *texts: str, status: int = 200) -> str:
    """The HTML of a page that has some texts."""
    assert response.status_code == status, response.text[-2000:]
    for text in texts:
        assert text in response.text, text
    assert MARKUP not in response.text
    return response.text


async def after(browser: httpx.AsyncClient, response: httpx.Response, *texts: str) -> str:
    """The page that a form leads to."""
    assert response.status_code == 303, response.text[-2000:]
    browser.cookies.update(response.cookies)
    return shows(await browser.get(response.headers["location"]), *texts)


async def test_every_tab_opens_for_an_administrator_and_only_with_its_permit(club: Club) -> None:
    async with browse(club) as browser:
        for path, title, _ in TABS:
            shows(await browser.get(path), f'aria-current="page">{title}</a>')
    async with browse(club, ["Admin:Audit:Read", "Admin:Community:Read"]) as browser:
        html = shows(await browser.get(PATH))
        assert (
            re.findall(r'<a href="(/administration[^"]*)" ?(?:aria-current="page")?>', html).count(f"{PATH}/users") == 0
        )
        for path, _, permit in TABS:
            is_allowed = permit in ("Admin:Audit:Read", "Admin:Community:Read")
            assert (await browser.get(path)).status_code == (200 if is_allowed else 403), path


async def test_limits_are_changed_by_a_form(club: Club) -> None:
    async with browse(club) as browser:
        response = await submit(browser, PATH, min_cell_size="5", reporting_burst="", general_burst="")
        await after(browser, response, "The limits are changed.", 'value="5"')
        refused = await submit(browser, PATH, min_cell_size="many")
        shows(refused, "This must be a whole number.", 'value="many"', status=422)
        shows(await submit(browser, PATH, min_cell_size="0"), "Allowed: 1 to 1000000", status=422)


async def test_a_token_is_shown_once_even_if_the_form_is_sent_twice(club: Club) -> None:
    fields = {
        "name": f"Till {MARKUP}",
        "permit": "Profile:Read",
        "community": club.community.slug,
        "expires_in_days": "30",
    }
    path = f"{PATH}/tokens/new"
    async with browse(club) as browser:
        html = (await browser.get(path)).text
        form = {
            name: found[1]
            for name in ("form_token", "once")
            if (found := re.search(f'name="{name}" value="([^"]*)"', html))
        }
        first = await browser.post(path, data={**form, **fields})
        secret = re.search(r"<pre[^>]*>(rg_\S+)</pre>", shows(first, "be shown again"))
        assert secret is not None
        second = shows(await browser.post(path, data={**form, **fields}), "This form was sent before", status=409)
        assert secret[1] not in second
        listed = shows(await browser.get(f"{PATH}/tokens"), "Profile:Read")
        assert listed.count("Till") == 1
        link = re.search(r'href="(/administration/tokens/\d+)"[^>]*>Till', listed)
        assert link is not None
        headers = {"Authorization": f"Bearer {secret[1]}"}
        assert (await club.http.get(PROFILES_URL, headers=headers)).status_code == 200
        rotated = await submit(browser, link[1], action="rotate", overlap_hours="1")
        shows(rotated, "rg_")
        await after(browser, await submit(browser, link[1], action="revoke"), "The token is revoked.")
        shows(await browser.get(f"{PATH}/tokens?state=revoked"), "Till")
        shows(await browser.get(f"{PATH}/tokens?state=nothing"))
        refused = await submit(browser, path, name="x", permit="Profile:Read", expires_in_days="soon")
        shows(refused, "is required for permits of the Profile API", status=422)
        await after(browser, await browser.get(f"{PATH}/tokens/0"), "There is no token with this number.")


async def test_users_and_roles_are_managed_by_forms(club: Club) -> None:
    slug = club.community.slug
    async with browse(club) as browser:
        created = await submit(
            browser, f"{PATH}/roles/new", name="Reader", permit="Profile:Read", customers_choice="some", customer=slug
        )
        html = await after(browser, created, "The role is created.", "Reader")
        role = re.search(r"/administration/roles/(\d+)\"[^>]*>Reader", html)
        assert role is not None
        invalid = await submit(browser, f"{PATH}/roles/new", name="Reader", permit="Profile:Read")
        shows(invalid, "is the name of another role", status=422)
        address = f"{PATH}/roles/{role[1]}"
        changed = await submit(browser, address, name="Store", permit="Profile:Read", customers_choice="some",
                               customer=slug, location_ids="7, x")  # fmt: skip
        await after(browser, changed, "The role is changed.")
        shows(await browser.get(address), 'value="7"', f'value="{slug}" checked', 'value="Profile:Read" checked')
        wrong = await submit(browser, address, name="Store", permit="Profile:Read", location_ids="7")
        shows(wrong, "must be exactly one customer", status=422)
        email = f"bea@{slug}.example"
        new = await submit(browser, f"{PATH}/users/new", name="Bea", email=email, role_id=role[1])
        password = re.search(r"<dd><code>([^<]+)</code></dd>", shows(new, "Bea can sign in"))
        assert password is not None
        shows(
            await submit(browser, f"{PATH}/users/new", name="Bea", email=email, role_id=role[1]),
            "another user",
            status=422,
        )
        html = shows(await browser.get(f"{PATH}/users"), email)
        user = re.search(r"(/administration/users/\d+)\"[^>]*>Bea", html)
        assert user is not None
        shows(await submit(browser, address, delete="1"), "is the role of a user", status=422)
        reset = shows(await submit(browser, user[1], action="password"), "Bea has a new password")
        assert password[1] not in reset
        for action, text in (("sessions", "0"), ("deactivate", "inactive"), ("activate", "active")):
            await after(browser, await submit(browser, user[1], action=action), "The user is changed.", text)
        other = await submit(browser, f"{PATH}/roles/new", name="Other", permit="Location:Read")
        other_id = re.search(r"/administration/roles/(\d+)\"[^>]*>Other", await after(browser, other))
        assert other_id is not None
        await after(browser, await submit(browser, user[1], action="role", role_id=other_id[1]), "Other")
        await after(browser, await submit(browser, address, delete="1"), "The role is deleted.")
        await after(browser, await browser.get(address), "The role does not exist.")


async def test_sessions_are_ended(club: Club) -> None:
    await open_session(club, NewRole("Other", []), "Eva Berg")
    async with browse(club) as browser:
        html = shows(await browser.get(f"{PATH}/users"), "Eva Berg")
        path = re.search(
            r'action="(/administration/sessions/\d+)"(?:(?!action=)[^\0])*?End the session of Eva Berg', html
        )
        assert path is not None
        ended = await submit(browser, path[1], page=f"{PATH}/users")
        await after(browser, ended, "The session has ended.")
        again = await submit(browser, path[1], page=f"{PATH}/users")
        await after(browser, again, "There is no session")
        assert (await browser.get(path[1])).status_code == 303
        own = re.search(r"(/administration/users/\d+)\"[^>]*>Ada Lund", html)
        assert own is not None
        shows(await browser.get(own[1]), "This is you.")


async def test_a_denial_is_explained(club: Club) -> None:
    async with browse(club) as browser:
        html = shows(await browser.get(f"{PATH}/access"), "members_count")
        token = re.search(r'value="(token-\d+)"', html)
        assert token is not None
        question = f"{PATH}/access?who={token[1]}&customer={club.community.slug}"
        shows(await browser.get(f"{question}&report=members"), "Denied", "lacks the permit Reporting:Api:Query")
        shows(await browser.get(f"{question}&path=/api/v3/profiles&method=GET"), "Allowed")
        shows(await browser.get(f"{question}&path=/{MARKUP}"), "Denied", "There is no endpoint")
        shows(await browser.get(f"{PATH}/access?who=user-0&report=members"), "There is no user 0", status=404)


async def test_jobs_are_run_again_and_cancelled(club: Club) -> None:
    async with club.database.unscoped_connection() as connection:
        job = await defer(connection, "other", "exports", {"organization_id": club.community.organization_id})
        await connection.execute("UPDATE procrastinate_jobs SET status = 'failed' WHERE id = $1", job)
        await connection.execute("INSERT INTO job_errors (job_id, error) VALUES ($1, $2)", job, f"full {MARKUP}")
    async with browse(club) as browser:
        shows(await browser.get(f"{PATH}/jobs?status=failed"), f"/administration/jobs/{job}", "full &lt;script&gt;")
        shows(await browser.get(f"{PATH}/jobs?status=nonsense"))
        path = f"{PATH}/jobs/{job}"
        await after(browser, await submit(browser, path, action="retry"), "The job is changed.")
        await after(browser, await submit(browser, path, action="cancel"), "The job is changed.")
        shows(await browser.get(path), "cancelled", "full &lt;script&gt;")
        shows(await browser.get(f"{PATH}/jobs/{job + 1000}"), "There is nothing here", status=404)


async def test_failed_deliveries_are_sent_again(club: Club) -> None:
    hook = {"trigger": "*", "url": "https://shop.example/hook"}
    webhook = (await club.http.post("/api/v3/webhooks", json=hook)).json()["data"]["id"]
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute(
            """
            INSERT INTO webhook_deliveries (
                community_id, webhook_id, event_id, event_type, occurred_at, status, attempts, body, created_at, ordering_key
            )
            VALUES ($1, $2, gen_random_uuid(), 'profile.updated', $3, 'failed', 3, '{}', $3, gen_random_uuid())
            """,
            club.community.id,
            webhook,
            club.clock(),
        )
    async with browse(club) as browser:
        html = shows(await browser.get(f"{PATH}/webhooks"), "https://shop.example/hook", "profile.updated")
        delivery = re.search(r'name="delivery" value="(\d+)"', html)
        assert delivery is not None
        sent = await submit(browser, f"{PATH}/webhooks", delivery=delivery[1])
        await after(browser, sent, "The delivery is queued again.")
        shows(await submit(browser, f"{PATH}/webhooks", delivery="x"), "There is no delivery 0", status=404)


async def found_member(browser: httpx.AsyncClient, text: str) -> str:
    """The page of a member that was found."""
    html = shows(await submit(browser, f"{PATH}/privacy", q=text))
    link = re.search(r'href="(/administration/privacy/[0-9a-f-]{36})"', html)
    assert link is not None, html
    return link[1]


@pytest.mark.parametrize("method", ["purge", "depersonalise"])
async def test_a_member_is_erased_after_a_confirmation_with_a_receipt(club: Club, method: str) -> None:
    profile = await create_profile(club, first_name="Anna", last_name=MARKUP, email="anna@shop.example")
    async with browse(club) as browser:
        shows(await submit(browser, f"{PATH}/privacy", q="unknown@shop.example"), "No member was found")
        path = await found_member(browser, "anna@shop.example")
        assert profile["id"] in path
        here = f"{path}?method={method}"
        shows(await browser.get(here), "anna@shop.example", "What will be removed", "Profile")
        refused = await submit(browser, here, confirmation="yes")
        shows(refused, "Nothing was erased", status=422)
        done = await submit(browser, here, confirmation=profile["id"][:8])
        html = await after(browser, done, "Receipt of an erasure", "Ada Lund", profile["id"])
        assert "anna@shop.example" not in html
        again = await submit(browser, here, page=f"{PATH}/privacy", confirmation=profile["id"][:8])
        if method == "purge":
            await after(browser, again, "Receipt of an erasure")
            assert (await browser.get(path)).status_code == 303
        else:
            assert again.status_code == 303
        shows(await browser.get(f"{PATH}/privacy/nothing/receipt"), "There is no receipt")


async def test_the_audit_log_is_filtered_paged_and_exported(club: Club) -> None:
    profile = await create_profile(club)
    async with browse(club) as browser:
        for _ in range(60):
            await browser.get(f"{PATH}/privacy/{profile['id']}")
        html = shows(await browser.get(f"{PATH}/audit?action=read"), "Ada Lund", "Older")
        older = re.search(r'href="(/administration/audit\?[^"]*cursor=[^"]*)"', html)
        assert older is not None
        shows(await browser.get(older[1].replace("&amp;", "&")), "Newest")
        filters = f"subject_id={profile['id']}&from=2026-10-31&to=2026-11-01&actor_type=user"
        html = shows(await browser.get(f"{PATH}/audit?{filters}"))
        export = re.search(r'href="(/administration/audit/export/csv[^"]*)"', html)
        assert export is not None
        file = await browser.get(export[1].replace("&amp;", "&"))
        assert file.headers["content-type"].startswith("text/csv")
        assert profile["id"] in file.text
        assert (await browser.get(f"{PATH}/audit/export/ndjson")).headers["content-type"] == "application/x-ndjson"
        shows(await browser.get(f"{PATH}/audit?from=x&to=9999-12-31&subject_type=nothing"), "No entry matches")
        shows(await browser.get(f"{PATH}/audit?action=dance"), "Allowed: read", status=422)


async def test_a_limited_administrator_grants_within_the_own_customers(club: Club) -> None:
    granted = ["Admin:*", "Profile:Read"]
    async with browse(club, granted, customers=[club.community.slug]) as browser:
        html = shows(await browser.get(f"{PATH}/roles/new"), 'value="Profile:Read"', "Admin:User:Write")
        assert 'value="all"' not in html
        assert 'value="Profile:*"' not in html
        refused = await submit(browser, f"{PATH}/roles/new", name="x", permit="Profile:*", customers_choice="all")
        shows(refused, "You do not have the permit Profile:* yourself", status=403)
        shows(await browser.get(f"{PATH}/users/new"), "Role")
        assert (await browser.get(f"{PATH}/jobs")).status_code == 403


async def test_a_form_without_the_token_of_the_session_changes_nothing(club: Club) -> None:
    posted: Sequence[str] = [each.path for each in PAGES if each.handles_forms and each.path.startswith(PATH)]
    async with browse(club) as browser:
        for path in posted:
            response = await browser.post(re.sub(r"{\w+}", "1", path), data={"form_token": "forged", "name": "x"})
            assert response.status_code == 403, path
            assert "no longer valid" in response.text
    async with browse(club, None) as browser:
        for path in posted:
            response = await browser.post(re.sub(r"{\w+}", "1", path), data={"name": "x"})
            assert (response.status_code, response.headers["location"].startswith("/sign-in")) == (303, True), path


async def test_every_page_is_in_norwegian(club: Club) -> None:
    async with browse(club, headers={"Accept-Language": "nb"}) as browser:
        shows(await browser.get(f"{PATH}/users"), "Brukere")
        shows(await browser.get("/data-health"), "Datakvalitet")
