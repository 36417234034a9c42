"""Exports: request, list, get, download, cancel or delete."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from regulars.api.reporting import export_schemas
from regulars.api.reporting.export_description import describe_export
from regulars.api.reporting.export_files import file_response, not_found, parse_id
from regulars.auth import audit_rules, permits
from regulars.auth.authorization import Caller
from regulars.exports import cleanup, export_table
from regulars.exports.export import require_exportable
from regulars.exports.export_table import Export, NewExport
from regulars.exports.request import RequestedExport, parse_export_request
from regulars.ingest import idempotency
from regulars.jobs import exports as export_jobs
from regulars.query import costs
from regulars.web.context import ReportRequest
from regulars.web.endpoint import Endpoint, PricedQuery
from regulars.web.errors import ApiError

_TAG = "exports"

_SECRET_BYTES = 24


def _export(context: ReportRequest) -> PricedQuery:
    return _priced_request(context, has_customer_columns=False)


def _tenants_export(context: ReportRequest) -> PricedQuery:
    return _priced_request(context, has_customer_columns=True)


def _priced_request(context: ReportRequest, *, has_customer_columns: bool) -> PricedQuery:
    requested = parse_export_request(context.body, context.app.reports, context.segments)
    context.require_permit(requested.query.report.permit)
    return PricedQuery(
        costs.export_cost(requested.query),
        lambda: _create(context, requested, has_customer_columns=has_customer_columns),
    )


async def _create(
    context: ReportRequest, requested: RequestedExport, *, has_customer_columns: bool
) -> Mapping[str, Any]:
    require_exportable(requested.query, context.tenants, with_customer_columns=has_customer_columns, now=context.now)
    secret = secrets.token_bytes(_SECRET_BYTES) if requested.webhook_url else None
    key = _hash_key(context, has_customer_columns=has_customer_columns)
    new = NewExport(
        organization_id=context.organization_id,
        id=uuid4(),
        request=requested.params,
        community_ids=[each.community_id for each in context.tenants],
        permits=context.principal.permits,
        has_customer_columns=has_customer_columns,
        location=context.app.settings.export_store,
        folder=str(context.organization_id),
        token_id=context.principal.token_id,
        key_hash=None if key is None else key.key_hash,
        request_hash=None if key is None else key.request_hash,
        webhook_url=requested.webhook_url,
        webhook_secret=secret,
    )
    context.audit.details["report"] = requested.query.report.name
    try:
        # In the same transaction, so that no export runs that is not recorded.
        export = await export_jobs.request_export(context.app.database, new, context.audit.insert_subject)
    except export_jobs.KeyConflictError:
        raise ApiError(422, "The Idempotency-Key was used for another export. Choose a new one.") from None
    context.audit.is_written = True
    described = await describe_export(context, export)
    if export.webhook_secret is not None:
        described["webhook_secret"] = f"whsec_{base64.b64encode(export.webhook_secret).decode()}"
    return {"export": described}


def _hash_key(context: ReportRequest, *, has_customer_columns: bool) -> idempotency.IdempotencyKey | None:
    """The digests of the Idempotency-Key, and of the request with its customers; None without a key."""
    key = context.request.headers.get("idempotency-key", "")
    if not key:
        return None
    if len(key) > idempotency.MAX_KEY_LENGTH or not key.isprintable():
        raise ApiError(422, f"The Idempotency-Key must be at most {idempotency.MAX_KEY_LENGTH} printable characters.")
    customers = ",".join(str(each.community_id) for each in context.tenants)
    request = f"{has_customer_columns} {customers}\n".encode() + context.body
    return idempotency.IdempotencyKey(
        hashlib.sha256(key.encode()).digest(), hashlib.blake2b(request, digest_size=16).digest()
    )


def _list(context: ReportRequest) -> PricedQuery:
    async def execute() -> object:
        found = await export_table.list_latest(
            context.app.database, context.organization_id, {each.community_id for each in context.tenants}
        )
        return {
            "exports": [await describe_export(context, each) for each in found if _has_report_permit(context, each)]
        }

    return PricedQuery(costs.METADATA_COST, execute)


def _get(context: ReportRequest) -> PricedQuery:
    async def execute() -> object:
        return {"export": await describe_export(context, await _find(context))}

    return PricedQuery(costs.METADATA_COST, execute)


def _file(context: ReportRequest) -> PricedQuery:
    async def execute() -> object:
        return await file_response(context.app, await _find(context), context.request)

    return PricedQuery(costs.METADATA_COST, execute)


def _delete(context: ReportRequest) -> PricedQuery:
    async def execute() -> object:
        app = context.app
        export = await _find(context)
        if not export.status.is_finished:
            cancelled = await export_jobs.cancel_export(app.database, app.settings, export)
            if cancelled is not None:
                return {"export": await describe_export(context, cancelled)}
            # It has ended meanwhile.
            export = await _find(context)
        if not await cleanup.delete_export(app.database, app.settings, export):
            raise ApiError(503, "The store of exports did not delete the file. Send the request again later.")
        return {"export": {**await describe_export(context, export), "status": "deleted", "url": None}}

    return PricedQuery(costs.METADATA_COST, execute)


async def _find(context: ReportRequest) -> Export:
    """The export in the path.

    Raises ApiError, 404, for one that does not exist, belongs to another organization, or contains a customer that the
    token has no access to; AccessDenied, 403, without the permit of its report.
    """
    export = await export_table.get(context.app.database, context.organization_id, parse_id(context.path_params["id"]))
    if export is None or not set(export.community_ids) <= {each.community_id for each in context.tenants}:
        raise not_found()
    report = context.app.reports.get(export.request["report"])
    if report is not None:
        context.require_permit(report.permit)
    return export


def _has_report_permit(context: ReportRequest, export: Export) -> bool:
    report = context.app.reports.get(export.request["report"])
    return report is None or permits.has_permit(context.principal.permits, report.permit)


def _endpoint(method: str, path: str, summary: str, handler: Any, **more: Any) -> Endpoint:
    declared = {"permit": permits.EXPORT, "caller": Caller.REPORTING, "tag": _TAG, "audit": audit_rules.NOTHING, **more}
    return Endpoint(method, f"/v1/reporting/{path}", summary, report_handler=handler, **declared)


def _export_endpoint(method: str, path: str, summary: str, handler: Any, **more: Any) -> Endpoint:
    """An endpoint about requested exports, of one customer or of all that the token has access to."""
    declared = {"needs_customer": False, "alternative_permit": permits.TENANTS_EXPORT, **more}
    return _endpoint(method, path, summary, handler, **declared)


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint(
        "POST",
        "query/export",
        "Export the whole result of a query to a file",
        _export,
        status=202,
        audit=audit_rules.CREATE_EXPORT,
        schema=export_schemas.request_schema(),
    ),
    _endpoint(
        "POST",
        "tenants/query/export",
        "Export the result of a query for each customer that the token has access to",
        _tenants_export,
        status=202,
        audit=audit_rules.CREATE_EXPORT,
        permit=permits.TENANTS_EXPORT,
        needs_customer=False,
        schema=export_schemas.request_schema(),
    ),
    _export_endpoint("GET", "exports", "List exports, latest first", _list, schema=export_schemas.LIST),
    _export_endpoint("GET", "exports/{id}", "Get an export", _get, schema=export_schemas.EXPORT),
    _export_endpoint(
        "GET",
        "exports/{id}/file",
        "Download the file of an export, or ranges of it",
        _file,
        caller=Caller.DOWNLOAD,
        audit=audit_rules.DOWNLOAD_EXPORT,
        media_types=export_schemas.MEDIA_TYPES,
        query_params={
            "signature": "Of a signed link, the `url` of the export. With it no token is needed.",
            "expires": "Of a signed link: when it expires, in Unix time.",
            "organization": "Of a signed link.",
        },
    ),
    _export_endpoint(
        "DELETE",
        "exports/{id}",
        "Cancel an export that waits or runs, or delete one that has ended",
        _delete,
        audit=audit_rules.DELETE_EXPORT,
        schema=export_schemas.EXPORT,
    ),
)
