"""The audit log: each endpoint declares what is recorded, and requests of people and sensitive ones of tokens are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from api.profile_calls import PROFILES_URL, create_profile
from clubs import FOLDER, Club, create_club
from people import person, signed_in
from regulars.api.registry import ENDPOINTS
from regulars.auth import audit_log, audit_rules, tokens
from regulars.auth.audit_log import Actor, AuditEntry, AuditFilter, ListedEntry
from regulars.auth.audit_rules import AuditAction
from regulars.auth.authorization import Caller
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import ANONYMOUS, PrincipalKind
from regulars.auth.tokens import NewToken
from regulars.jobs import audit_retention
from regulars.model.community import NewCommunity
from regulars.settings import SettingError, Settings
from regulars.storage.database import Database
from regulars.web.audit import DenialRecorder, RequestAudit, audits_all_tokens
from regulars.web.context import AppContext
from regulars.web.public_address import PublicAddress

TRANSACTIONS = "/api/v3/transactions"

WITHOUT_RULE = (Caller.MEMBER, Caller.PROVIDER)
"""Callers whose endpoints need no rule: a member's own data, and the events of a provider."""


async def entries(club: Club, **conditions: Any) -> list[ListedEntry]:
    """The entries of the club's organization, newest first."""
    await club.server.denials.close()
    organization_id = club.community.organization_id
    async with club.database.organization_transaction(organization_id) as connection:
        return await audit_log.list_entries(connection, organization_id, AuditFilter(**conditions), 100)


def shown(listed: Sequence[ListedEntry]) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """The parts of entries that say what was done."""
    return [(each.actor_type, each.action, each.subject_type, each.subject_ids) for each in listed]


# Declarations ---------------------------------------------------------------------------------------------------------


def test_every_endpoint_declares_what_the_audit_log_records() -> None:
    for endpoint in ENDPOINTS:
        assert (endpoint.audit is None) == (endpoint.caller in WITHOUT_RULE), (endpoint.method, endpoint.path)
        parameter = endpoint.audit_rule.parameter
        # Without the parameter, the id is that of a new object in the response.
        is_in_path = f"{{{parameter}}}" in endpoint.path
        assert not parameter or is_in_path or "{" not in endpoint.path, (endpoint.method, endpoint.path)


def test_every_endpoint_that_changes_something_is_recorded() -> None:
    for endpoint in ENDPOINTS:
        changes = (
            endpoint.write_handler is not None
            or endpoint.stream_handler is not None
            or endpoint.is_group_commit
            or endpoint.permit.endswith((":Write", ":Erase"))
        )
        if changes and endpoint.audit is not None and not endpoint.path.endswith("/aggregations/calculate"):
            assert endpoint.audit_rule.action not in (None, AuditAction.READ), (endpoint.method, endpoint.path)
        if endpoint.permit == "Profile:Erase":
            assert endpoint.audit is audit_rules.ERASE_PROFILE


def test_reads_of_personal_data_are_recorded() -> None:
    unrecorded = {
        f"{each.method} {each.path}"
        for each in ENDPOINTS
        if each.audit is audit_rules.NOTHING and each.permit in ("Profile:Read", "Transaction:Read")
    }
    names = ("tags", "statuses", "countries", "currencies", "aggregations")
    lists = {f"GET /api/v3/{name}" for name in names}
    not_allowed = {f"{method} /api/v3/profiles/{{id}}/aggregations" for method in ("POST", "PUT", "PATCH", "DELETE")}
    assert unrecorded == lists | not_allowed


def test_a_rule_applies_to_people_and_to_sensitive_requests_of_tokens() -> None:
    token, human = replace(ANONYMOUS, organization_id=1, token_id=1), replace(ANONYMOUS, organization_id=1, user_id=1)
    for rule, of_token, of_all_tokens, of_people in (
        (audit_rules.NOTHING, False, False, False),
        (audit_rules.READ_PROFILE, False, True, True),
        (audit_rules.ERASE_PROFILE, True, True, True),
    ):
        assert rule.applies_to(token, includes_all_tokens=False) == of_token
        assert rule.applies_to(token, includes_all_tokens=True) == of_all_tokens
        assert rule.applies_to(human, includes_all_tokens=False) == of_people
    assert not audit_rules.ERASE_PROFILE.applies_to(ANONYMOUS, includes_all_tokens=True)


