"""Responses with files of exports: whole, or the ranges that a client requests."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from regulars.api.reporting import export_links, report_handler
from regulars.auth import permits
from regulars.auth.authorization import authorize
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import Principal, PrincipalKind
from regulars.exports import export_table
from regulars.exports.export_table import Export, ExportStatus
from regulars.exports.formats import BINARY_MEDIA_TYPE, FORMATS_BY_CODE
from regulars.exports.run import host_name
from regulars.exports.stores import FOLDER_LOCATION, FolderStore, ObjectStore, StoreError, export_folder, open_store
from regulars.web.context import AppContext
from regulars.web.endpoint import Endpoint
from regulars.web.errors import RETRY_AFTER_HEADER, ApiError, log_failure, report_error_response
from regulars.web.request_handler import start_audit


def not_found() -> ApiError:
    """The error for an export that does not exist or is not accessible: the two can't be distinguished."""
    return ApiError(404, "Export not found, or not accessible with this token.")


async def respond(app: AppContext, endpoint: Endpoint, request: Request) -> Response:
    """The response to a request for a file by a signed link; other requests are handled as those of reports."""
    if "signature" not in request.query_params:
        return await report_handler.respond(app, endpoint, request)
    try:
        return await _respond_to_link(app, endpoint, request)
    except (AccessDenied, ApiError) as error:
        return report_error_response(error)
    except Exception as error:
        log_failure(endpoint.method, endpoint.path, error)
        return report_error_response(error)


async def _respond_to_link(app: AppContext, endpoint: Endpoint, request: Request) -> Response:
    export_id = parse_id(request.path_params["id"])
    organization_id = await export_links.verify(
        app, export_id, *(request.query_params.get(name, "") for name in ("organization", "expires", "signature"))
    )
    principal = Principal(PrincipalKind.SIGNED_LINK, organization_id, permits=(permits.EXPORT,))
    authorize(endpoint.access, principal, request.path_params)
    export = await export_table.get(app.database, organization_id, export_id)
    if export is None:
        raise not_found()
    audit = start_audit(app, endpoint, request, principal)
    audit.community_ids = export.community_ids
    response = await file_response(app, export, request)
    await audit.write()
    return response


def parse_id(text: str) -> UUID:
    """The id of an export in the path. Raises ApiError, 404, for other text."""
    try:
        return UUID(text)
    except ValueError:
        raise not_found() from None


async def file_response(app: AppContext, export: Export, request: Request) -> Response:
    """The file of an export. Raises ApiError: 409 if the export is not done, 410 if the file is missing, 503."""
    if export.status is not ExportStatus.DONE or export.file_path is None:
        raise ApiError(409, f"The export is {export.status.value}, so it has no file. {_hint(export)}".rstrip())
    etag = f'"{export.sha256}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-transform"}
    if request.headers.get("if-none-match") in (etag, "*"):
        return Response(status_code=304, headers=headers)
    # The file is what was requested, also if it is compressed: it has no Content-Encoding.
    compression = export.request.get("compression")
    media_type = f"application/{compression}" if compression else FORMATS_BY_CODE[export.request["format"]].media_type
    if request.headers.get("accept", "") == BINARY_MEDIA_TYPE:
        media_type = BINARY_MEDIA_TYPE
    try:
        store = await asyncio.to_thread(open_store, app.settings, export.location)
        if export.location == FOLDER_LOCATION:
            path = await _local_file(FolderStore(export_folder(app.settings)), export)
            return FileResponse(path, headers=headers, media_type=media_type, filename=export.file_name)
        assert isinstance(store, ObjectStore)  # noqa: S101
        headers["Content-Disposition"] = f'attachment; filename="{export.file_name}"'
        return await _stored_object(store, export, request, headers, media_type)
    except StoreError as error:
        raise ApiError(503, str(error), headers=RETRY_AFTER_HEADER) from None


def _hint(export: Export) -> str:
    return export.error or {
        ExportStatus.QUEUED: "Poll the export until it is done.",
        ExportStatus.RUNNING: "Poll the export until it is done.",
    }.get(export.status, "")


async def _local_file(store: FolderStore, export: Export) -> Path:
    path = store.resolve(export.file_path or "")
    if await asyncio.to_thread(path.is_file):
        return path
    if export.host != host_name():
        raise ApiError(
            503,
            f"The file is on another machine, {export.host}. Servers that do not share a data directory need an object "
            f"store for exports: set REGULARS_EXPORT_STORE.",
        )
    raise ApiError(410, "The file of this export was deleted. Request the export again.")


# Ranges of objects ------------------------------------------------------------------------------------------

_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))")


async def _stored_object(
    store: ObjectStore, export: Export, request: Request, headers: Mapping[str, str], media_type: str
) -> Response:
    """Streams an object, or one range of it; for several ranges, which are rare, the whole object."""
    size = export.bytes or 0
    start, end, status = 0, size, 200
    text = request.headers.get("range", "")
    if text and request.headers.get("if-range", headers["ETag"]) == headers["ETag"]:
        found = _RANGE.fullmatch(text.replace(" ", ""))
        if found is not None:
            start, end = _bounds(found, size)
            status = 206
            if start >= end:
                return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    sent = {**headers, "Accept-Ranges": "bytes", "Content-Length": str(end - start)}
    if status == 206:
        sent["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    if request.method == "HEAD" or size == 0:
        return Response(status_code=status, headers=sent, media_type=media_type)
    chunks = await store.read(export.file_path or "", start, end)
    return StreamingResponse(chunks, status, sent, media_type)


def _bounds(found: re.Match[str], size: int) -> tuple[int, int]:
    first, last, suffix = found.groups()
    if suffix is not None:
        return max(0, size - int(suffix)), size
    return int(first), size if last is None else min(int(last) + 1, size)
