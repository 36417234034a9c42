"""Signing in by an OpenID Connect provider."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from joserfc.jwk import RSAKey

from clubs import Club
from dashboard.identity_provider_server import CLIENT_ID, CLIENT_SECRET, Provider, run_provider
from dashboard.visitors import browse, open_session
from regulars.auth import identity_provider, users
from regulars.auth.identity_provider import IdentityProvider
from regulars.auth.roles import ADMINISTRATOR
from regulars.settings import SettingError, Settings


@pytest.fixture
def provider(club: Club) -> Iterator[Provider]:
    """A provider that the server of the club is configured for."""
    with run_provider() as running:
        club.server.identity_provider = IdentityProvider(
            Settings(
                oidc_issuer=running.address,
                oidc_client_id=CLIENT_ID,
                oidc_client_secret=CLIENT_SECRET,
                oidc_name="Bedrift",
            )
        )
        now = int(time.time())
        running.claims = {"email": email_of(club).upper(), "iat": now, "exp": now + 60}
        yield running


def email_of(club: Club) -> str:
    """The address of the first user."""
    return f"user0@{club.community.slug}.example"


async def enter(browser: httpx.AsyncClient, provider: Provider, **changes: Any) -> httpx.Response:
    """Follows the link to the provider and back; `changes` are made to what comes back."""
    begun = await browser.get("/sign-in/provider?next=/account")
    assert begun.status_code == 303
    assert begun.headers["location"].startswith(f"{provider.address}/authorize?")
    back = provider.authorize(begun.headers["location"])
    assert back.pop("redirect_uri") == "http://test/sign-in/callback"
    return await browser.get("/sign-in/callback", params=back | changes)


async def test_a_person_signs_in_by_the_provider(club: Club, provider: Provider) -> None:
    await open_session(club, ADMINISTRATOR)
    async with browse(club, None) as browser:
        assert "Sign in with Bedrift" in (await browser.get("/sign-in")).text
        answer = await enter(browser, provider)
        assert (answer.status_code, answer.headers["location"]) == (303, "/account"), answer.text
        assert "Ada Lund" in (await browser.get("/account")).text
        assert "regulars_sign_in" not in browser.cookies


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"email_verified": None}, "has not verified your e-mail address"),
        ({"email_verified": "true"}, "has not verified your e-mail address"),
        ({"email": None}, "has sent no e-mail address"),
        ({"email": "another@shop.example"}, "There is no active user"),
        ({"aud": "another client"}, "aud"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"nonce": "another"}, "nonce"),
        ({"exp": 1}, "expired"),
        ({"azp": "another client"}, "azp"),
    ],
)
async def test_an_answer_that_is_not_for_this_person_and_server_is_refused(
    club: Club, provider: Provider, claims: dict[str, Any], reason: str
) -> None:
    await open_session(club, ADMINISTRATOR)
    provider.claims |= claims
    async with browse(club, None) as browser:
        answer = await enter(browser, provider)
        assert (answer.status_code, reason in answer.text) == (401, True), answer.text
        assert (await browser.get("/account")).status_code == 303


async def test_a_signature_of_another_key_is_refused_and_a_new_key_is_read_again(
    club: Club, provider: Provider
) -> None:
    await open_session(club, ADMINISTRATOR)
    provider.key = RSAKey.generate_key(2048)
    async with browse(club, None) as browser:
        assert "The answer of Bedrift is invalid" in (await enter(browser, provider)).text
        provider.published_key = provider.key
        assert (await enter(browser, provider)).status_code == 303


@pytest.mark.parametrize("changes", [{"state": "another"}, {"state": ""}, {"code": ""}, {"code": "another"}])
async def test_an_answer_to_another_attempt_is_refused(club: Club, provider: Provider, changes: dict[str, str]) -> None:
    await open_session(club, ADMINISTRATOR)
    async with browse(club, None) as browser:
        assert (await enter(browser, provider, **changes)).status_code == 401
        browser.cookies.set("regulars_sign_in", "not an attempt", domain="test", path="/sign-in")
        assert (await browser.get("/sign-in/callback?state=x&code=y")).status_code == 401


async def test_a_deactivated_user_does_not_sign_in_by_the_provider(club: Club, provider: Provider) -> None:
    await open_session(club, ADMINISTRATOR)
    organization_id = club.community.organization_id
    async with club.database.organization_transaction(organization_id) as connection:
        user = (await users.list_all(connection, organization_id))[0]
        await users.set_active(connection, organization_id, user.id, club.clock(), is_active=False)
    async with browse(club, None) as browser:
        assert "There is no active user" in (await enter(browser, provider)).text


async def test_a_provider_that_does_not_answer_leaves_the_password(club: Club, provider: Provider) -> None:
    async with browse(club, None) as browser:
        provider.is_down = True
        answer = await browser.get("/sign-in/provider")
        assert (answer.status_code, "Bedrift does not answer" in answer.text) == (503, True)
        provider.is_down, provider.issuer = False, "https://another.example"
        assert "names another issuer" in (await browser.get("/sign-in/provider")).text


async def test_a_provider_that_stops_answering_during_a_sign_in(club: Club, provider: Provider) -> None:
    async with browse(club, None) as browser:
        begun = await browser.get("/sign-in/provider")
        back = provider.authorize(begun.headers["location"])
        known = club.server.identity_provider._provider
        assert known is not None
        known.metadata["token_endpoint"] = "http://127.0.0.1:1/token"
        answer = await browser.get("/sign-in/callback", params={"code": back["code"], "state": back["state"]})
        assert answer.status_code == 503


async def test_without_a_provider_its_addresses_lead_to_the_form(club: Club) -> None:
    async with browse(club, None) as browser:
        for path in ("/sign-in/provider", "/sign-in/callback"):
            assert (await browser.get(path)).headers["location"] == "/sign-in"


def test_a_provider_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity_provider, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"Install regulars\[oidc\]"):
        IdentityProvider(Settings(oidc_issuer="https://id.example", oidc_client_id="regulars"))


def test_an_issuer_needs_a_client_id() -> None:
    with pytest.raises(SettingError, match="oidc_issuer is set and oidc_client_id is not"):
        IdentityProvider(Settings(oidc_issuer="https://id.example"))


@pytest.mark.parametrize("text", ["", "not an attempt", "bm90IGpzb24=", "e30="])
def test_other_text_is_no_attempt(text: str) -> None:
    assert identity_provider.parse_attempt(text) is None
