"""Exports as rows: an export belongs to an organization and goes from queued over running to done, failed or cancelled."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from regulars.query.parser.request import decode_body
from regulars.storage.database import Database

MAX_RUNNING_PROGRESS = 0.99
"""The progress of an export that has written as many rows as were expected, but is not done."""


class ExportStatus(Enum):
    """The status of an export."""

    QUEUED = "queued"
    """It waits for its first attempt, or for the next one after a failure."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_finished(self) -> bool:
        """Whether nothing will change any more."""
        return self not in (ExportStatus.QUEUED, ExportStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class NewExport:
    """An export to create. `request` is the body of the request; `folder` is the folder of its file in the store.

    `location` is the URL of the object store, or empty for the data folder.
    """

    organization_id: int
    id: UUID
    request: Mapping[str, Any]
    community_ids: Sequence[int]
    permits: Sequence[str]
    has_customer_columns: bool
    location: str
    folder: str
    token_id: int | None = None
    schedule_id: UUID | None = None
    scheduled_for: datetime | None = None
    key_hash: bytes | None = None
    request_hash: bytes | None = None
    webhook_url: str | None = None
    webhook_secret: bytes | None = None


@dataclass(frozen=True, slots=True)
class Export(NewExport):
    """A stored export.

    `attempt` numbers its runs: a run that sees a higher number was superseded. `snapshot_at` is the instant of its data.
    `file_path` is the path, in the store, of the file of the last attempt; in the data folder it is on the machine `host`.
    The file exists if the export is done.
    """

    status: ExportStatus = ExportStatus.QUEUED
    job_id: int | None = None
    attempt: int = 0
    rows_written: int = 0
    expected_rows: int | None = None
    host: str | None = None
    file_path: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    error: str | None = None
    requested_at: datetime | None = None
    snapshot_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def progress(self) -> float | None:
        """The fraction that is written; None if it is not known, because nothing like it was exported before."""
        if self.status is ExportStatus.DONE:
            return 1.0
        if self.rows_written == 0:
            return 0.0
        return min(self.rows_written / self.expected_rows, MAX_RUNNING_PROGRESS) if self.expected_rows else None

    @property
    def file_name(self) -> str:
        """The name of the file, as it is downloaded."""
        return (self.file_path or "").rpartition("/")[2]


_COLUMNS = """
    organization_id, id, status, request, community_ids, permits, has_customer_columns, token_id, schedule_id,
    scheduled_for, key_hash, request_hash, job_id, attempt, rows_written, expected_rows, location, folder, host,
    file_path, bytes, sha256, error, webhook_url, webhook_secret, requested_at, snapshot_at, finished_at, expires_at
"""


def _parse_row(row: Any) -> Export:
    values = dict(row)
    values["status"] = ExportStatus(values["status"])
    values["request"] = decode_body(bytes(values["request"]))
    return Export(**values)


async def insert(connection: Any, new: NewExport, now: datetime) -> None:
    """Inserts an export within a transaction of its organization."""
    await connection.execute(
        """
        INSERT INTO exports (
            organization_id, id, status, request, community_ids, permits, has_customer_columns, token_id, schedule_id,
            scheduled_for, key_hash, request_hash, location, folder, webhook_url, webhook_secret, requested_at
        )
        VALUES ($1, $2, 'queued', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        """,
        new.organization_id,
        new.id,
        new.request,
        list(new.community_ids),
        list(new.permits),
        new.has_customer_columns,
        new.token_id,
        new.schedule_id,
        new.scheduled_for,
        new.key_hash,
        new.request_hash,
        new.location,
        new.folder,
        new.webhook_url,
        new.webhook_secret,
        now,
    )


async def set_job(connection: Any, organization_id: int, export_id: UUID, job_id: int) -> None:
    """Records the job that runs an export."""
    await connection.execute(
        "UPDATE exports SET job_id = $3 WHERE organization_id = $1 AND id = $2", organization_id, export_id, job_id
    )


async def lock_key(connection: Any, organization_id: int, key_hash: bytes) -> Export | None:
    """Returns the export that was requested with an idempotency key. The key stays locked until the transaction ends."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended($1 || ':' || encode($2, 'hex'), 0))",
        f"export:{organization_id}",
        key_hash,
    )
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM exports WHERE organization_id = $1 AND key_hash = $2", organization_id, key_hash
    )
    return None if row is None else _parse_row(row)


async def count_unfinished(connection: Any, organization_id: int) -> int:
    """Returns the number of exports of an organization that wait or run."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM exports WHERE organization_id = $1 AND status IN ('queued', 'running')", organization_id
    )
    return count


