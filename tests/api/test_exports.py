"""Exports over HTTP: request, poll, download, cancel, delete; who has access; what happens when something fails."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import itertools
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import pytest_asyncio

from api.export_client import EXPORTS, SAMPLES, TENANTS_EXPORT, ExportClient, export_client
from clubs import ManualClock
from regulars.auth import audit_log
from regulars.auth.audit_log import AuditFilter
from regulars.exports import cleanup, export_table, run, stores
from regulars.exports.export import write_export
from regulars.jobs import exports as export_jobs
from regulars.jobs import job_list
from regulars.jobs.job_type import JobOutcome
from regulars.query.errors import invalid_parameter
from regulars.storage.database import Database

QUERY_COST = 2


@pytest_asyncio.fixture
async def client(database: Database, clock: ManualClock) -> AsyncIterator[ExportClient]:
    """A client whose files are in a folder."""
    async with export_client(database, clock) as found:
        yield found


def names(content: bytes) -> list[str]:
    """The names in a CSV file."""
    return [row["name"] for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig")))]


async def test_an_export_is_requested_polled_and_downloaded(client: ExportClient) -> None:
    answer = await client.request()
    assert answer.status_code == 202
    export = answer.json()["export"]
    assert {name: export[name] for name in ("status", "request", "progress", "rows", "url", "error")} == {
        "status": "queued", "request": SAMPLES, "progress": 0.0, "rows": 0, "url": None, "error": None,
    }  # fmt: skip
    assert answer.headers["ratelimit-cost"] == str(10 * QUERY_COST)
    await client.run_all()
    done = await client.read(export)
    assert (done["status"], done["progress"], done["rows"], done["attempts"]) == ("done", 1.0, 2, 1)
    assert done["requested_at"] == done["snapshot_at"] == "2026-11-01T00:00:00.000000Z"
    assert done["expires_at"] == "2026-11-08T00:00:00.000000Z"
    file = await client.get(f"/{export['id']}/file")
    assert file.status_code == 200
    assert names(file.content) == ["nord", "syd"]
    assert len(file.content) == done["bytes"]
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.headers["etag"] == f'"{done["sha256"]}"'
    assert file.headers["content-disposition"] == f'attachment; filename="{done["file_name"]}"'
    as_bytes = await client.get(f"/{done['id']}/file", Accept="application/octet-stream")
    assert (as_bytes.headers["content-type"], as_bytes.content) == ("application/octet-stream", file.content)
    assert file.headers["ratelimit-cost"] == "1"
    assert done["file_name"] == f"samples-20261101T000000Z-{export['id'][:8]}.csv"
    assert client.files() == [f"{client.organization_id}/{done['file_name']}"]
    listed = (await client.get("")).json()["exports"]
    assert [each["id"] for each in listed] == [export["id"]]


async def test_ranges_and_conditions_of_downloads_are_honoured(client: ExportClient) -> None:
    done = await client.done()
    path = f"/{done['id']}/file"
    content = (await client.get(path)).content
    part = await client.get(path, Range="bytes=3-9")
    assert (part.status_code, part.content) == (206, content[3:10])
    assert part.headers["content-range"] == f"bytes 3-9/{len(content)}"
    assert (await client.get(path, Range="bytes=-4")).content == content[-4:]
    assert (await client.get(path, Range=f"bytes={len(content)}-")).status_code == 416
    tag = f'"{done["sha256"]}"'
    assert (await client.get(path, Range="bytes=0-1", **{"If-Range": tag})).status_code == 206
    assert (await client.get(path, Range="bytes=0-1", **{"If-Range": '"other"'})).status_code == 200
    assert (await client.get(path, **{"If-None-Match": tag})).status_code == 304
    head = await client.reporting.http.head(
        f"{EXPORTS}{path}", headers={"X-Client-Authorization": client.reporting.token}
    )
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(content)), b"")


async def test_a_compressed_file_is_downloaded_as_it_is(client: ExportClient) -> None:
    done = await client.done({**SAMPLES, "compression": "gzip"})
    file = await client.get(f"/{done['id']}/file")
    assert file.headers["content-type"] == "application/gzip"
    assert "content-encoding" not in file.headers
    assert names(gzip.decompress(file.content)) == ["nord", "syd"]
    assert done["file_name"].endswith(".csv.gz")


async def test_a_signed_link_needs_no_token_and_expires(client: ExportClient, clock: ManualClock) -> None:
    done = await client.done()
    http = client.reporting.http
    link = done["url"].removeprefix("http://test")
    assert names((await http.get(link)).content) == ["nord", "syd"]
    forged = [
        link[:-1] + ("0" if link[-1] != "0" else "1"),
        link.replace("expires=1", "expires=2"),
        link.replace(f"organization={client.organization_id}", "organization=1x"),
        link.replace("signature=", "signature=ø"),
        link.partition("&expires")[0] + "&signature=1",
    ]
    for each in forged:
        denied = await http.get(each)
        assert denied.status_code == 401, each
        assert "invalid or has expired" in denied.json()["error"]
    assert (await http.get(link.replace(done["id"], "x"))).status_code == 404
    clock.advance(seconds=3_600)
    assert (await http.get(link)).status_code == 401
    renewed = (await client.read(done))["url"].removeprefix("http://test")
    assert (await http.get(renewed)).status_code == 200
    await client.delete(done)
    assert (await http.get(renewed)).status_code == 404


async def test_an_export_of_all_customers_has_their_columns(client: ExportClient) -> None:
    done = await client.done(path=TENANTS_EXPORT, customer=None)
    file = await client.get(f"/{done['id']}/file")
    rows = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert [(int(row["customer_id"]), row["customer_name"], row["name"]) for row in rows] == [
        (each.id, each.name, each.name) for each in client.reporting.clubs
    ]
    narrowed = await client.create(path=TENANTS_EXPORT, customer=f"id={client.reporting.clubs[1].id}")
    assert narrowed["community_ids"] == [client.reporting.clubs[1].id]


async def test_a_token_for_exports_of_all_customers_can_wait_for_them_and_delete_them(client: ExportClient) -> None:
    token = await client.reporting.new_token(("Reporting:Api:TenantsExport", "Reporting:Api:Report:Samples"))
    created = await client.request(path=TENANTS_EXPORT, customer=None, token=token)
    path = f"/{created.json()['export']['id']}"
    await client.run_all()
    assert (await client.get(path, token)).json()["export"]["status"] == "done"
    assert (await client.get(f"{path}/file", token)).status_code == 200
    assert (await client.request(token=token)).status_code == 403


async def test_every_error_of_a_request_is_in_the_shape_of_the_request(client: ExportClient) -> None:
    answer = await client.request(
        {
            "report": "samples",
            "filter": {"type": "equal", "field": "nothing", "value": 1},
            "format": "pdf",
            "compression": 7,
            "webhook_url": "ftp://a.example",
            "limit": 5,
        }
    )
    assert answer.status_code == 422
    details = answer.json()["details"]
    assert details["format"][0]["options"]["in"] == ["csv", "xlsx", "ndjson", "parquet", "arrow"]
    assert details["compression"][0]["error"] == "inclusion"
    assert details["webhook_url"][0]["error"] == "invalid_url"
    assert details["limit"][0]["error"] == "unknown"
    assert "field" in details["filter"]
    assert answer.headers["ratelimit-cost"] == "1"
    missing = (await client.request({"report": "samples", "webhook_url": 5})).json()["details"]
    assert missing["format"][0]["error"] == "presence"
    assert missing["webhook_url"][0]["message"].startswith("The URL must be a string")
    assert (await client.request(b"[]")).status_code == 400


async def test_permits_are_those_of_exports_and_of_the_report(client: ExportClient) -> None:
    done = await client.done()
    reporting = client.reporting
    report = "Reporting:Api:Report:Samples"
    for granted, path, lacking in (
        ((report,), "/v1/reporting/query/export", "Reporting:Api:Export"),
        (("Reporting:Api:Export",), "/v1/reporting/query/export", report),
        (("Reporting:Api:Export", report), TENANTS_EXPORT, "Reporting:Api:TenantsExport"),
    ):
        denied = await client.request(path=path, token=await reporting.new_token(granted))
        assert denied.status_code == 403
        assert f"lacks the permit {lacking}." in denied.json()["error"]
    other_report = await reporting.new_token(("Reporting:Api:Export", "Reporting:Api:Report:Members"))
    assert (await client.get(f"/{done['id']}/file", other_report)).status_code == 403
    assert (await client.get("", other_report)).json()["exports"] == []


async def test_others_can_not_find_out_whether_an_export_exists(client: ExportClient) -> None:
    done = await client.done()
    reporting = client.reporting
    foreign = await reporting.new_token(of=reporting.other_club)
    narrow = await reporting.new_token(customers=[reporting.clubs[0].slug])
    unknown = "/00000000-0000-4000-8000-000000000000"
    for token in (foreign, narrow):
        for suffix in ("", "/file"):
            found = await client.get(f"/{done['id']}{suffix}", token)
            absent = await client.get(f"{unknown}{suffix}", token)
            assert found.status_code == absent.status_code == 404
            assert found.json() == absent.json()
        headers = {"X-Client-Authorization": token}
        assert (await reporting.http.delete(f"{EXPORTS}/{done['id']}", headers=headers)).status_code == 404
        assert (await client.get("", token)).json()["exports"] == []
    assert (await client.get("/1")).status_code == 404
    assert (await client.read(done))["status"] == "done"


async def test_the_same_request_twice_is_two_exports_unless_the_key_is_the_same(client: ExportClient) -> None:
    plain = [(await client.create())["id"] for _ in range(2)]
    assert len(set(plain)) == 2
    key = {"Idempotency-Key": "monday"}
    keyed = [(await client.create(headers=key))["id"] for _ in range(2)]
    assert len(set(keyed)) == 1
    assert len((await client.get("")).json()["exports"]) == 3
    for body, customer in (({**SAMPLES, "format": "xlsx"}, "all=all"), (SAMPLES, f"id={client.reporting.clubs[0].id}")):
        conflict = await client.request(body, customer=customer, headers=key)
        assert conflict.status_code == 422
        assert "was used for another export" in conflict.json()["error"]
    assert (await client.request(headers={"Idempotency-Key": "x" * 256})).status_code == 422
    concurrent = await asyncio.gather(*(client.create(headers={"Idempotency-Key": "tuesday"}) for _ in range(3)))
    assert len({each["id"] for each in concurrent}) == 1
    # The audit log names the export that each request returned, and none for a conflict.
    async with client.database.organization_transaction(client.organization_id) as connection:
        entries = await audit_log.list_entries(
            connection, client.organization_id, AuditFilter(subject_type="export"), limit=100
        )
    recorded = [each.subject_ids for each in entries]
    assert sorted(recorded) == sorted((each,) for each in [*plain, *keyed, *(each["id"] for each in concurrent)])


async def test_a_queued_export_is_cancelled_and_then_deleted(client: ExportClient) -> None:
    export = await client.create()
    cancelled = (await client.delete(export)).json()["export"]
    assert cancelled["status"] == "cancelled"
    await client.run_all()
    assert (await client.read(export))["status"] == "cancelled"
    file = await client.get(f"/{export['id']}/file")
    assert file.status_code == 409
    assert file.json()["error"] == "The export is cancelled, so it has no file."
    assert (await client.delete(export)).json()["export"]["status"] == "deleted"
    assert (await client.get(f"/{export['id']}")).status_code == 404
    assert client.files() == []


async def test_a_done_export_is_deleted_with_its_file(client: ExportClient) -> None:
    done = await client.done()
    assert len(client.files()) == 1
    assert (await client.delete(done)).json()["export"]["status"] == "deleted"
    assert client.files() == []


class Blocked:
    """Has exports stop after they wrote something, until they are released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_started, self.release = asyncio.Event(), asyncio.Event()
        self._write = write_export
        monkeypatch.setattr(run, "write_export", self._blocked)
        monkeypatch.setattr(run, "PROGRESS_SECONDS", 0.02)

    async def _blocked(self, *arguments: Any, **options: Any) -> Any:
        arguments[4].write(b"partial")
        options["on_progress"](7)
        self.is_started.set()
        await self.release.wait()
        return await self._write(*arguments, **options)


