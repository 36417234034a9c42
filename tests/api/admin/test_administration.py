"""The Administration API: an administrator manages tokens, users and limits, and grants nothing beyond the own permits."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest

from api.profile_calls import PROFILES_URL, create_profile
from clubs import Club
from people import EVERYTHING, administrator, signed_in
from regulars.api.admin import authority
from regulars.auth import permits, roles, sessions, users
from regulars.auth.errors import AccessDenied
from regulars.auth.roles import NewRole
from regulars.auth.users import NewUser
from regulars.jobs.defer import defer
from regulars.model import community as communities
from regulars.model.community import NewCommunity

ADMIN = "/v1/admin"


@asynccontextmanager
async def admin(
    club: Club, granted: Sequence[str] = EVERYTHING, customers: Sequence[str] | None = None, **more: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an administrator with permits for customers."""
    principal = administrator(club, granted, customers=None if customers is None else tuple(customers), **more)
    async with signed_in(club, principal) as http:
        yield http


async def sister(club: Club) -> str:
    """A second community of the club's organization; returns its slug."""
    slug = f"sister-{club.community.slug}"
    new = NewCommunity(
        slug=slug, name="Sister", country="SE", timezone="UTC", currency="SEK", organization=club.community.slug
    )
    async with club.database.unscoped_connection() as connection:
        await communities.create(connection, new, club.clock())
    return slug


async def ok(response: httpx.Response, status: int = 200) -> Any:
    """The data of a response."""
    assert response.status_code == status, response.text
    return response.json()["data"] if response.content else None


async def denied(response: httpx.Response, text: str, status: int = 403) -> None:
    """Checks the error of a response."""
    assert response.status_code == status, response.text
    assert text in response.json()["message"]


# The organization -----------------------------------------------------------------------------------------------------


async def test_communities_and_permits_are_those_of_the_caller(club: Club, other_club: Club) -> None:
    second = await sister(club)
    async with admin(club) as http:
        listed = await ok(await http.get(f"{ADMIN}/communities"))
        assert [each["slug"] for each in listed] == [club.community.slug, second]
        assert listed[0]["attributes"] == {}
        granted = await ok(await http.get(f"{ADMIN}/permits"))
        assert {each["name"] for each in granted if each["is_grantable"]} >= {"Profile:Read", "Admin:Token:Write"}
    async with admin(club, ["Admin:*"], customers=[second]) as http:
        assert [each["slug"] for each in await ok(await http.get(f"{ADMIN}/communities"))] == [second]
        granted = await ok(await http.get(f"{ADMIN}/permits"))
        assert {each["name"] for each in granted if each["is_grantable"]} == set(permits.ADMIN_API)


async def test_limits_are_read_and_changed(club: Club) -> None:
    limits = f"{ADMIN}/organization/limits"
    async with admin(club) as http:
        before = await ok(await http.get(f"{ADMIN}/organization"))
        assert before["limits"]["reporting_burst"] == {"value": None, "default": 1000, "maximum": 1_000_000_000}
        changed = await ok(await http.put(limits, json={"min_cell_size": 5, "reporting_burst": 20}))
        assert changed["limits"]["min_cell_size"]["value"] == 5
        changed = await ok(await http.put(limits, json={"min_cell_size": None}))
        assert (changed["limits"]["min_cell_size"]["value"], changed["limits"]["reporting_burst"]["value"]) == (
            None,
            20,
        )
        await denied(await http.put(limits, json={"min_cell_size": 0}), "Allowed: 1 to 1000000", 422)
        await denied(await http.put(limits, json={}), "has no limit", 422)
        last, first = (await http.get(f"{ADMIN}/audit?action=access")).json()["data"]
    assert first["details"]["min_cell_size"] == {"from": None, "to": 5}
    assert last["details"] == {"min_cell_size": {"from": 5, "to": None}}
    async with admin(club, customers=[club.community.slug]) as http:
        await denied(await http.put(limits, json={"min_cell_size": 1}), "whole organization")


# Tokens ---------------------------------------------------------------------------------------------------------------


