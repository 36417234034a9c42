"""Facts in bulk over HTTP: NDJSON or CSV of any length, streamed, packed or not."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from regulars.access import permits
from regulars.api.endpoint import Call, Endpoint
from regulars.api.errors import ApiError
from regulars.facts.refusals import NotFound, refuse
from regulars.facts.writing import Writing
from regulars.ingest import entities, idempotency
from regulars.ingest.batches import Options, Summary
from regulars.ingest.bulk import load_one
from regulars.ingest.commit import commit
from regulars.ingest.decompression import Packing
from regulars.ingest.files import Format, Source
from regulars.ingest.idempotency import Keyed
from regulars.ingest.rows import Rejection

BATCH_ROWS = 2_000
"""Most rows at once, in two commits, so that other writers never wait long."""

_FORMATS = {
    "text/csv": Format.CSV,
    "application/csv": Format.CSV,
    "application/x-ndjson": Format.NDJSON,
    "application/ndjson": Format.NDJSON,
    "application/jsonl": Format.NDJSON,
    "application/jsonlines": Format.NDJSON,
    "application/x-jsonlines": Format.NDJSON,
    "application/json": Format.NDJSON,
}

_PACKINGS = {
    "": Packing.PLAIN,
    "identity": Packing.PLAIN,
    "gzip": Packing.GZIP,
    "x-gzip": Packing.GZIP,
    "zstd": Packing.ZSTD,
}


async def _import(call: Call, request: Request) -> object:
    entity = _entity(call.path["entity"])
    form, packing = _form(request), _packing(request)
    create_profiles, dry_run = (_flag(call.query, name) for name in ("create_profiles", "dry_run"))
    # The body waits on disk: lines of one transaction may stand far apart.
    with tempfile.NamedTemporaryFile(prefix="regulars-import-") as file:
        size, digest, cut = await _received(request, file)
        source = Source(Path(file.name), form, packing, size, cut)
        once = _once(request, digest)
        if once is not None and (earlier := await _earlier(call, once)) is not None:
            return earlier
        importing = request.app.state.telemetry.importing(entity)
        summary = await load_one(
            call.server.database,
            call.server.committers,
            call.community_id,
            entity,
            partial(source.rows, entities.columns_of(entity)),
            Options(
                batch_rows=BATCH_ROWS,
                dry_run=dry_run,
                create_profiles=create_profiles,
                progress=(lambda summary: None) if dry_run else importing,
            ),
        )
    answer = _answer(entity, summary)
    if once is None:
        return answer
    return await call.server.written(replace(call, once=once), 200, partial(_kept, answer))


def _entity(name: str) -> str:
    if name == "communities":
        raise ApiError(403, "A token of one community can't make others: use `regulars load communities FILE`.")
    if name not in entities.NAMES:
        raise NotFound(f"There is nothing called {name} to import: choose one of {', '.join(entities.NAMES)}.")
    return name


def _form(request: Request) -> Format:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _FORMATS:
        raise ApiError(415, "Send `Content-Type: application/x-ndjson` or `text/csv`.")
    return _FORMATS[kind]


def _packing(request: Request) -> Packing:
    name = request.headers.get("content-encoding", "").strip().lower()
    if name not in _PACKINGS:
        raise ApiError(415, f"The Content-Encoding {name} is not understood: use gzip or zstd, or none.")
    return _PACKINGS[name]


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "0").lower()
    if text not in ("1", "true", "0", "false"):
        raise refuse(name, "must be 1, 0, true or false")
    return text in ("1", "true")


async def _received(request: Request, file: IO[bytes]) -> tuple[int, bytes, bool]:
    """Keeps a body in a file; gives its size, its digest, and whether its end was lost."""
    digest = hashlib.blake2b(digest_size=32)
    cut = False
    try:
        async for piece in request.stream():
            file.write(piece)
            digest.update(piece)
    except ClientDisconnect:
        # Nobody hears the answer, but what came is kept, as of any file that breaks off.
        cut = True
    file.flush()
    return file.tell(), digest.digest(), cut


def _once(request: Request, digest: bytes) -> Keyed | None:
    key = request.headers.get("idempotency-key", "")
    target = f"POST {request.url.path}?{request.url.query}".encode()
    return idempotency.keyed(key, target, digest, idempotency.IMPORT) if key else None


async def _earlier(call: Call, once: Keyed) -> Response | None:
    async def work(writing: Writing) -> Response | None:
        earlier = (await idempotency.earlier_answers(writing, [once])).get(once.key)
        if earlier is None:
            return None
        status, content = earlier.given_again(once)
        return Response(content, status, media_type="application/json")

    return await commit(call.server.database, call.community_id, work)


async def _kept(answer: object, call: Call, writing: Writing) -> object:
    writing.quotes_rows = True
    return answer


def _answer(entity: str, summary: Summary) -> dict[str, object]:
    return {
        "entity": entity,
        "loaded": summary.loaded,
        "unchanged": summary.unchanged,
        "rejected": summary.rejected,
        "rejections": [_rejection(each) for each in summary.rejections],
    }


def _rejection(rejection: Rejection) -> dict[str, object]:
    errors = {path: [text] for path, text in rejection.errors.items() if path}
    shown: dict[str, object] = {"line": rejection.line, "reason": rejection.reason}
    return {**shown, "errors": errors} if errors else shown


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/v1/import/{entity}",
        "Import facts in bulk: NDJSON or CSV, streamed, gzip or zstd allowed",
        streams=_import,
        permit=permits.IMPORT_WRITE,
        tag="imports",
        query={
            "create_profiles": "1 makes profiles that transactions name and that are not there.",
            "dry_run": "1 only checks: nothing is kept.",
        },
    ),
)
"""The resource's endpoints."""