async def test_a_running_export_is_cancelled_and_leaves_no_file(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = Blocked(monkeypatch)
    export = await client.create()
    running = asyncio.create_task(client.run_all())
    await blocked.is_started.wait()
    assert [each.rpartition(".")[2] for each in client.files()] == ["part"]
    assert (await client.read(export))["status"] == "running"
    assert "Poll" in (await client.get(f"/{export['id']}/file")).json()["error"]
    assert (await client.delete(export)).json()["export"]["status"] == "cancelled"
    await running
    assert client.files() == []
    assert (await client.read(export))["status"] == "cancelled"
    stored = await client.stored(export)
    assert stored.job_id is not None


async def test_the_rows_of_a_running_export_are_shown(client: ExportClient, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = Blocked(monkeypatch)
    recorded = asyncio.Event()
    record = export_table.record_progress

    async def recording(*arguments: Any) -> bool:
        result = await record(*arguments)
        recorded.set()
        return result

    monkeypatch.setattr(export_table, "record_progress", recording)
    export = await client.create()
    running = asyncio.create_task(client.run_all())
    await blocked.is_started.wait()
    await recorded.wait()
    running_export = await client.read(export)
    assert (running_export["rows"], running_export["progress"]) == (7, None)
    blocked.release.set()
    await running
    assert (await client.read(export))["status"] == "done"


async def test_the_progress_is_estimated_by_the_last_export_of_the_same_query(client: ExportClient) -> None:
    await client.done()
    export = await client.create({**SAMPLES, "format": "ndjson"})
    started = await export_table.start(
        client.database, client.organization_id, (await client.stored(export)).id, run.host_name()
    )
    assert started is not None
    for rows, progress in ((0, 0.0), (1, 0.5), (5, export_table.MAX_RUNNING_PROGRESS)):
        await export_table.record_progress(client.database, started, rows)
        assert (await client.read(export))["progress"] == progress


async def test_an_interrupted_download_leaves_the_file_and_continues(client: ExportClient) -> None:
    done = await client.done()
    whole = (await client.get(f"/{done['id']}/file")).content
    headers = {"X-Client-Authorization": client.reporting.token}
    async with client.reporting.http.stream("GET", f"{EXPORTS}/{done['id']}/file", headers=headers) as answer:
        assert answer.status_code == 200
    rest = await client.get(f"/{done['id']}/file", Range="bytes=10-", **{"If-Range": answer.headers["etag"]})
    assert whole[:10] + rest.content == whole
    assert len(client.files()) == 1


async def test_an_attempt_that_was_superseded_changes_nothing(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if this process had stopped for a minute, and another had taken the export over.
    blocked = Blocked(monkeypatch)
    export = await client.create()
    running = asyncio.create_task(client.run_all())
    await blocked.is_started.wait()
    stored = await client.stored(export)
    second = await export_table.start(client.database, client.organization_id, stored.id, "other")
    assert second is not None
    assert second.attempt == 2
    blocked.release.set()
    await running
    found = await client.stored(export)
    assert (found.status.value, found.attempt, found.host) == ("running", 2, "other")
    assert client.files() == []


def _fill_disk(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Has the disk be full for some attempts: a real one, of the system."""
    opened = itertools.count(1)

    def open_partial(target: Path) -> BinaryIO:
        return open_file(Path("/dev/full") if next(opened) <= times else target)

    open_file = stores.open_partial
    monkeypatch.setattr(stores, "open_partial", open_partial)


async def test_a_full_disk_is_retried(client: ExportClient, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill_disk(monkeypatch, 1)
    done = await client.done()
    assert (done["status"], done["attempts"], done["rows"], done["error"]) == ("done", 2, 2, None)
    assert done["file_name"].endswith("-2.csv")
    assert client.files() == [f"{client.organization_id}/{done['file_name']}"]


async def test_a_disk_that_stays_full_fails_the_export_with_the_reason(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill_disk(monkeypatch, 3)
    failed = await client.done()
    assert (failed["status"], failed["attempts"]) == ("failed", 3)
    assert failed["error"].endswith("can't be written: No space left on device.")
    assert client.files() == []
    assert "No space left" in (await client.get(f"/{failed['id']}/file")).json()["error"]
    # A person makes space and runs the job again.
    stored = await client.stored(failed)
    assert stored.job_id is not None
    await job_list.retry_job(client.database, stored.job_id, {client.job_type.name: client.job_type})
    assert (await client.read(failed))["status"] == "queued"
    await client.run_all()
    assert (await client.read(failed))["status"] == "done"


async def test_an_export_of_a_customer_that_left_the_organization_fails(client: ExportClient) -> None:
    export = await client.create()
    async with client.database.organization_transaction(client.organization_id) as connection:
        await connection.execute(
            "UPDATE exports SET community_ids = community_ids || $2::int WHERE id = $1",
            (await client.stored(export)).id,
            client.reporting.other_club.id,
        )
    await client.run_all()
    stored = await client.stored(export)
    assert stored.status.value == "failed"
    assert stored.attempt == 1
    assert stored.error == (
        f"The organization no longer has the communities {client.reporting.other_club.id} of this export."
    )


async def test_an_export_whose_report_has_changed_fails(client: ExportClient) -> None:
    export = await client.create({**SAMPLES, "filter": {"type": "equal", "field": "size", "value": "small"}})
    async with client.database.organization_transaction(client.organization_id) as connection:
        await connection.execute(
            "UPDATE exports SET request = jsonb_set(request, '{filter,field}', '\"gone\"') WHERE organization_id = $1",
            client.organization_id,
        )
    await client.run_all()
    failed = await client.read(export)
    assert failed["status"] == "failed"
    assert "The request is no longer valid" in failed["error"]


async def test_an_export_whose_job_was_lost_fails(client: ExportClient) -> None:
    export = await client.create()
    stored = await client.stored(export)
    assert await export_jobs.fail_lost_exports(client.database, client.settings) == 0
    async with client.database.unscoped_connection() as connection:
        await connection.execute("DELETE FROM procrastinate_jobs WHERE id = $1", stored.job_id)
    assert await export_jobs.fail_lost_exports(client.database, client.settings) == 1
    failed = await client.read(export)
    assert (failed["status"], failed["error"]) == ("failed", export_jobs.LOST_ERROR)


async def test_an_export_that_is_done_is_not_run_again(client: ExportClient) -> None:
    done = await client.done()
    stored = await client.stored(done)
    await client.job_type.run({"organization_id": client.organization_id, "export_id": str(stored.id)})
    assert await client.read(done) == done


async def test_exports_and_their_files_expire(client: ExportClient, clock: ManualClock) -> None:
    done, cancelled = await client.done(), await client.create()
    await client.delete(cancelled)
    clock.advance(days=7, seconds=-1)
    await cleanup.delete_expired(client.database, client.settings)
    assert len(client.files()) == 1
    clock.advance(seconds=1)
    await cleanup.delete_expired(client.database, client.settings)
    assert client.files() == []
    for each in (done, cancelled):
        assert (await client.get(f"/{each['id']}")).status_code == 404


async def test_files_that_no_export_refers_to_are_deleted(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await client.done()
    running = await client.create()
    started = await export_table.start(
        client.database, client.organization_id, (await client.stored(running)).id, run.host_name()
    )
    assert started is not None
    folder = client.settings.data_dir / "exports" / str(client.organization_id)
    await export_table.set_file(client.database, started, f"{client.organization_id}/running.csv")
    for name in ("running.csv.part", "dead.csv.part", "orphan.csv"):
        (folder / name).write_bytes(b"x")
    assert await cleanup.delete_orphans(client.database, client.settings) == 0
    monkeypatch.setattr(cleanup, "ORPHAN_SECONDS", -1.0)
    assert await cleanup.delete_orphans(client.database, client.settings) == 2
    assert client.files() == [
        f"{client.organization_id}/{name}" for name in sorted(["running.csv.part", done["file_name"]])
    ]
    await client.delete(running)


async def test_a_file_on_another_machine_is_a_clear_error(client: ExportClient) -> None:
    done = await client.done()
    (client.settings.data_dir / "exports" / client.files()[0]).unlink()
    gone = await client.get(f"/{done['id']}/file")
    assert gone.status_code == 410
    async with client.database.organization_transaction(client.organization_id) as connection:
        await connection.execute(
            "UPDATE exports SET host = 'worker-2' WHERE organization_id = $1", client.organization_id
        )
    elsewhere = await client.get(f"/{done['id']}/file")
    assert elsewhere.status_code == 503
    assert "is on another machine, worker-2" in elsewhere.json()["error"]
    assert "REGULARS_EXPORT_STORE" in elsewhere.json()["error"]


async def test_an_organization_has_a_limited_number_of_unfinished_exports(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_jobs, "MAX_UNFINISHED", 1)
    await client.create()
    limited = await client.request()
    assert limited.status_code == 429
    assert limited.headers["retry-after"] == "60"


async def test_exports_are_isolated_by_the_database(client: ExportClient) -> None:
    await client.create()
    for organization_id in (client.reporting.other_club.organization_id, 0):
        async with client.database.organization_transaction(organization_id) as connection:
            assert await connection.fetchval("SELECT count(*) FROM exports") == 0
    async with client.database.unscoped_connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM exports") == 0
    await client.run_all()


async def test_an_export_that_is_cancelled_at_its_end_leaves_no_file(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = Blocked(monkeypatch)
    monkeypatch.setattr(run, "PROGRESS_SECONDS", 60.0)
    export = await client.create()
    running = asyncio.create_task(client.run_all())
    await blocked.is_started.wait()
    async with client.database.organization_transaction(client.organization_id) as connection:
        await connection.execute(
            "UPDATE exports SET status = 'cancelled' WHERE organization_id = $1", client.organization_id
        )
    blocked.release.set()
    await running
    assert client.files() == []
    assert (await client.read(export))["status"] == "cancelled"


async def _cancel_twice(running: asyncio.Future[Any]) -> None:
    for _ in range(2):
        running.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
    # What it has given to a thread begins before this.
    await asyncio.to_thread(int)


@pytest.mark.parametrize(("type_", "method"), [(stores.FolderStore, "create"), (stores.FolderFile, "complete")])
async def test_an_attempt_that_is_cancelled_while_a_thread_has_its_file_leaves_none(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch, type_: type, method: str
) -> None:
    began, may_end = threading.Event(), threading.Event()
    work = getattr(type_, method)

    def blocked(*arguments: Any) -> Any:
        result = work(*arguments)
        began.set()
        may_end.wait()
        return result

    monkeypatch.setattr(type_, method, blocked)
    export = await client.stored(await client.create())
    arguments = {"organization_id": client.organization_id, "export_id": str(export.id)}
    running = asyncio.ensure_future(client.job_type.run(arguments))
    await asyncio.to_thread(began.wait)
    await _cancel_twice(running)
    has_ended_early = running.done()
    may_end.set()
    assert not has_ended_early
    with pytest.raises(asyncio.CancelledError):
        await running
    assert client.files() == []


async def test_an_attempt_that_is_cancelled_while_it_stops_to_write_waits_for_the_writer(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_started, is_stopping, release = asyncio.Event(), asyncio.Event(), asyncio.Event()
    order: list[str] = []
    discard = stores.FolderFile.discard

    def recording(file: stores.FolderFile) -> None:
        order.append("discarded")
        discard(file)

    async def slow_to_stop(*arguments: Any, **options: Any) -> None:
        is_started.set()
        try:
            await asyncio.Event().wait()
        finally:
            is_stopping.set()
            await release.wait()
            order.append("written")

    monkeypatch.setattr(stores.FolderFile, "discard", recording)
    monkeypatch.setattr(run, "write_export", slow_to_stop)
    export = await client.stored(await client.create())
    arguments = {"organization_id": client.organization_id, "export_id": str(export.id)}
    running = asyncio.ensure_future(client.job_type.run(arguments))
    await is_started.wait()
    await _cancel_twice(running)
    await is_stopping.wait()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert order == ["written", "discarded"]
    assert client.files() == []


@pytest.mark.parametrize("is_superseded", [False, True])
async def test_an_attempt_that_is_cancelled_while_its_end_is_recorded_has_a_file_only_if_it_is_done(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch, *, is_superseded: bool
) -> None:
    is_recorded, release = asyncio.Event(), asyncio.Event()
    finish = export_table.finish

    async def blocked(database: Database, export: export_table.Export, *more: Any) -> Any:
        if is_superseded:
            await export_table.start(database, export.organization_id, export.id, "other")
        found = await finish(database, export, *more)
        is_recorded.set()
        await release.wait()
        return found

    monkeypatch.setattr(export_table, "finish", blocked)
    created = await client.create()
    arguments = {"organization_id": client.organization_id, "export_id": created["id"]}
    running = asyncio.ensure_future(client.job_type.run(arguments))
    await is_recorded.wait()
    await _cancel_twice(running)
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await client.read(created))["status"] == ("running" if is_superseded else "done")
    assert len(client.files()) == (0 if is_superseded else 1)


async def test_an_export_that_is_superseded_before_it_writes_creates_no_file(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def superseded(*arguments: Any) -> bool:
        return False

    monkeypatch.setattr(export_table, "set_file", superseded)
    await client.create()
    await client.run_all()
    assert client.files() == []


async def test_a_request_that_is_no_longer_valid_for_its_customers_fails(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def invalid(*arguments: Any, **options: Any) -> Any:
        raise invalid_parameter(("to",), "greater_than_or_equal_to", "Must not be before 'from'.")

    monkeypatch.setattr(run, "write_export", invalid)
    failed = await client.done()
    assert (failed["status"], failed["attempts"]) == ("failed", 1)
    assert failed["error"].startswith("The request is not valid for its customers: ")


async def test_an_export_that_ends_while_it_is_cancelled_is_deleted(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel = export_jobs.cancel_export

    async def ended_before(*arguments: Any) -> Any:
        await client.run_all()
        return await cancel(*arguments)

    monkeypatch.setattr(export_jobs, "cancel_export", ended_before)
    export = await client.create()
    assert (await client.delete(export)).json()["export"]["status"] == "deleted"
    assert client.files() == []


async def test_the_outcome_of_a_job_whose_export_was_deleted_is_ignored(client: ExportClient) -> None:
    arguments = {"organization_id": client.organization_id, "export_id": "00000000-0000-4000-8000-000000000000"}
    for outcome in JobOutcome:
        await client.job_type.record(arguments, outcome, "reason")
    assert (await client.get("")).json()["exports"] == []


async def test_an_export_whose_report_is_gone_can_be_read_and_deleted(client: ExportClient) -> None:
    done = await client.done()
    async with client.database.organization_transaction(client.organization_id) as connection:
        await connection.execute(
            "UPDATE exports SET request = jsonb_set(request, '{report}', '\"gone\"') WHERE organization_id = $1",
            client.organization_id,
        )
    assert (await client.read(done))["request"]["report"] == "gone"
    assert (await client.get(f"/{done['id']}/file")).status_code == 200
    assert len((await client.get("")).json()["exports"]) == 1


async def test_a_signed_link_while_the_database_is_down_is_an_error(
    client: ExportClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await client.done()

    async def down(*arguments: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(export_table, "get", down)
    answer = await client.reporting.http.get(done["url"].removeprefix("http://test"))
    assert answer.status_code == 503
