"""Facts in bulk over HTTP: NDJSON or CSV of any length, streamed, packed or not."""

import asyncio
import hashlib
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from regulars.auth import permits
from regulars.core.errors import NotFoundError, field_error
from regulars.ingest import idempotency
from regulars.ingest.commit import commit
from regulars.ingest.idempotency import IdempotencyKey
from regulars.loading import catalog
from regulars.loading.batches import LoadOptions, LoadSummary
from regulars.loading.loader import load_and_finish
from regulars.loading.readers.compression import Compression
from regulars.loading.readers.files import FileFormat, FileSource
from regulars.loading.readers.limits import FileLimits, FileTooLargeError, ReadAbortedError
from regulars.loading.readers.rows import RejectedRow
from regulars.model.unit_of_work import UnitOfWork
from regulars.settings import Settings
from regulars.web import received_files
from regulars.web.context import AppContext, RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.errors import ApiError
from regulars.web.request_handler import run_write

BATCH_ROWS = 2_000
"""Most rows at once, in two commits, so that other writers never wait long."""

MAX_ZSTD_WINDOW_BYTES = 2**23
"""Largest window of zstd: the limit of RFC 9659 for content that is sent over HTTP."""

DRAIN_SECONDS = 2.0
"""How long the batch that is being written may take after the client has disconnected or the server stops."""

RETRY_AFTER_SECONDS = 10
"""Seconds after which a client should send a refused import again."""

_log = structlog.get_logger("regulars.imports")

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

_PACKINGS = {
    "": Compression.NONE,
    "identity": Compression.NONE,
    "gzip": Compression.GZIP,
    "x-gzip": Compression.GZIP,
    "zstd": Compression.ZSTD,
}


async def _import(call: RequestContext, request: Request) -> object:
    entity = _entity(call.path_params["entity"])
    form, packing = _form(request), _packing(request)
    create_profiles, dry_run = (_flag(call.query_params, name) for name in ("create_profiles", "dry_run"))
    with _import_slot(call), received_files.open_temporary(call.app.settings) as file:
        # The body waits on disk: lines of one transaction may stand far apart.
        size, digest = await _received(request, file, call.app.settings.max_import_bytes)
        once = _once(request, digest)
        if once is not None and (earlier := await _earlier(call, once)) is not None:
            return earlier
        importing = request.app.state.metrics_exporter.import_progress(entity)
        ended = threading.Event()
        source = FileSource(Path(), form, packing, size, limits=_limits(call.app.settings, ended), file=file)
        load = load_and_finish(
            call.app.database,
            call.app.group_committer,
            call.community_id,
            entity,
            partial(source.rows, catalog.columns_of(entity)),
            LoadOptions(
                batch_rows=BATCH_ROWS,
                dry_run=dry_run,
                create_profiles=create_profiles,
                on_progress=(lambda summary: None) if dry_run else importing,
            ),
        )
        try:
            summary = await _until_disconnect_or_stop(load, ended, request, call.app)
        except FileTooLargeError as error:
            raise ApiError(413, f"{error} Rows that were stored before stay stored.") from None
    answer = _answer(entity, summary)
    if once is None:
        return answer
    return await run_write(replace(call, idempotency_key=once), 200, partial(_kept, answer))


def _entity(name: str) -> str:
    if name == "communities":
        raise ApiError(403, "A token of one community can't make others: use `regulars load communities FILE`.")
    if name not in catalog.loadable_names():
        raise NotFoundError(
            f"There is nothing called {name} to import: choose one of {', '.join(catalog.loadable_names())}."
        )
    return name


def _form(request: Request) -> FileFormat:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _FORMATS:
        raise ApiError(415, "Send `Content-Type: application/x-ndjson` or `text/csv`.")
    return _FORMATS[kind]


def _packing(request: Request) -> Compression:
    name = request.headers.get("content-encoding", "").strip().lower()
    if name not in _PACKINGS:
        raise ApiError(415, f"The Content-Encoding {name} is not understood: use gzip or zstd, or none.")
    return _PACKINGS[name]


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "0").lower()
    if text not in ("1", "true", "0", "false"):
        raise field_error(name, "must be 1, 0, true or false")
    return text in ("1", "true")