async def test_a_token_is_created_used_rotated_and_revoked(club: Club) -> None:
    body = {"name": "till", "permits": ["Profile:Read"], "community": club.community.slug, "expires_in_days": 30}
    async with admin(club) as http:
        created = await ok(await http.post(f"{ADMIN}/tokens", json=body), 201)
        headers = {"Authorization": f"Bearer {created['secret']}"}
        assert (await club.http.get(PROFILES_URL, headers=headers)).status_code == 200
        listed = await ok(await http.get(f"{ADMIN}/tokens"))
        assert (listed[0]["name"], listed[0]["state"], listed[0]["community"]) == ("till", "valid", club.community.slug)
        assert created["secret"] not in str(listed)
        new = await ok(await http.post(f"{ADMIN}/tokens/{created['id']}/rotate", json={"overlap_hours": 0}), 201)
        assert new["expires_at"] == created["expires_at"]
        assert await ok(await http.delete(f"{ADMIN}/tokens/{new['id']}"), 204) is None
        states = {each["id"]: each["state"] for each in await ok(await http.get(f"{ADMIN}/tokens"))}
        assert (states[created["id"]], states[new["id"]]) == ("expired", "revoked")
        again = await http.post(f"{ADMIN}/tokens/{new['id']}/rotate", json={})
        await denied(again, "was revoked or has expired", 422)
        entries = (await http.get(f"{ADMIN}/audit?subject_type=token")).json()["data"]
    assert [(each["operation"], each["subject_ids"]) for each in entries] == [
        ("DELETE /v1/admin/tokens/{id}", [str(new["id"])]),
        ("POST /v1/admin/tokens/{id}/rotate", [str(created["id"])]),
        ("POST /v1/admin/tokens", [str(created["id"])]),
    ]
    assert entries[2]["details"] == {"permits": ["Profile:Read"], "customers": None, "community": club.community.slug}


async def test_a_form_that_is_sent_twice_creates_one_token(club: Club) -> None:
    body, key = {"name": "once", "permits": ["Reporting:*"]}, {"Idempotency-Key": "form-1"}
    async with admin(club) as http:
        await ok(await http.post(f"{ADMIN}/tokens", json=body, headers=key), 201)
        await denied(await http.post(f"{ADMIN}/tokens", json=body, headers=key), "completed before", 409)
        names = [each["name"] for each in await ok(await http.get(f"{ADMIN}/tokens"))]
        assert names.count("once") == 1
        entries = (await http.get(f"{ADMIN}/audit")).json()["data"]
        assert "idempotency_key" not in str(entries)
    async with admin(club, user_id=8) as http:
        await ok(await http.post(f"{ADMIN}/tokens", json=body, headers=key), 201)
        # An explanation may be requested repeatedly.
        question = {"token_id": 1, "report": "members"}
        for _ in range(2):
            assert (await http.post(f"{ADMIN}/access/explain", json=question, headers=key)).status_code in (200, 404)


async def test_invalid_tokens_are_rejected(club: Club, other_club: Club) -> None:
    async with admin(club) as http:
        for body, message in (
            ({"name": "x", "permits": ["Nothing:*"]}, "unknown permit 'Nothing:*'"),
            ({"name": "x", "permits": ["Profile:Read"]}, "community is required"),
            ({"name": "x", "permits": ["*"] * 201}, "at most 200"),
            ({"name": "x", "permits": ["*"], "community": other_club.community.slug}, "no customer that you have"),
            ({"name": "x", "permits": ["*"], "customers": [other_club.community.slug]}, "no customer that you have"),
            ({"name": "x", "permits": ["*"], "expires_in_days": 0}, "expires_in_days is 0"),
            ({"name": "", "permits": ["*"]}, "name"),
        ):
            await denied(await http.post(f"{ADMIN}/tokens", json=body), message, 422)
        token = (await ok(await http.get(f"{ADMIN}/tokens")))[0]["id"]
        rotation = await http.post(f"{ADMIN}/tokens/{token}/rotate", json={"overlap_hours": 10_000})
        await denied(rotation, "Allowed: 0 to 720", 422)
        for unknown in ("0", "99999999999"):
            await denied(await http.delete(f"{ADMIN}/tokens/{unknown}"), "no token", 404)
    async with admin(other_club) as http:
        await denied(await http.delete(f"{ADMIN}/tokens/{token}"), "no token", 404)


# Authority ------------------------------------------------------------------------------------------------------------


