"""Outcomes of loads and imports: how many rows of a file were accepted and rejected, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from regulars.storage.database import Database, Scope

MAX_REASONS = 20
"""Maximum number of kinds of reasons that are stored of a run, the most frequent ones."""

MAX_FILE_NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class LoadRun:
    """The outcome of one file. `source` is `load` for the command and `import` for the API; an import has no file name.

    `reasons` are kinds of messages about rejected rows, each with its number of rows, the first line and the message
    without the values of the row. `error` is what stopped the whole file, if anything did.
    """

    source: str
    entity: str
    file_name: str
    started_at: datetime
    finished_at: datetime
    accepted: int
    unchanged: int
    rejected: int
    reasons: Sequence[Mapping[str, Any]] = ()
    error: str | None = None
    id: int = 0


async def store(database: Database, community_id: int, run: LoadRun) -> None:
    """Stores the outcome of a run."""
    async with database.write_transaction(community_id) as scope:
        await scope.execute(
            """
            INSERT INTO load_runs (
                community_id, source, entity, file_name, started_at, finished_at, accepted, unchanged, rejected,
                reasons, error
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            """,
            community_id,
            run.source,
            run.entity,
            run.file_name[-MAX_FILE_NAME_LENGTH:],
            run.started_at,
            run.finished_at,
            run.accepted,
            run.unchanged,
            run.rejected,
            list(run.reasons[:MAX_REASONS]),
            run.error,
        )


async def list_latest(scope: Scope, limit: int, *, only_rejected: bool = False) -> list[LoadRun]:
    """Returns the latest runs of the community, newest first; on request only those with rejected rows or an error."""
    rows = await scope.fetch(
        """
        SELECT source, entity, file_name, started_at, finished_at, accepted, unchanged, rejected, reasons, error, id
        FROM load_runs
        WHERE community_id = $1 AND (NOT $2 OR rejected > 0 OR error IS NOT NULL)
        ORDER BY finished_at DESC, id DESC
        LIMIT $3
        """,
        scope.community_id,
        only_rejected,
        limit,
    )
    return [LoadRun(**{**row, "reasons": tuple(msgspec.json.decode(row["reasons"]))}) for row in rows]


async def delete_expired(database: Database, retained_days: int, community_id: int) -> int:
    """Deletes the runs of a community that ended longer ago; returns their number."""
    async with database.write_transaction(community_id) as scope:
        before = scope.now - timedelta(days=retained_days)
        status = await scope.execute(
            "DELETE FROM load_runs WHERE community_id = $1 AND finished_at < $2", community_id, before
        )
    return int(status.rpartition(" ")[2])
