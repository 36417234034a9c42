"""Bulk import over HTTP: NDJSON or CSV of any length, streamed, optionally compressed."""

import asyncio
import hashlib
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from email.message import Message
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from regulars.api.profile import response_schemas
from regulars.auth import audit_rules, permits
from regulars.core.errors import NotFoundError, field_error
from regulars.facts.columns import Columns
from regulars.file_dialects.compression import Compression
from regulars.file_dialects.limits import FileLimits, FileTooLargeError, ReadAbortedError
from regulars.file_dialects.options import DialectError, DialectOptions, parse_columns, parse_options
from regulars.ingest import idempotency
from regulars.ingest.commit import commit
from regulars.ingest.idempotency import IdempotencyKey
from regulars.loading import catalog
from regulars.loading.batches import LoadOptions, LoadSummary
from regulars.loading.loader import load_and_finish
from regulars.loading.readers.files import FileFormat, FileSource
from regulars.loading.readers.rows import RejectedRow
from regulars.loading.row_kinds import RowKinds
from regulars.model.unit_of_work import UnitOfWork
from regulars.settings import Settings
from regulars.web import received_files
from regulars.web.context import AppContext, RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.errors import ApiError
from regulars.web.request_handler import run_write

BATCH_ROWS = 2_000
"""Most rows of a batch, which is written in two commits, so that other writers do not wait long."""

MAX_ZSTD_WINDOW_BYTES = 2**23
"""Largest window of zstd, as RFC 9659 limits it for content that is sent over HTTP."""

DRAIN_SECONDS = 2.0
"""How long the current batch may take after the client has disconnected or the app stops."""

RETRY_AFTER_SECONDS = 10
"""Seconds after which a client should repeat a rejected import."""

_log = structlog.get_logger("regulars.imports")

BINARY_MEDIA_TYPE = "application/octet-stream"
"""Of clients that send bytes without saying what they are: the query parameter `format` does."""

_FORMATS = {
    "text/csv": FileFormat.CSV,
    "application/csv": FileFormat.CSV,
    "application/x-ndjson": FileFormat.NDJSON,
    "application/ndjson": FileFormat.NDJSON,
    "application/jsonl": FileFormat.NDJSON,
    "application/jsonlines": FileFormat.NDJSON,
    "application/x-jsonlines": FileFormat.NDJSON,
    "application/json": FileFormat.NDJSON,
}

_FORMATS_BY_NAME = {"csv": FileFormat.CSV, "ndjson": FileFormat.NDJSON}

_COMPRESSIONS = {
    "": Compression.NONE,
    "identity": Compression.NONE,
    "gzip": Compression.GZIP,
    "x-gzip": Compression.GZIP,
    "zstd": Compression.ZSTD,
}


async def _import(context: RequestContext, request: Request) -> object:
    entity = _entity(context.path_params["entity"])
    file_format, compression = _file_format(request), _compression(request)
    create_profiles, dry_run, strict = (
        _boolean(context.query_params, name) for name in ("create_profiles", "dry_run", "strict")
    )
    options = _dialect_options(context.query_params, request)
    columns = _columns(entity, options)
    with _import_slot(context), received_files.open_temporary(context.app.settings) as file:
        # The body is stored on disk, because the lines of one transaction may be far apart.
        size, digest = await _store_body(request, file, context.app.settings.max_import_bytes)
        # A dry run changes nothing, and its response has whole rows: it is not stored.
        key = None if dry_run else _idempotency_key(request, digest)
        if key is not None and (stored := await _stored_response(context, key)) is not None:
            return stored
        importing = request.app.state.metrics_exporter.import_progress(entity)
        is_aborted = threading.Event()
        source = FileSource(
            Path(),
            file_format,
            compression,
            size,
            limits=_limits(context.app.settings, is_aborted),
            file=file,
            options=options,
        )
        load = load_and_finish(
            context.app.database,
            context.app.group_committer,
            context.community_id,
            entity,
            partial(source.rows, columns),
            LoadOptions(
                batch_rows=BATCH_ROWS,
                dry_run=dry_run,
                create_profiles=create_profiles,
                is_strict=strict,
                timezone=options.timezone,
                origin="import",
                on_progress=(lambda summary: None) if dry_run else importing,
            ),
        )
        try:
            summary = await _until_disconnect_or_stop(load, is_aborted, request, context.app)
        except FileTooLargeError as error:
            raise ApiError(413, f"{error} Rows before that are stored.") from None
    response = _response(
        entity, summary, source.describe(columns) if file_format is FileFormat.CSV else None, dry_run=dry_run
    )
    if key is not None:
        # A stored response has no values of rows, because they may belong to a person who is erased later.
        rejections = [_rejection(each.unquoted()) for each in summary.rejections]
        await run_write(
            replace(context, idempotency_key=key), 200, partial(_to_store, {**response, "rejections": rejections})
        )
    return response