async def test_no_administrator_grants_more_than_the_own_permits_and_customers(club: Club) -> None:
    second = await sister(club)
    own = ["Admin:*", "Reporting:*", "Profile:Read"]
    async with admin(club) as http:
        boss = await ok(await http.post(f"{ADMIN}/roles", json={"name": "Boss", "permits": ["*"]}), 201)
        chief = {"email": f"chief@{second}.example", "name": "Chief", "role_id": boss["id"]}
        user = await ok(await http.post(f"{ADMIN}/users", json=chief), 201)
        strong = await ok(await http.post(f"{ADMIN}/tokens", json={"name": "s", "permits": ["*"]}), 201)
    async with admin(club, own, user_id=8) as http:
        for granted in (["*"], ["Profile:*"], ["Profile:Erase"], ["Transaction:Read"]):
            token = {"name": "x", "permits": granted, "community": second}
            await denied(await http.post(f"{ADMIN}/tokens", json=token), f"the permit {granted[0]} yourself")
            await denied(await http.post(f"{ADMIN}/roles", json={"name": "x", "permits": granted}), "yourself")
        role = await ok(await http.post(f"{ADMIN}/roles", json={"name": "x", "permits": ["Reporting:Api:Query"]}), 201)
        wider = {"name": "x", "permits": ["Transaction:Read"]}
        await denied(await http.put(f"{ADMIN}/roles/{role['id']}", json=wider), "yourself")
        # What gives access to more can be neither changed nor taken over.
        requests: Sequence[tuple[str, str, Any]] = (
            ("PUT", f"roles/{boss['id']}", {"name": "x", "permits": []}),
            ("DELETE", f"roles/{boss['id']}", None),
            ("POST", "users", {**chief, "email": "a@b.example"}),
            ("PUT", f"users/{user['id']}", {"role_id": role["id"]}),
            ("POST", f"users/{user['id']}/password", {}),
            ("DELETE", f"users/{user['id']}/sessions", None),
            ("POST", f"tokens/{strong['id']}/rotate", {}),
            ("DELETE", f"tokens/{strong['id']}", None),
        )
        for method, path, content in requests:
            await denied(await http.request(method, f"{ADMIN}/{path}", json=content), "the permit * yourself")
    async with admin(club, customers=[second], user_id=8) as http:
        for customers in (None, [second, club.community.slug]):
            body = {"name": "y", "permits": ["Reporting:*"], "customers": customers}
            for kind in ("tokens", "roles"):
                response = await http.post(f"{ADMIN}/{kind}", json=body)
                assert response.status_code in (403, 422), response.text
        assert await ok(await http.post(f"{ADMIN}/roles", json={**body, "customers": [second]}), 201)
        assert await ok(await http.post(f"{ADMIN}/tokens", json={**body, "customers": [second]}), 201)
        # Roles, users and tokens for other customers are not visible.
        assert [each["name"] for each in await ok(await http.get(f"{ADMIN}/roles"))] == ["y"]
        assert await ok(await http.get(f"{ADMIN}/users")) == []
        assert [each["name"] for each in await ok(await http.get(f"{ADMIN}/tokens"))] == ["y"]
        await denied(await http.get(f"{ADMIN}/users/{user['id']}"), "no user", 404)
        for holder in ({"user_id": user["id"]}, {"token_id": strong["id"]}):
            question = {**holder, "report": "members"}
            await denied(await http.post(f"{ADMIN}/access/explain", json=question), "There is no", 404)
        await denied(await http.get(f"{ADMIN}/jobs"), "whole organization")
    async with admin(club, customers=[second], location_ids=(1,), user_id=8) as http:
        await denied(await http.get(f"{ADMIN}/roles"), "limited to stores")


def test_stores_beyond_the_own_ones_are_not_granted(club: Club) -> None:
    principal = administrator(club, customers=("nord",), location_ids=(1, 2))
    authority.require_authority_over_role(principal, NewRole("Own store", ["*"], ["nord"], [2]))
    for location_ids in (None, [2, 3]):
        with pytest.raises(AccessDenied, match="Stores beyond your own"):
            authority.require_authority_over_role(principal, NewRole("x", ["*"], ["nord"], location_ids))


def test_a_permit_covers_what_it_grants() -> None:
    for granted, wanted, is_covered in (
        ("*", "*", True),
        ("*", "Profile:*", True),
        ("Profile:*", "Profile:Read", True),
        ("Profile:*", "Profile:*", True),
        ("Profile:*", "*", False),
        ("Profile:Read", "Profile:*", False),
        ("Profile:Read", "Profile:ReadAll", False),
    ):
        assert permits.covers([granted], wanted) == is_covered, (granted, wanted)
    assert not permits.covers([], "Profile:Read")


