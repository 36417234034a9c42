"""Signing in and out, cookies, the language and one's own password."""

from __future__ import annotations

import re

import httpx
import pytest

from clubs import Club
from dashboard.visitors import PASSWORD, browse, open_session, submit
from regulars.auth import sign_in, tokens, users
from regulars.auth.roles import ADMINISTRATOR
from regulars.auth.tokens import NewToken
from regulars.settings import Settings
from regulars.web.public_address import PublicAddress


def email_of(club: Club) -> str:
    """The address of the first user that `open_session` creates."""
    return f"user0@{club.community.slug}.example"


async def sign_in_as(club: Club, browser: httpx.AsyncClient, **fields: str) -> httpx.Response:
    """Sends the form of the sign-in."""
    return await submit(browser, "/sign-in", **{"email": email_of(club), "password": PASSWORD} | fields)


async def test_a_person_signs_in_sees_the_requested_page_and_signs_out(club: Club) -> None:
    await open_session(club, ADMINISTRATOR)
    async with browse(club, None) as browser:
        first_page = await browser.get("/account?x=1%262")
        assert first_page.headers["location"] == "/sign-in?next=%2Faccount%3Fx%3D1%25262"
        form = await browser.get(first_page.headers["location"])
        assert 'value="/account?x=1%262"' in form.text
        answer = await sign_in_as(club, browser, next="/account?x=1%262")
        assert (answer.status_code, answer.headers["location"]) == (303, "/account?x=1%262")
        assert "Ada Lund" in (await browser.get("/account")).text
        assert (await browser.get("/sign-in")).headers["location"] == "/"
        answer = await submit(browser, "/sign-out", page="/account")
        assert answer.headers["location"] == "/sign-in"
        assert (await browser.get("/account")).status_code == 303


async def test_signing_in_out_and_failing_are_in_the_audit_log(club: Club) -> None:
    await open_session(club, ADMINISTRATOR)
    async with browse(club, None) as browser:
        await sign_in_as(club, browser, password="wrong password")
        await sign_in_as(club, browser)
        await change_password(browser, PASSWORD, "another password", "another password")
        await submit(browser, "/sign-out", page="/account")
    async with club.database.organization_transaction(club.community.organization_id) as connection:
        rows = await connection.fetch("SELECT action, actor_name, operation FROM audit_log ORDER BY id")
    assert [tuple(row) for row in rows][1:] == [
        ("deny", "Ada Lund", "POST /sign-in"),
        ("sign_in", "Ada Lund", "POST /sign-in"),
        ("access", "Ada Lund", "POST /account"),
        ("sign_in", "Ada Lund", "POST /account"),
        ("sign_out", "Ada Lund", "POST /sign-out"),
    ]


async def test_the_cookie_of_a_session_is_not_readable_by_scripts_nor_sent_by_other_sites(club: Club) -> None:
    await open_session(club, ADMINISTRATOR)
    async with browse(club, None) as browser:
        cookie = (await sign_in_as(club, browser)).headers["set-cookie"]
    assert re.fullmatch(r"regulars_session=[\w-]{43}; HttpOnly; Path=/; SameSite=lax", cookie)


async def test_the_cookie_is_secure_behind_tls(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    address = PublicAddress(Settings(public_url="https://regulars.example"))
    monkeypatch.setattr(club.server, "public_address", address)
    await open_session(club, ADMINISTRATOR)
    async with browse(club, None) as browser:
        cookie = (await sign_in_as(club, browser)).headers["set-cookie"]
        assert re.fullmatch(r"__Host-regulars_session=[\w-]{43}; HttpOnly; Path=/; SameSite=lax; Secure", cookie)
        secret = cookie.partition("=")[2].partition(";")[0]
        assert (await browser.get("/account", headers={"Cookie": f"regulars_session={secret}"})).status_code == 303
        own = await browser.get("/account", headers={"Cookie": f"__Host-regulars_session={secret}"})
        assert own.status_code == 200
        assert "strict-transport-security" in own.headers


async def test_wrong_credentials_are_refused_in_the_language_of_the_person(club: Club) -> None:
    await open_session(club, ADMINISTRATOR)
    async with browse(club, None, headers={"Accept-Language": "nb-NO"}) as browser:
        answer = await sign_in_as(club, browser, password="wrong password")
        assert answer.status_code == 401
        assert "E-postadressen eller passordet er feil." in answer.text
        assert 'lang="nb"' in answer.text
        assert f'value="{email_of(club)}"' in answer.text
        assert "wrong password" not in answer.text


async def test_after_too_many_failures_the_form_says_when_to_try_again(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "MAX_FAILURES_PER_EMAIL", 0)
    await open_session(club, ADMINISTRATOR)
    async with browse(club, None) as browser:
        answer = await sign_in_as(club, browser)
    assert answer.status_code == 429
    assert "Too many failed sign-ins" in answer.text


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "/a\nb", "account"],
)
async def test_the_sign_in_leads_to_pages_of_this_server_only(club: Club, target: str) -> None:
    await open_session(club, ADMINISTRATOR)
    async with browse(club, None) as browser:
        answer = await sign_in_as(club, browser, next=target)
    assert answer.headers["location"] == "/"


