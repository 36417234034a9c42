"""Pages in Chromium for clubs at the edges: empty, one member, long and right-to-left names, script in names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page

from dashboard.in_chromium.club_sites import serve_pages
from dashboard.in_chromium.tabs import SCREENS, open_tab
from postgres_servers import Servers
from regulars.auth import roles, sessions, tokens, users
from regulars.auth.tokens import NewToken
from regulars.auth.users import NewUser
from regulars.dashboard.registry import PAGES
from regulars.model import community as communities
from regulars.model.community import NewCommunity
from regulars.storage.database import Database

pytestmark = pytest.mark.xdist_group("documentation")

ENTRIES = [each for each in PAGES if each.is_entry]
LONG = "Wolfeschlegelsteinhausenbergerdorff" * 6
SCRIPT = "<script>window.broken = true</script>"
NAMES = (LONG, "אברהם בן־דוד", SCRIPT, 'O\'Neill & "Co" <b>x</b>')


@dataclass
class EdgeClubs:
    """The address of the pages of these clubs, and for each one a token and the session of an administrator."""

    address: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)


async def create_clubs(database: Database) -> EdgeClubs:
    """Creates three clubs, each with an administrator."""
    clubs = EdgeClubs()
    for slug in ("empty", "one", "odd"):
        name = SCRIPT if slug == "odd" else slug.title()
        new = NewCommunity(
            slug=f"states-{slug}", name=name, country="NO", timezone="Europe/Oslo", currency="NOK",
            organization=f"states-{slug}",
        )  # fmt: skip
        async with database.unscoped_connection() as connection:
            community = await communities.create(connection, new, database.clock())
            token = NewToken(community.organization_id, "states", community_id=community.id)
            clubs.tokens[slug] = await tokens.create(connection, token, database.clock())
        organization_id = community.organization_id
        async with database.organization_transaction(organization_id) as connection:
            role = await roles.create(connection, organization_id, roles.ADMINISTRATOR, database.clock())
            user = NewUser(f"{slug}@states.example", LONG[:200] if slug == "odd" else slug, role.id, None)
            created = await users.create(connection, organization_id, user, database.clock())
        clubs.sessions[slug] = await sessions.create(database, organization_id, user_id=created.id)
    return clubs


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
def site(servers: Servers) -> Iterator[EdgeClubs]:
    """The clubs with their pages."""
    with serve_pages(servers.urls("embedded")[1], create_clubs) as (address, clubs):
        for slug, names in (("one", ["Ada"]), ("odd", NAMES)):
            headers = {"Authorization": f"Bearer {clubs.tokens[slug]}"}
            with httpx.Client(base_url=address, headers=headers, timeout=60) as http:
                fill(http, names)
        clubs.address = address
        yield clubs


@pytest.mark.parametrize("club", ["empty", pytest.param("one", marks=pytest.mark.long), "odd"])
def test_every_entry_looks_right_for_a_club(club: str, window: Page, site: EdgeClubs, screenshots: Path | None) -> None:
    # Without screenshots each width and each scheme once; the pages of the demo are seen in all four ways.
    screens = SCREENS if screenshots else (SCREENS[0], SCREENS[-1])
    with open_tab(window, site.address, screenshots) as tab:
        tab.session = site.sessions[club]
        for entry in ENTRIES:
            assert tab.open(entry.path) == 200, entry.path
            assert tab.page.evaluate("window.broken") is None
            tab.look_at(f"{club}-{entry.path}", screens)