async def get(database: Database, organization_id: int, export_id: UUID) -> Export | None:
    """Returns an export of an organization, or None."""
    async with database.organization_transaction(organization_id) as connection:
        row = await connection.fetchrow(
            f"SELECT {_COLUMNS} FROM exports WHERE organization_id = $1 AND id = $2", organization_id, export_id
        )
    return None if row is None else _parse_row(row)


_LIST = f"""
SELECT {_COLUMNS}
FROM exports
WHERE organization_id = $1
  AND ($2::int[] IS NULL OR community_ids <@ $2)
  AND ($3::uuid IS NULL OR schedule_id = $3)
ORDER BY requested_at DESC, id
LIMIT $4
"""


async def list_latest(
    database: Database,
    organization_id: int,
    community_ids: Collection[int] | None = None,
    schedule_id: UUID | None = None,
    limit: int = 100,
) -> list[Export]:
    """Returns exports of an organization, latest first: those with no other communities, and of one schedule."""
    async with database.organization_transaction(organization_id) as connection:
        rows = await connection.fetch(
            _LIST, organization_id, None if community_ids is None else list(community_ids), schedule_id, limit
        )
    return [_parse_row(row) for row in rows]


# Changes of a run -------------------------------------------------------------------------------------------

# An export of the same request, but for its range, is likely to have as many rows.
_START = f"""
UPDATE exports AS export
SET status = 'running', attempt = attempt + 1, rows_written = 0, error = NULL, host = $3, snapshot_at = NULL,
    expected_rows = (
        SELECT earlier.rows_written
        FROM exports AS earlier
        WHERE earlier.organization_id = $1
          AND earlier.status = 'done'
          AND earlier.request - '{{from,to,format,compression}}'::text[]
              = export.request - '{{from,to,format,compression}}'::text[]
          AND earlier.community_ids = export.community_ids
        ORDER BY earlier.requested_at DESC
        LIMIT 1
    )
WHERE organization_id = $1 AND id = $2 AND status IN ('queued', 'running')
RETURNING {_COLUMNS}
"""


async def start(database: Database, organization_id: int, export_id: UUID, host: str) -> Export | None:
    """Starts an attempt on a machine; None if the export is finished or does not exist. An earlier attempt is superseded."""
    async with database.organization_transaction(organization_id) as connection:
        row = await connection.fetchrow(_START, organization_id, export_id, host)
    return None if row is None else _parse_row(row)


_IS_CURRENT = "organization_id = $1 AND id = $2 AND attempt = $3 AND status = 'running'"


async def set_file(database: Database, export: Export, path: str) -> bool:
    """Records which file an attempt is going to write. Returns False if it was superseded or cancelled."""
    async with database.organization_transaction(export.organization_id) as connection:
        status = await connection.execute(
            f"UPDATE exports SET file_path = $4 WHERE {_IS_CURRENT}",
            export.organization_id,
            export.id,
            export.attempt,
            path,
        )
    return bool(status == "UPDATE 1")


async def record_progress(database: Database, export: Export, rows_written: int) -> bool:
    """Records how many rows an attempt has written. Returns False if it was superseded or the export was cancelled."""
    async with database.organization_transaction(export.organization_id) as connection:
        status = await connection.execute(
            f"UPDATE exports SET rows_written = $4 WHERE {_IS_CURRENT}",
            export.organization_id,
            export.id,
            export.attempt,
            rows_written,
        )
    return bool(status == "UPDATE 1")


@dataclass(frozen=True, slots=True)
class CompleteFile:
    """What the file of a finished attempt contains."""

    rows: int
    bytes: int
    sha256: str
    snapshot_at: datetime


OnEnd = Callable[[Any, Export], Awaitable[None]]
"""Called with a connection in the transaction that ends an export, and the export as it has ended."""