# Users ----------------------------------------------------------------------------------------------------------------


async def test_a_user_is_created_changed_and_deactivated(club: Club) -> None:
    address = f"Bea@{club.community.slug}.example"
    async with admin(club) as http:
        reader, writer = [
            await ok(await http.post(f"{ADMIN}/roles", json={"name": name, "permits": [name]}), 201)
            for name in ("Profile:Read", "Profile:Write")
        ]
        body = {"email": address, "name": "Bea", "role_id": reader["id"]}
        user = await ok(await http.post(f"{ADMIN}/users", json=body), 201)
        assert len(user["password"]) > 12
        await denied(await http.post(f"{ADMIN}/users", json=body), "address of another user", 422)
        secret = await sessions.create(club.database, club.community.organization_id, user_id=user["id"])
        shown = await ok(await http.get(f"{ADMIN}/users/{user['id']}"))
        assert (shown["email"], shown["role"]["permits"]) == (address.lower(), ["Profile:Read"])
        assert [each["name"] for each in shown["sessions"]] == ["Bea"]
        (session,) = await ok(await http.get(f"{ADMIN}/sessions"))
        changed = await ok(await http.put(f"{ADMIN}/users/{user['id']}", json={"role_id": writer["id"]}))
        assert changed["role"] == {"id": writer["id"], "name": "Profile:Write"}
        await ok(await http.delete(f"{ADMIN}/sessions/{session['id']}"), 204)
        assert await sessions.find(club.database, secret) is None
        await denied(await http.delete(f"{ADMIN}/sessions/{session['id']}"), "no session", 404)
        await sessions.create(club.database, club.community.organization_id, user_id=user["id"])
        assert await ok(await http.delete(f"{ADMIN}/users/{user['id']}/sessions")) == {"ended": 1}
        again = await ok(await http.post(f"{ADMIN}/users/{user['id']}/password"))
        assert again["password"] != user["password"]
        inactive = await ok(await http.put(f"{ADMIN}/users/{user['id']}", json={"is_active": False}))
        assert not inactive["is_active"]
        await denied(await http.delete(f"{ADMIN}/roles/{writer['id']}"), "role of a user", 422)
        await ok(await http.delete(f"{ADMIN}/roles/{reader['id']}"), 204)
        invited = {**body, "email": f"x{address}", "role_id": writer["id"], "has_password": False}
        without = await ok(await http.post(f"{ADMIN}/users", json=invited), 201)
        assert (without["password"], without["has_password"]) == (None, False)
        entries = (await http.get(f"{ADMIN}/audit?subject_type=user&subject_id={user['id']}")).json()["data"]
    assert entries[0]["details"] == {"is_active": False}
    assert {"role": {"from": "Profile:Read", "to": "Profile:Write"}} in [each["details"] for each in entries]
    async with admin(club, user_id=user["id"]) as http:
        await denied(await http.put(f"{ADMIN}/users/{user['id']}", json={"is_active": True}), "your own user", 422)
        await denied(await http.get(f"{ADMIN}/users/99999999999"), "no user", 404)
        await denied(await http.put(f"{ADMIN}/roles/99999999999", json={"name": "x", "permits": []}), "no role", 404)


async def test_the_session_of_a_token_is_ended(club: Club) -> None:
    organization_id = club.community.organization_id
    async with admin(club) as http:
        token = (await ok(await http.get(f"{ADMIN}/tokens")))[0]["id"]
        await sessions.create(club.database, organization_id, token_id=token)
        (session,) = await ok(await http.get(f"{ADMIN}/sessions"))
        assert (session["token_id"], session["name"]) == (token, "test")
        await ok(await http.delete(f"{ADMIN}/sessions/{session['id']}"), 204)
        assert await ok(await http.get(f"{ADMIN}/sessions")) == []


