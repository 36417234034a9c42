"""People who sign in to the pages of a test."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx

from clubs import Club
from regulars.api.app import create_app
from regulars.auth import passwords, roles, sessions, users
from regulars.auth.roles import NewRole
from regulars.auth.users import NewUser
from regulars.dashboard.registry import create_site

PASSWORD = "correct horse battery"
HASH = passwords.hash_password(PASSWORD)

_FORM_TOKEN = re.compile(r'name="form_token" value="([^"]*)"')
_ONCE = re.compile(r'name="once" value="([^"]*)"')


@asynccontextmanager
async def browse(
    club: Club,
    permits: Sequence[str] | None = ("*",),
    *,
    customers: Sequence[str] | None = None,
    location_ids: Sequence[int] | None = None,
    headers: dict[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser of a user with these permits, who has signed in; without permits, of a person who has not."""
    app = create_app(club.server, run_jobs=False, site=create_site)
    transport = httpx.ASGITransport(app=app, **options)
    cookies = {}
    if permits is not None:
        cookies["regulars_session"] = await open_session(club, NewRole("Role", list(permits), customers, location_ids))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", headers=headers, cookies=cookies
    ) as browser:
        yield browser


async def open_session(club: Club, role: NewRole, name: str = "Ada Lund") -> str:
    """Creates a user with a role of its own and returns the secret of a session."""
    database, organization_id = club.database, club.community.organization_id
    async with database.organization_transaction(organization_id) as connection:
        number = len(await roles.list_all(connection, organization_id))
        created = await roles.create(
            connection, organization_id, replace(role, name=f"{role.name} {number}"), club.clock()
        )
        email = f"user{number}@{club.community.slug}.example"
        user = await users.create(connection, organization_id, NewUser(email, name, created.id, HASH), club.clock())
    return await sessions.create(database, organization_id, user_id=user.id)


async def submit(browser: httpx.AsyncClient, path: str, *, page: str | None = None, **fields: str) -> httpx.Response:
    """Sends a form as the page shows it: with its form token. `page` is where the form is, if not at `path`."""
    html = (await browser.get(page or path)).text
    token, once = _FORM_TOKEN.search(html), _ONCE.search(html)
    assert token is not None
    assert once is not None
    return await browser.post(path, data={"form_token": token[1], "once": once[1], **fields})