def test_the_setting_has_two_values() -> None:
    assert not audits_all_tokens(Settings())
    assert audits_all_tokens(Settings(audit_tokens="all"))
    with pytest.raises(SettingError, match="audit_tokens is 'none'"):
        audits_all_tokens(Settings(audit_tokens="none"))


# People ---------------------------------------------------------------------------------------------------------------


async def test_reads_and_changes_of_a_person_are_recorded(club: Club) -> None:
    profile = await create_profile(club, external_id="a", email="a@shop.example", first_name="Anna")
    other = await create_profile(club, external_id="b")
    at = f"{PROFILES_URL}/{profile['id']}"
    async with signed_in(club) as http:
        for method, url, body in (
            ("GET", at, None),
            ("GET", f"{at}/aggregations", None),
            ("GET", PROFILES_URL, None),
            ("POST", f"{PROFILES_URL}/search-id", {"type": "email", "id": "a@shop.example"}),
            ("PUT", at, {"first_name": "Berit"}),
            ("POST", PROFILES_URL, {"external_id": "c"}),
            ("GET", "/api/v3/locations", None),
        ):
            response = await http.request(method, url, json=body)
            assert response.status_code in (200, 201), response.text
        created = (await http.get(f"{PROFILES_URL}?filter[external_id]=c")).json()["data"][0]["id"]
    own, both = (profile["id"],), (other["id"], profile["id"])
    listed = await entries(club)
    assert [(each.actor_id, each.actor_name, each.address) for each in listed] == [(7, "Ada", "127.0.0.1")] * 7
    assert {each.community_ids for each in listed} == {(club.community.id,)}
    assert [(each.action, tuple(sorted(each.subject_ids))) for each in reversed(listed)] == [
        ("read", own),
        ("read", own),
        ("read", tuple(sorted(both))),
        ("read", own),
        ("change", own),
        ("change", (created,)),
        ("read", (created,)),
    ]
    # Neither an address nor a name of a member: ids of members, and the path template.
    assert "Anna" not in str(listed)
    assert "a@shop.example" not in str(listed)
    assert listed[0].operation == f"GET {PROFILES_URL}"


async def test_a_failed_request_is_not_recorded_as_done(club: Club) -> None:
    profile = await create_profile(club)
    async with signed_in(club) as http:
        at = f"{PROFILES_URL}/{profile['id']}"
        assert (await http.put(at, json={"email": "not an address"})).status_code == 422
        assert (await http.get(f"{PROFILES_URL}/00000000-0000-4000-8000-000000000000")).status_code == 404
    assert await entries(club) == []


async def test_transactions_and_members_in_reports_are_recorded(club: Club) -> None:
    profile = await create_profile(club)
    sale = {"external_id": "s", "profile_id": profile["id"], "transacted_at": "2026-10-01 10:00:00", "total": "5.00"}
    async with signed_in(club) as http:
        created = await http.post(TRANSACTIONS, json={**sale, "timezone": "UTC", "currency": "NOK", "items": []})
        assert created.status_code == 201, created.text
        transaction_id = str(created.json()["data"]["id"])
        assert (await http.get(f"{TRANSACTIONS}/external/s")).status_code == 200
        for report in ({"report": "members"}, {"report": "members_count"}):
            response = await http.post("/v1/reporting/query", json=report)
            assert response.status_code == 200, response.text
        everyone = {"type": "less_than", "field": "created_at", "value": "2999-01-01T00:00:00Z"}
        created = await http.post("/v1/reporting/segments", json={"name": "everyone", "filter": everyone})
        assert created.status_code == 201, created.text
        assert (await http.get("/v1/reporting/segments/everyone/members")).status_code == 200
    assert shown(reversed(await entries(club))) == [  # type: ignore[arg-type]
        ("user", "change", "transaction", (transaction_id,)),
        ("user", "read", "transaction", (transaction_id,)),
        ("user", "read", "report", ("members",)),
        ("user", "change", "segment", ("everyone",)),
        ("user", "read", "segment", ("everyone",)),
    ]


