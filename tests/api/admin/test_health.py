"""The state of the data: late stores, loads with rejected rows, freshness, verify runs and failed work."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from api.admin.test_administration import ADMIN, admin, ok
from api.profile_calls import create_profile
from clubs import Club
from regulars.auth.tenants import TenantScope, list_tenants
from regulars.core.errors import QuotingText
from regulars.exports import export_table
from regulars.exports.export_table import NewExport
from regulars.facts import purchases
from regulars.loading.batches import LoadOptions, LoadStoppedError, LoadSummary
from regulars.loading.load_log import record_run
from regulars.loading.row_kinds import MAX_KINDS, RowKinds
from regulars.model import load_runs, verify_runs
from regulars.model.load_runs import LoadRun
from regulars.model.verify_runs import VerifyRun
from regulars.observability import data_health
from regulars.settings import Settings
from regulars.storage.database import Database


async def health(club: Club) -> dict[str, Any]:
    """The state of the club's data."""
    async with admin(club) as http:
        measured = await ok(await http.get(f"{ADMIN}/health"))
    (customer,) = measured["customers"]
    return {**customer, "failed_exports": measured["failed_exports"]}


async def sell(club: Club, store: str, *days_ago: float) -> None:
    """Sells something in a store at times before now."""
    for number, days in enumerate(days_ago):
        at = club.clock() - timedelta(days=days)
        response = await club.http.post(
            "/api/v3/transactions",
            json={
                "external_id": f"{store}-{number}",
                "transacted_at": f"{at:%Y-%m-%d %H:%M:%S}",
                "timezone": "UTC",
                "currency": "NOK",
                "total": "10.00",
                "location_id": store,
                "items": [],
            },
        )
        assert response.status_code == 201, response.text


async def add_store(club: Club, name: str) -> int:
    """Creates a store and returns its id."""
    response = await club.http.post("/api/v3/locations", json={"name": name, "external_id": name})
    assert response.status_code == 201, response.text
    store: int = response.json()["data"]["id"]
    return store


async def test_an_empty_club_has_no_problems(club: Club) -> None:
    state = await health(club)
    assert state["problems"] == []
    assert state["stores"] == state["rejected_loads"] == state["failed_deliveries"] == state["failed_exports"] == []
    assert set(state["newest"].values()) == {None}
    assert (state["verify"], state["last_load_at"], state["replica_caught_up_at"]) == (None, None, None)
    assert state["outdated_profiles"] == {"profiles": 0, "oldest_seconds": 0}


async def test_a_store_without_sales_for_longer_than_usual_is_late(club: Club) -> None:
    club.clock.advance(hours=18)
    for name in ("daily", "quiet", "weekly", "new", "never"):
        await add_store(club, name)
    await sell(club, "daily", *(day + 0.1 for day in range(10)))
    await sell(club, "quiet", *(day + 2.1 for day in range(10)))
    await sell(club, "weekly", *(7 * week + 6.0 for week in range(6)))
    await sell(club, "new", 0.2, 1.2)
    for _ in range(2):
        state = await health(club)
        stores = {each["name"]: each for each in state["stores"]}
        if state["waiting_for_compaction"]["purchases"]:
            # Days are those of the compacted rollups.
            assert stores["daily"]["status"] == "unknown"
            await purchases.compact(club.database, club.community.id, wait=True)
    # Those that sold nothing are first, then those that have been quiet for longest.
    assert list(stores)[:2] == ["never", "weekly"]
    assert {name: (each["status"], each["usual_days"]) for name, each in stores.items()} == {
        "never": ("none", None),
        "quiet": ("late", 1),
        "weekly": ("on_time", 7),
        "daily": ("on_time", 1),
        "new": ("unknown", None),
    }
    assert stores["quiet"]["last_sale_at"] == f"{club.clock() - timedelta(days=2.1):%Y-%m-%dT%H:%M:%SZ}"
    assert state["problems"] == ["stores"]
    assert state["newest"]["purchases"] == stores["daily"]["last_sale_at"]


async def test_rejected_rows_of_imports_are_shown_without_their_values(club: Club) -> None:
    rows = b'{"external_id": "a", "email": "ada at shop"}\n{"external_id": "b", "email": "eva at shop"}\n{"external_id": "c"}\n'
    response = await club.http.post(
        "/v1/import/profiles", content=rows, headers={"Content-Type": "application/x-ndjson"}
    )
    assert response.json()["rejected"] == 2, response.text
    dry = "/v1/import/profiles?dry_run=1"
    await club.http.post(dry, content=rows, headers={"Content-Type": "application/x-ndjson"})
    unreadable = await club.http.post(
        "/v1/import/profiles", content=b"name\nAda\n", headers={"Content-Type": "text/csv"}
    )
    state = await health(club)
    last, first = state["rejected_loads"]
    assert (first["source"], first["entity"], first["accepted"], first["rejected"]) == ("import", "profiles", 1, 2)
    (reason,) = first["reasons"]
    assert (reason["count"], reason["line"]) == (2, 1)
    assert reason["reason"].startswith("email")
    assert "ada" not in str(state)
    assert last["error"] is not None, unreadable.text
    assert state["last_load_at"] is not None
    assert state["problems"] == ["loads"]


async def test_results_of_verify_runs_and_old_runs_expire(club: Club) -> None:
    now, community_id = club.clock(), club.community.id
    run = VerifyRun(now, now, 10, 60, {f"value_{number}": number for number in range(60)})
    await verify_runs.store(club.database, community_id, run)
    state = await health(club)
    assert (state["verify"]["differences"], len(state["verify"]["differences_by_name"])) == (60, verify_runs.MAX_NAMES)
    assert state["problems"] == ["verify"]
    await load_runs.store(club.database, community_id, LoadRun("load", "profiles", "x" * 300, now, now, 1, 0, 0))
    club.clock.advance(days=91)
    for delete_expired in (load_runs.delete_expired, verify_runs.delete_expired):
        assert await delete_expired(club.database, 90, community_id) == 1
    assert (await health(club))["verify"] is None


