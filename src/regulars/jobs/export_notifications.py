"""Notifies of exports that have ended: an event for the webhooks of their communities, and a request to their own URL."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID, uuid5

from regulars.exports import export_table
from regulars.exports.export_table import Export, ExportStatus
from regulars.jobs.defer import defer
from regulars.jobs.job_type import JobArguments, JobType, PermanentJobError
from regulars.model import events
from regulars.model.events import Event
from regulars.settings import Settings
from regulars.storage.database import Database, Scope
from regulars.webhooks.client import WebhookClient
from regulars.webhooks.dispatcher import allowed_networks
from regulars.webhooks.payloads import envelope, message_id
from regulars.webhooks.retries import DELAYS_SECONDS, GIVE_UP_AFTER
from regulars.webhooks.signing import signature_headers

JOB_NAME = "notify_export"
QUEUE = "notifications"

EVENT_TYPES = {ExportStatus.DONE: "export.completed", ExportStatus.FAILED: "export.failed"}

_REPEATS = int(GIVE_UP_AFTER.total_seconds() - sum(DELAYS_SECONDS)) // DELAYS_SECONDS[-1]

RETRY_DELAYS = (*DELAYS_SECONDS, *[DELAYS_SECONDS[-1]] * _REPEATS)
"""Seconds between attempts to reach a URL: those of other webhooks."""


class NotDeliveredError(Exception):
    """A receiver did not accept a request. The message says why."""


async def announce(database: Database, connection: Any, export: Export) -> None:
    """Records the end of an export in the transaction that ends it: as an event of each of its communities, and as a job
    that sends it to the URL of the export. A cancelled export is no event.
    """
    if export.status not in EVENT_TYPES:
        return
    event = Event(EVENT_TYPES[export.status], subject_id=str(export.id), data=event_data(export))
    for community_id in export.community_ids:
        await connection.execute(f"SET LOCAL regulars.community_id = '{int(community_id)}'")
        await events.record(Scope(connection, community_id, database.clock()), [event])
    if export.webhook_url is not None:
        arguments = {
            "organization_id": export.organization_id,
            "export_id": str(export.id),
            "status": export.status.value,
            "attempt": export.attempt,
        }
        await defer(connection, JOB_NAME, QUEUE, arguments)


def event_data(export: Export) -> Mapping[str, Any]:
    """The payload of events of an export. It has no link to the file: the receiver needs a token to get one."""
    return {
        "id": str(export.id),
        "status": export.status.value,
        "report": export.request["report"],
        "format": export.request["format"],
        "rows": export.rows_written,
        "bytes": export.bytes,
        "sha256": export.sha256,
        "error": export.error,
        "schedule_id": None if export.schedule_id is None else str(export.schedule_id),
        "path": f"/v1/reporting/exports/{export.id}",
    }


def notification_job_type(settings: Settings, database: Database) -> JobType:
    """The type of jobs that send the end of an export to its URL."""
    return JobType(JOB_NAME, QUEUE, partial(_notify, settings, database), retry_delays=RETRY_DELAYS)


async def _notify(settings: Settings, database: Database, arguments: JobArguments) -> None:
    export = await export_table.get(database, arguments["organization_id"], UUID(arguments["export_id"]))
    # It may have been deleted, or run again by a person, which is another event.
    if export is not None and (export.status.value, export.attempt) == (arguments["status"], arguments["attempt"]):
        client = WebhookClient(allowed_networks(settings))
        try:
            await _send(client, export, database)
        finally:
            await client.close()


async def _send(client: WebhookClient, export: Export, database: Database) -> None:
    assert export.webhook_url is not None  # noqa: S101 - otherwise there is no job
    assert export.webhook_secret is not None  # noqa: S101
    assert export.finished_at is not None  # noqa: S101
    # Every attempt has the same id, by which receivers recognize it.
    event_id = uuid5(export.id, f"{export.status.value} {export.attempt}")
    body = envelope(event_id, EVENT_TYPES[export.status], export.finished_at, event_data(export)).encode()
    headers = signature_headers([export.webhook_secret], message_id(event_id), database.clock(), body)
    attempt = await client.send(export.webhook_url, headers, body)
    if attempt.is_gone:
        raise PermanentJobError(attempt.error)
    if not attempt.is_delivered:
        raise NotDeliveredError(attempt.error)
