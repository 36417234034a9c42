"""What is sent when an export has ended: a signed request to its own URL, and events for webhooks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest_asyncio
from standardwebhooks import Webhook

from api.export_client import SAMPLES, ExportClient, export_client
from clubs import ManualClock
from regulars.jobs import job_list
from regulars.jobs.export_notifications import QUEUE, notification_job_type
from regulars.jobs.queue import create_app, run_worker
from regulars.storage.database import Database
from webhook_receiver import Receiver, http_response, receiving


@pytest_asyncio.fixture
async def client(database: Database, clock: ManualClock) -> AsyncIterator[ExportClient]:
    """A client whose server may send to this machine."""
    async with export_client(database, clock, webhook_allowed_networks="127.0.0.0/8") as found:
        yield found


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that accepts everything."""
    async with receiving() as running:
        yield running


async def notify(client: ExportClient, retries: int = 2) -> None:
    """Runs the jobs that notify."""
    job_type = replace(notification_job_type(client.settings, client.database), retry_delays=(0,) * retries)
    app = create_app(client.database, [job_type])
    async with app.open_async():
        await run_worker(app, queue=QUEUE)


async def test_a_url_gets_a_signed_request_when_the_export_is_done(client: ExportClient, receiver: Receiver) -> None:
    export = await client.create({**SAMPLES, "webhook_url": receiver.url})
    secret = export["webhook_secret"]
    assert "webhook_url" not in export["request"]
    assert "webhook_secret" not in await client.read(export)
    await client.run_all()
    await notify(client)
    (request,) = receiver.received
    assert (
        Webhook(secret).sign(request.id, client.database.clock(), request.body.decode())
        == (request.headers["webhook-signature"])
    )
    done = await client.read(export)
    assert request.json["type"] == "export.completed"
    assert request.json["data"] == {
        "id": export["id"],
        "status": "done",
        "report": "samples",
        "format": "csv",
        "rows": 2,
        "bytes": done["bytes"],
        "sha256": done["sha256"],
        "error": None,
        "schedule_id": None,
        "path": f"/v1/reporting/exports/{export['id']}",
    }


async def test_a_receiver_that_fails_gets_the_same_message_again(client: ExportClient, receiver: Receiver) -> None:
    receiver.respond = lambda request, writer: http_response(500 if len(receiver.received) == 1 else 200)
    await client.create({**SAMPLES, "webhook_url": receiver.url})
    await client.run_all()
    await notify(client)
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)


async def test_a_receiver_that_is_gone_is_not_tried_again(client: ExportClient, receiver: Receiver) -> None:
    receiver.respond = lambda request, writer: http_response(410)
    export = await client.create({**SAMPLES, "webhook_url": receiver.url})
    await client.run_all()
    await notify(client)
    assert len(receiver.received) == 1
    jobs = [each for each in await job_list.list_jobs(client.database, "failed") if _is_of(each, export)]
    assert [each.error for each in jobs] == ["The receiver responds with status 410."]
    assert (await client.read(export))["status"] == "done"


def _is_of(job: job_list.ListedJob, export: dict[str, object]) -> bool:
    return job.arguments.get("export_id") == export["id"]


async def test_an_export_that_was_deleted_is_not_sent(client: ExportClient, receiver: Receiver) -> None:
    export = await client.create({**SAMPLES, "webhook_url": receiver.url})
    await client.run_all()
    await client.delete(export)
    await notify(client)
    assert receiver.received == []


async def test_an_address_on_this_machine_is_rejected_unless_a_setting_allows_it(
    client: ExportClient, receiver: Receiver
) -> None:
    export = await client.create({**SAMPLES, "webhook_url": receiver.url})
    await client.run_all()
    client.settings = replace(client.settings, webhook_allowed_networks="")
    await notify(client, retries=0)
    assert receiver.received == []
    (job,) = [each for each in await job_list.list_jobs(client.database, "failed") if _is_of(each, export)]
    assert "127.0.0.1" in (job.error or "")


async def test_an_export_that_ends_is_an_event_of_its_communities(client: ExportClient) -> None:
    club = client.reporting.clubs[0]
    async with client.database.write_transaction(club.id) as scope:
        await scope.execute(
            "INSERT INTO webhooks (community_id, trigger, url, is_active, secret, created_at, updated_at) "
            "VALUES ($1, 'export.*', 'https://a.example', true, '\\x00', $2, $2)",
            club.id,
            scope.now,
        )
    done, cancelled = await client.done(), await client.create()
    await client.delete(cancelled)
    failed = await client.create()
    async with client.database.organization_transaction(client.organization_id) as connection:
        await connection.execute(
            'UPDATE exports SET request = \'{"report": "gone", "format": "csv"}\' '
            "WHERE organization_id = $1 AND status = 'queued'",
            client.organization_id,
        )
    await client.run_all()
    async with client.database.read_transaction(club.id) as scope:
        rows = await scope.fetch(
            "SELECT type, subject_id FROM webhook_events WHERE community_id = $1 ORDER BY id", club.id
        )
    assert [(row["type"], row["subject_id"]) for row in rows] == [
        ("export.completed", done["id"]),
        ("export.failed", failed["id"]),
    ]