async def test_a_request_of_a_person_that_can_not_be_recorded_gets_503(
    own_database: Database, migrated_urls: tuple[str, str], club: Club
) -> None:
    new = NewCommunity(slug="own", name="Own", country="NO", timezone="UTC", currency="NOK")
    async for own in create_club(own_database, club.clock, new):
        profile = await create_profile(own, first_name="Anna")
        owner = await asyncpg.connect(migrated_urls[0])
        await owner.execute("REVOKE INSERT ON audit_log FROM PUBLIC; ALTER TABLE audit_log RENAME TO audit_log_away")
        await owner.close()
        at = f"{PROFILES_URL}/{profile['id']}"
        async with signed_in(own) as http:
            read, change = await http.get(at), await http.put(at, json={"first_name": "Berit"})
        assert (read.status_code, change.status_code) == (503, 503)
        assert "audit log can't be written" in read.json()["message"]
        assert read.headers["retry-after"] == "5"
        # The change is rolled back. Machine traffic goes on.
        assert (await own.http.get(at)).json()["data"]["first_name"] == "Anna"
        assert (await own.http.delete(at)).status_code == 503


# Tokens ---------------------------------------------------------------------------------------------------------------


async def test_of_tokens_only_sensitive_requests_are_recorded(club: Club) -> None:
    one, two, three = [(await create_profile(club, external_id=name))["id"] for name in ("1", "2", "3")]
    await club.http.get(f"{PROFILES_URL}/{one}")
    await club.http.put(f"{PROFILES_URL}/{one}", json={"first_name": "Anna"})
    merged = await club.http.post(
        f"{PROFILES_URL}/merge", json={"source_profile_id": one, "destination_profile_id": two}
    )
    deleted = await club.http.put(f"{PROFILES_URL}/{three}/update-type", json={"profile_type": "deleted"})
    purged = await club.http.delete(f"{PROFILES_URL}/{two}/purge")
    hook = await club.http.post("/api/v3/webhooks", json={"trigger": "*", "url": "https://shop.example/hook"})
    imported = await club.http.post(
        "/v1/import/profiles", content=b"{}", headers={"Content-Type": "application/x-ndjson"}
    )
    for each in (merged, deleted, purged, hook, imported):
        assert each.status_code in (200, 201, 204), each.text
    listed = await entries(club)
    assert shown(reversed(listed)) == [  # type: ignore[arg-type]
        ("token", "erase", "profile", (two,)),
        ("token", "erase", "profile", (three,)),
        ("token", "erase", "profile", (two,)),
        ("token", "change", "webhook", (str(hook.json()["data"]["id"]),)),
        ("token", "import", "entity", ("profiles",)),
    ]
    assert {each.actor_name for each in listed} == {"test"}


async def test_all_requests_of_tokens_are_recorded_on_request(club: Club) -> None:
    profile_id = (await create_profile(club))["id"]
    server = AppContext(Settings(data_dir=FOLDER, audit_tokens="all"), club.database)
    async with club.database.organization_transaction(club.community.organization_id) as connection:
        (token,) = await connection.fetch("SELECT id FROM tokens")
    principal = person(club, user_id=None, token_id=token["id"])
    async with signed_in(club, principal, server) as http:
        assert (await http.get(f"{PROFILES_URL}/{profile_id}/aggregations")).status_code == 200
    await server.close()
    assert shown(await entries(club)) == [("token", "read", "profile", (profile_id,))]