def _entity(name: str) -> str:
    if name == "communities":
        raise ApiError(403, "A token of one community may not create others. Use `regulars load communities FILE`.")
    if name not in catalog.loadable_names():
        raise NotFoundError(f"Unknown entity {name!r}. Allowed: {', '.join(catalog.loadable_names())}.")
    return name


_DIALECT_PARAMS = {
    "delimiter": "Separator of CSV: one character, or `tab`. Default: detected among `,` `;` tab and `|`.",
    "decimal": "Decimal mark, `,` or `.`; the other one, blanks and apostrophes separate thousands. Default: detected.",
    "encoding": "Encoding of CSV, such as `cp1252`; also as `charset` of the Content-Type. Default: detected.",
    "date_format": "The format of times in text, such as `%m/%d/%Y %H:%M`. Default: ISO 8601.",
    "timezone": "Time zone of times without an offset, where neither the row nor its location has one. "
    "Default: the community's.",
}


def _dialect_options(query: Mapping[str, str], request: Request) -> DialectOptions:
    stated = {name: query.get(name) for name in _DIALECT_PARAMS}
    stated["encoding"] = stated["encoding"] or _charset(request)
    try:
        return parse_options(**stated, columns=parse_columns(tuple(request.query_params.getlist("column"))))
    except DialectError as error:
        raise field_error(error.option, error.reason) from None


def _charset(request: Request) -> str | None:
    message = Message()
    message["content-type"] = request.headers.get("content-type", "")
    return message.get_content_charset()


def _columns(entity: str, options: DialectOptions) -> Columns:
    try:
        return catalog.columns_of(entity, options)
    except DialectError as error:
        raise field_error(error.option, error.reason) from None


def _file_format(request: Request) -> FileFormat:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == BINARY_MEDIA_TYPE and (name := request.query_params.get("format", "")):
        if name not in _FORMATS_BY_NAME:
            raise field_error("format", f"must be one of {', '.join(_FORMATS_BY_NAME)}; found: {name[:100]}")
        return _FORMATS_BY_NAME[name]
    if kind not in _FORMATS:
        raise ApiError(
            415,
            f"The Content-Type is {kind[:100] or 'missing'}. Allowed: "
            "application/x-ndjson, text/csv, or application/octet-stream with `?format=csv` or `?format=ndjson`.",
        )
    return _FORMATS[kind]


def _compression(request: Request) -> Compression:
    name = request.headers.get("content-encoding", "").strip().lower()
    if name not in _COMPRESSIONS:
        raise ApiError(415, f"The Content-Encoding is {name[:100]}. Allowed: gzip, zstd, or none.")
    return _COMPRESSIONS[name]


def _boolean(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "0").lower()
    if text not in ("1", "true", "0", "false"):
        raise field_error(name, "must be 1, 0, true or false")
    return text in ("1", "true")