@contextmanager
def _import_slot(call: RequestContext) -> Iterator[None]:
    """Counts an import of the caller's organization while it runs.

    Raises ApiError 503 where as many as allowed are running, or all but one and these are of this organization: one
    that sends slowly, by mistake or not, leaves a slot to the others.
    """
    active, organization_id = call.app.active_imports, call.principal.organization_id
    allowed = call.app.settings.max_concurrent_imports
    running, own = active.total(), active[organization_id]
    if running >= allowed or (own and own >= allowed - 1):
        raise ApiError(
            503,
            f"{running} imports are running in this process, {own} of them of this organization; {allowed} are allowed "
            "(max_concurrent_imports), one organization never has all of them: send it again later.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    active[organization_id] += 1
    try:
        yield
    finally:
        active[organization_id] -= 1
        if not active[organization_id]:
            del active[organization_id]


def _limits(settings: Settings, ended: threading.Event) -> FileLimits:
    return FileLimits(
        decompressed_bytes=settings.max_import_bytes,
        lines=settings.max_import_lines,
        columns=settings.max_import_columns,
        line_bytes=settings.max_import_line_bytes,
        window_bytes=MAX_ZSTD_WINDOW_BYTES,
        is_aborted=ended.is_set,
    )


async def _received(request: Request, file: BinaryIO, max_bytes: int) -> tuple[int, bytes]:
    """Stores a body in a file and returns its size and digest. Raises ApiError 413, and 400 where it breaks off."""
    digest = hashlib.blake2b(digest_size=32)
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > max_bytes:
                raise ApiError(
                    413, f"The body is larger than {max_bytes:,} bytes (max_import_bytes): send it in parts."
                )
            file.write(piece)
            digest.update(piece)
    except ClientDisconnect:
        raise ApiError(400, "The body is truncated; nothing of it was stored.") from None
    file.flush()
    return size, digest.digest()


async def _until_disconnect_or_stop(
    load: Coroutine[Any, Any, LoadSummary], ended: threading.Event, request: Request, server: AppContext
) -> LoadSummary:
    """The outcome of a load. Raises ApiError where the client disconnects or the server stops before it is done.

    Rows that were committed stay stored; the same file, sent again, loads the rest.
    """
    loading = asyncio.ensure_future(load)
    watching = [asyncio.ensure_future(_disconnected(request)), asyncio.ensure_future(server.stop_event.wait())]
    try:
        await asyncio.wait([loading, *watching], return_when=asyncio.FIRST_COMPLETED)
        if not loading.done():
            # The batch that is being written may finish, within FINISH_SECONDS.
            ended.set()
            await asyncio.wait([loading], timeout=DRAIN_SECONDS)
        if loading.done() and not isinstance(loading.exception(), ReadAbortedError):
            return loading.result()
    finally:
        ended.set()
        for task in (loading, *watching):
            task.cancel()
        await asyncio.wait([loading, *watching])
    _log.warning("import.stopped", path=request.url.path, is_stopping=server.stop_event.is_set())
    if server.stop_event.is_set():
        raise ApiError(
            503,
            "The server is stopping. Rows that were committed are stored: send the file again to load the rest.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    raise ApiError(
        400, "The client disconnected. Rows that were committed are stored: send the file again to load the rest."
    )


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _once(request: Request, digest: bytes) -> IdempotencyKey | None:
    key = request.headers.get("idempotency-key", "")
    target = f"POST {request.url.path}?{request.url.query}".encode()
    return idempotency.hash_key(key, target, digest, idempotency.IMPORT_NAMESPACE) if key else None


async def _earlier(call: RequestContext, once: IdempotencyKey) -> Response | None:
    async def work(uow: UnitOfWork) -> Response | None:
        earlier = (await idempotency.find_responses(uow, [once])).get(once.key_hash)
        if earlier is None:
            return None
        status, content = earlier.replay(once)
        return Response(content, status, media_type="application/json")

    return await commit(call.app.database, call.community_id, work)


async def _kept(answer: object, call: RequestContext, uow: UnitOfWork) -> object:
    uow.response_quotes_rows = True
    return answer


def _answer(entity: str, summary: LoadSummary) -> dict[str, object]:
    return {
        "entity": entity,
        "loaded": summary.loaded,
        "unchanged": summary.unchanged,
        "rejected": summary.rejected,
        "rejections": [_rejection(each) for each in summary.rejections],
    }


def _rejection(rejection: RejectedRow) -> dict[str, object]:
    errors = {path: [text] for path, text in rejection.errors.items() if path}
    shown: dict[str, object] = {"line": rejection.line, "reason": rejection.reason}
    return {**shown, "errors": errors} if errors else shown


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/v1/import/{entity}",
        "Import facts in bulk: NDJSON or CSV, streamed, gzip or zstd allowed",
        stream_handler=_import,
        permit=permits.IMPORT_WRITE,
        tag="imports",
        query_params={
            "create_profiles": "1 makes profiles that transactions name and that are not there.",
            "dry_run": "1 only checks: nothing is kept.",
        },
    ),
)
"""The resource's endpoints."""