async def test_a_role_is_changed_within_the_organization(club: Club, other_club: Club) -> None:
    async with admin(club) as http:
        role = await ok(await http.post(f"{ADMIN}/roles", json={"name": "Reader", "permits": ["Profile:Read"]}), 201)
        body = {"name": "Reader", "permits": ["Profile:*"], "customers": [club.community.slug], "location_ids": [7]}
        changed = await ok(await http.put(f"{ADMIN}/roles/{role['id']}", json=body))
        assert changed == {**body, "id": role["id"]}
        wrong = {**body, "customers": [other_club.community.slug]}
        await denied(await http.put(f"{ADMIN}/roles/{role['id']}", json=wrong), "no customer that you have", 422)
        await denied(await http.put(f"{ADMIN}/roles/{role['id']}", json={**body, "location_ids": [-1]}), "no id", 422)
        (entry, _) = (await http.get(f"{ADMIN}/audit?subject_type=role")).json()["data"]
    assert entry["details"]["permits"] == {"from": ["Profile:Read"], "to": ["Profile:*"]}
    async with admin(other_club) as http:
        await denied(await http.put(f"{ADMIN}/roles/{role['id']}", json=body), "no role", 404)


# Jobs and deliveries --------------------------------------------------------------------------------------------------


async def test_jobs_of_the_organization_are_listed_retried_and_cancelled(club: Club, other_club: Club) -> None:
    async with club.database.unscoped_connection() as connection:
        own, foreign = [
            await defer(connection, "export", "exports", {"organization_id": each.community.organization_id})
            for each in (club, other_club)
        ]
        of_system = await connection.fetchval(
            """
            INSERT INTO procrastinate_jobs (queue_name, task_name, args)
            VALUES ('snapshots', 'take_snapshots', '{}')
            RETURNING id
            """
        )
        await connection.execute("UPDATE procrastinate_jobs SET status = 'failed' WHERE id = $1", own)
        await connection.execute("INSERT INTO job_errors (job_id, error) VALUES ($1, 'disk full')", own)
    async with admin(club) as http:
        listed = {each["id"]: each for each in await ok(await http.get(f"{ADMIN}/jobs?limit=1000"))}
        assert listed[own]["error"] == "disk full"
        for hidden in (foreign, of_system):
            assert hidden not in listed
            await denied(await http.get(f"{ADMIN}/jobs/{hidden}"), "no job", 404)
            await denied(await http.post(f"{ADMIN}/jobs/{hidden}/cancel"), "no job", 404)
        shown = await ok(await http.get(f"{ADMIN}/jobs/{own}"))
        assert [each["error"] for each in shown["errors"]] == ["disk full"]
        await denied(await http.post(f"{ADMIN}/jobs/{own}/cancel"), "Only queued and running", 422)
        async with club.database.unscoped_connection() as connection:
            # Without a type, so that no export is looked for.
            await connection.execute("UPDATE procrastinate_jobs SET task_name = 'other' WHERE id = $1", own)
        assert (await ok(await http.post(f"{ADMIN}/jobs/{own}/retry")))["status"] == "queued"
        assert (await ok(await http.post(f"{ADMIN}/jobs/{own}/cancel")))["status"] == "cancelled"
        await denied(await http.get(f"{ADMIN}/jobs?status=lost"), "Allowed: queued", 422)
        await denied(await http.get(f"{ADMIN}/jobs?limit=0"), "Allowed: 1 to 1000", 422)
        entries = (await http.get(f"{ADMIN}/audit?subject_type=job")).json()["data"]
    assert {each["details"]["status"] for each in entries} == {"failed", "queued"}


async def test_failed_deliveries_are_listed_and_sent_again(club: Club, other_club: Club) -> None:
    hook = {"trigger": "*", "url": "https://shop.example/hook"}
    webhook = (await club.http.post("/api/v3/webhooks", json=hook)).json()["data"]["id"]
    async with club.database.write_transaction(club.community.id) as scope:
        delivery = await scope.fetchval(
            """
            INSERT INTO webhook_deliveries (
                community_id, webhook_id, event_id, event_type, occurred_at, status, attempts, body, created_at, ordering_key
            )
            VALUES ($1, $2, gen_random_uuid(), 'profile.updated', $3, 'failed', 3, '{"name": "Anna"}', $3, gen_random_uuid())
            RETURNING id
            """,
            club.community.id,
            webhook,
            club.clock(),
        )
    async with admin(club) as http:
        (failed,) = await ok(await http.get(f"{ADMIN}/deliveries"))
        assert (failed["id"], failed["customer"], failed["attempts"]) == (delivery, club.community.slug, 3)
        assert "Anna" not in str(failed)
        again = await ok(await http.post(f"{ADMIN}/deliveries/{delivery}/resend"))
        assert again["status"] == "pending"
        await denied(await http.post(f"{ADMIN}/deliveries/{delivery + 1}/resend"), "no delivery", 404)
        await denied(await http.post(f"{ADMIN}/deliveries/1/resend"), "no delivery", 404)
        await denied(await http.get(f"{ADMIN}/deliveries?customer=nowhere"), "no customer 'nowhere'", 404)
        (entry,) = (await http.get(f"{ADMIN}/audit?subject_type=delivery")).json()["data"]
    assert (entry["subject_ids"], entry["customers"]) == ([str(delivery)], [club.community.slug])
    async with admin(other_club) as http:
        assert await ok(await http.get(f"{ADMIN}/deliveries")) == []
        await denied(await http.post(f"{ADMIN}/deliveries/{delivery}/resend"), "no delivery", 404)