async def test_denied_requests_are_recorded_with_their_number(club: Club) -> None:
    async with club.database.unscoped_connection() as connection:
        new = NewToken(club.community.organization_id, "till", ["Profile:Read"], community_id=club.community.id)
        secret = await tokens.create(connection, new, club.clock())
    headers = {"Authorization": f"Bearer {secret}"}
    for _ in range(3):
        assert (await club.http.delete(f"{PROFILES_URL}/ada@shop.example", headers=headers)).status_code == 403
    assert (await club.http.post("/v1/reporting/query", json={}, headers=headers)).status_code == 403
    unknown = {"Authorization": "Bearer rg_" + "a" * 43}
    assert (await club.http.get(PROFILES_URL, headers=unknown)).status_code == 401
    query, delete = await entries(club, action="deny")
    assert (delete.operation, delete.count, delete.actor_name) == ("DELETE /api/v3/profiles/{id}", 3, "till")
    assert "lacks the permit Profile:Erase" in delete.details["reason"]
    assert query.operation == "POST /v1/reporting/query"
    assert "ada" not in str(delete)


# The log itself -------------------------------------------------------------------------------------------------------


def entry(club: Club, number: int, **more: Any) -> AuditEntry:
    """The nth entry of a test."""
    declared: dict[str, Any] = {
        "organization_id": club.community.organization_id,
        "occurred_at": club.clock() + timedelta(seconds=number),
        "actor": Actor("command", None, "root"),
        "action": AuditAction.ACCESS,
        "subject_type": "token",
        "operation": f"regulars token revoke {number}",
        **more,
    }
    return AuditEntry(**declared)


async def insert(club: Club, *all_entries: AuditEntry) -> None:
    """Appends entries."""
    async with club.database.unscoped_connection() as connection:
        for each in all_entries:
            await audit_log.insert(connection, each)


async def test_entries_are_filtered_and_paged(club: Club) -> None:
    one = club.community.id
    await insert(
        club,
        *(entry(club, number) for number in range(3)),
        entry(club, 2, actor=Actor("user", 5, "Ada"), community_ids=[one], subject_ids=["9", "nul\0"]),
        entry(club, 4, action=AuditAction.READ, subject_type="profile", community_ids=[one, one + 1]),
    )
    organization_id = club.community.organization_id
    async with club.database.organization_transaction(organization_id) as connection:
        pages, after = [], None
        while page := await audit_log.list_entries(connection, organization_id, AuditFilter(), 2, after):
            pages += page
            after = (page[-1].occurred_at, page[-1].id)
    assert [(each.occurred_at - club.clock()).seconds for each in pages] == [4, 2, 2, 1, 0]
    assert len({each.id for each in pages}) == 5
    start = club.clock()
    for conditions, count in (
        ({"actor_type": "user"}, 1),
        ({"actor_type": "user", "actor_id": 6}, 0),
        ({"action": "read"}, 1),
        ({"subject_type": "token"}, 4),
        ({"subject_id": "9"}, 1),
        ({"subject_id": "nul"}, 1),
        ({"community_id": one}, 2),
        ({"community_ids": [one]}, 1),
        ({"community_ids": []}, 0),
        ({"since": start + timedelta(seconds=1), "until": start + timedelta(seconds=4)}, 3),
    ):
        assert len(await entries(club, **conditions)) == count, conditions


async def test_a_long_list_of_subjects_is_cut_and_counted(club: Club) -> None:
    await insert(club, entry(club, 0, subject_ids=[str(number) for number in range(audit_log.MAX_SUBJECTS + 1)]))
    (stored,) = await entries(club)
    assert len(stored.subject_ids) == audit_log.MAX_SUBJECTS
    assert stored.details == {"subjects": audit_log.MAX_SUBJECTS + 1}


async def test_an_organization_sees_its_own_entries_only(club: Club, other_club: Club) -> None:
    await insert(club, entry(club, 0))
    assert await entries(other_club) == []
    async with club.database.unscoped_connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM audit_log") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        async with club.database.organization_transaction(club.community.organization_id) as connection:
            await connection.execute("DELETE FROM audit_log")