async def create_token(club: Club, **options: object) -> str:
    """A token of the club's organization for reports."""
    async with club.database.unscoped_connection() as connection:
        new = NewToken(club.community.organization_id, "Till", ["Reporting:*"], **options)  # type: ignore[arg-type]
        return await tokens.create(connection, new, club.clock())


async def test_the_bearer_of_a_token_signs_in_with_its_permits(club: Club) -> None:
    secret = await create_token(club)
    async with browse(club, None) as browser:
        answer = await submit(browser, "/sign-in", page="/sign-in?token=", token=f" {secret} ")
        assert answer.headers["location"] == "/"
        account = await browser.get("/account")
        assert "Till" in account.text
        assert "Reporting:*" in account.text
        assert "Change the password" not in account.text


async def test_an_unknown_token_an_expired_one_and_that_of_a_member_are_refused(club: Club) -> None:
    expired = await create_token(club, expires_at=club.clock())
    profile = (await club.http.post("/api/v3/profiles", json={})).json()["data"]["id"]
    of_member = await create_token(club, community_id=club.community.id, profile_id=profile)
    async with browse(club, None) as browser:
        for token in (expired, of_member, "rg_" + "x" * 43, "x"):
            answer = await submit(browser, "/sign-in", page="/sign-in?token=", token=token)
            assert (answer.status_code, "The token is unknown, revoked or expired." in answer.text) == (401, True)


async def test_a_language_is_remembered(club: Club) -> None:
    async with browse(club) as browser:
        assert "Your account" in (await browser.get("/account")).text
        answer = await browser.get("/language/nb?next=/account")
        assert answer.headers["location"] == "/account"
        assert "Kontoen din" in (await browser.get("/account")).text
        await browser.get("/language/xx")
        assert "Your account" in (await browser.get("/account")).text


async def change_password(browser: httpx.AsyncClient, current: str, new: str, again: str) -> httpx.Response:
    """Sends the form that changes the password."""
    return await submit(browser, "/account", password=current, new_password=new, new_password_again=again)


async def test_a_changed_password_ends_other_sessions_and_keeps_this_one(club: Club) -> None:
    async with browse(club) as browser, browse(club, None) as other:
        await sign_in_as(club, other)
        answer = await change_password(browser, PASSWORD, "another password", "another password")
        assert answer.headers["location"] == "/account"
        assert "Your password is changed." in (await browser.get("/account")).text
        assert "Your password is changed." not in (await browser.get("/account")).text
        assert (await other.get("/account")).status_code == 303
        assert (await sign_in_as(club, other)).status_code == 401
        assert (await sign_in_as(club, other, password="another password")).status_code == 303


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (("wrong", "another password", "another password"), "This is not your password"),
        ((PASSWORD, "short", "short"), "This is too short or too long."),
        ((PASSWORD, "another password", "anoter password"), "This is not the same as the new password."),
    ],
)
async def test_a_password_is_not_changed_by_an_invalid_form(
    club: Club, fields: tuple[str, str, str], message: str
) -> None:
    async with browse(club) as browser:
        answer = await change_password(browser, *fields)
        assert (answer.status_code, message in answer.text) == (422, True)
        assert (await browser.get("/account")).status_code == 200


async def test_a_deactivated_user_is_signed_out_at_once(club: Club) -> None:
    async with browse(club) as browser:
        assert (await browser.get("/account")).status_code == 200
        organization_id = club.community.organization_id
        async with club.database.organization_transaction(organization_id) as connection:
            found = (await users.list_all(connection, organization_id))[0]
            await users.set_active(connection, organization_id, found.id, club.clock(), is_active=False)
        assert (await browser.get("/account")).status_code == 303