# The audit log --------------------------------------------------------------------------------------------------------


async def test_the_audit_log_is_paged_filtered_and_exported(club: Club, other_club: Club) -> None:
    profiles = [(await create_profile(club))["id"] for _ in range(3)]
    async with admin(club) as http, signed_in(club) as reader:
        for each in profiles:
            await reader.get(f"{PROFILES_URL}/{each}")
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await http.get(f"{ADMIN}/audit?limit=2&action=read&cursor={cursor}")).json()
            seen += [each["subject_ids"][0] for each in page["data"]]
            cursor = page["next_cursor"]
        assert seen == profiles[::-1]
        for query, count in (
            (f"subject_id={profiles[0]}", 1),
            (f"customer={club.community.slug}", 3),
            ("actor_type=user&actor_id=7", 3),
            ("actor_id=8", 0),
            ("from=2999-01-01T00:00:00Z", 0),
            ("to=2026-11-01T00:00:01%2B00:00&subject_type=profile", 3),
        ):
            assert len((await http.get(f"{ADMIN}/audit?{query}")).json()["data"]) == count, query
        for query, message in (
            ("cursor=nonsense", "cursor is malformed"),
            (f"cursor={base64.urlsafe_b64encode(b'2026-11-01T00:00:00Z -1').decode()}", "cursor is malformed"),
            ("action=dance", "Allowed: read"),
            ("from=yesterday", "from"),
            ("actor_id=x", "actor_id is 'x'"),
        ):
            await denied(await http.get(f"{ADMIN}/audit?{query}"), message, 422)
        exported = await http.get(f"{ADMIN}/audit/export?action=read")
        rows = list(csv.DictReader(io.StringIO(exported.text)))
        assert [row["subject_ids"] for row in rows] == profiles[::-1]
        assert exported.headers["content-disposition"] == 'attachment; filename="audit-log.csv"'
        lines = (await http.get(f"{ADMIN}/audit/export?format=ndjson")).content.splitlines()
        # The first export is an entry as well.
        assert msgspec.json.decode(lines[1])["action"] == "export"
    async with admin(club, customers=[f"other-{club.community.slug}"]) as http:
        assert (await http.get(f"{ADMIN}/audit")).json()["data"] == []
    async with admin(other_club) as http:
        assert (await http.get(f"{ADMIN}/audit")).json()["data"] == []


async def test_a_spreadsheet_evaluates_no_cell_of_an_export(club: Club) -> None:
    async with signed_in(club, administrator(club, user_name="=HYPERLINK()")) as http:
        await http.get(f"{ADMIN}/audit/export")
        row, _ = csv.DictReader(io.StringIO((await http.get(f"{ADMIN}/audit/export")).text))
    assert row["actor_name"] == "'=HYPERLINK()"


# Why was I denied? ----------------------------------------------------------------------------------------------------


async def explained(http: httpx.AsyncClient, **question: Any) -> tuple[bool, dict[str, bool], str]:
    """Whether a request is allowed, its steps, and the detail and remedy of the last one."""
    data = await ok(await http.post(f"{ADMIN}/access/explain", json=question))
    last = data["steps"][-1]
    return data["is_allowed"], {each["name"]: each["is_allowed"] for each in data["steps"]}, str(last)


