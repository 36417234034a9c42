"""The audit log over HTTP: filtered pages by a cursor, and an export as CSV or NDJSON."""

import base64
import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import msgspec
from starlette.responses import StreamingResponse

from regulars.api.admin.customers import accessible_tenants
from regulars.api.admin.declarations import (
    INSTANT,
    INTEGER,
    INTEGER_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    endpoint,
    many,
    organization_id,
    parse_choice,
    parse_instant,
    parse_integer,
)
from regulars.auth import audit_log, audit_rules, permits
from regulars.auth.audit_log import AuditFilter, ListedEntry
from regulars.auth.audit_rules import AuditAction
from regulars.core import formulas, timestamps
from regulars.core.errors import field_error
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint

MAX_PAGE = 500
EXPORT_PAGE = 1_000
"""Entries that an export reads at a time."""

ACTIONS = tuple(each.value for each in AuditAction)
MAX_FILTER_LENGTH = 200


async def _parse_filter(context: RequestContext) -> tuple[AuditFilter, dict[int, str]]:
    """The filter in the query, and the slugs of the caller's communities by id. Raises ValidationError, NotFoundError."""
    query = context.query_params
    async with context.app.database.unscoped_connection() as connection:
        slug = query.get("customer") or None
        chosen = None if slug is None else (await accessible_tenants(connection, context.principal, slug))[0]
        tenants = await accessible_tenants(connection, context.principal)
    is_limited = context.principal.customers is not None
    return AuditFilter(
        actor_type=parse_choice(context, "actor_type", audit_log.ACTOR_TYPES),
        actor_id=parse_integer(context, "actor_id", 0, 2**31 - 1) if query.get("actor_id") else None,
        action=parse_choice(context, "action", ACTIONS),
        subject_type=_text(query.get("subject_type")),
        subject_id=_text(query.get("subject_id")),
        community_id=None if chosen is None else chosen.community_id,
        since=parse_instant(context, "from"),
        until=parse_instant(context, "to"),
        community_ids=[each.community_id for each in tenants] if is_limited else None,
    ), {each.community_id: each.slug for each in tenants}


def _text(text: str | None) -> str | None:
    return text.strip()[:MAX_FILTER_LENGTH] if text and text.strip() else None


def _describe(entry: ListedEntry, slugs: dict[int, str]) -> dict[str, object]:
    values = asdict(entry)
    ids: Sequence[int] = values.pop("community_ids")
    details = {name: value for name, value in values.pop("details").items() if name != "idempotency_key"}
    return {**values, "customers": [slugs.get(each, str(each)) for each in ids], "details": details}


# Pages ------------------------------------------------------------------------------------------------------------


def _cursor(entry: ListedEntry) -> str:
    return base64.urlsafe_b64encode(f"{entry.occurred_at.isoformat()} {entry.id}".encode()).decode().rstrip("=")


def _parse_cursor(text: str) -> tuple[datetime, int]:
    try:
        at, _, number = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").partition(" ")
        entry_id = int(number)
        if not 0 <= entry_id < 2**63:
            raise ValueError(number)
        return timestamps.parse_timestamp(at), entry_id
    except ValueError:
        raise field_error("cursor", "is malformed. Send the `next_cursor` of the previous page") from None


async def _list(context: RequestContext) -> dict[str, object]:
    chosen, slugs = await _parse_filter(context)
    limit = parse_integer(context, "limit", 50, MAX_PAGE)
    text = context.query_params.get("cursor") or None
    after = None if text is None else _parse_cursor(text)
    owner = organization_id(context.principal)
    async with context.app.database.organization_transaction(owner) as connection:
        entries = await audit_log.list_entries(connection, owner, chosen, limit + 1, after)
    page = entries[:limit]
    return {
        "data": [_describe(each, slugs) for each in page],
        "next_cursor": _cursor(page[-1]) if len(entries) > limit else None,
    }


# Export -----------------------------------------------------------------------------------------------------------

_COLUMNS = (
    "id", "occurred_at", "actor_type", "actor_id", "actor_name", "action", "subject_type", "subject_ids", "customers",
    "operation", "address", "details", "count",
)  # fmt: skip