async def finish(
    database: Database, export: Export, file: CompleteFile, expires_at: datetime, on_end: OnEnd
) -> Export | None:
    """Records that an attempt is done; None if it was superseded or the export was cancelled."""
    async with database.organization_transaction(export.organization_id) as connection:
        row = await connection.fetchrow(
            f"""
            UPDATE exports
            SET status = 'done', rows_written = $4, bytes = $5, sha256 = $6, snapshot_at = $7, finished_at = $8,
                expires_at = $9
            WHERE {_IS_CURRENT}
            RETURNING {_COLUMNS}
            """,
            export.organization_id,
            export.id,
            export.attempt,
            file.rows,
            file.bytes,
            file.sha256,
            file.snapshot_at,
            database.clock(),
            expires_at,
        )
        return await _end_with(connection, row, on_end)


async def _end_with(connection: Any, row: Any, on_end: OnEnd) -> Export | None:
    if row is None:
        return None
    export = _parse_row(row)
    await on_end(connection, export)
    return export


_END = f"""
UPDATE exports
SET status = $3, error = $4, finished_at = $5, expires_at = $6
WHERE organization_id = $1 AND id = $2 AND status IN ('queued', 'running')
RETURNING {_COLUMNS}
"""


async def end(
    database: Database,
    organization_id: int,
    export_id: UUID,
    status: ExportStatus,
    error: str | None,
    expires_at: datetime,
    on_end: OnEnd,
) -> Export | None:
    """Ends an export as failed or cancelled; None if it has ended already."""
    async with database.organization_transaction(organization_id) as connection:
        row = await connection.fetchrow(
            _END, organization_id, export_id, status.value, error, database.clock(), expires_at
        )
        return await _end_with(connection, row, on_end)


async def requeue(database: Database, organization_id: int, export_id: UUID, error: str | None) -> None:
    """Records that an export waits for its next attempt, and why the last one failed. A failed export starts again."""
    async with database.organization_transaction(organization_id) as connection:
        await connection.execute(
            """
            UPDATE exports
            SET status = 'queued', error = $3, finished_at = NULL, expires_at = NULL
            WHERE organization_id = $1 AND id = $2 AND status IN ('queued', 'running', 'failed')
            """,
            organization_id,
            export_id,
            error,
        )


async def delete(database: Database, organization_id: int, export_ids: Sequence[UUID]) -> None:
    """Deletes finished exports."""
    async with database.organization_transaction(organization_id) as connection:
        await connection.execute(
            "DELETE FROM exports WHERE organization_id = $1 AND id = ANY ($2) AND status NOT IN ('queued', 'running')",
            organization_id,
            list(export_ids),
        )


async def list_expired(database: Database, organization_id: int, after: UUID | None, limit: int) -> list[Export]:
    """Returns finished exports of an organization that have expired, by id after that of another."""
    async with database.organization_transaction(organization_id) as connection:
        rows = await connection.fetch(
            f"SELECT {_COLUMNS} FROM exports WHERE organization_id = $1 AND expires_at <= $2 "
            "AND ($3::uuid IS NULL OR id > $3) ORDER BY id LIMIT $4",
            organization_id,
            database.clock(),
            after,
            limit,
        )
    return [_parse_row(row) for row in rows]


async def list_used_files(database: Database, organization_id: int, location: str) -> set[str]:
    """Returns the paths of files in a store that exports are complete in or that running attempts write."""
    async with database.organization_transaction(organization_id) as connection:
        rows = await connection.fetch(
            """
            SELECT file_path
            FROM exports
            WHERE organization_id = $1 AND rtrim(location, '/') = $2
              AND status IN ('running', 'done') AND file_path IS NOT NULL
            """,
            organization_id,
            location.rstrip("/"),
        )
    return {row["file_path"] for row in rows}


# A job is deleted when it succeeds, and it succeeds after its export is done.
_LIST_LOST = f"""
SELECT {_COLUMNS}
FROM exports AS export
WHERE organization_id = $1
  AND status IN ('queued', 'running')
  AND NOT EXISTS (SELECT FROM procrastinate_jobs WHERE id = export.job_id AND status IN ('todo', 'doing'))
"""


async def list_lost(database: Database, organization_id: int) -> list[Export]:
    """Returns exports that have not ended although their job has: its process died in between."""
    async with database.organization_transaction(organization_id) as connection:
        rows = await connection.fetch(_LIST_LOST, organization_id)
    return [_parse_row(row) for row in rows]


async def has_unfinished_of_schedule(connection: Any, organization_id: int, schedule_id: UUID) -> bool:
    """Whether an export that a schedule requested waits or runs."""
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM exports WHERE organization_id = $1 AND schedule_id = $2 AND status IN ('queued', 'running')
        )
        """,
        organization_id,
        schedule_id,
    )
    return found