async def test_a_denial_is_explained_by_its_step(club: Club) -> None:
    slug, organization_id = club.community.slug, club.community.organization_id
    async with club.database.organization_transaction(organization_id) as connection:
        granted = ["Reporting:Api:Query", "Reporting:Api:Report:MembersCount", "Profile:Read"]
        role = await roles.create(connection, organization_id, NewRole("Reader", granted, [slug], [7]), club.clock())
        new = NewUser(f"ada@{slug}.example", "Ada", role.id, None)
        user = await users.create(connection, organization_id, new, club.clock())
        role = await roles.create(connection, organization_id, NewRole("All stores", granted, [slug]), club.clock())
        new = NewUser(f"eva@{slug}.example", "Eva", role.id, None)
        free = await users.create(connection, organization_id, new, club.clock())
    own = {"user_id": user.id, "customer": slug}
    async with admin(club) as http:
        is_allowed, steps, last = await explained(http, **own, report="members_count")
        assert is_allowed
        assert steps == dict.fromkeys(("credential", "endpoint", "permit", "report", "customer", "stores"), True)
        assert "Sales of the stores 7 are shown" in last
        denials: Sequence[tuple[dict[str, Any], str, str]] = (
            ({"report": "members"}, "report", "lacks the permit Reporting:Api:Report:Members"),
            ({"path": "/v1/reporting/segments"}, "permit", "Add the permit Reporting:Api:Segment:Read to the role"),
            ({"path": f"{PROFILES_URL}/1", "method": "DELETE"}, "permit", "lacks the permit Profile:Erase"),
            ({"path": "/nowhere"}, "endpoint", "There is no endpoint GET /nowhere"),
            ({"path": PROFILES_URL, "customer": "other"}, "customer", "no access to the customer other"),
            ({"report": "members_count", "customer": "other"}, "customer", "no access to the loyalty club"),
            ({"report": "members_count", "customer": None}, "customer", "Missing header"),
        )
        for question, step, text in denials:
            is_allowed, steps, last = await explained(http, **{**own, **question})
            assert (is_allowed, steps[step]) == (False, False), question
            assert text in last, question
        assert "limited to stores" in (await explained(http, **own, path=f"{PROFILES_URL}/1"))[2]
        assert (await explained(http, user_id=free.id, customer=slug, path=f"{PROFILES_URL}/1"))[0]
        tokens = {each["name"]: each for each in await ok(await http.get(f"{ADMIN}/tokens"))}
        token = tokens["test"]["id"]
        assert (await explained(http, token_id=token, path=PROFILES_URL))[0]
        is_allowed, _, last = await explained(http, token_id=token, report="members")
        assert not is_allowed
        assert "lacks the permit Reporting:Api:Query" in last
        await http.delete(f"{ADMIN}/tokens/{token}")
        assert "was revoked" in (await explained(http, token_id=token, report="members"))[2]
        short = {"name": "short", "permits": ["Reporting:*"], "expires_in_days": 1}
        expiring = await ok(await http.post(f"{ADMIN}/tokens", json=short), 201)
        club.clock.advance(days=2)
        assert "expired at" in (await explained(http, token_id=expiring["id"], report="members"))[2]
        await ok(await http.put(f"{ADMIN}/users/{user.id}", json={"is_active": False}))
        assert "deactivated" in (await explained(http, **own, report="members"))[2]
        invalid: Sequence[tuple[dict[str, Any], str, int]] = (
            ({}, "token_id is required", 422),
            ({"user_id": user.id}, "report is required", 422),
            ({"user_id": user.id, "report": "nothing"}, "Allowed: ", 422),
            ({"user_id": 0, "report": "members"}, "no user", 404),
            ({"token_id": 0, "report": "members"}, "no token", 404),
        )
        for question, message, status in invalid:
            await denied(await http.post(f"{ADMIN}/access/explain", json=question), message, status)


@pytest.mark.parametrize("granted", [("Admin:Health:Read",), ()])
async def test_each_endpoint_requires_its_permit(club: Club, granted: tuple[str, ...]) -> None:
    async with admin(club, granted) as http:
        assert (await http.get(f"{ADMIN}/health")).status_code == (200 if granted else 403)
        for path in ("tokens", "users", "roles", "jobs", "audit", "audit/export", "organization", "deliveries"):
            await denied(await http.get(f"{ADMIN}/{path}"), "lacks the permit Admin:")
    async with signed_in(club, replace(administrator(club), community_id=club.community.id)) as http:
        assert (await http.get(f"{ADMIN}/tokens")).status_code == 200
    assert (await club.http.get(f"{ADMIN}/tokens")).status_code == 403