async def test_failed_work_and_invalid_segments_are_shown(club: Club, other_club: Club) -> None:
    await create_profile(club)
    organization_id = club.community.organization_id
    new = NewExport(
        organization_id=organization_id,
        id=uuid4(),
        request={"report": "members", "format": "csv"},
        community_ids=[club.community.id],
        permits=(),
        has_customer_columns=False,
        location="",
        folder=str(organization_id),
    )
    async with club.database.organization_transaction(organization_id) as connection:
        await export_table.insert(connection, new, club.clock())
        await connection.execute("UPDATE exports SET status = 'failed', error = 'disk full'")
    state = await health(club)
    assert [(each["report"], each["error"]) for each in state["failed_exports"]] == [("members", "disk full")]
    assert state["newest"]["profiles"] is not None
    assert (await health(other_club))["failed_exports"] == []


async def test_a_replica_shows_when_it_caught_up(club: Club) -> None:
    async with admin(club) as http:
        headers = {"X-Loyalty-Club-Slug": club.community.slug}
        response = await http.post("/v1/reporting/query", json={"report": "members_count"}, headers=headers)
        assert response.status_code == 200, response.text
    assert (await health(club))["replica_caught_up_at"] is not None


async def test_the_number_of_customers_is_limited(club: Club, monkeypatch: Any) -> None:
    monkeypatch.setattr("regulars.api.admin.health.MAX_CUSTOMERS", 0)
    async with admin(club) as http:
        measured = await ok(await http.get(f"{ADMIN}/health?customer={club.community.slug}"))
    assert (measured["customers"], measured["omitted_customers"]) == ([], 1)


async def test_problems_follow_from_the_parts(club: Club, database: Database) -> None:
    async with database.unscoped_connection() as connection:
        (tenant,) = await list_tenants(connection, TenantScope(club.community.organization_id))
    measured = await data_health.measure(database, tenant)
    assert measured.problems == []
    worse = replace(
        measured,
        waiting={"purchases": data_health.MAX_WAITING + 1},
        refresh=replace(measured.refresh, oldest_seconds=data_health.MAX_REFRESH_SECONDS + 1.0),
        webhooks=replace(measured.webhooks, disabled=1),
        invalid_segments=[data_health.InvalidSegmentHealth("loyal", "The field is unknown.")],
    )
    assert worse.problems == ["compaction", "refresh", "webhooks", "segments"]
    assert Settings().run_retention_days == 90


async def test_a_file_without_a_header_leaves_no_values_in_the_record_of_its_load(club: Club) -> None:
    content = b"Kari Nordmann;kari@example.com;90000001\nOla;ola@example.com;90000002\n"
    answer = await club.http.post("/v1/import/profiles", content=content, headers={"Content-Type": "text/csv"})
    assert (answer.status_code, "Kari Nordmann" in answer.text) == (422, True)
    (load,) = (await health(club))["rejected_loads"]
    assert load["error"] == "external_id is a required column"


async def test_a_text_that_is_twice_in_the_first_line_is_not_in_the_record_of_its_load(club: Club) -> None:
    for content in (b"external_id,Kari,Kari\n1,a,b\n", b"external_id,email,email\n1,a,b\n"):
        answer = await club.http.post("/v1/import/profiles", content=content, headers={"Content-Type": "text/csv"})
        assert (answer.status_code, "is a column twice: leave one out" in answer.text) == (422, True)
    ours, theirs = (await health(club))["rejected_loads"]
    assert (ours["error"], theirs["error"]) == (
        "email is a column twice: leave one out",
        "A text is a column twice: leave one out",
    )


async def test_a_load_that_stopped_is_recorded_unless_the_database_is_gone(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stop() -> LoadSummary:
        raise LoadStoppedError(LoadSummary(accepted=3), 4)

    async def record() -> None:
        with pytest.raises(LoadStoppedError):
            await record_run(club.database, club.community.id, "profiles", LoadOptions(file_name="a.csv"), stop)

    await record()
    (stopped,) = (await health(club))["rejected_loads"]
    assert (stopped["file_name"], stopped["accepted"], stopped["error"]) == ("a.csv", 3, "The load stopped.")

    async def fail(*arguments: object) -> None:
        raise OSError("connection refused")

    monkeypatch.setattr("regulars.model.load_runs.store", fail)
    await record()
    assert len((await health(club))["rejected_loads"]) == 1


def test_reasons_of_rejected_rows_have_no_values() -> None:
    kinds = RowKinds()
    for line, text in enumerate(("1.1.26 Ada", "it's", "Eva"), 1):
        kinds.add(line, {"items.0.birthday": QuotingText(f"must be a date, not {text!r}", "must be a date")})
    kinds.add(4, {"items.0.name": "must be at most 255 characters"})
    assert [(each.count, each.message) for each in kinds.most_frequent()] == [
        (3, "items.birthday must be a date"),
        (1, "items.name must be at most 255 characters"),
    ]
    assert kinds.most_frequent()[0].example == "items.0.birthday must be a date, not '1.1.26 Ada'"


def test_further_kinds_of_reasons_are_counted_together() -> None:
    full = RowKinds()
    for number in range(MAX_KINDS + 2):
        full.add(number, {f"field{chr(97 + number % 26)}{chr(97 + number // 26)}": "is wrong"})
    assert full.most_frequent()[0].count == 2
