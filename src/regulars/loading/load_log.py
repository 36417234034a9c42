"""Stores the outcome of each file that is loaded, for people who look at the state of the data."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import structlog

from regulars.core.errors import ValidationError
from regulars.loading.batches import LoadOptions, LoadStoppedError, LoadSummary
from regulars.loading.row_kinds import storable
from regulars.model import load_runs
from regulars.model.load_runs import LoadRun
from regulars.storage.database import Database

_log = structlog.get_logger("regulars.load")


async def record_run(
    database: Database,
    community_id: int,
    entity: str,
    options: LoadOptions,
    load: Callable[[], Awaitable[LoadSummary]],
) -> LoadSummary:
    """Runs a load and stores its outcome; a failure to store it is logged and changes nothing. Raises what `load` raises."""
    started_at = database.clock()
    try:
        summary = await load()
    except LoadStoppedError as stopped:
        await _store(database, community_id, entity, options, started_at, stopped.summary, "The load stopped.")
        raise
    except ValidationError as invalid:
        # Without a header, the first row is taken for the names of the columns.
        reason = "; ".join(storable(field, text) for field, text in invalid.errors.items())
        await _store(database, community_id, entity, options, started_at, LoadSummary(), reason[:500])
        raise
    await _store(database, community_id, entity, options, started_at, summary, None)
    return summary


async def _store(
    database: Database,
    community_id: int,
    entity: str,
    options: LoadOptions,
    started_at: datetime,
    summary: LoadSummary,
    error: str | None,
) -> None:
    run = LoadRun(
        source=options.origin,
        entity=entity,
        file_name=options.file_name,
        started_at=started_at,
        finished_at=database.clock(),
        accepted=summary.accepted,
        unchanged=summary.unchanged,
        rejected=summary.rejected,
        reasons=_reasons(summary),
        error=error,
    )
    try:
        await load_runs.store(database, community_id, run)
    except Exception:
        _log.exception("load.outcome_not_stored", community=community_id, entity=entity)


def _reasons(summary: LoadSummary) -> list[dict[str, Any]]:
    return [
        {"count": each.count, "line": each.line, "reason": each.message}
        for each in summary.rejection_kinds.most_frequent()[: load_runs.MAX_REASONS]
    ]
