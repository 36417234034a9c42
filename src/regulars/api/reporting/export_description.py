"""Exports as clients see them."""

from datetime import datetime
from typing import Any

from regulars.api.reporting import export_links
from regulars.exports.export_table import Export, ExportStatus
from regulars.web.context import ReportRequest


def format_time(at: datetime | None) -> str | None:
    """Formats a time as reports do: UTC, ISO 8601 with six decimals."""
    return None if at is None else at.isoformat(timespec="microseconds").replace("+00:00", "Z")


async def describe_export(context: ReportRequest, export: Export) -> dict[str, Any]:
    """An export as clients see it, with a new link if it is done."""
    origin = context.app.public_address.origin(context.request.scope)
    is_done = export.status is ExportStatus.DONE
    return {
        "id": str(export.id),
        "status": export.status.value,
        "request": export.request,
        "community_ids": export.community_ids,
        "progress": export.progress,
        "rows": export.rows_written,
        "bytes": export.bytes,
        "sha256": export.sha256,
        "error": export.error,
        "attempts": export.attempt,
        "requested_at": format_time(export.requested_at),
        "snapshot_at": format_time(export.snapshot_at),
        "finished_at": format_time(export.finished_at),
        "expires_at": format_time(export.expires_at),
        "schedule_id": None if export.schedule_id is None else str(export.schedule_id),
        "file_name": export.file_name if is_done else None,
        "url": await export_links.signed_url(context.app, origin, export, context.now) if is_done else None,
    }