_MEDIA_TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
_encoder = msgspec.json.Encoder()


def _csv_row(values: dict[str, Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([_csv_cell(values[name]) for name in _COLUMNS])
    return text.getvalue().encode()


def _csv_cell(value: object) -> str:
    if isinstance(value, list | tuple):
        value = " ".join(map(str, value))
    if isinstance(value, dict):
        value = _encoder.encode(value).decode() if value else ""
    text = timestamps.format_timestamp(value) if isinstance(value, datetime) else "" if value is None else str(value)
    return formulas.neutralize(text)


def _ndjson_row(values: dict[str, Any]) -> bytes:
    return _encoder.encode(values) + b"\n"


async def _export(context: RequestContext) -> StreamingResponse:
    form = parse_choice(context, "format", tuple(_MEDIA_TYPES)) or "csv"
    chosen, slugs = await _parse_filter(context)
    write: Callable[[dict[str, Any]], bytes] = _csv_row if form == "csv" else _ndjson_row
    owner = organization_id(context.principal)

    async def rows() -> AsyncIterator[bytes]:
        if form == "csv":
            yield (",".join(_COLUMNS) + "\r\n").encode()
        after = None
        while True:
            # Entries are appended only, so that pages by key are the same as one snapshot up to the first.
            async with context.app.database.organization_transaction(owner) as connection:
                page = await audit_log.list_entries(connection, owner, chosen, EXPORT_PAGE, after)
            if not page:
                return
            yield b"".join(write(_describe(each, slugs)) for each in page)
            after = (page[-1].occurred_at, page[-1].id)

    headers = {"Content-Disposition": f'attachment; filename="audit-log.{form}"', "Cache-Control": "private, no-store"}
    return StreamingResponse(rows(), media_type=_MEDIA_TYPES[form], headers=headers)


_FILTERS = {
    "actor_type": f"One of {', '.join(audit_log.ACTOR_TYPES)}.",
    "actor_id": "Id of a user or a token.",
    "action": f"One of {', '.join(ACTIONS)}.",
    "subject_type": "Such as `profile`, `token` or `export`.",
    "subject_id": "Id of what the request was about, such as that of a profile.",
    "customer": "Slug of a customer.",
    "from": "Entries from this time, ISO 8601.",
    "to": "Entries before this time, ISO 8601.",
}

_ENTRY = {
    "id": INTEGER,
    "occurred_at": INSTANT,
    "actor_type": TEXT,
    "actor_id": INTEGER_OR_NULL,
    "actor_name": TEXT,
    "action": {**TEXT, "enum": list(ACTIONS)},
    "subject_type": TEXT,
    "subject_ids": TEXTS,
    "customers": TEXTS,
    "operation": {**TEXT, "description": "Method and path template of a request, or a command."},
    "address": {**TEXT, "description": "Address of the client."},
    "details": {"type": "object", "description": "Without personal data."},
    "count": {**INTEGER, "description": "Number of equal denied requests."},
}

ENDPOINTS: tuple[Endpoint, ...] = (
    endpoint(
        "GET",
        "/audit",
        "List entries of the audit log, newest first",
        None,
        read_handler=_list,
        permit=permits.ADMIN_AUDIT_READ,
        may_return_404=True,
        query_params={
            **_FILTERS,
            "limit": f"1 to {MAX_PAGE}; default 50.",
            "cursor": "The `next_cursor` of the previous page.",
        },
        schema=many("AuditEntry", _ENTRY, next_cursor=TEXT_OR_NULL),
    ),
    endpoint(
        "GET",
        "/audit/export",
        "Export entries of the audit log, newest first, as a file",
        None,
        read_handler=_export,
        permit=permits.ADMIN_AUDIT_READ,
        may_return_404=True,
        audit=audit_rules.EXPORT_AUDIT_LOG,
        query_params={**_FILTERS, "format": "`csv`, the default, or `ndjson`."},
        media_types=tuple(_MEDIA_TYPES.values()),
    ),
)