async def test_entries_are_deleted_after_their_retention_but_never_within_a_month(club: Club) -> None:
    old = entry(club, 0, occurred_at=club.clock() - timedelta(days=800))
    await insert(club, old, entry(club, 1))
    # Organizations of other tests may have expired entries as well.
    assert await audit_retention.delete_expired(club.database, Settings()) >= 1
    assert [each.occurred_at for each in await entries(club)] == [club.clock() + timedelta(seconds=1)]
    recent = entry(club, 2, occurred_at=club.clock() + timedelta(days=3650))
    await insert(club, recent)
    async with club.database.organization_transaction(club.community.organization_id) as connection:
        await audit_log.delete_expired(connection, club.community.organization_id, club.clock() + timedelta(days=7300))
    async with club.database.unscoped_connection() as connection:
        with pytest.raises(asyncpg.RaiseError, match="is null"):
            await connection.fetchval("SELECT delete_audit_entries(1, NULL)")
    assert [each.occurred_at for each in await entries(club)] == [recent.occurred_at]


def test_the_actor_of_a_command_is_the_user_of_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "deploy")
    assert audit_log.command_actor() == Actor("command", None, "deploy")

    def fail() -> str:
        raise KeyError("uid 1234")

    monkeypatch.setattr("getpass.getuser", fail)
    assert audit_log.command_actor() == Actor("command")


# What seldom happens --------------------------------------------------------------------------------------------------


async def test_a_flood_of_different_denials_is_bounded_and_lost_without_a_database(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.web.audit.MAX_PENDING_DENIALS", 2)
    recorder = DenialRecorder(club.database)
    await recorder.close()
    for number in range(4):
        audit = RequestAudit(club.database, person(club), audit_rules.NOTHING, f"GET /{number}", "", {})
        recorder.record(audit, AccessDenied(403, "The token lacks a permit."))
        recorder.record(audit, AccessDenied(401, "The token is unknown."))
    await recorder.close()
    assert [(each.operation, each.count) for each in await entries(club)] == [("GET /1", 3), ("GET /0", 1)]
    closed = Database(club.database.url, 1, club.clock)
    closed.pool = BrokenPool()
    lost = DenialRecorder(closed, interval_seconds=0.0)
    lost.record(audit, AccessDenied(403, "The token lacks a permit."))
    await lost.close()
    assert len(await entries(club)) == 2


class BrokenPool:
    """A pool whose server is gone."""

    def acquire(self) -> Any:
        """Raises OSError."""
        raise OSError("connection refused")


async def test_an_entry_is_written_in_the_caller_s_transaction_or_not_at_all(club: Club) -> None:
    audit = RequestAudit(club.database, person(club), audit_rules.READ_PROFILE, "GET /", "", {})

    class Failing:
        async def execute(self, *arguments: object) -> None:
            raise asyncpg.DeadlockDetectedError("deadlock detected")

    with pytest.raises(asyncpg.DeadlockDetectedError):
        await audit.insert(Failing())
    await audit.write({"data": [{"id": "not an id"}, "text", {"id": 7}]})
    await audit.write()
    (stored,) = await entries(club)
    assert stored.subject_ids == ("7",)
    silent = RequestAudit(club.database, person(club), audit_rules.NOTHING, "POST /", "", {})
    await silent.require_first(Failing(), "key")


def test_the_actor_of_a_signed_link_is_the_link() -> None:
    link = replace(ANONYMOUS, kind=PrincipalKind.SIGNED_LINK, organization_id=1)
    assert audit_log.actor_of(link) == Actor("link")


def test_the_address_of_a_client_is_that_of_the_last_proxy_that_is_not_trusted() -> None:
    def address(peer: str, *forwarded: str) -> str:
        headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
        return PublicAddress(Settings(trusted_proxies="10.0.0.0/8")).client_address(
            {"client": (peer, 1), "headers": headers}
        )

    assert address("192.0.2.1", "198.51.100.7") == "192.0.2.1"
    assert address("10.0.0.1") == "10.0.0.1"
    assert address("10.0.0.1", "198.51.100.7") == "198.51.100.7"
    assert address("10.0.0.1", "203.0.113.9, 198.51.100.7", "10.0.0.2") == "198.51.100.7"
    assert address("10.0.0.1", "ada@shop.example") == "10.0.0.1"
