"""Pages in Chromium for clubs at the edges: empty, one member, long and right-to-left names, script in names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import httpx
import pytest
from playwright.sync_api import Browser

from dashboard.browsers import Tab, open_tab
from dashboard.club_sites import serve_pages
from postgres_servers import Servers
from regulars.auth import passwords, roles, tokens, users
from regulars.auth.tokens import NewToken
from regulars.auth.users import NewUser
from regulars.dashboard.registry import PAGES
from regulars.model import community as communities
from regulars.model.community import NewCommunity
from regulars.storage.database import Database

pytestmark = pytest.mark.xdist_group("documentation")

ENTRIES = [each for each in PAGES if each.is_entry]
PASSWORD = "correct horse battery"
LONG = "Wolfeschlegelsteinhausenbergerdorff" * 6
SCRIPT = "<script>window.broken = true</script>"
NAMES = (LONG, "אברהם בן־דוד", SCRIPT, 'O\'Neill & "Co" <b>x</b>')


async def create_clubs(database: Database) -> dict[str, str]:
    """Creates three clubs, each with an administrator; returns a token of each."""
    secrets: dict[str, str] = {}
    hashed = passwords.hash_password(PASSWORD)
    for slug in ("empty", "one", "odd"):
        name = SCRIPT if slug == "odd" else slug.title()
        new = NewCommunity(
            slug=f"states-{slug}", name=name, country="NO", timezone="Europe/Oslo", currency="NOK",
            organization=f"states-{slug}",
        )  # fmt: skip
        async with database.unscoped_connection() as connection:
            community = await communities.create(connection, new, database.clock())
            token = NewToken(community.organization_id, "states", community_id=community.id)
            secrets[slug] = await tokens.create(connection, token, database.clock())
        organization_id = community.organization_id
        async with database.organization_transaction(organization_id) as connection:
            role = await roles.create(connection, organization_id, roles.ADMINISTRATOR, database.clock())
            user = NewUser(f"{slug}@states.example", LONG[:200] if slug == "odd" else slug, role.id, hashed)
            await users.create(connection, organization_id, user, database.clock())
    return secrets


def fill(http: httpx.Client, names: Sequence[str]) -> None:
    """Creates a member and a store of each name, and a purchase."""
    for number, name in enumerate(names):
        profile = http.post(
            "/api/v3/profiles", json={"first_name": name, "last_name": name, "email": f"m{number}@x.example"}
        )
        location = http.post("/api/v3/locations", json={"name": name, "external_id": str(number)})
        assert (profile.status_code, location.status_code) == (201, 201), profile.text + location.text
        item = {"name": name, "price_current": 50, "price_sell": 50, "quantity": 2}
        sale = {
            "profile_id": profile.json()["data"]["id"], "location_id": location.json()["data"]["id"], "total": 100,
            "transacted_at": "2026-11-01 12:00:00", "timezone": "UTC", "items": [item],
        }  # fmt: skip
        answer = http.post("/api/v3/transactions", json=sale)
        assert answer.status_code == 201, answer.text


@pytest.fixture(scope="module")
def site(servers: Servers) -> Iterator[str]:
    """The address of the pages of these clubs."""
    with serve_pages(servers.urls("embedded")[1], create_clubs) as (address, secrets):
        for slug, names in (("one", ["Ada"]), ("odd", NAMES)):
            with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {secrets[slug]}"}) as http:
                fill(http, names)
        yield address


@pytest.mark.parametrize("club", ["empty", "one", "odd"])
def test_every_entry_looks_right_for_a_club(club: str, chromium: Browser, site: str) -> None:
    with open_tab(chromium, site) as tab:
        tab.sign_in(f"{club}@states.example", PASSWORD)
        for entry in ENTRIES:
            assert tab.open(entry.path) == 200, entry.path
            assert tab.overflow() <= 0, entry.path
            assert tab.page.evaluate("window.broken") is None
            save(tab, club, entry.path)


def save(tab: Tab, club: str, path: str) -> None:
    """Stores how the page looks."""
    tab.save_screenshots(f"{club}-{path}")
