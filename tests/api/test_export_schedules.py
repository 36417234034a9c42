"""Schedules of exports: requests and their errors, runs at local times, missed runs, targets, access."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.export_client import ExportClient, export_client
from api.reporting_client import REPORTS
from clubs import ManualClock
from regulars.auth import audit_log
from regulars.auth.audit_log import AuditFilter
from regulars.exports import export_table
from regulars.jobs import export_schedules, exports
from regulars.settings import Settings
from regulars.storage.database import Database

SCHEDULES = "/v1/reporting/export_schedules"

# 06:00 in Oslo is 05:00 UTC in winter; the clock starts on Sunday, 1 November 2026, at midnight UTC.
DAILY: dict[str, Any] = {"name": "Daily", "cron": "0 6 * * *", "report": "samples", "format": "csv"}


@pytest_asyncio.fixture
async def client(database: Database, clock: ManualClock) -> AsyncIterator[ExportClient]:
    """A client whose server allows one other store."""
    async with export_client(database, clock, export_targets="s3://partner/drop/, s3://other") as found:
        yield found


async def send(client: ExportClient, method: str, path: str = "", body: Any = None, **more: Any) -> httpx.Response:
    """The response to a request about schedules, of all customers."""
    headers = {"X-Client-Authorization": more.get("token", client.reporting.token)}
    headers["X-Customer"] = more.get("customer", "all=all")
    return await client.reporting.http.request(method, f"{SCHEDULES}{path}", headers=headers, json=body)


async def create(client: ExportClient, **more: Any) -> dict[str, Any]:
    """Creates a schedule and returns it."""
    answer = await send(client, "POST", body={**DAILY, **more})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()["export_schedule"]
    return created


async def run_due(client: ExportClient) -> list[export_table.Export]:
    """Requests what is due; returns the exports of schedules, latest first."""
    await export_schedules.run_due(client.database, client.settings, REPORTS)
    found = await export_table.list_latest(client.database, client.organization_id)
    return [each for each in found if each.schedule_id is not None]


async def test_a_schedule_runs_at_its_local_time(client: ExportClient, clock: ManualClock) -> None:
    created = await create(client)
    assert (created["timezone"], created["next_run_at"]) == ("Europe/Oslo", "2026-11-01T05:00:00.000000Z")
    assert await run_due(client) == []
    clock.at = datetime(2026, 11, 1, 5, 0, 3, tzinfo=UTC)
    (export,) = await run_due(client)
    assert export.scheduled_for == datetime(2026, 11, 1, 5, tzinfo=UTC)
    assert export.request == {"report": "samples", "format": "csv"}
    assert await run_due(client) == [export]
    await client.run_all()
    found = (await send(client, "GET", f"/{created['id']}")).json()["export_schedule"]
    assert found["next_run_at"] == "2026-11-02T05:00:00.000000Z"
    assert found["runs"] == [
        {
            "export_id": str(export.id),
            "scheduled_for": "2026-11-01T05:00:00.000000Z",
            "status": "done",
            "rows": 2,
            "error": None,
        }
    ]
    assert client.files() == [f"{client.organization_id}/samples-20261101T050000Z-{str(export.id)[:8]}.csv"]


async def test_missed_runs_are_one_export(client: ExportClient, clock: ManualClock) -> None:
    await create(client)
    clock.at = datetime(2026, 11, 9, 12, tzinfo=UTC)
    (export,) = await run_due(client)
    assert export.scheduled_for == datetime(2026, 11, 9, 5, tzinfo=UTC)


async def test_a_run_is_skipped_while_the_last_export_has_not_finished(
    client: ExportClient, clock: ManualClock
) -> None:
    await create(client)
    clock.at = datetime(2026, 11, 1, 6, tzinfo=UTC)
    assert len(await run_due(client)) == 1
    clock.advance(days=1)
    assert len(await run_due(client)) == 1
    await client.run_all()
    clock.advance(days=1)
    assert len(await run_due(client)) == 2


async def test_a_range_is_relative_to_the_run(client: ExportClient, clock: ManualClock) -> None:
    await create(client, report="events_history", range={"last": "7d"})
    clock.at = datetime(2026, 11, 1, 9, tzinfo=UTC)
    (export,) = await run_due(client)
    assert (export.request["from"], export.request["to"]) == ("2026-10-25T00:00:00+02:00", "2026-10-31T23:59:59+01:00")
    assert "range" not in export.request


@pytest.mark.parametrize(
    ("other_zone", "start", "end"),
    [
        # 06:00 in Tokyo is 22:00 of the day before in Oslo, where that day has not ended.
        ("Europe/Oslo", "2026-11-01T00:00:00+09:00", "2026-11-01T23:59:59+09:00"),
        ("Asia/Tokyo", "2026-10-31T00:00:00", "2026-10-31T23:59:59"),
    ],
)
async def test_a_range_has_ended_for_all_customers(
    client: ExportClient, database: Database, clock: ManualClock, other_zone: str, start: str, end: str
) -> None:
    async with database.write_transaction(client.reporting.clubs[1].id) as scope:
        await scope.execute("UPDATE communities SET timezone = $2 WHERE id = $1", scope.community_id, other_zone)
    await create(client, timezone="Asia/Tokyo", report="events_history", range={"last": "1d"})
    clock.at = datetime(2026, 11, 1, 21, tzinfo=UTC)
    (export,) = await run_due(client)
    assert (export.request["from"], export.request["to"]) == (start, end)
    await client.run_all()
    found = await export_table.get(database, client.organization_id, export.id)
    assert found is not None
    assert found.status is export_table.ExportStatus.DONE, found.error


async def test_a_schedule_is_replaced_and_deleted(client: ExportClient) -> None:
    created = await create(client)
    path = f"/{created['id']}"
    replaced = await send(client, "PUT", path, {**DAILY, "name": "Hourly", "cron": "0 * * * *"})
    assert replaced.status_code == 200
    listed = (await send(client, "GET")).json()["export_schedules"]
    assert [(each["id"], each["name"], each["cron"]) for each in listed] == [(created["id"], "Hourly", "0 * * * *")]
    assert (await send(client, "DELETE", path)).json()["export_schedule"]["next_run_at"] is None
    for method in ("GET", "DELETE"):
        assert (await send(client, method, path)).status_code == 404
    assert (await send(client, "PUT", path, DAILY)).status_code == 404
    assert (await send(client, "GET", "/x")).status_code == 404


@pytest.mark.parametrize(("method", "body"), [("PUT", DAILY), ("DELETE", None)])
async def test_a_schedule_that_is_deleted_meanwhile_is_not_found(client: ExportClient, method: str, body: Any) -> None:
    path = f"/{(await create(client))['id']}"
    async with client.database.organization_transaction(client.organization_id) as connection:
        await connection.execute("DELETE FROM export_schedules WHERE organization_id = $1", client.organization_id)
        own = await connection.fetchval("SELECT pg_backend_pid()")
        request = asyncio.create_task(send(client, method, path, body))
        async with client.database.unscoped_connection() as other:
            # Until the request waits for this transaction.
            while not await other.fetchval(
                "SELECT true FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))", own
            ):
                assert not request.done()
    assert (await request).status_code == 404
    assert (await send(client, "GET", path)).status_code == 404


async def test_the_audit_log_names_the_schedule(client: ExportClient) -> None:
    created = await create(client)
    await send(client, "PUT", f"/{created['id']}", DAILY)
    await send(client, "DELETE", f"/{created['id']}")
    async with client.database.organization_transaction(client.organization_id) as connection:
        entries = await audit_log.list_entries(
            connection, client.organization_id, AuditFilter(subject_type="export schedule"), limit=100
        )
    assert [each.subject_ids for each in entries] == 3 * [(created["id"],)]


async def test_every_error_is_in_the_shape_of_the_request(client: ExportClient) -> None:
    answer = await send(
        client,
        "POST",
        body={
            "report": "samples",
            "cron": "0 25 * * *",
            "timezone": "Mars",
            "range": {"last": "7d"},
            "target": {"type": "folder", "path": "../other", "x": 1},
            "customer_columns": "yes",
            "webhook_url": "https://a.example",
        },
    )
    assert answer.status_code == 422
    found = {name: each for name, each in answer.json()["details"].items() if isinstance(each, list)}
    assert {name: each[0]["error"] for name, each in found.items()} == {
        "name": "presence", "timezone": "invalid_timezone", "range": "unknown", "customer_columns": "not_a_boolean",
        "format": "presence", "webhook_url": "unknown",
    }  # fmt: skip
    target = answer.json()["details"]["target"]
    assert target["path"][0]["error"] == "invalid_path"
    assert target["x"][0]["error"] == "unknown"


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [
        ({"name": "\t"}, ("name",), "invalid_name"),
        ({"cron": None}, ("cron",), "presence"),
        ({"cron": "0 25 * * *"}, ("cron",), "invalid_cron"),
        ({"timezone": 5}, ("timezone",), "invalid_timezone"),
        ({"report": "events_history", "range": {"last": "x"}}, ("range",), "invalid_range"),
        ({"report": "events_history", "range": {"last": "7d"}, "to": "2026-01-01"}, ("to",), "unknown"),
        ({"report": "events_history"}, ("from",), "presence"),
        ({"target": 5}, ("target",), "must_be_an_object"),
        ({"target": {"type": "ftp"}}, ("target", "type"), "inclusion"),
        ({"target": {"type": "folder", "path": "/etc"}}, ("target", "path"), "invalid_path"),
        ({"target": {"type": "folder", "path": "a/../b"}}, ("target", "path"), "invalid_path"),
        ({"target": {"type": "folder", "path": "a/.hidden"}}, ("target", "path"), "invalid_path"),
        ({"target": {"type": "s3", "url": "s3://bucket/x"}}, ("target", "url"), "inclusion"),
        ({"target": {"type": "s3", "url": "s3://partner/drop/../x"}}, ("target", "url"), "inclusion"),
        ({"target": {"type": "webhook"}}, ("target", "url"), "presence"),
        ({"target": {"type": "webhook", "url": "ftp://a"}}, ("target", "url"), "invalid_url"),
    ],
)
async def test_an_invalid_parameter_is_an_error_at_its_place(
    client: ExportClient, change: dict[str, Any], path: tuple[str, ...], code: str
) -> None:
    answer = await send(client, "POST", body={**DAILY, **change})
    assert answer.status_code == 422, answer.text
    found = answer.json()["details"]
    for key in path:
        found = found[key]
    assert found[0]["error"] == code


async def test_customers_in_several_zones_need_a_zone(client: ExportClient, database: Database) -> None:
    async with database.write_transaction(client.reporting.clubs[1].id) as scope:
        await scope.execute("UPDATE communities SET timezone = 'Asia/Tokyo' WHERE id = $1", scope.community_id)
    answer = await send(client, "POST", body=DAILY)
    assert "The customers have several: Asia/Tokyo, Europe/Oslo." in answer.json()["details"]["timezone"][0]["message"]
    created = await create(client, timezone="Asia/Tokyo")
    assert created["next_run_at"] == "2026-11-01T21:00:00.000000Z"


async def test_targets_are_folders_of_the_organization_and_allowed_stores(
    client: ExportClient, clock: ManualClock
) -> None:
    await create(client, target={"type": "folder", "path": "weekly/members"})
    await create(client, target={"type": "s3", "url": "s3://partner/drop/nord/"})
    webhook = await create(client, target={"type": "webhook", "url": "https://a.example"})
    assert webhook["webhook_secret"].startswith("whsec_")
    clock.advance(hours=9)
    found = {(each.location, each.folder, each.webhook_url) for each in await run_due(client)}
    own = str(client.organization_id)
    assert found == {
        ("", f"{own}/weekly/members", None),
        ("s3://partner/drop/nord", "", None),
        ("", own, "https://a.example"),
    }
    path = f"/{webhook['id']}"
    unchanged = await send(client, "PUT", path, {**DAILY, "target": {"type": "webhook", "url": "https://b.example"}})
    assert "webhook_secret" not in unchanged.json()["export_schedule"]
    await send(client, "PUT", path, DAILY)
    renewed = await send(client, "PUT", path, {**DAILY, "target": {"type": "webhook", "url": "https://b.example"}})
    assert renewed.json()["export_schedule"]["webhook_secret"] != webhook["webhook_secret"]


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("s3://other/exports", 422),
        ("s3://other/exports/", 422),
        ("s3://other/exports/7", 422),
        ("s3://other/exports//7/weekly", 422),
        ("s3://other/exports/nord", 201),
        ("s3://other/exports-7", 201),
        ("s3://other/7", 201),
    ],
)
async def test_a_target_is_no_folder_of_the_store_of_exports(
    database: Database, clock: ManualClock, url: str, status: int
) -> None:
    settings = {"export_store": "s3://other/exports", "export_targets": "s3://other"}
    async with export_client(database, clock, **settings) as client:
        answer = await send(client, "POST", body={**DAILY, "target": {"type": "s3", "url": url}})
    assert answer.status_code == status
    if status == 422:
        assert answer.json()["details"]["target"]["url"][0]["error"] == "invalid_url"


async def test_a_schedule_whose_store_is_no_longer_allowed_does_not_run(
    client: ExportClient, clock: ManualClock
) -> None:
    created = await create(client, target={"type": "s3", "url": "s3://partner/drop/nord"})
    clock.advance(days=1)
    assert await export_schedules.run_due(client.database, Settings(), REPORTS) == 0
    found = (await send(client, "GET", f"/{created['id']}")).json()["export_schedule"]
    assert found["runs"] == []


async def test_access_is_that_of_exports(client: ExportClient) -> None:
    created = await create(client)
    reporting = client.reporting
    narrow = await reporting.new_token(customers=[reporting.clubs[0].slug])
    foreign = await reporting.new_token(of=reporting.other_club)
    for token in (narrow, foreign):
        assert (await send(client, "GET", f"/{created['id']}", token=token)).status_code == 404
        assert (await send(client, "GET", token=token)).json()["export_schedules"] == []
    other_report = await reporting.new_token(("Reporting:Api:Export", "Reporting:Api:Report:Members"))
    assert (await send(client, "GET", f"/{created['id']}", token=other_report)).status_code == 403
    assert (await send(client, "GET", token=other_report)).json()["export_schedules"] == []
    plain = await reporting.new_token(("Reporting:Api:Export", "Reporting:Api:Report:*"))
    denied = await send(client, "POST", body={**DAILY, "customer_columns": True}, token=plain)
    assert "Reporting:Api:TenantsExport" in denied.json()["error"]


async def test_an_organization_has_a_limited_number_of_schedules(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_schedules, "MAX_SCHEDULES", 1)
    await create(client)
    answer = await send(client, "POST", body=DAILY)
    assert answer.status_code == 429
    assert "has 1 schedules, the maximum" in answer.json()["error"]


async def test_a_run_is_skipped_while_too_many_exports_wait(
    client: ExportClient, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(client)
    monkeypatch.setattr(exports, "MAX_UNFINISHED", 0)
    clock.advance(days=1)
    assert await run_due(client) == []


async def test_a_schedule_whose_report_is_gone_can_be_read_and_deleted(client: ExportClient) -> None:
    created = await create(client)
    async with client.database.organization_transaction(client.organization_id) as connection:
        await connection.execute(
            "UPDATE export_schedules SET request = jsonb_set(request, '{report}', '\"gone\"') WHERE organization_id = $1",
            client.organization_id,
        )
    assert (await send(client, "GET", f"/{created['id']}")).status_code == 200
    assert len((await send(client, "GET")).json()["export_schedules"]) == 1
    assert (await send(client, "DELETE", f"/{created['id']}")).status_code == 200