@contextmanager
def _import_slot(context: RequestContext) -> Iterator[None]:
    """Holds one of the slots for concurrent imports.

    Raises ApiError 503 if all slots are in use, or if this organization would use the last one: an organization that
    sends slowly leaves a slot to the others.
    """
    active, organization_id = context.app.active_imports, context.principal.organization_id
    allowed = context.app.settings.max_concurrent_imports
    running, own = active.total(), active[organization_id]
    if running >= allowed or (own and own >= allowed - 1):
        raise ApiError(
            503,
            f"Too many concurrent imports: {running} in this process, {own} of them of this organization. Allowed: "
            f"{allowed} (max_concurrent_imports), of which one organization may not use the last. Try again later.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    active[organization_id] += 1
    try:
        yield
    finally:
        active[organization_id] -= 1
        if not active[organization_id]:
            del active[organization_id]


def _limits(settings: Settings, is_aborted: threading.Event) -> FileLimits:
    return FileLimits(
        decompressed_bytes=settings.max_import_bytes,
        lines=settings.max_import_lines,
        columns=settings.max_import_columns,
        line_bytes=settings.max_import_line_bytes,
        window_bytes=MAX_ZSTD_WINDOW_BYTES,
        is_aborted=is_aborted.is_set,
    )


async def _store_body(request: Request, file: BinaryIO, max_bytes: int) -> tuple[int, bytes]:
    """Stores the body in a file; returns its size and digest. Raises ApiError 413, or 400 if it is truncated."""
    digest = hashlib.blake2b(digest_size=32)
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > max_bytes:
                raise ApiError(
                    413, f"The body is larger than {max_bytes:,} bytes (max_import_bytes). Send it in several parts."
                )
            file.write(chunk)
            digest.update(chunk)
    except ClientDisconnect:
        raise ApiError(400, "The body is truncated. Nothing was stored.") from None
    file.flush()
    return size, digest.digest()


async def _until_disconnect_or_stop(
    load: Coroutine[Any, Any, LoadSummary], is_aborted: threading.Event, request: Request, app: AppContext
) -> LoadSummary:
    """Runs a load. Raises ApiError if the client disconnects or the server stops before it is complete.

    Committed rows stay stored; sending the same file again loads the rest.
    """
    loading = asyncio.ensure_future(load)
    watchers = [asyncio.ensure_future(_disconnected(request)), asyncio.ensure_future(app.stop_event.wait())]
    try:
        await asyncio.wait([loading, *watchers], return_when=asyncio.FIRST_COMPLETED)
        if not loading.done():
            # The current batch may finish within DRAIN_SECONDS.
            is_aborted.set()
            await asyncio.wait([loading], timeout=DRAIN_SECONDS)
        if loading.done() and not isinstance(loading.exception(), ReadAbortedError):
            return loading.result()
    finally:
        is_aborted.set()
        for task in (loading, *watchers):
            task.cancel()
        await asyncio.wait([loading, *watchers])
    _log.warning("import.stopped", path=request.url.path, is_stopping=app.stop_event.is_set())
    if app.stop_event.is_set():
        raise ApiError(
            503,
            "The server is stopping. Committed rows are stored. Send the file again to load the rest.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    raise ApiError(400, "The client disconnected. Committed rows are stored. Send the file again to load the rest.")


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _idempotency_key(request: Request, digest: bytes) -> IdempotencyKey | None:
    key = request.headers.get("idempotency-key", "")
    target = f"POST {request.url.path}?{request.url.query}".encode()
    return idempotency.hash_key(key, target, digest, idempotency.IMPORT_NAMESPACE) if key else None


async def _stored_response(context: RequestContext, key: IdempotencyKey) -> Response | None:
    async def work(uow: UnitOfWork) -> Response | None:
        stored = (await idempotency.find_responses(uow, [key])).get(key.key_hash)
        if stored is None:
            return None
        status, content = stored.replay(key)
        return Response(content, status, media_type="application/json")

    return await commit(context.app.database, context.community_id, work)


async def _to_store(response: object, context: RequestContext, uow: UnitOfWork) -> object:
    return response


def _response(entity: str, summary: LoadSummary, read_as: str | None, *, dry_run: bool) -> dict[str, object]:
    return {
        "entity": entity,
        **({} if read_as is None else {"read_as": read_as}),
        "accepted": summary.accepted,
        "unchanged": summary.unchanged,
        "rejected": summary.rejected,
        "rejections": [_rejection(each) for each in summary.rejections],
        **(_preview(summary) if dry_run else {}),
        **({"warnings": warnings} if (warnings := _kinds(summary.warning_kinds)) else {}),
    }


def _preview(summary: LoadSummary) -> dict[str, object]:
    first_rows = [{"line": line, "row": row} for line, row in summary.first_rows]
    return {"first_rows": first_rows, "rejection_kinds": _kinds(summary.rejection_kinds)}


def _kinds(kinds: RowKinds) -> list[dict[str, object]]:
    return [{"count": each.count, "line": each.line, "reason": each.example} for each in kinds.most_frequent()]


def _rejection(rejection: RejectedRow) -> dict[str, object]:
    errors = {path: [text] for path, text in rejection.errors.items() if path}
    body: dict[str, object] = {"line": rejection.line, "reason": rejection.reason}
    return {**body, "errors": errors} if errors else body


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/v1/import/{entity}",
        "Import a file of rows: NDJSON or CSV, optionally compressed with gzip or zstd",
        stream_handler=_import,
        schema=response_schemas.IMPORT,
        permit=permits.IMPORT_WRITE,
        audit=audit_rules.IMPORT,
        tag="imports",
        query_params={
            "create_profiles": "`1` creates profiles that transactions refer to and that do not exist.",
            **_DIALECT_PARAMS,
            "column": "Name of a column in the file, such as `profile=customer_id`; may be repeated.",
            "format": "`csv` or `ndjson`, for a body whose Content-Type is application/octet-stream.",
            "strict": "`1` rejects transactions whose lines differ in other columns than those of items.",
            "dry_run": "`1` stores nothing; the response has the first rows as they would be stored, and each kind of error.",
        },
    ),
)
